import type { Snapshot } from '../domain/assessment.ts';
import { codeOf } from '../domain/errors.ts';
import type { AssessInput, AssessResult } from '../domain/messages.ts';
import type { Secret } from '../domain/secret.ts';
import type { ProviderDeps } from './deps.ts';
import { guarded } from './failure.ts';
import { withPulse } from './pulse.ts';

/**
 * Looks at the world and changes nothing: liveness, principal, descendants, logs, and the before-states of what containment might need. From the second round on this is
 * the sweep, and it waits until every log has passed the last containment. The sealed secret is opened in memory, for the one active probe, and let go.
 */
export function createAssess(deps: ProviderDeps) {
  return async function assess(input: AssessInput): Promise<AssessResult> {
    return await guarded(() =>
      withPulse(async (pulse) => {
        const inventory = (await deps.records.read(input.inventory, 'inventory')).body;
        const secret = await leakedSecret(deps, input);
        const looked = await deps.connection.look({
          credential: input.credential,
          depth: input.depth,
          ...(secret ? { secret } : {}),
          ...(input.exposedSince ? { since: input.exposedSince } : {}),
          ...(input.containedAt ? { containedAt: input.containedAt } : {}),
          known: input.known,
          ours: input.ours,
          inventory,
          signal: pulse.signal,
          heartbeat: pulse.heartbeat,
          sleep: pulse.sleep,
          timing: deps.timing,
        });
        const place = { incident: input.incident, run: input.run, round: input.round };
        const finding = await deps.records.write('finding', {
          ...place,
          standsOn: [...input.reports, input.inventory],
          body: looked.finding,
        });
        const snapshotBody: Snapshot = { befores: looked.befores, evidence: looked.evidence };
        const snapshot = await deps.records.write('snapshot', { ...place, standsOn: [finding], body: snapshotBody });
        return {
          finding,
          snapshot,
          live: looked.finding.live,
          nodes: looked.finding.graph.nodes.map((node) => node.id),
          swept: looked.finding.swept,
        };
      }),
    );
  };
}

/** The leaked secret, in the first round only: a second active probe would tell nothing new and would overwrite the last use. */
async function leakedSecret(deps: ProviderDeps, input: AssessInput): Promise<Secret | undefined> {
  if (!input.sealed || input.round > 1) return undefined;
  try {
    return await deps.sealing.open(input.sealed.hash, input.sealed.keyId, input.credential);
  } catch (error) {
    // A seal that does not open proves nothing, and is no reason not to look.
    if (codeOf(error) === 'record.missing' || codeOf(error) === 'record.unreadable' || codeOf(error) === 'key.missing') return undefined;
    throw error;
  }
}
