import type { InventoryFinding } from '../domain/assessment.ts';
import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { canonicalJson, type Hash, hasCanonicalForm, hashOf } from '../domain/canonical.ts';
import { type CredentialRef, incidentId } from '../domain/credential.ts';
import { openEnvelope } from '../domain/envelope.ts';
import { fault } from '../domain/errors.ts';
import type { RefusalRecord } from '../domain/execution.ts';
import type { ReceiveInput, ReceiveResult } from '../domain/messages.ts';
import { type Envelope, PayloadType } from '../domain/record.ts';
import { sightingSchema } from '../domain/report.schema.ts';
import { type IssuerSays, Proof, type Report, type ReportRecord, type Sighting } from '../domain/report.ts';
import { keyAt } from '../domain/trust.ts';
import { holdsSecret, issuerWordOn, skewMs } from '../intake/issuer.ts';
import { exposureOf, lookUp } from '../inventory/index.ts';
import { vouchedSince } from '../planning/facts.ts';
import { knowledgeOf } from '../planning/kinds/index.ts';
import { turnOf } from './budget.ts';
import type { JudgeDeps } from './deps.ts';
import { readGood } from './done.ts';
import { guarded } from './failure.ts';
import { Lanes } from './lane.ts';

/** How many reports without proof are worked on at the same time. */
const atOnce = 4;

const words = new TextDecoder();

/** Takes sightings in: each becomes a record, the inventory's word on them another; and says who is to look, and how deep. */
export function createReceive(deps: JudgeDeps) {
  const lanes = new Lanes();
  let next = 0;
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
        else fresh.push(await bodyOf(deps, sighting, { receivedAt, run: input.run }));
      }
      const settle = async (): Promise<ReceiveResult> => {
        const reports = await Promise.all(fresh.map((body) => deps.records.write('report', { ...place, standsOn: [], body })));
        const known = await readGood(deps, place, 'report', input.earlier);
        const bodies = [...known.map(({ record }) => record.body), ...fresh];
        if (bodies.length === 0 && !input.opening) throw fault('record.missing', { record: 'report' });
        const credential: CredentialRef = bodies[0]?.report.credential ?? { kind: 'unknown', locator: { incident: input.incident } };
        const hashes = [...known.map(({ hash }) => hash), ...reports];
        const found: InventoryFinding = {
          ...lookUp(deps.inventory(), { reports: bodies }),
          exposures: Object.fromEntries(bodies.map((body, at) => [hashes[at], exposureOf(deps.inventory(), body)])),
        };
        const inventory = await deps.records.write('inventory', { ...place, standsOn: hashes, body: found });

        const route = routeOf(deps, credential);
        // Each of them is tried until one is the real one: a first reporter's bogus secret must not stand before the true one, and one that somebody signed for comes first.
        const proven = bodies.filter((body) => body.proof !== Proof.CLAIM);
        const sealed = [...proven, ...bodies.filter((body) => body.proof === Proof.CLAIM)].flatMap((body) =>
          body.report.sealed && !borrowsSeal(body) ? [body.report.sealed] : [],
        );
        const exposedSince = vouchedSince(bodies);
        const previousRun = input.opening ? await previousRunOf(deps, input.incident, input.run) : undefined;
        const weight =
          (found.exposure === 'public' ? 4 : found.exposure === 'unknown' ? 1 : 0) +
          (sealed.length > 0 ? 2 : 0) +
          (proven.length > 0 ? 2 : 0);
        // What nothing proves waits its turn to be looked at; what is proven never does.
        const named = bodies[0]?.report.reporter ?? 'nobody';
        const { policy } = deps.policy();
        const turn =
          proven.length > 0
            ? undefined
            : await turnOf(
                deps.store,
                policy.looks,
                { of: sealed.length > 0 ? 'sealed' : 'claim', incident: input.incident, run: input.run, reporter: named },
                Date.parse(receivedAt),
              );
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
          ...(turn !== undefined && turn > Date.parse(receivedAt) ? { lookAt: new Date(turn).toISOString() } : {}),
          // Looking again costs as much as looking: what nothing proves is looked at seldom.
          recheckMs: deps.configuration.recheckMs * (proven.length > 0 || sealed.length > 0 ? 1 : 12),
          pace: deps.configuration.pace,
          weight,
        };
      };
      // The judge is one thread. A flood of what nothing proves is taken a few at a time, and what is proven goes past it.
      if (fresh.length === 0 || fresh.some((each) => each.proof !== Proof.CLAIM)) return await settle();
      next = (next + 1) % atOnce;
      return await lanes.run(`claims ${next}`, new AbortController().signal, settle);
    });
  };
}

/**
 * What the sighting itself proves: a person's signature or an issuer's, if it holds, is fresh, is over this report and for this engine, and was not counted in an earlier run. Otherwise nothing
 * yet, and why stands in the record. Possession is shown by the assessment.
 */
async function bodyOf(
  deps: JudgeDeps,
  { report, signature, issuer }: Sighting,
  { receivedAt, run }: { readonly receivedAt: string; readonly run: string },
): Promise<ReportRecord> {
  const freshMs = deps.policy().policy.signatureValid;
  const notProof: string[] = [];
  let proof: Proof = Proof.CLAIM;
  let signedBy: string | undefined;
  let issuerSays: IssuerSays | undefined;
  // Proof is used up by the run that counts it: sent again it would open, and widen, what is over.
  const counted = async (what: string, of: unknown): Promise<boolean> => {
    const mark = await deps.store.createIfAbsent(`proof/${hashOf(of).slice('sha256:'.length)}`, new TextEncoder().encode(run));
    if (mark.created || words.decode(mark.existing) === run) return false;
    notProof.push(`${what} was counted in an earlier run`);
    return true;
  };
  if (signature) {
    const person = personWho(deps, report, signature, { receivedAt, freshMs });
    if ('why' in person) notProof.push(person.why);
    else if (!(await counted('the signature', { report: report.id, signature }))) {
      proof = Proof.PERSON_SIGNED;
      signedBy = person.id;
    }
  }
  // Our client sends none that holds a secret. One that came past it stands in the history, which is the sender's doing; the record, and the bundle with it, is ours.
  const keeps = issuer !== undefined && !holdsSecret(issuer.body);
  if (issuer && !keeps) notProof.push('the webhook holds a secret, and is not kept');
  if (issuer && keeps) {
    const answer = issuerWordOn(deps.issuers ?? [], issuer, report, { at: receivedAt, freshMs });
    if (!answer.ok) notProof.push(answer.why);
    else if (!(await counted('the webhook', issuer))) {
      proof = Proof.ISSUER_SIGNED;
      issuerSays = answer.says;
    }
  }
  if (report.sealed) await counted(sealedSecret, { incident: incidentId(report.credential), sealed: report.sealed.hash });
  return {
    report,
    ...(signature ? { signature } : {}),
    ...(issuer && keeps ? { issuer } : {}),
    receivedAt,
    proof,
    ...(signedBy ? { signedBy } : {}),
    ...(issuerSays ? { issuerSays } : {}),
    ...(notProof.length > 0 ? { notProof } : {}),
  };
}

const sealedSecret = 'the sealed secret';
const borrowsSeal = (body: ReportRecord): boolean => body.notProof?.some((each) => each.startsWith(sealedSecret)) ?? false;

/** Which person a signature makes a report the word of, or why it does not. */
function personWho(
  deps: JudgeDeps,
  report: Report,
  signature: Envelope,
  { receivedAt, freshMs }: { readonly receivedAt: string; readonly freshMs: number },
): { readonly id: string } | { readonly why: string } {
  const keyid = signature.signatures[0]?.keyid;
  const key = keyid ? keyAt(deps.trust(), keyid, 'person', receivedAt) : undefined;
  if (!key?.person) return { why: 'the signature is by no person of the trust file' };
  if (!deps.verify(signature, key.public)) return { why: 'the signature does not hold' };
  // It must be a report that was signed, and this one whole: an id alone could be lent to any other.
  if (!signs(signature, report)) return { why: 'the signature is over another report' };
  if (!report.signed) return { why: 'the signature names no engine and no time' };
  if (report.signed.engine !== deps.engine) return { why: 'the signature is for another engine' };
  const age = Date.parse(receivedAt) - Date.parse(report.signed.at);
  if (age > freshMs) return { why: `the signature is old: of ${report.signed.at}` };
  if (age < -skewMs) return { why: 'the signature is of a time to come' };
  return { id: key.person };
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
  const knowledge = knowledgeOf(manifest.name, deps.manifests);
  const inName = Object.values(credential.locator).flatMap((each) => knowledge?.principal(each, '')?.account || []);
  const named = credential.locator.accessKeyId
    ? readAwsKeyId(credential.locator.accessKeyId)?.account
    : (credential.locator.account ?? credential.locator.system ?? inName[0]);
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
