import { tmpdir } from 'node:os';
import { Hunt, huntThrough, secretsOf } from '../canary/hunt.ts';
import { pairsOf } from '../canary/pairs.ts';
import type { KillWorld } from './world.ts';

/**
 * Looks for every secret in every place after what has been played on a stack: those of the engine, and of the deployments named what leaked and what replaced it.
 * Gives what was found, which should be nothing, and how many things were looked at.
 */
export async function huntAfter({ world }: KillWorld, played: readonly string[], since: number) {
  const hunt = new Hunt(await secretsOf(world.stack, await pairsOf(world, played)));
  await huntThrough(hunt, { stack: world.stack, client: world.client, store: world.store, since, workingDirectory: tmpdir() });
  let looked = 0;
  for (const count of hunt.looked.values()) looked += count;
  return { findings: hunt.findings, looked };
}
