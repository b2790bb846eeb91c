import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { canonicalJson, type Hash, hasCanonicalForm } from '../domain/canonical.ts';
import { type CredentialRef, incidentId } from '../domain/credential.ts';
import { openEnvelope } from '../domain/envelope.ts';
import { fault } from '../domain/errors.ts';
import type { RefusalRecord } from '../domain/execution.ts';
import type { ReceiveInput, ReceiveResult } from '../domain/messages.ts';
import { type Envelope, PayloadType } from '../domain/record.ts';
import { sightingSchema } from '../domain/report.schema.ts';
import type { Proof, Report, ReportRecord, Sighting } from '../domain/report.ts';
import { keyAt } from '../domain/trust.ts';
import { lookUp } from '../inventory/index.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';

const words = new TextDecoder();

/** Takes sightings in: each becomes a record, the inventory's word on them another; and says who is to look, and how deep. */
export function createReceive(deps: JudgeDeps) {
  return async function receive(input: ReceiveInput): Promise<ReceiveResult> {
    return await guarded(async () => {
      const place = { incident: input.incident, run: input.run, round: input.round };
      const receivedAt = deps.clock().toISOString();
      const refusals: Hash[] = [];
      const refuse = async (words: string) => {
        const body: RefusalRecord = { code: 'engine.undecodable', attempted: 'a sighting', words, by: 'unknown' };
        refusals.push(await deps.records.write('refusal', { ...place, standsOn: [], body }));
      };
      if (input.undecodable > 0) await refuse(`${input.undecodable} messages could not be read`);
      for (const strange of (input.strange ?? []).slice(0, 50)) await refuse(String(strange).slice(0, 200));
      const fresh: ReportRecord[] = [];
      for (const sighting of input.sightings) {
        if (!hasCanonicalForm(sighting)) {
          await refuse('a report that has no canonical form');
          continue;
        }
        const parsed = sightingSchema.safeParse(sighting);
        if (!parsed.success) await refuse(`a report that is none: ${parsed.error.issues[0]?.path.join('.') ?? 'its form'}`);
        // Whoever sends to this incident a report of another credential would otherwise have that one turned off under this one's name.
        else if (incidentId(sighting.report.credential) !== input.incident)
          await refuse('a report of another credential than this incident is of');
        else fresh.push(bodyOf(deps, sighting, receivedAt));
      }
      const reports = await Promise.all(fresh.map((body) => deps.records.write('report', { ...place, standsOn: [], body })));
      const earlier = await Promise.all(input.earlier.map(async (hash) => (await deps.records.read(hash, 'report')).body));
      const bodies = [...earlier, ...fresh];
      const credential: CredentialRef = bodies[0]?.report.credential ?? { kind: 'unknown', locator: { incident: input.incident } };
      const found = lookUp(deps.inventory(), { reports: bodies });
      const inventory = await deps.records.write('inventory', { ...place, standsOn: [...input.earlier, ...reports], body: found });

      const route = routeOf(deps, credential);
      // Each of them is tried until one is the real one: a first reporter's bogus secret must not stand before the true one.
      const sealed = bodies.flatMap((body) => (body.report.sealed ? [body.report.sealed] : []));
      const exposedSince = bodies
        .flatMap((body) => (body.report.origin.committedAt ? [body.report.origin.committedAt] : []))
        .filter((at) => !Number.isNaN(Date.parse(at)))
        .sort((a, b) => Date.parse(a) - Date.parse(b))[0];
      const previousRun = input.opening ? await previousRunOf(deps, input.incident, input.run) : undefined;
      const weight =
        (found.exposure === 'public' ? 4 : found.exposure === 'unknown' ? 1 : 0) +
        (sealed.length > 0 ? 2 : 0) +
        (bodies.some((body) => body.proof !== 'claim') ? 2 : 0);
      return {
        reports,
        refusals,
        inventory,
        credential,
        ...route,
        sealed,
        // Only what policy may act on at once is worth the short look; everything else is looked at whole before anybody is asked.
        depth: sealed.length > 0 && found.exposure === 'public' ? 'minimal' : 'full',
        ...(exposedSince ? { exposedSince } : {}),
        ...(previousRun ? { previousRun } : {}),
        recheckMs: deps.configuration.recheckMs,
        pace: deps.configuration.pace,
        weight,
      };
    });
  };
}

/** What the sighting itself proves: a person's signature if it holds, and otherwise nothing yet. Possession is shown by the assessment. */
function bodyOf(deps: JudgeDeps, sighting: Sighting, receivedAt: string): ReportRecord {
  const { report, signature } = sighting;
  let proof: Proof = 'claim';
  let signedBy: string | undefined;
  const keyid = signature?.signatures[0]?.keyid;
  const key = keyid ? keyAt(deps.trust(), keyid, 'person', receivedAt) : undefined;
  if (signature && key?.person && deps.verify(signature, key.public)) {
    // It must be a report that was signed, and this one whole: an id alone could be lent to any other.
    if (signs(signature, report)) {
      proof = 'person-signed';
      signedBy = key.person;
    }
  }
  return { report, ...(signature ? { signature } : {}), receivedAt, proof, ...(signedBy ? { signedBy } : {}) };
}

function signs(signature: Envelope, report: Report): boolean {
  try {
    return canonicalJson(openEnvelope(signature, PayloadType.REPORT)) === canonicalJson(report);
  } catch {
    return false;
  }
}

/** Which worker looks after a credential: of its kind's system and its account, if one is configured; otherwise the manual provider. */
export function routeOf(
  deps: Pick<JudgeDeps, 'accounts' | 'manifests'>,
  credential: CredentialRef,
): { provider: string; account: string; handled: boolean } {
  const manual = { provider: 'manual', account: 'manual', handled: false };
  const manifest = Object.values(deps.manifests).find(
    (each) => each.name !== 'manual' && each.kinds.some((kind) => kind.kind === credential.kind),
  );
  if (!manifest || manifest.actions.length === 0) return manual;
  const candidates = deps.accounts.filter((entry) => entry.provider === manifest.name);
  const named = credential.locator.accessKeyId ? readAwsKeyId(credential.locator.accessKeyId)?.account : credential.locator.account;
  const entry = named ? candidates.find((each) => each.account === named) : candidates.length === 1 ? candidates[0] : undefined;
  return entry ? { provider: entry.provider, account: entry.account, handled: true } : manual;
}

/** The run before this one on the same credential, by a create-only list in the store that both runs are entered in. */
async function previousRunOf(deps: JudgeDeps, incident: string, run: string): Promise<string | undefined> {
  let previous: string | undefined;
  for (let n = 0; n < 10_000; n++) {
    const mark = await deps.store.createIfAbsent(`runs/${incident}/${n}`, new TextEncoder().encode(run));
    if (mark.created) return previous;
    const there = words.decode(mark.existing);
    if (there === run) return previous;
    previous = there;
  }
  throw fault('engine.unexpected', { incident });
}
