import type { Assessment, Consumer, Exposure, InventoryFinding, ProviderFinding, Store } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import { type CredentialNode, type GraphNode, nodeId, type Residual, titleOf } from '../domain/credential.ts';
import { liftOfStep } from '../domain/lifts.ts';
import type { Observation } from '../domain/observation.ts';
import { type DoneStep, type Plan, stepKey, type Target } from '../domain/plan.ts';
import { Proof, type ReportRecord } from '../domain/report.ts';
import type { Situation } from '../domain/situation.ts';
import { Extent } from '../domain/states.ts';
import { condense, type GraphIndex, indexGraph, reach } from './graph.ts';
import { knowledgeOf, type Manifests } from './kinds/index.ts';
import type { KindKnowledge, Lever, Principal } from './kinds/kind.ts';
import { does } from './levers.ts';

/**
 * Whether a credential of the incident can still do harm. `dead` and `expired` as seen; `off`: a step of ours, or a person's attested one, turned it off and nobody has
 * seen it live since; `stopped`: it lives, and a control on its principal that is in effect stops it; `unknown` is neither.
 */
export const Standing = {
  DEAD: 'dead',
  EXPIRED: 'expired',
  OFF: 'off',
  STOPPED: 'stopped',
  STANDS: 'stands',
  UNKNOWN: 'unknown',
} as const;
export type Standing = (typeof Standing)[keyof typeof Standing];

/** One credential that the leak reaches: the leaked one, what it made, and what may have been made with it. */
export interface Member {
  readonly id: string;
  readonly title: string;
  readonly credential: CredentialNode;
  readonly principal: Principal | undefined;
  /** Mints away from the leaked one, which is 0. */
  readonly depth: number;
  /** `leaked`; `derived`: a log shows that the leak made it; `suspected`: made while the leak was open; `doubtful`: nobody can say whose it is. */
  readonly origin: 'leaked' | 'derived' | 'suspected' | 'doubtful';
  readonly standing: Standing;
  readonly fresh: boolean;
  /** True for a principal that the leak itself made: nobody else acts as it. */
  readonly madePrincipal: boolean;
}

/** The part of the graph that belongs to the incident, children before parents, and what has been done about it. */
export interface Reach {
  readonly knowledge: KindKnowledge | undefined;
  readonly index: GraphIndex;
  readonly root: Member;
  readonly members: readonly Member[];
  /** Members that mint each other in a circle, each circle once. */
  readonly circles: readonly (readonly string[])[];
  /** Credential nodes of our own making. */
  readonly ours: ReadonlySet<string>;
  readonly done: Done;
}

/** What earlier rounds have left, looked up by action and target. */
export interface Done {
  readonly steps: readonly DoneStep[];
  /** The last step on that lever that is done and has not been taken back or lifted since. */
  active(provider: string, lever: Pick<Lever, 'action' | 'target'> | undefined): DoneStep | undefined;
  /** How often a step on that lever has failed. */
  failures(provider: string, lever: Pick<Lever, 'action' | 'target'> | undefined): number;
  /** Who refused it, if somebody did. */
  refusedBy(provider: string, lever: Pick<Lever, 'action' | 'target'> | undefined): string | undefined;
}

/** Indexes the done steps. */
export function indexDone(steps: readonly DoneStep[]): Done {
  const byKey = new Map<string, { readonly at: number; readonly step: DoneStep }[]>();
  steps.forEach((step, at) => {
    const key = stepKey(step.step.action, step.step.target);
    const list = byKey.get(key);
    if (list) list.push({ at, step });
    else byKey.set(key, [{ at, step }]);
  });
  const all = (provider: string, lever: Pick<Lever, 'action' | 'target'> | undefined) =>
    (lever && byKey.get(stepKey(`${provider}/${lever.action}`, lever.target))) ?? [];
  return {
    steps,
    active(provider, lever) {
      const last = all(provider, lever).findLast(({ step }) => step.state === 'done');
      if (!last) return undefined;
      const lift = liftOfStep(last.step.step);
      const lifted = lift
        ? all(provider, { action: lift, target: last.step.step.target }).some(({ at, step }) => at > last.at && step.state === 'done')
        : false;
      return lifted ? undefined : last.step;
    },
    failures: (provider, lever) => all(provider, lever).filter(({ step }) => step.state === 'failed').length,
    refusedBy: (provider, lever) => all(provider, lever).findLast(({ step }) => step.refusedBy !== undefined)?.step.refusedBy,
  };
}

/** Works out which credentials belong to the incident and where each stands. Linear in the graph. */
export function reachOf(
  assessment: Pick<Assessment, 'credential' | 'finding' | 'exposedSince' | 'fresh'>,
  steps: readonly DoneStep[],
  manifests?: Manifests,
): Reach {
  const { finding } = assessment;
  const knowledge = knowledgeOf(finding.provider, manifests);
  const index = indexGraph(finding.graph);
  const done = indexDone(steps);
  const rootId = nodeId(assessment.credential);
  const rootNode = index.nodes.get(rootId)?.credential;
  const root: CredentialNode = {
    ...(rootNode ?? assessment.credential),
    kind: assessment.credential.kind,
    // What a look has found out about it beside the name that it was reported by.
    locator: { ...rootNode?.locator, ...assessment.credential.locator },
    live: finding.live,
    ...(rootNode?.principal || !finding.principal ? {} : { principal: finding.principal }),
  };
  const made = steps.flatMap((each) => (each.made ? [each.made] : []));
  const ours = new Set<string>(finding.made);
  if (knowledge && made.length > 0) {
    for (const node of finding.graph.nodes) {
      const { credential } = node;
      if (credential && made.some((each) => knowledge.madeBy(credential, each))) ours.add(node.id);
    }
  }

  const rootPrincipal = knowledge?.principalOf(root, root.principal ?? finding.principal, finding.account);
  const next = (id: string): readonly string[] => {
    const children = index.out(id, 'derives');
    return index.nodes.get(id)?.type === 'principal' ? [...children, ...index.into(id, 'acts-as')] : children;
  };
  const derived = new Map(reach([rootId], next));
  for (const id of finding.descendants)
    if (!derived.has(id)) for (const [to, depth] of reach([id], next)) if (!derived.has(to)) derived.set(to, depth + 1);
  const suspects = knowledge
    ? suspectsOf({ assessment, knowledge, rootId, root, rootPrincipal, derived, ours, index })
    : new Map<string, 'suspected' | 'doubtful'>();
  const origins = new Map<string, Member['origin']>();
  const depths = new Map<string, number>();
  for (const [id, depth] of derived) {
    depths.set(id, depth);
    origins.set(id, id === rootId ? 'leaked' : 'derived');
  }
  for (const [suspect, origin] of suspects) {
    for (const [id, depth] of reach([suspect], next)) {
      if (origins.has(id)) continue;
      origins.set(id, origin);
      depths.set(id, depth + 1);
    }
  }
  for (const id of ours) origins.delete(id);
  origins.set(rootId, 'leaked');

  const fresh = new Set(assessment.fresh);
  const controls = new Map<string, DoneStep | undefined>();
  const memberOf = (id: string, credential: CredentialNode, title: string): Member => {
    const principal = principalOf(id, credential, index, knowledge, finding.account) ?? (id === rootId ? rootPrincipal : undefined);
    const principalNode = principal && index.nodes.has(principal.id) ? principal.id : undefined;
    return {
      id,
      title,
      credential,
      principal,
      depth: depths.get(id) ?? 0,
      origin: origins.get(id) ?? 'derived',
      standing: standingOf(id, credential, principal, { knowledge, done, controls, finding, leaked: rootId, index }),
      fresh: fresh.has(id),
      madePrincipal: principalNode !== undefined && derived.has(principalNode) && principal?.id !== rootPrincipal?.id,
    };
  };
  const rootMember = memberOf(rootId, root, titleOf(root));
  const members: Member[] = [];
  const circles: (readonly string[])[] = [];
  for (const component of condense([...origins.keys()], next)) {
    if (component.length > 1) circles.push(component);
    for (const id of component) {
      if (id === rootId) {
        members.push(rootMember);
        continue;
      }
      const node: GraphNode | undefined = index.nodes.get(id);
      if (node?.credential) members.push(memberOf(id, node.credential, titleOf(node.credential)));
    }
  }
  return { knowledge, index, root: rootMember, members, circles, ours, done };
}

/** Keys of the same principal that nobody declared and that came after the leak began. One that came at an unknown time is doubtful: it may be anybody's. */
function suspectsOf(on: {
  assessment: Pick<Assessment, 'finding' | 'exposedSince'>;
  knowledge: KindKnowledge;
  rootId: string;
  root: CredentialNode;
  rootPrincipal: Principal | undefined;
  derived: ReadonlyMap<string, number>;
  ours: ReadonlySet<string>;
  index: GraphIndex;
}): ReadonlyMap<string, 'suspected' | 'doubtful'> {
  const { assessment, knowledge, rootPrincipal } = on;
  const suspects = new Map<string, 'suspected' | 'doubtful'>();
  if (!rootPrincipal) return suspects;
  const inUse = new Set(assessment.finding.seen.map((each) => each.credential));
  const since = assessment.exposedSince ? Date.parse(assessment.exposedSince) : undefined;
  const rootIssued = on.root.issuedAt ? Date.parse(on.root.issuedAt) : undefined;
  for (const node of assessment.finding.graph.nodes) {
    const { credential } = node;
    if (!credential || node.id === on.rootId || on.derived.has(node.id) || on.ours.has(node.id) || !knowledge.standsAlone(credential))
      continue;
    if (principalOf(node.id, credential, on.index, knowledge, assessment.finding.account)?.id !== rootPrincipal.id) continue;
    const issued = credential.issuedAt ? Date.parse(credential.issuedAt) : undefined;
    if (issued !== undefined && since !== undefined) {
      // Where a log names the maker and it is none of the leak's, the key may be anybody's.
      const elsewhere = on.index.into(node.id, 'derives').length > 0;
      if (issued >= since) suspects.set(node.id, inUse.has(node.id) || elsewhere ? 'doubtful' : 'suspected');
      continue;
    }
    // Nothing can have been made with the leaked key before it was there itself.
    if (issued !== undefined && rootIssued !== undefined && issued < rootIssued) continue;
    if (credential.live.state !== 'no' && !inUse.has(node.id)) suspects.set(node.id, 'doubtful');
  }
  return suspects;
}

function principalOf(
  id: string,
  credential: CredentialNode,
  index: GraphIndex,
  knowledge: KindKnowledge | undefined,
  account: string,
): Principal | undefined {
  if (!knowledge) return undefined;
  return knowledge.principalOf(credential, credential.principal ?? index.out(id, 'acts-as')[0], account);
}

function standingOf(
  id: string,
  credential: CredentialNode,
  principal: Principal | undefined,
  on: {
    readonly knowledge: KindKnowledge | undefined;
    readonly done: Done;
    readonly controls: Map<string, DoneStep | undefined>;
    readonly finding: ProviderFinding;
    readonly leaked: string;
    readonly index: GraphIndex;
  },
): Standing {
  const { knowledge, done, finding } = on;
  const { live } = credential;
  const seenSince = (step: DoneStep, sources: readonly Observation['source'][]) =>
    live.state === 'yes' &&
    sources.includes(live.source) &&
    step.effectiveAt !== undefined &&
    Date.parse(live.at) > Date.parse(step.effectiveAt);
  const attested = done.steps.findLast(
    (each) => each.state === 'done' && each.step.provider === 'manual' && each.step.target.credential === id,
  );
  // That a log says until when a session is good is no sight of it in use.
  if (attested && !seenSince(attested, knowledge?.standsAlone(credential) ? ['probe', 'administrator'] : ['probe'])) return Standing.OFF;
  // What we turned off is told apart from what was found dead: it is there, and ours to delete or to turn on again.
  if (knowledge && principal && knowledge.standsAlone(credential)) {
    for (const lever of [knowledge.remove(credential, principal), knowledge.disable(credential, principal)]) {
      const step = done.active(knowledge.provider, lever);
      if (step && !seenSince(step, ['probe', 'administrator'])) return Standing.OFF;
    }
  }
  if (knowledge && makersEnded(id, credential, { ...on, knowledge }).some((step) => !seenSince(step, ['probe', 'administrator'])))
    return Standing.OFF;
  if (live.state === 'no') return Standing.DEAD;
  if (credential.expiresAt && Date.parse(credential.expiresAt) <= Date.parse(finding.providerTime)) return Standing.EXPIRED;
  if (knowledge && principal) {
    const deny = principal.kind === 'user' ? knowledge.deny(principal) : undefined;
    const fence = principal.kind === 'user' ? knowledge.fence?.(principal) : undefined;
    const levers = knowledge.stoppedBy(credential).flatMap((action) => {
      // Whatever the deny stops is stopped by a fence, but for whoever stands within it.
      if (action === deny?.action) return [deny, ...(fence ? [fence] : [])];
      const cutOff = knowledge.cutOff(principal);
      return cutOff?.action === action ? [cutOff] : [];
    });
    for (const lever of levers) {
      const key = `${lever.action}\n${principal.id}`;
      if (!on.controls.has(key)) on.controls.set(key, controlOf(done, knowledge, lever));
      const step = on.controls.get(key);
      // An administrator's look-up says that it exists, which a control on its principal does not change; only its own use would.
      if (!step || seenSince(step, ['probe'])) continue;
      if (lever === deny || lever === fence) return Standing.STOPPED;
      const stamp = stampOf(step, knowledge);
      if (stamp === undefined) continue;
      // The leaked one was there before any step of this incident, whenever it was issued.
      if (on.leaked === id || (credential.issuedAt && Date.parse(credential.issuedAt) < stamp)) return Standing.STOPPED;
    }
  }
  return live.state === 'yes' ? Standing.STANDS : Standing.UNKNOWN;
}

/** The steps by which whatever made it was ended, as far as that ends it as well. */
function makersEnded(
  id: string,
  credential: CredentialNode,
  on: { readonly knowledge: KindKnowledge; readonly done: Done; readonly index: GraphIndex; readonly finding: ProviderFinding },
): readonly DoneStep[] {
  const { knowledge, done, index, finding } = on;
  const fatal = knowledge.diesBy(credential);
  if (fatal.length === 0) return [];
  return index.into(id, 'derives').flatMap((from) => {
    const maker = index.nodes.get(from)?.credential;
    const principal = maker && principalOf(from, maker, index, knowledge, finding.account);
    if (!maker || !principal) return [];
    return [knowledge.remove(maker, principal), knowledge.disable(maker, principal)].flatMap((lever) =>
      lever && fatal.includes(lever.action) ? (done.active(knowledge.provider, lever) ?? []) : [],
    );
  });
}

/** The step that put a control on a principal: the engine's own, or the attested one of a person where the engine's has failed too often. */
export function controlOf(done: Done, knowledge: Pick<KindKnowledge, 'provider'>, lever: Lever): DoneStep | undefined {
  const byHand = { action: 'by-hand', target: { account: 'manual', of: `${knowledge.provider}/${lever.action}`, subject: lever.subject } };
  return done.active(knowledge.provider, lever) ?? done.active('manual', byHand);
}

/**
 * The moment before which a cut-off refuses what was issued, in milliseconds: what its residual says, by name or by its date, which is until the last session from before it has
 * expired; else when it took effect.
 */
export function stampOf(step: DoneStep, knowledge: Pick<KindKnowledge, 'longestChild'>): number | undefined {
  if (step.residual?.stamp) return Date.parse(step.residual.stamp);
  if (step.residual?.until && Number.isFinite(knowledge.longestChild))
    return Date.parse(step.residual.until) - knowledge.longestChild * 1000;
  return step.effectiveAt ? Date.parse(step.effectiveAt) : undefined;
}

/** True where the system no longer has it at all: nothing is left to turn off or to delete. */
export const isGone = (credential: CredentialNode): boolean =>
  credential.status === 'absent' || (credential.status === undefined && credential.live.state === 'no');

const harmless: readonly Standing[] = [Standing.DEAD, Standing.EXPIRED, Standing.OFF, Standing.STOPPED];

/** True where it can do no more harm. */
export const isHarmless = (standing: Standing): boolean => harmless.includes(standing);

/**
 * How far the incident is contained. `yes` only if every credential it reaches is dead, expired, turned off, or stopped by a control in effect, and a sweep that counts has found no
 * other; `unknown` where that cannot be said. What is foreign or handled by hand is contained by nothing but an attested step.
 */
export function containedExtent(assessment: Assessment, done: readonly DoneStep[], manifests?: Manifests): Extent {
  const { members } = reachOf(assessment, done, manifests);
  const stands = members.some((member) => member.standing === Standing.STANDS);
  const safe = members.some((member) => isHarmless(member.standing));
  if (stands) return safe ? Extent.PARTIAL : Extent.NO;
  if (members.some((member) => member.standing === Standing.UNKNOWN)) return Extent.UNKNOWN;
  switch (sweptOf(assessment, done, manifests)) {
    case 'yes':
      return Extent.YES;
    case 'no':
      return Extent.PARTIAL;
    default:
      return Extent.UNKNOWN;
  }
}

/** Whether the sweep counts. Where no provider can sweep, a person's attested one does. */
export function sweptOf(
  assessment: Pick<Assessment, 'swept' | 'finding' | 'credential'>,
  done: readonly DoneStep[],
  manifests?: Manifests,
): Observation['state'] {
  if (knowledgeOf(assessment.finding.provider, manifests)?.handles(assessment.credential)) return assessment.swept.state;
  return done.some((each) => each.state === 'done' && each.step.action === 'manual/sweep') ? 'yes' : assessment.swept.state;
}

/**
 * How far the credential is replaced. `yes`: every store has the new one, every consumer was seen on it, and the old one is dead or off; or a person attested
 * that it was replaced by hand. `no` before anything was made.
 */
export function rotatedExtent(
  assessment: Assessment,
  steps: readonly DoneStep[],
  inventory: InventoryFinding,
  manifests?: Manifests,
): Extent {
  const { root, knowledge } = reachOf(assessment, steps, manifests);
  const finished = steps.filter((each) => each.state === 'done');
  const was = (name: string) => finished.filter((each) => each.step.action.endsWith(`/${name}`));
  const attested = finished.some((each) => each.step.action === 'manual/replace');
  const mint = finished.findLast((each) => does(knowledge, 'mint', each.step));
  if (!mint && !attested) return Extent.NO;
  const oldGone = root.standing === Standing.DEAD || root.standing === Standing.OFF || root.standing === Standing.EXPIRED;
  if (!mint) return oldGone ? Extent.YES : Extent.PARTIAL;
  const { stores, consumers } = concerning(inventory, root.principal, assessment.finding, manifests);
  const attestedFor = new Set(was('deliver').map((each) => each.step.target.store));
  const delivered = stores.every(
    (store) => attestedFor.has(store.id) || was('distribute-secret').some((each) => onStore(each.step.target, store)),
  );
  const seen = finished.filter((each) => does(knowledge, 'watchNewUse', each.step) || each.step.action === 'manual/see-new-use');
  const moved = consumers.every((consumer) => seen.some((each) => each.step.target.consumer === consumer.id));
  return delivered && moved && oldGone ? Extent.YES : Extent.PARTIAL;
}

/**
 * What of the inventory is about the principal: the stores that hold its credential, and their consumers. Where the principal is not known, nothing is, and it is the
 * caller's to say that nobody knows.
 */
export function concerning(
  inventory: InventoryFinding,
  principal: Principal | undefined,
  finding: Pick<ProviderFinding, 'provider' | 'account'>,
  manifests?: Manifests,
): { readonly stores: readonly Store[]; readonly consumers: readonly Consumer[] } {
  const knowledge = knowledgeOf(finding.provider, manifests);
  const stores = inventory.stores.filter(
    (store) => principal !== undefined && knowledge?.principal(store.principal, finding.account)?.id === principal.id,
  );
  const ids = new Set(stores.map((store) => store.id));
  return { stores, consumers: inventory.consumers.filter((consumer) => ids.has(consumer.store)) };
}

const onStore = (target: Target, store: { readonly account: string; readonly path: string }): boolean =>
  target.path === store.path && target.account === store.account;

/** The earliest date among the residuals, ISO; undefined where none has one. */
export function nextAt(residuals: readonly Residual[]): string | undefined {
  let earliest: string | undefined;
  for (const { until } of residuals) if (until && (!earliest || Date.parse(until) < Date.parse(earliest))) earliest = until;
  return earliest;
}

/** Credential nodes that the rounds before did not know and that no step of ours made. */
export function freshNodes(
  finding: Pick<ProviderFinding, 'graph' | 'provider'>,
  known: readonly string[],
  made: readonly Readonly<Record<string, string>>[] = [],
  manifests?: Manifests,
): string[] {
  const before = new Set(known);
  const knowledge = knowledgeOf(finding.provider, manifests);
  return finding.graph.nodes
    .filter(
      ({ id, credential }) => credential && !before.has(id) && !(knowledge && made.some((each) => knowledge.madeBy(credential, each))),
    )
    .map((node) => node.id);
}

/** What {@link assessmentOf} merges. `previous` is the assessment of the round before: facts only rise. */
export interface Merge {
  readonly reports: readonly ReportRecord[];
  readonly reportHashes: readonly Hash[];
  readonly inventory: InventoryFinding;
  readonly inventoryHash?: Hash;
  readonly finding: ProviderFinding;
  readonly swept: Observation;
  readonly known: readonly string[];
  readonly done?: readonly DoneStep[];
  readonly depth?: Assessment['depth'];
  readonly previous?: Assessment;
  readonly manifests?: Manifests;
}

/** A place nobody knows may be public, and so is worse than one known to be internal. */
const ranks: readonly Exposure[] = ['internal', 'unknown', 'public'];
const worstOf = (a: Exposure, b: Exposure): Exposure => (ranks.indexOf(b) > ranks.indexOf(a) ? b : a);

const weightOf: Readonly<Record<Proof, number>> = { claim: 0, 'person-signed': 1, 'issuer-signed': 2, possession: 3 };

/** Since when the credential was open, as those say who signed: the earliest moment, ISO. A claim's date would only say how much its sender would like to see turned off. */
export function vouchedSince(reports: readonly ReportRecord[]): string | undefined {
  return reports
    .flatMap((each) => [each.signedBy ? each.report.origin.committedAt : undefined, each.issuerSays?.since])
    .filter((at): at is string => at !== undefined && !Number.isNaN(Date.parse(at)))
    .sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}

/**
 * Which reports prove something, by what is known now: by their own signatures, or because they brought the secret that was shown to be real. Of several that name one sealed blob, the
 * first brought it. Where a secret was proven and nobody noted whose, all that sealed one count.
 */
function bearersOf(reports: readonly ReportRecord[], proof: Proof, provenBy: readonly Hash[]): readonly boolean[] {
  const brought = new Set<Hash>();
  return reports.map(({ report, proof: own }) => {
    const hash = report.sealed?.hash;
    const first = hash !== undefined && !brought.has(hash);
    if (hash) brought.add(hash);
    if (own !== Proof.CLAIM) return true;
    if (proof !== Proof.POSSESSION || !first) return false;
    return provenBy.length === 0 || provenBy.includes(hash);
  });
}

/** Merges what was reported, declared and seen into the assessment of a round. The proof is the best that any round had; a second probe is never made for it. */
export function assessmentOf(merge: Merge): Assessment {
  const { reports, inventory, previous } = merge;
  // A key that is gone no longer says whose it was, and whose it was is what its cut-off is lifted by.
  const finding: ProviderFinding =
    merge.finding.principal === undefined && previous?.finding.principal !== undefined
      ? { ...merge.finding, principal: previous.finding.principal }
      : merge.finding;
  const proofs: Proof[] = [Proof.CLAIM, ...reports.map((each) => each.proof), ...(previous ? [previous.proof] : [])];
  // Whose secret it was must be among those who reported, where that was noted.
  const { possession, provenBy: brought } = finding;
  if (
    possession.state === 'yes' &&
    (brought === undefined || reports.some((each) => each.report.sealed && brought.includes(each.report.sealed.hash)))
  )
    proofs.push(Proof.POSSESSION);
  const proof = proofs.reduce((best, each) => (weightOf[each] > weightOf[best] ? each : best));
  const provenBy = [...new Set([...(previous?.provenBy ?? []), ...(finding.provenBy ?? [])])];
  const bears = bearersOf(reports, proof, provenBy);
  const bearers = reports.filter((_, at) => bears[at]);
  // What nothing proves shows how bad it may be. Once something is proven, a mere claim of a public place must not have the engine act unasked.
  const places = merge.reportHashes.flatMap((hash, at) => (bears[at] ? [inventory.exposures?.[hash] ?? inventory.exposure] : []));
  const before = previous && (proof === Proof.CLAIM || previous.proof !== Proof.CLAIM) ? [previous.exposure] : [];
  const exposure = [...before, ...(places.length > 0 ? places : [inventory.exposure])].reduce(worstOf);
  const since = [vouchedSince(reports), previous?.exposedSince]
    .filter((at): at is string => at !== undefined)
    .sort((a, b) => Date.parse(a) - Date.parse(b))[0];
  const signers = [...new Set([...(previous?.signers ?? []), ...reports.flatMap((each) => (each.signedBy ? [each.signedBy] : []))])];
  const reporters = new Set([
    ...(previous?.reporters ?? []),
    ...reports.flatMap((each) => [each.report.reporter, ...(each.signedBy ? [each.signedBy] : [])]),
  ]);
  const proves = (hash: Hash | undefined) => hash !== undefined && (provenBy.length === 0 || provenBy.includes(hash));
  const best = bearers.filter((each) => proof !== Proof.POSSESSION || proves(each.report.sealed?.hash));
  const judged = best.length > 0 ? best : reports;
  const credential = reports[0]?.report.credential ?? previous?.credential;
  if (!credential) throw new TypeError('an assessment needs a report');
  const sealed = proof === Proof.POSSESSION ? (previous?.sealed ?? bearers.find((each) => each.report.sealed)?.report.sealed) : undefined;
  return {
    credential,
    depth: merge.depth ?? (finding.swept.state === 'unknown' && merge.known.length === 0 && finding.logs.length === 0 ? 'minimal' : 'full'),
    reports: merge.reportHashes,
    ...(merge.inventoryHash ? { inventory: merge.inventoryHash } : {}),
    sightings: merge.reportHashes.length,
    proof,
    reporters: [...reporters],
    ...(signers.length > 0 ? { signers } : {}),
    unsigned: judged.length > 0 && judged.every((each) => each.signedBy === undefined && each.proof !== Proof.ISSUER_SIGNED),
    ...(provenBy.length > 0 ? { provenBy } : {}),
    exposure,
    ...(since ? { exposedSince: since } : {}),
    ...(sealed ? { sealed } : {}),
    finding,
    fresh: freshNodes(finding, merge.known, merge.done?.flatMap((each) => (each.made ? [each.made] : [])) ?? [], merge.manifests),
    swept: merge.swept,
  };
}

/** True where nothing lives, nothing is owed, and the sweep counts: with no residual left the incident may close. A canary is owed nothing. */
export function isSettled(assessment: Assessment, done: readonly DoneStep[], plan: Pick<Plan, 'steps'>, manifests?: Manifests): boolean {
  if (plan.steps.length > 0) return false;
  if (assessment.finding.canary) return true;
  if (assessment.finding.ours.state === 'no') return done.some((each) => each.state === 'done' && each.step.action === 'manual/tell-owner');
  return sweptOf(assessment, done, manifests) === 'yes' && containedExtent(assessment, done, manifests) === Extent.YES;
}

/** Whether something that stops it can be taken back: it can be turned off, or its principal can be stopped for a while. */
function canBeTakenBack(knowledge: KindKnowledge | undefined, { credential, principal }: Member): boolean {
  if (!knowledge || principal?.kind !== 'user') return false;
  if (knowledge.disable(credential, principal)) return true;
  const stoppedBy = knowledge.stoppedBy(credential);
  return [knowledge.deny(principal), knowledge.cutOff(principal)].some((lever) => lever && stoppedBy.includes(lever.action));
}

/** What {@link situationOf} is made from. */
export interface Circumstances {
  readonly assessment: Assessment;
  readonly inventory: InventoryFinding;
  readonly done: readonly DoneStep[];
  readonly mode?: 'observe' | 'propose' | 'act';
  /** With them the verdict's record names the terms a plan was made under, and an auditor can make it again. */
  readonly accounts?: Situation['accounts'];
  readonly people?: Situation['people'];
  /** Identifiers of what the engine itself stands on. */
  readonly ownTargets?: readonly string[];
  /** The name of a budget that is spent. */
  readonly budgetSpent?: string;
  /** The standing authorisation for its kind, and why there is none. */
  readonly authorised?: Situation['authorised'];
  readonly withheld?: string;
  readonly manifests?: Manifests;
}

/** The situation that policy judges. Nothing in it falls because the engine has acted: what it turned off counts as having lived. */
export function situationOf(circumstances: Circumstances): Situation {
  const { assessment, inventory, done } = circumstances;
  const { finding } = assessment;
  const { manifests } = circumstances;
  const { knowledge, root, members } = reachOf(assessment, done, manifests);
  const { consumers } = concerning(inventory, root.principal, finding, manifests);
  const handled = knowledge?.handles(root.credential) === true;
  const others = members.filter((each) => each.origin !== 'leaked' && each.origin !== 'doubtful');
  const madeKeys = knowledge !== undefined && others.some((each) => each.origin === 'derived' && knowledge.standsAlone(each.credential));
  const identifiers = [
    root.id,
    ...Object.values(root.credential.locator),
    ...(root.principal ? [root.principal.id, root.principal.name] : []),
  ];
  const named = new Set(identifiers);
  const self = [...new Set([...(circumstances.ownTargets ?? []), ...(finding.own ?? [])])];
  const bearing = new Set([...identifiers, ...consumers.map((each) => each.id)]);
  const tags = [...new Set((inventory.tagged ?? []).flatMap((each) => (bearing.has(each.name) ? each.tags : [])))];
  const count = (criticality: Consumer['criticality']) => consumers.filter((each) => each.criticality === criticality).length;
  const opposite = { yes: 'no', no: 'yes', unknown: 'unknown' } as const;
  return {
    kind: assessment.credential.kind,
    provider: finding.provider,
    account: finding.account,
    proof: assessment.proof,
    exposure: assessment.exposure,
    live: root.standing === Standing.OFF ? 'yes' : finding.live.state,
    // A long-lived credential that the leak made is misuse, whatever else the log shows.
    misused: madeKeys ? 'yes' : finding.misuse.state,
    foreign: opposite[finding.ours.state],
    privilege: finding.privilege,
    handled,
    reversible: handled && root.principal?.account === finding.account && canBeTakenBack(knowledge, root),
    canary: finding.canary,
    protected: inventory.protectedTargets.some((each) => named.has(each)),
    own: self.some((each) => named.has(each)),
    unsigned: assessment.unsigned ?? false,
    standing: others.filter((each) => !isHarmless(each.standing)).length,
    consumers: { total: consumers.length, production: count('production'), internal: count('internal'), test: count('test') },
    budget: { spent: circumstances.budgetSpent !== undefined },
    ...(circumstances.budgetSpent ? { budgetName: circumstances.budgetSpent } : {}),
    ...(circumstances.authorised ? { authorised: circumstances.authorised } : {}),
    ...(circumstances.withheld ? { withheld: circumstances.withheld } : {}),
    tags,
    ...(inventory.tagged ? { tagged: inventory.tagged } : {}),
    ...(self.length > 0 ? { self } : {}),
    identifiers,
    protectedTargets: inventory.protectedTargets,
    // A name that a report merely came under bars nobody: else a stranger could bar all who may decide but one. Whoever is unknown adds one to the quorum instead.
    barred: [...new Set([...(assessment.signers ?? []), ...(inventory.owner ? [inventory.owner] : [])])],
    ...(circumstances.people ? { people: circumstances.people } : {}),
    ...(circumstances.accounts
      ? { accounts: circumstances.accounts }
      : circumstances.mode
        ? { accounts: [{ provider: finding.provider, account: finding.account, mode: circumstances.mode }] }
        : {}),
  };
}
