import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { readKey } from '../../audit/keys.ts';
import { type Signer, signerFrom } from '../../audit/signing.ts';
import { readTrust } from '../../audit/trust.ts';
import {
  createClient,
  decisionFor,
  type IncidentClient,
  openKeyring,
  parseReports,
  sealInto,
  signDecision,
  type TourniquetClient,
} from '../../client/index.ts';
import { fault, isFault } from '../../domain/errors.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import type { PredictedOutage } from '../../domain/plan.ts';
import { isEnded, stepGlyph } from '../../domain/states.ts';
import { type Actor, startActor } from '../actor.ts';
import { type AttackerConfig, type AttackerLine, Loot } from '../attacker/messages.ts';
import type { LedgerEntry } from '../aws/control.ts';
import type { ConsumerConfig, ConsumerLine } from '../consumer/messages.ts';
import { refusals } from '../consumer/tally.ts';
import type { Stack } from '../stack.ts';
import { callsPerSecond, type Deployment, deployments, fields, region, rereadMs, scripted, seated, type Variant } from '../world/cast.ts';
import type { Display } from './display.ts';
import { trufflehogFinding } from './finding.ts';
import type { Played } from './summary.ts';

export interface CiKeyOptions {
  readonly stack: Stack;
  readonly variant: Variant;
  /** Who decides: the person at the keyboard, or the scripted responder with a key of its own. */
  readonly decide: 'keyboard' | 'scripted';
  readonly display: Display;
  readonly signal: AbortSignal;
  /** How long the incident may take until it is `watching`, in milliseconds; two minutes where a script decides, an hour where a person does. */
  readonly patienceMs?: number;
}

const consumerEntry = new URL('../consumer/main.ts', import.meta.url);
const attackerEntry = new URL('../attacker/main.ts', import.meta.url);

/** What each of the thief's credentials is answered once it is contained. */
const refusalOf: Readonly<Record<Loot, string>> = {
  [Loot.LEAKED]: 'InvalidClientTokenId',
  [Loot.SECOND]: 'InvalidClientTokenId',
  [Loot.FEDERATION]: 'AccessDeniedException',
  [Loot.SESSION]: 'AccessDeniedException',
};

/** What following an incident takes, and what it leaves. */
interface Following extends Omit<CiKeyOptions, 'variant'> {
  /** When a gate was approved, by gate, in milliseconds since 1970. */
  readonly approvedAt: Map<string, { readonly at: number; readonly reason: string; readonly by: string[] }>;
  /** What each plan predicted, the plans in their order. */
  readonly predicted: PredictedOutage[][];
}

/** What is common to everything a scenario does. */
interface Stage extends Following {
  readonly variant: Variant;
  readonly deployment: Deployment;
  readonly client: TourniquetClient;
  readonly consumers: readonly Actor<ConsumerLine>[];
  attacker: Actor<AttackerLine> | undefined;
}

/**
 * Plays one variant on a running stack: two jobs at work, a leak, a report, the engine, and whoever decides. It ends when the incident is `watching`, contained
 * and rotated, or cannot get there, and says which of the things that should be so are so. Throws only where the stage itself breaks.
 */
export async function playCiKey(options: CiKeyOptions): Promise<Played> {
  const { stack, variant, display, signal } = options;
  const deployment = deployments[variant];
  const pair = stack.world.deployers[variant];
  await stack.settled;
  const stage: Stage = {
    ...options,
    deployment,
    client: clientOf(stack),
    consumers: deployment.consumers.map(({ id }) => startConsumer(options, deployment, id)),
    attacker: undefined,
    approvedAt: new Map(),
    predicted: [],
  };
  const pulse = setInterval(() => display.pulse(pulseLines(stage)), 1_000);
  try {
    display.restart();
    await stage.client.connect();
    await Promise.all(stage.consumers.map((consumer) => consumer.said('second', ({ tally }) => tally.ok >= callsPerSecond)));
    display.event(
      'practice world',
      `${deployment.consumers.map(({ name }) => name).join(' and ')} work with ${deployment.user}'s key ${pair.accessKeyId}`,
    );

    const committedAt = new Date();
    display.event('practice world', `the key is pushed to ${deployment.repository} (${variant})`, 'yellow');
    if (variant === 'public') {
      const file = join(stack.paths.cast, 'attacker.json');
      const config: AttackerConfig = { aws: { endpoint: stack.aws.endpoint, region }, leaked: pair, everyMs: 500 };
      writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
      stage.attacker = startActor<AttackerLine>('attacker', attackerEntry, file, (line) => tellAttacker(display, line));
      // The scanner takes its time as well: a new key of the thief's is accepted after the propagation, and should be seen to work first.
      for (const loot of Object.values(Loot)) await stage.attacker.said('turned', (line) => line.loot === loot && line.to === 'ok');
    }
    signal.throwIfAborted();

    const since = (await stack.control.mutations()).at(-1)?.seq ?? 0;
    const reportedAt = Date.now();
    const id = await report(stage, committedAt);
    const { status, reached } = await follow(stage, stage.client.incident(id), isSettled);

    // The world is looked at a little longer: what is dead has to stay so, and the consumers have to go on.
    await wait(1_500, undefined, { signal });
    const oldKey = await probe(stack, pair);
    const ledger = (await stack.control.mutations(since)).filter(({ target, caller }) => isOf(deployment.user, target, caller, stack));
    const world = await stack.control.world();
    const totals = await Promise.all(stage.consumers.map(async (consumer) => ({ consumer: consumer.name, ...(await consumer.finish()) })));
    const fates = stage.attacker === undefined ? [] : (await stage.attacker.finish()).fates;
    return {
      variant,
      deployment,
      leaked: pair.accessKeyId,
      incident: id,
      status,
      reached,
      reportedAt,
      ledger,
      keys: world.users.find(({ name }) => name === deployment.user)?.keys ?? [],
      responderKey: stack.world.responder.accessKeyId,
      totals,
      fates: fates.map((fate) => ({ ...fate, expected: refusalOf[fate.loot] })),
      oldKey,
      predicted: stage.predicted,
      approvals: [...stage.approvedAt].map(([gate, approval]) => ({ gate, ...approval })),
      decidedBy: options.decide,
    };
  } finally {
    clearInterval(pulse);
    display.close();
    for (const consumer of stage.consumers) consumer.kill();
    stage.attacker?.kill();
    await stage.client.close();
  }
}

/** Where a variant ends: nothing is left to do but wait. */
const isSettled = ({ state, contained, rotated }: IncidentStatus): boolean =>
  state === 'watching' && contained === 'yes' && rotated === 'yes';

/**
 * Goes on with an incident that has been played until it has closed, and answers what it still asks. Somebody has to move the simulator's clock past the residuals
 * meanwhile, or to wait for a day and a half.
 */
export async function playOn(options: Omit<CiKeyOptions, 'variant'>, id: string): Promise<IncidentStatus> {
  const client = clientOf(options.stack);
  try {
    await client.connect();
    const { status } = await follow({ ...options, approvedAt: new Map(), predicted: [] }, client.incident(id), ({ state }) =>
      isEnded(state),
    );
    return status;
  } finally {
    await client.close();
  }
}

/** Whether a change is about the user: it names it, or its caller is neither the engine nor the administrator, which leaves the thief. */
function isOf(user: string, target: LedgerEntry['target'], caller: string, stack: Stack): boolean {
  if (target.userName !== undefined || target.UserName !== undefined) return (target.userName ?? target.UserName) === user;
  return caller !== stack.world.responder.accessKeyId && caller !== stack.aws.accessKeyId;
}

function clientOf(stack: Stack): TourniquetClient {
  const trust = readTrust(stack.paths.trust, stack.root);
  return createClient({
    address: stack.temporal.address,
    namespace: stack.temporal.namespace,
    keyring: openKeyring(join(stack.paths.keys, 'operator', 'codec.json')),
    seal: sealInto({ trust, drop: stack.paths.drop }),
    reporter: 'scanner',
  });
}

/** The key of one of the practice people, opened. */
function signerOf(stack: Stack, person: string): Signer {
  return signerFrom(readKey(join(stack.paths.keys, 'people', `${person}.json`), stack.passphrase));
}

function startConsumer({ stack, display }: CiKeyOptions, deployment: Deployment, id: string): Actor<ConsumerLine> {
  const config: ConsumerConfig = {
    name: id,
    vault: { address: stack.vault.address, token: stack.world.consumers[id] ?? '', path: deployment.path },
    fields,
    aws: { endpoint: stack.aws.endpoint, region },
    callsPerSecond,
    rereadMs,
  };
  const file = join(stack.paths.cast, `${id}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  let failing = false;
  return startActor<ConsumerLine>(id, consumerEntry, file, (line) => {
    if (line.type === 'moved') display.event(id, `works with the new key ${line.to}`, 'green');
    if (line.type !== 'second') return;
    const open = line.tally.outages.at(-1);
    const down = open !== undefined && open.backAt === undefined;
    if (down && !failing) display.event(id, `is refused: ${Object.keys(open.failed).join(', ') || 'no answer'}`, 'red');
    if (!down && failing) display.event(id, 'is let in again', 'green');
    failing = down;
  });
}

function tellAttacker(display: Display, line: AttackerLine): void {
  if (line.type === 'made') display.event('attacker', `${line.via} → ${line.loot} ${line.accessKeyId}`, 'red');
  if (line.type === 'not-made') display.event('attacker', `${line.via} is refused: ${line.answer}`);
  if (line.type === 'turned' && line.to !== 'unreachable') {
    const works = line.to === 'ok';
    display.event(
      'attacker',
      works ? `lists the secrets with ${line.loot}` : `${line.loot} is refused: ${line.to}`,
      works ? 'red' : 'green',
    );
  }
}

function pulseLines({ consumers, attacker, display }: Stage): readonly string[] {
  const jobs = consumers.map((consumer) => {
    const second = consumer.latest('second');
    if (second === undefined) return `${consumer.name.padEnd(20)} starting`;
    const { ok, longestGapMs, outages, unreachable } = second.tally;
    const failed = refusals(second.tally) + unreachable;
    const down = outages.at(-1) !== undefined && outages.at(-1)?.backAt === undefined;
    const words = `${String(ok).padStart(5)} ok  ${String(failed).padStart(4)} failed  longest gap ${seconds(longestGapMs)}  key …${second.accessKeyId.slice(-6)}`;
    return `${consumer.name.padEnd(20)} ${display.paint(down ? 'red' : 'green', words)}`;
  });
  const fates = attacker?.latest('fates')?.fates;
  if (fates === undefined) return jobs;
  const words = fates.map(
    ({ loot, answer }) => `${loot} ${display.paint(answer === 'ok' ? 'red' : 'green', answer === 'ok' ? 'works' : 'refused')}`,
  );
  return [...jobs, `${'attacker'.padEnd(20)} ${words.join(' · ')}`];
}

/** Hands in what the scanner wrote, as intake takes it from a file, signed by the scanner's key. */
async function report({ stack, client, deployment, display, variant }: Stage, committedAt: Date): Promise<string> {
  const pair = stack.world.deployers[variant];
  const text = trufflehogFinding({
    repository: deployment.repository,
    pair,
    accountId: stack.aws.accountId,
    arn: `arn:aws:iam::${stack.aws.accountId}:user/${deployment.user}`,
    committedAt,
  });
  const { drafts, problems } = parseReports(text, { name: 'trufflehog.json' });
  const [draft] = drafts;
  if (draft === undefined || problems.length > 0)
    throw fault('engine.unexpected', { what: 'the finding', why: problems[0]?.words ?? 'no report in it' });
  const { id } = await client.report(draft, { reporter: 'scanner', signer: signerOf(stack, 'scanner') });
  display.event('scanner', `reports a TruffleHog finding → ${id.slice(0, 'leak/'.length + 12)}…`, 'cyan');
  return id;
}

/** Shows what the incident says, answers its gates, and ends when it has reached what is waited for, or cannot any more. */
async function follow(
  stage: Following,
  incident: IncidentClient,
  isReached: (status: IncidentStatus) => boolean,
): Promise<{ readonly status: IncidentStatus; readonly reached: boolean }> {
  const { display, signal, decide } = stage;
  const stop = AbortSignal.any([signal, AbortSignal.timeout(stage.patienceMs ?? (decide === 'keyboard' ? 3_600_000 : 120_000))]);
  let told = 0;
  let shownPlan: string | undefined;
  let last: IncidentStatus | undefined;
  const refused = new Set<string>();
  for await (const status of incident.watch({ everyMs: 250, signal: stop })) {
    last = status;
    for (const entry of status.timeline.slice(told))
      display.event(entry.who, entry.what, /fail|refused|stuck/i.test(entry.what) ? 'red' : undefined);
    told = status.timeline.length;
    if (status.planHash !== shownPlan) {
      shownPlan = status.planHash;
      if (status.plan !== undefined && status.plan.steps.length > 0) {
        display.block(planLines(display, status));
        if (status.predicted.length > 0) stage.predicted.push([...status.predicted]);
      }
    }
    if (isReached(status)) return { status, reached: true };
    if (isEnded(status.state) || status.state === 'stuck') return { status, reached: false };
    await answer(stage, incident, status, refused);
    // With every open question left to somebody who is not here, waiting longer changes nothing.
    const open = status.gates.filter(({ state }) => state === 'open');
    if (status.state === 'deciding' && open.length > 0 && open.every(({ id }) => refused.has(`${status.planHash}/${id}`)))
      return { status, reached: false };
  }
  signal.throwIfAborted();
  if (last === undefined) throw fault('engine.unavailable', { incident: incident.id, what: 'status' });
  return { status: await incident.status(), reached: false };
}

function planLines(display: Display, status: IncidentStatus): readonly string[] {
  const plan = status.plan;
  if (plan === undefined) return [];
  return [
    display.paint('bold', `          plan of round ${status.round}: ${plan.purpose}, by rule ${status.rule ?? '?'} (${plan.mode})`),
    ...plan.steps.map((step) => {
      const marks = [
        step.gate === undefined ? '' : `asks ${step.gate}`,
        step.reversibility === 'irreversible' ? 'cannot be undone' : '',
        step.impact === 'outage' ? 'outage' : '',
      ];
      const words = marks.filter((mark) => mark !== '').join(', ');
      return `            ${stepGlyph.pending} ${step.title}${words === '' ? '' : display.paint('dim', `  (${words})`)}`;
    }),
    ...plan.predicted.map(
      ({ consumer, because, seconds: predicted }) =>
        `            ${display.paint('yellow', `${consumer}: ${because}${predicted === undefined ? '' : `, about ${predicted} s`}`)}`,
    ),
  ];
}

/** Answers the open gates: by keyboard, or by the scripted responder after a look that a person would need longer for. */
async function answer(stage: Following, incident: IncidentClient, first: IncidentStatus, refused: Set<string>): Promise<void> {
  const { display, stack, decide, approvedAt } = stage;
  let status = first;
  for (;;) {
    const gate = status.gates.find(({ id, state }) => state === 'open' && !refused.has(`${status.planHash}/${id}`));
    if (gate === undefined || status.planHash === undefined) return;
    if (decide === 'scripted' && gate.reason !== 'outage' && gate.reason !== 'irreversible') {
      // Whether something has been done by hand, or whether a doubt is none, is no question for a script.
      refused.add(`${status.planHash}/${gate.id}`);
      display.event(scripted[0], `does not answer ${gate.id}, as it can see nothing of what that asks`, 'red');
      continue;
    }
    const voices = (decide === 'keyboard' ? seated : scripted).filter((who) => !gate.approvals.includes(who));
    const [who] = voices;
    if (who === undefined) {
      refused.add(`${status.planHash}/${gate.id}`);
      display.event('practice world', `nobody is left to answer ${gate.id}`, 'red');
      return;
    }
    let verdict: 'approve' | 'reject' = 'approve';
    if (decide === 'keyboard') {
      display.block([
        display.paint('bold', `\n  ${gate.question}`),
        ...status.predicted.map((outage) => `    ${outage.consumer}: ${outage.because}`),
      ]);
      const key = await display.key(`  as ${who}: [a]pprove or [r]eject? `, ['a', 'r'], stage.signal);
      verdict = key === 'a' ? 'approve' : 'reject';
    }
    const reason =
      decide === 'keyboard'
        ? `${verdict}d at the keyboard of the practice world`
        : `the scripted responder ${verdict}s whatever the practice world asks`;
    try {
      const decision = decisionFor(status, { verdict, by: who, reason, planHash: status.planHash, gate: gate.id });
      const ruling = await incident.decide(signDecision(decision, signerOf(stack, who)));
      if (!ruling.accepted) {
        display.event(who, `${verdict} of ${gate.id} was refused: ${ruling.why} (${ruling.code})`, 'red');
        if (ruling.code !== 'decision.stale' && ruling.code !== 'decision.no-such-gate') refused.add(`${status.planHash}/${gate.id}`);
      } else if (verdict === 'approve') {
        const by = [...(approvedAt.get(gate.id)?.by ?? []), who];
        approvedAt.set(gate.id, { at: Date.now(), reason: gate.reason, by });
      }
    } catch (error) {
      if (!isFault(error)) throw error;
      // The plan moved between the look and the answer; the next look shows the new one.
      display.event(who, `could not answer ${gate.id}: ${error.message}`);
      if (error.code !== 'decision.stale' && error.code !== 'decision.no-such-gate') throw error;
    }
    await wait(100);
    status = await incident.status();
  }
}

/** Tries the leaked pair once more, at the call that the consumers make. */
async function probe(stack: Stack, pair: { readonly accessKeyId: string; readonly secretAccessKey: string }): Promise<string> {
  const { ListSecretsCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({ endpoint: stack.aws.endpoint, region, credentials: pair, maxAttempts: 1 });
  try {
    await client.send(new ListSecretsCommand({ MaxResults: 1 }));
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown';
  } finally {
    client.destroy();
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
