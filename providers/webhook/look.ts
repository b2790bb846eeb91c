import type { LogReach, ProviderFinding } from '../../domain/assessment.ts';
import { type CredentialRef, type GraphNode, nodeId, type Provenance } from '../../domain/credential.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Look, Looked } from '../contract.ts';
import { type Before, capabilitiesOf, type WebhookAccount } from './account.ts';
import { derivedKind, descendantsOf, livenessOf, type Progeny } from './descendants.ts';
import { manifest } from './manifest.ts';
import { evidenceOf, isSeenAs } from './watching.ts';
import { type IdentifiedAnswer, identifiedSchema, type Named, Operation, State } from './wire.ts';

const day = 86_400_000;

/**
 * Looks at a credential through its team's endpoint, and changes nothing. Evidence is asked for first, as a look may be what overwrites it. The secret goes along with `identify`, once, and only where the
 * settings pass it. What the endpoint cannot say is unknown, and a look that fails halfway fails.
 */
export async function look(account: WebhookAccount, on: Look): Promise<Looked> {
  const credential: Named = { system: on.credential.locator.system ?? '', id: on.credential.locator.id ?? '' };
  const now = new Date().toISOString();
  if (credential.system === '' || credential.id === '')
    return told(account, on, { at: now, ours: unknown(now, 'engine', 'the report names no system and id') });
  const full = on.depth === 'full';
  const since = on.since ?? new Date(Date.now() - 30 * day).toISOString();
  const { value: able } = await capabilitiesOf(account, on);
  const reversible = account.settings.reversible && able.reversible;
  const offers = (operation: Operation): boolean => able.operations.includes(operation);
  const evidence = full && offers(Operation.EVIDENCE) ? await settled(account, credential, since, on) : undefined;
  const secret = on.secret !== undefined && account.settings.passSecret.includes('identify') ? { secret: on.secret.reveal() } : {};
  const [who, members] = offers(Operation.IDENTIFY) ? [Operation.IDENTIFY, secret] : [Operation.CHECK, {}];
  const known = await account.endpoint.ask(who, { credential, ...members }, identifiedSchema, on);
  const progeny =
    full && offers(Operation.LIST_DESCENDANTS)
      ? await descendantsOf(account, credential, nodeId(on.credential), reversible, on)
      : undefined;
  return told(account, on, {
    at: known.at,
    ours: oursOf(known.value, known.at, known.message),
    known: known.value,
    message: known.message,
    ...(evidence ? { evidence } : {}),
    ...(progeny ? { progeny } : {}),
    maxDerivedTtl: longer(account.settings.maxDerivedTtl, able.maxDerivedTtl),
    reversible,
  });
}

/** The longer of the two words is believed: what is feared may live as long as either side fears. */
function longer(a: number | 'unlimited', b: number | 'unlimited'): number | 'unlimited' {
  return a === 'unlimited' || b === 'unlimited' ? 'unlimited' : Math.max(a, b);
}

type Heard = Awaited<ReturnType<typeof evidenceOf>>;

/** The evidence, once it has passed the containment and the log's usual lag; as it is, when patience ends before. */
async function settled(account: WebhookAccount, credential: Named, since: string, on: Look): Promise<Heard> {
  const { giveUpMs, pollMs } = on.timing;
  const deadline = performance.now() + giveUpMs;
  for (;;) {
    const heard = await evidenceOf(account, credential, since, on);
    if (on.containedAt === undefined || Date.parse(heard.value.until) > Date.parse(on.containedAt) || performance.now() > deadline)
      return heard;
    on.heartbeat({ evidenceUntil: heard.value.until });
    await on.sleep(pollMs);
  }
}

function oursOf(known: IdentifiedAnswer, at: string, message: string): Observation {
  const words = `the endpoint says ${known.state}${known.owner === undefined ? '' : `, of ${known.owner}`}; message ${message}`;
  if (known.state === State.ABSENT || known.state === State.UNKNOWN) return unknown(at, 'administrator', words);
  return yes(at, 'administrator', words);
}

interface Told {
  readonly at: string;
  readonly ours: Observation;
  readonly known?: IdentifiedAnswer;
  readonly message?: string;
  readonly evidence?: Heard;
  readonly progeny?: Progeny;
  readonly maxDerivedTtl?: number | 'unlimited';
  readonly reversible?: boolean;
}

function told(account: WebhookAccount, on: Look, tale: Told): Looked {
  const { at, ours, known, evidence, progeny } = tale;
  const notAsked = unknown(at, 'engine', 'nothing was asked');
  const live = known ? livenessOf(known.state, at, `the endpoint says ${known.state}; message ${tale.message ?? ''}`) : notAsked;
  const provenance: Provenance = {
    source: known ? 'endpoint' : 'report',
    at,
    confidence: ours.state === 'yes' ? 'certain' : 'suspected',
    evidence: ours.state === 'unknown' ? ours.why : ours.evidence,
  };
  const root: GraphNode = {
    id: nodeId(on.credential),
    type: 'credential',
    title: `${on.credential.locator.id ?? on.credential.kind} of ${on.credential.locator.system ?? account.account}`,
    credential: { ...on.credential, live, ...(known ? { status: known.state } : {}) },
    provenance,
  };
  const logs = evidence ? [reachOf(evidence)] : [];
  const uses = evidence?.value.uses ?? [];
  const strange = uses.filter((use) => !on.inventory.consumers.some((consumer) => isSeenAs(consumer, use)));
  const finding: ProviderFinding = {
    provider: 'webhook',
    account: account.account,
    providerTime: at,
    ours,
    canary: false,
    live,
    possession: possessionOf(known, at),
    privilege: 'unknown',
    graph: { nodes: [root, ...(progeny?.nodes ?? [])], edges: [...(progeny?.edges ?? [])] },
    descendants: [...(progeny?.standing ?? [])],
    misuse: misuseOf(evidence, strange, at),
    // Where the endpoint sets no bound, ten years stand for "as long as anybody will look".
    sessions: { maxLifeSeconds: tale.maxDerivedTtl === undefined || tale.maxDerivedTtl === 'unlimited' ? 315_360_000 : tale.maxDerivedTtl },
    logs,
    secretsRead: [],
    seen: on.inventory.consumers.flatMap((consumer) => {
      const last = uses.filter((use) => isSeenAs(consumer, use)).sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
      return last ? [{ consumer: consumer.id, credential: nodeId(on.credential), lastAt: last.at }] : [];
    }),
    swept: sweptOf(on, evidence, progeny, at),
    requestIds: [tale.message, evidence?.message, progeny?.message].filter((each) => each !== undefined),
  };
  return {
    finding,
    befores: known ? beforesOf(account, finding, known, tale.reversible === true) : {},
    evidence: evidence ? { uses: evidence.value.uses, from: evidence.value.from, until: evidence.value.until } : {},
  };
}

/** What `capture` would give for the containment that a first round may want of the credential and of what it made: the engine does not capture that anew. */
function beforesOf(
  account: WebhookAccount,
  finding: ProviderFinding,
  known: IdentifiedAnswer,
  reversible: boolean,
): Record<string, unknown> {
  const befores: Record<string, unknown> = {};
  const enter = (credential: CredentialRef, before: Before): void => {
    const target = { account: account.account, ...credential.locator };
    befores[stepKey('webhook/revoke', target)] = before;
    if (reversible) befores[stepKey('webhook/contain', target)] = before;
  };
  for (const { credential } of finding.graph.nodes) {
    if (credential === undefined) continue;
    const root = credential === finding.graph.nodes[0]?.credential;
    if (root) enter(credential, { state: known.state, ...(known.reversibleBy === undefined ? {} : { heldBy: known.reversibleBy }) });
    // Whose containment an older one is the list does not say: an undo leaves what is not its own all the same.
    else if (credential.kind !== derivedKind) enter(credential, { state: credential.status as Before['state'] });
  }
  return befores;
}

function possessionOf(known: IdentifiedAnswer | undefined, at: string): Observation {
  if (known?.possession === 'yes') return yes(at, 'administrator', 'the endpoint says that the secret is the one of that id');
  if (known?.possession === 'no') return no(at, 'administrator', 'the endpoint says that the secret is not the one of that id');
  return unknown(at, 'administrator', 'the endpoint was given no secret, or cannot tell');
}

function reachOf({ value, at }: Heard): LogReach {
  const source = manifest.logs[0]?.source ?? '';
  return {
    source,
    from: value.from,
    passed: value.complete
      ? { ...yes(at, 'log', `the endpoint says that its evidence is complete until ${value.until}`), until: value.until }
      : unknown(at, 'log', 'the endpoint says that its evidence is not complete'),
    blind: manifest.logs[0]?.blind ?? [],
  };
}

function misuseOf(evidence: Heard | undefined, strange: Heard['value']['uses'], at: string): Observation {
  if (evidence === undefined) return unknown(at, 'log', 'no evidence was asked for, or the endpoint has none');
  const [first] = strange;
  if (first) return yes(at, 'log', `${strange.length} uses that no declared consumer explains, one of ${first.at} for ${first.what}`);
  return evidence.value.complete
    ? no(at, 'log', `every use until ${evidence.value.until} is a declared consumer’s`)
    : unknown(at, 'log', 'the endpoint says that its evidence is not complete');
}

/** Counts as a sweep only where both lists are complete and the evidence has passed the containment. */
function sweptOf(on: Look, evidence: Heard | undefined, progeny: Progeny | undefined, at: string): Observation {
  if (on.containedAt === undefined) return unknown(at, 'log', 'nothing has been contained yet that the evidence should have passed');
  if (evidence === undefined || progeny === undefined)
    return unknown(at, 'engine', 'the endpoint offers no evidence or no list of descendants');
  if (progeny.whole.state !== 'yes') return progeny.whole;
  if (!evidence.value.complete) return unknown(at, 'log', 'the endpoint says that its evidence is not complete');
  return Date.parse(evidence.value.until) > Date.parse(on.containedAt)
    ? yes(at, 'log', `the endpoint’s evidence is complete until ${evidence.value.until}`)
    : unknown(at, 'log', `the endpoint’s evidence ends at ${evidence.value.until}, before the containment`);
}
