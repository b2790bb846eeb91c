import type { ProviderFinding, Snapshot } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import { codeOf } from '../domain/errors.ts';
import type { AssessInput, AssessResult } from '../domain/messages.ts';
import type { Secret } from '../domain/secret.ts';
import type { ProviderDeps } from './deps.ts';
import { expectWorkflow, isMade, madeBy, recordStray } from './execution.ts';
import { guarded } from './failure.ts';
import { withPulse } from './pulse.ts';

/**
 * Looks at the world and changes nothing: liveness, principal, descendants, logs, and the before-states of what containment might need. From the second round on this is
 * the sweep, and it waits until every log has passed the last containment. The sealed secret is opened in memory, for the one active probe, and let go.
 */
export function createAssess(deps: ProviderDeps) {
  return async function assess(input: AssessInput): Promise<AssessResult> {
    return await guarded(
      () =>
        withPulse(async (pulse) => {
          expectWorkflow();
          const inventory = (await deps.records.read(input.inventory, 'inventory')).body;
          const ours = Object.values(await madeBy(deps, input, input.made));
          const look = async (secret: Secret | undefined) =>
            await deps.connection.look({
              credential: input.credential,
              depth: input.depth,
              ...(secret ? { secret } : {}),
              ...(input.exposedSince ? { since: input.exposedSince } : {}),
              ...(input.containedAt ? { containedAt: input.containedAt } : {}),
              known: input.known,
              ours,
              made: (id) => isMade(deps, id),
              inventory,
              signal: pulse.signal,
              heartbeat: pulse.heartbeat,
              sleep: pulse.sleep,
              timing: deps.timing,
            });
          const { secrets, marks } = await leakedSecrets(deps, input);
          let tried = secrets[0];
          let looked = await look(tried);
          for (const secret of secrets.slice(1)) {
            if (looked.finding.possession.state === 'yes') break;
            tried = secret;
            looked = await look(secret);
          }
          // Whose blob held it is told by the blobs, so that a place which somebody else has claimed meanwhile is not taken for proven with it.
          const proven = looked.finding.possession.state === 'yes' ? tried?.mark : undefined;
          const provenBy = proven === undefined ? [] : [...marks].flatMap(([hash, mark]) => (mark === proven ? [hash] : []));
          const body: ProviderFinding = {
            ...looked.finding,
            credential: input.credential,
            ...(provenBy.length > 0 ? { provenBy } : {}),
            ...(deps.ownTargets.length > 0 ? { own: deps.ownTargets } : {}),
          };
          const place = { incident: input.incident, run: input.run, round: input.round };
          const finding = await deps.records.write('finding', {
            ...place,
            standsOn: [...input.reports, input.inventory],
            body,
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
      (error) => recordStray(deps, input, 'a look', error),
    );
  };
}

/** Most secrets tried in one look; the rest wait for the next. */
const mostTried = 5;

/** The leaked secrets that were sealed to us, each different one once: a second active probe with the same would tell nothing new and would overwrite the last use. */
async function leakedSecrets(
  deps: ProviderDeps,
  input: AssessInput,
): Promise<{ readonly secrets: readonly Secret[]; readonly marks: ReadonlyMap<Hash, string> }> {
  const secrets = new Map<string, Secret>();
  const marks = new Map<Hash, string>();
  for (const { hash, keyId } of input.sealed.slice(0, mostTried)) {
    try {
      const secret = await deps.sealing.open(hash, keyId, input.credential);
      secrets.set(secret.mark, secret);
      marks.set(hash, secret.mark);
    } catch (error) {
      // A seal that does not open proves nothing, and is no reason not to look.
      if (!['record.missing', 'record.unreadable', 'key.missing'].includes(codeOf(error))) throw error;
    }
  }
  return { secrets: [...secrets.values()], marks };
}
