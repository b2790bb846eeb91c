import type { ProviderManifest } from '../domain/manifest.ts';
import type { StepContext } from './contract.ts';

/** The account's times: the configuration's where it states them, else the manifest's. */
export function timingOf(settings: Readonly<Record<string, unknown>>, manifest: ProviderManifest): StepContext['timing'] {
  const stated = (settings.timing ?? {}) as Partial<StepContext['timing']>;
  const propagationMs = stated.propagationMs ?? manifest.propagationMs;
  const logLagMs = stated.logLagMs ?? Math.max(0, ...manifest.logs.map((log) => log.usualLagMs));
  return {
    propagationMs,
    logLagMs,
    marginMs: stated.marginMs ?? 2000,
    pollMs: stated.pollMs ?? 1000,
    giveUpMs: stated.giveUpMs ?? Math.max(120_000, 3 * (propagationMs + logLagMs)),
  };
}
