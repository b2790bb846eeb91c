import { writeFileSync } from 'node:fs';
import { playCiKey, playOn } from '../../lab/scenarios/ci-key.ts';
import { displayOn } from '../../lab/scenarios/display.ts';
import { checksOf, summaryOf } from '../../lab/scenarios/summary.ts';
import { startStack } from '../../lab/stack.ts';
import type { Variant } from '../../lab/world/cast.ts';

/**
 * Runs a stack in a process of its own, as `up` and `start` do, for tests that poison its environment or kill it. Configuration as JSON in the first argument; says
 * `up`, one line of JSON per variant and `ended` on stdout. With no variants it stays up until SIGTERM.
 */
const options = JSON.parse(process.argv[2] ?? '{}') as {
  directory: string;
  variants: readonly Variant[];
  propagationMs: number;
  logLagMs: number;
  recheckMs: number;
  /** Moves the simulated clock past the cut-off afterwards, and waits until every incident has closed. */
  close?: boolean;
};
const stopped = new AbortController();
process.once('SIGTERM', () => stopped.abort());
const stack = await startStack({ ...options, signal: stopped.signal, say: (words) => process.stderr.write(`${words}\n`) });
const line = (value: unknown): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
try {
  line({ type: 'up', parts: stack.file.parts });
  const display = displayOn({ stdin: process.stdin, stdout: process.stderr, environment: {} });
  const incidents: string[] = [];
  for (const variant of options.variants) {
    const played = await playCiKey({ stack, variant, decide: 'scripted', display, signal: stopped.signal, patienceMs: 240_000 });
    display.block(summaryOf(played, display, { verify: '' }));
    writeFileSync(`${options.directory}/played-${variant}.json`, JSON.stringify(played));
    incidents.push(played.incident);
    line({ type: 'played', variant, state: played.status.state, residuals: played.status.residuals, checks: checksOf(played) });
  }
  if (options.close) {
    await stack.control.advance(36 * 3_600_000 + 60_000);
    for (const id of incidents) {
      const status = await playOn({ stack, decide: 'scripted', display, signal: stopped.signal, patienceMs: 240_000 }, id);
      line({ type: 'closed', id, state: status.state, contained: status.contained, rotated: status.rotated, residuals: status.residuals });
    }
    const world = await stack.control.world();
    line({ type: 'world', users: world.users.map(({ name, policies }) => ({ name, inline: Object.keys(policies.inline) })) });
  }
  if (options.variants.length === 0)
    await new Promise<void>((done) => stopped.signal.addEventListener('abort', () => done(), { once: true }));
} finally {
  await stack.stop();
}
line({ type: 'ended' });
process.exit(0);
