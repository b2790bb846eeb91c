import { fields } from '../../lab/world/cast.ts';
import type { Deployed, World } from '../engine/world.ts';

/** The secrets of deployments by their names: what leaked, and what stands in the store since. */
export async function pairsOf(world: World, played: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const secrets: Record<string, string> = {};
  for (const deployed of played.map((name): Deployed => world.deployed(name))) {
    const { secretAccessKey: leaked } = deployed.pair;
    secrets[`the leaked secret of ${deployed.name}`] = leaked;
    const { [fields.secretAccessKey]: stored = '' } = await world.stored(deployed);
    if (stored !== '' && stored !== leaked) secrets[`the secret that replaced that of ${deployed.name}`] = stored;
  }
  return secrets;
}
