import { tmpdir } from 'node:os';
import { fields } from '../../lab/world/cast.ts';
import { Hunt, huntThrough, secretsOf } from '../canary/hunt.ts';
import type { Deployed } from '../engine/world.ts';
import type { KillWorld } from './world.ts';

/**
 * Looks for every secret in every place after what has been played on a stack: those of the engine, and of the deployments given what leaked and what replaced it.
 * Gives what was found, which should be nothing, and how many things were looked at.
 */
export async function huntAfter({ world }: KillWorld, played: readonly Deployed[], since: number) {
  const more: Record<string, string> = {};
  for (const deployed of played) {
    more[`the leaked secret of ${deployed.name}`] = deployed.pair.secretAccessKey;
    const { [fields.secretAccessKey]: stored = '' } = await world.stored(deployed);
    if (stored !== '' && stored !== deployed.pair.secretAccessKey) more[`the secret that replaced that of ${deployed.name}`] = stored;
  }
  const hunt = new Hunt(await secretsOf(world.stack, more));
  await huntThrough(hunt, { stack: world.stack, client: world.client, store: world.store, since, workingDirectory: tmpdir() });
  let looked = 0;
  for (const count of hunt.looked.values()) looked += count;
  return { findings: hunt.findings, looked };
}
