import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newDecision, signDecision } from '../../audit/decision.ts';
import { openTrust, replaceFile, trustText } from '../../audit/editions.ts';
import { type PrivateKey, readKey } from '../../audit/keys.ts';
import { parseEnvelope } from '../../audit/records.ts';
import { signerFrom } from '../../audit/signing.ts';
import { peopleText } from '../../audit/trust.ts';
import { canonicalJson, type Hash } from '../../domain/canonical.ts';
import type { Decision, DecisionRuling } from '../../domain/decision.ts';
import { openEnvelope } from '../../domain/envelope.ts';
import { codeOf } from '../../domain/errors.ts';
import type { Warrant } from '../../domain/execution.ts';
import type { IncidentStatus, JudgeResult, ReceiveResult } from '../../domain/messages.ts';
import { no, yes } from '../../domain/observation.ts';
import { type Plan, type PlanGate, type PlanStep, planHash, stepKey } from '../../domain/plan.ts';
import { type ChainEntry, PayloadType } from '../../domain/record.ts';
import type { AnyRecord, RecordBodies } from '../../domain/record-bodies.ts';
import { Secret } from '../../domain/secret.ts';
import type { Edition, Trust } from '../../domain/trust.ts';
import { type Played, play } from '../audit/engine.ts';
import { type Attempted, attempt } from '../engine/intruder.ts';
import { account } from '../planning/fixtures.ts';
import { type Cast, castOf, freshJudge } from './cast.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const opened = new Secret('a passphrase for tests');
const awsQueue = `tourniquet-aws-${account}`;
/** A key of another user, in no report. */
const bystander = { account, user: 'somebody-else', accessKeyId: 'AKIARTX3GSDSQBYSTAND' };

/** What became of an attempt: it was done, or the code under which it was refused. */
type Outcome = 'can' | string;

/** An incident that waits for approvals, and everything a thief of keys has at hand there: the namespace, the store, and whichever keys a row takes. */
class Scene {
  readonly played: Played;
  readonly keys: { readonly judge: PrivateKey; readonly worker: PrivateKey; person(id: string): PrivateKey };
  #status!: IncidentStatus;
  #chain!: readonly ChainEntry[];

  constructor(played: Played) {
    this.played = played;
    const { paths } = played.trust;
    this.keys = {
      judge: readKey(join(paths.judge, 'signing.json')),
      worker: readKey(join(paths.providers[`aws-${account}`] as string, 'signing.json')),
      person: (id) => readKey(paths.persons[id] as string, opened),
    };
  }

  async look(): Promise<void> {
    this.#status = await this.played.until((status) => status.gates.some(({ state }) => state === 'open'));
    this.#chain = await this.played.inside.client.workflow.getHandle(this.played.incident).query<readonly ChainEntry[]>('chain');
  }

  get status(): IncidentStatus {
    return this.#status;
  }

  last(type: ChainEntry['type']): Hash {
    const found = this.#chain.findLast((entry) => entry.type === type);
    if (found === undefined) throw new Error(`no ${type}`);
    return found.record;
  }

  async record<T extends AnyRecord>(hash: Hash): Promise<T> {
    return openEnvelope<T>(parseEnvelope(await this.played.loot.store.get(hash), hash), PayloadType.RECORD);
  }

  /** Signs a record with a stolen key and puts it into the store. */
  async sign<T extends keyof RecordBodies>(
    key: PrivateKey,
    type: T,
    body: RecordBodies[T],
    place: {
      readonly incident: string;
      readonly run: string;
      readonly round?: number;
      readonly at?: string;
      readonly standsOn?: readonly Hash[];
    },
  ): Promise<Hash> {
    const { incident, run, round = 1, at = new Date().toISOString(), standsOn = [] } = place;
    const record = { v: 1, type, engine: this.played.trust.engine, incident, run, round, at, by: key.id, standsOn, body };
    return await this.played.loot.store.put(Buffer.from(canonicalJson(signerFrom(key).sign(PayloadType.RECORD, record))));
  }

  /** A plan of the thief's own, for a run of theirs; it stands on the honest incident's assessment and verdict, which are real. */
  async plan(
    by: PrivateKey,
    run: string,
    incident: string,
    steps: readonly PlanStep[],
    gates: readonly PlanGate[] = [],
  ): Promise<{ plan: Plan; hash: Hash }> {
    const real = await this.record<AnyRecord & { body: Plan }>(this.last('plan'));
    const plan: Plan = {
      ...real.body,
      incident,
      run,
      round: 1,
      gates,
      steps,
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    };
    return { plan, hash: await this.sign(by, 'plan', plan, { incident, run }) };
  }

  /** Has a worker run an activity, out of a workflow of the thief's own. */
  async attempt(activity: string, input: (run: string, incident: string) => unknown, queue = awsQueue): Promise<Attempted> {
    const workflowId = `leak/${randomUUID()}`;
    const { client, namespace } = this.played.inside;
    const keys = dirname(this.played.trust.paths.judge);
    return await attempt(
      { client: { temporal: client }, stack: { paths: { keys }, temporal: { namespace } } },
      { workflowId, queue, activity, input: (run) => input(run, workflowId) },
    );
  }

  /** The worker's own capture for a plan, which needs no right. */
  async capture(incident: string, run: string, plan: Hash, steps: readonly PlanStep[]): Promise<Hash> {
    const input = { incident, run, round: 1, plan, steps: steps.map(({ id }) => id) };
    const captured = await this.attempt('capture', () => input);
    return (captured.result as { snapshot: Hash }).snapshot;
  }

  /** Has the worker take the first step of a plan made by `by`. */
  async take(
    by: PrivateKey,
    steps: readonly PlanStep[],
    more: {
      readonly gates?: readonly PlanGate[];
      readonly decisions?: (plan: Plan, at: { incident: string; run: string }) => Promise<readonly Hash[]>;
      readonly snapshot?: (plan: Plan, at: { incident: string; run: string }) => Promise<Hash>;
      readonly needs?: (hash: Hash, at: { incident: string; run: string }) => Promise<Warrant['needs']>;
    } = {},
  ): Promise<Outcome> {
    return outcomeOf(
      await this.attempt('apply', async (run, incident) => {
        const at = { incident, run };
        const { plan, hash } = await this.plan(by, run, incident, steps, more.gates);
        const snapshot = more.snapshot
          ? await more.snapshot(plan, at)
          : await this.capture(incident, run, hash, steps).catch(() => this.last('snapshot'));
        const decisions = (await more.decisions?.(plan, at)) ?? [];
        const needs = await more.needs?.(hash, at);
        const warrant: Warrant = { ...at, round: 1, plan: hash, step: steps[0]?.id ?? '', decisions, snapshot, ...(needs && { needs }) };
        return { warrant, made: {} };
      }),
    );
  }

  /** As {@link take}, by a worker of another configuration. */
  async takeAt(configuration: Parameters<Played['worker']>[0], times: number): Promise<Outcome> {
    const worker = this.played.worker(configuration);
    const incident = `leak/${randomUUID()}`;
    const run = randomUUID();
    const steps = Array.from({ length: times }, (_, n) =>
      stepOf({ id: `s${n}`, target: { ...bystander, accessKeyId: `${bystander.accessKeyId}${n}` } }),
    );
    const { plan, hash } = await this.plan(this.keys.judge, run, incident, steps);
    const snapshot = await this.made(this.keys.worker, plan, { incident, run });
    for (const { id } of steps) {
      const info = { workflowExecution: { workflowId: incident, runId: run }, activityId: id };
      const warrant: Warrant = { incident, run, round: 1, plan: hash, step: id, decisions: [], snapshot };
      try {
        await new MockActivityEnvironment(info).run(worker.apply, { warrant, made: {} });
      } catch (error) {
        return (error as { type?: string }).type ?? codeOf(error);
      }
    }
    return 'can';
  }

  /** A before-state made up for every step of a plan. */
  made(by: PrivateKey, plan: Plan, at: { incident: string; run: string }, before: unknown = { made: 'up' }): Promise<Hash> {
    const befores = Object.fromEntries(plan.steps.map((step) => [stepKey(step.action, step.target), before]));
    return this.sign(by, 'snapshot', { befores, evidence: {} }, at);
  }

  /** The judge's record, by whichever key, that a person decided. */
  async decision(judge: PrivateKey, person: PrivateKey, plan: Plan, change: Partial<Decision> & { readonly by: string }): Promise<Hash> {
    const { incident, run } = plan;
    const saying = {
      engine: plan.engine,
      incident,
      run,
      round: plan.round,
      gate: 'g-mine',
      planHash: planHash(plan),
      evidenceHead: this.status.head,
      verdict: 'approve' as const,
      reason: 'so be it',
    };
    const signed = signDecision(signerFrom(person), newDecision({ ...saying, ...change }));
    const ruling: DecisionRuling = {
      accepted: true,
      why: '',
      id: 'd',
      by: change.by,
      verdict: change.verdict ?? 'approve',
      gate: change.gate ?? 'g-mine',
      missing: 0,
    };
    return await this.sign(judge, 'decision', { signed, receivedAt: new Date().toISOString(), standing: null, ruling }, { incident, run });
  }

  /** Has a step of the thief's plan, which has been taken, taken back. */
  async takeBack(by: PrivateKey, why: (plan: Plan) => Promise<Hash>, snapshot?: (plan: Plan) => Promise<Hash>): Promise<Outcome> {
    const [step] = [stepOf()];
    return outcomeOf(
      await this.attempt('revert', async (run, incident) => {
        const { plan, hash } = await this.plan(by, run, incident, [step]);
        const first = await this.capture(incident, run, hash, [step]).catch(() => this.last('snapshot'));
        const warrant: Warrant = { incident, run, round: 1, plan: hash, step: step.id, decisions: [], snapshot: first };
        // Taken by the run itself, so that what follows is a matter of the undo alone.
        const info = { workflowExecution: { workflowId: incident, runId: run }, activityId: 'apply' };
        await new MockActivityEnvironment(info).run(this.played.worker({}).apply, { warrant, made: {} });
        const back = snapshot ? { ...warrant, snapshot: await snapshot(plan) } : warrant;
        return { warrant: back, because: await why(plan), made: {} };
      }),
    );
  }

  /** Has the judge judge a finding of a thief's making, in place of the account's own. */
  async judge(key: PrivateKey, finding: Partial<RecordBodies['finding']>, at?: string): Promise<{ outcome: Outcome; live?: string }> {
    const { body } = await this.record<AnyRecord & { body: RecordBodies['finding'] }>(this.last('finding'));
    const { run, round } = this.status;
    const { incident } = this.played;
    const forged = await this.sign(key, 'finding', { ...body, ...finding }, { incident, run, round, ...(at && { at }) });
    const reports = this.#chain.filter(({ type }) => type === 'report').map(({ record }) => record);
    const input = {
      incident,
      run,
      round,
      reports,
      inventory: this.last('inventory'),
      finding: forged,
      snapshot: this.last('snapshot'),
      known: [],
      done: [],
      rolledBack: false,
    };
    const judged = await this.attempt('judge', () => input, 'tourniquet');
    const live = (judged.result as JudgeResult | undefined)?.live.state;
    return { outcome: outcomeOf(judged), ...(live && { live }) };
  }
}

const outcomeOf = (attempted: Attempted): Outcome => (attempted.outcome === 'completed' ? 'can' : attempted.code);
const rulingOf = (ruling: unknown): Outcome => ((ruling as DecisionRuling).accepted ? 'can' : ((ruling as DecisionRuling).code ?? ''));

function stepOf(change: Partial<PlanStep> = {}): PlanStep {
  return {
    id: 's1',
    action: 'aws/disable-key',
    provider: 'aws',
    account,
    target: bystander,
    params: {},
    title: 'Turn the key off',
    phase: 'contain',
    needs: [],
    reversibility: 'reversible',
    impact: 'outage',
    affects: [],
    byHand: '',
    ...change,
  };
}
const deletion = (change: Partial<PlanStep> = {}): PlanStep => stepOf({ action: 'aws/delete-key', title: 'Delete the key', ...change });
const gate = (change: Partial<PlanGate['rule']> = {}): PlanGate => ({
  id: 'g-mine',
  reason: 'outage',
  question: 'May I?',
  barred: [],
  rule: { roles: ['approver'], quorum: 1, deadlineMs: 0, reminderMs: [], escalateTo: [], onSilence: 'proceed', ...change },
});

let scene: Scene;
let cast: Cast;

/** A deletion of the thief's own plan, with a gate that asks for one person of the roles named, and that person's signature. */
const withVoiceOf = (person: string, roles: readonly string[]): Promise<Outcome> =>
  scene.take(scene.keys.judge, [deletion({ gate: 'g-mine' })], {
    gates: [gate({ roles })],
    decisions: async (plan) => [await scene.decision(scene.keys.judge, scene.keys.person(person), plan, { by: person })],
  });

/** The next trust file, as some of those who would have to sign it made it. */
function edited(before: Edition, by: readonly string[], root: boolean): Outcome {
  const worker = openTrust(cast.place);
  const keys = [...before.trust.keys, freshJudge().listed];
  const next = cast.signed(before, by, { keys });
  const put = root ? next : { ...next, signatures: [{ keyid: 'root', sig: Buffer.alloc(64, 1).toString('base64') }] };
  cast.said.length = 0;
  replaceFile(cast.place.people, peopleText(put.people));
  replaceFile(cast.place.trust, trustText(put));
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    vi.setSystemTime(Date.now() + 501);
    return worker.trust().serial === next.trust.serial ? 'can' : (cast.said.at(-1)?.code ?? '');
  } finally {
    vi.useRealTimers();
  }
}

/** What is tried with each key or pair of keys, by the name that it has in the table of SECURITY.md: the thief, then the attempt. In this order. */
const rows: Readonly<Record<string, () => Promise<Outcome>>> = {
  // --- the judge's key
  "the judge's key | turn off a key that nobody reported": async () => {
    const outcome = await scene.take(scene.keys.judge, [stepOf()]);
    expect(scene.played.changes().filter((change) => change.includes(bystander.accessKeyId))).toHaveLength(1);
    return outcome;
  },
  "the judge's key | make more changes unasked in an hour than the account's ceiling": async () =>
    scene.takeAt({ unaskedPerHour: scene.played.changes().length + 2 }, scene.played.changes().length + 3),
  "the judge's key | mint a second key of any user and send it on its way to the store": async () => {
    const mint = stepOf({
      action: 'aws/mint-key',
      phase: 'mint',
      target: { account, user: bystander.user },
      params: { sealTo: { provider: 'vault', account: 'main' } },
    });
    return scene.take(scene.keys.judge, [mint]);
  },
  "the judge's key | delete a key, in a plan that asks nobody": async () => scene.take(scene.keys.judge, [deletion()]),
  "the judge's key | delete a key, by a gate that silence opens": async () => {
    const gates = [gate()];
    return scene.take(scene.keys.judge, [deletion({ gate: 'g-mine' })], {
      gates,
      decisions: async (plan, at) => {
        const now = new Date().toISOString();
        const body = {
          gate: 'g-mine',
          planHash: planHash(plan),
          event: 'defaulted' as const,
          at: now,
          deadlineAt: now,
          onSilence: 'proceed' as const,
          told: [],
          acknowledgedBy: 'record' as const,
        };
        return [await scene.sign(scene.keys.judge, 'gate', body, at)];
      },
    });
  },
  "the judge's key | approve in a person's name": async () =>
    scene.take(scene.keys.judge, [deletion({ gate: 'g-mine' })], {
      gates: [gate()],
      decisions: async (plan) => [await scene.decision(scene.keys.judge, scene.keys.judge, plan, { by: 'ada' })],
    }),
  "the judge's key | take a containment back": async () =>
    scene.takeBack(scene.keys.judge, (plan) =>
      scene.decision(scene.keys.judge, scene.keys.judge, plan, { by: 'ada', gate: 'incident', verdict: 'rollback' }),
    ),
  "the judge's key | make up the state that a change is undone to": async () =>
    scene.take(scene.keys.judge, [stepOf()], { snapshot: (plan, at) => scene.made(scene.keys.judge, plan, at) }),
  "the judge's key | turn off what the engine itself stands on": async () => scene.takeAt({ ownTargets: [`${bystander.accessKeyId}0`] }, 1),
  "the judge's key | act in an account that is in mode propose": async () => scene.takeAt({ mode: 'propose' }, 1),
  // --- a worker's key
  "a worker's key | plan a change": async () => scene.take(scene.keys.worker, [stepOf()]),
  "a worker's key | record a person's approval": async () =>
    scene.take(scene.keys.judge, [deletion({ gate: 'g-mine' })], {
      gates: [gate()],
      decisions: async (plan) => [await scene.decision(scene.keys.worker, scene.keys.person('ada'), plan, { by: 'ada' })],
    }),
  "a worker's key | speak for another account": async () =>
    (await scene.judge(scene.keys.worker, { provider: 'vault', account: 'main' })).outcome,
  "a worker's key | say that a live key is dead": async () => {
    const at = new Date().toISOString();
    const judged = await scene.judge(scene.keys.worker, { live: no(at, 'administrator', 'listed as Inactive') });
    expect(judged.live).toBe('no');
    return judged.outcome;
  },
  "a worker's key | say that the steps before one are done": async () => {
    // The plan is the judge's own: the second step waits for the first, which was never taken.
    const steps = [stepOf({ id: 's2', needs: ['s1'] }), stepOf()];
    expect(await scene.take(scene.keys.judge, steps)).toBe('warrant.needs-unmet');
    return scene.take(scene.keys.judge, steps, {
      needs: async (plan, at) => {
        const body = {
          plan,
          step: 's1',
          action: 'aws/disable-key',
          direction: 'apply' as const,
          attempt: 1,
          outcome: 'changed' as const,
          observation: yes(new Date().toISOString(), 'administrator', 'so'),
          requestIds: [],
        };
        return { s1: await scene.sign(scene.keys.worker, 'step', body, at) };
      },
    });
  },
  "a worker's key | take a containment back, without a person": async () =>
    scene.takeBack(scene.keys.judge, (plan) =>
      scene.decision(scene.keys.worker, scene.keys.worker, plan, { by: 'ada', gate: 'incident', verdict: 'rollback' }),
    ),
  "a worker's key | choose what a real rollback goes back to": async () =>
    scene.takeBack(
      scene.keys.judge,
      (plan) => scene.decision(scene.keys.judge, scene.keys.person('ada'), plan, { by: 'ada', gate: 'incident', verdict: 'rollback' }),
      (plan) => scene.made(scene.keys.worker, plan, plan, { document: 'whatever they like' }),
    ),
  // --- a person's key, with its passphrase
  "a person's key | decide on an incident of their own": async () => rulingOf(await scene.played.decide('olga', gateId(), 'approve')),
  "a person's key | decide what their roles do not": async () => rulingOf(await scene.played.decide('cleo', gateId(), 'approve')),
  "a person's key | approve a plan that is no longer the present one": async () =>
    rulingOf(await scene.played.decide('ada', gateId(), 'approve', { planHash: `sha256:${'1'.repeat(64)}` })),
  "a person's key | carry an approval to another run": async () =>
    rulingOf(await scene.played.decide('ada', gateId(), 'approve', { run: randomUUID() })),
  "a person's key | have a report count as proven": async () => {
    const real = await scene.record<AnyRecord & { body: RecordBodies['report'] }>(scene.last('report'));
    const { sealed: _, ...rest } = real.body.report;
    const signed = { engine: scene.played.trust.engine, at: new Date().toISOString() };
    const report = { ...rest, id: `rpt_${'9'.padStart(26, '0')}`, signed };
    const signature = signerFrom(scene.keys.person('ada')).sign(PayloadType.REPORT, report);
    const { incident } = scene.played;
    const { run } = scene.status;
    const input = { incident, run, round: 1, sightings: [{ report, signature }], earlier: [], undecodable: 0, opening: false };
    const received = await scene.attempt('receive', () => input, 'tourniquet');
    const [record] = (received.result as ReceiveResult).reports;
    const { body } = await scene.record<AnyRecord & { body: RecordBodies['report'] }>(record as Hash);
    expect(body).toMatchObject({ proof: 'person-signed', signedBy: 'ada' });
    return outcomeOf(received);
  },
  "a person's key, ended | decide": async () => {
    ended(scene.keys.person('ben'));
    const outcome = rulingOf(await scene.played.decide('ben', gateId(), 'approve'));
    scene.played.trusting(scene.played.trust.trust);
    return outcome;
  },
  "a person's key | give that person's approval": async () => rulingOf(await scene.played.decide('ada', gateId(), 'approve')),
  "a person's key | be two of a quorum": async () => rulingOf(await scene.played.decide('ada', gateId(), 'approve')),
  // --- two together
  "the judge's key and a worker's | make a change with an undo that leads elsewhere": async () =>
    scene.take(scene.keys.judge, [stepOf()], { snapshot: (plan, at) => scene.made(scene.keys.worker, plan, at) }),
  "the judge's key and a worker's | delete a key": async () =>
    scene.take(scene.keys.judge, [deletion()], { snapshot: (plan, at) => scene.made(scene.keys.worker, plan, at) }),
  "the judge's key and a person's | delete any key, the person being nobody who answers for incidents": async () =>
    withVoiceOf('cleo', ['guest']),
  "the judge's key and a person's | delete any key, the person being a responder or approver": async () => withVoiceOf('ada', ['approver']),
  "a worker's key and a person's | delete a key that no plan names": async () =>
    scene.take(scene.keys.worker, [deletion({ gate: 'g-mine' })], {
      gates: [gate()],
      decisions: async (plan) => [await scene.decision(scene.keys.worker, scene.keys.person('ada'), plan, { by: 'ada' })],
    }),
  "two persons' keys | open a gate that asks for two": async () => {
    const ruling = (await scene.played.decide('ben', gateId(), 'approve')) as DecisionRuling;
    expect(ruling.missing).toBe(0);
    return rulingOf(ruling);
  },
  "a person's key | roll back what the engine has done": async () => {
    await scene.played.until((status) => status.steps.some(({ state }) => state === 'done'));
    const outcome = rulingOf(await scene.played.decide('ada', 'incident', 'rollback'));
    await scene.played.until((status) => status.timeline.some(({ what }) => what.startsWith('rolled back')));
    expect(scene.played.changes().some((change) => change.startsWith('undo'))).toBe(true);
    return outcome;
  },
  // --- once the key has been ended
  "the judge's key, ended | have a plan carried out": async () => {
    ended(scene.keys.judge);
    return scene.take(scene.keys.judge, [stepOf()]);
  },
  "a worker's key, ended | sign a finding": async () => {
    ended(scene.keys.worker);
    return (await scene.judge(scene.keys.worker, {})).outcome;
  },
  "a worker's key, ended | date a finding back to before its end": async () => {
    ended(scene.keys.worker);
    return (await scene.judge(scene.keys.worker, {}, new Date(Date.now() - 60_000).toISOString())).outcome;
  },
  // --- the root, which nobody who runs has
  'the root | name a judge': async () => edited(first, [], true),
  "the root and a person's key | name a judge": async () => edited(first, ['ben', 'ben'], true),
  "two persons' keys | name a judge": async () => edited(first, ['ada', 'ben'], false),
  'the root and the keys of two persons | name a judge': async () => edited(first, ['ada', 'ben'], true),
  "a person's key | put an old trust file back": async () => {
    const worker = cast.open();
    expect(worker.trust().serial).toBe(2);
    replaceFile(cast.place.trust, trustText(first));
    replaceFile(cast.place.people, peopleText(cast.made.people));
    cast.said.length = 0;
    expect(cast.open().trust().serial).toBe(2);
    return cast.said.at(-1)?.code ?? '';
  },
  'the root and the store | begin anew with a first trust file': async () => {
    const { previous: _p, proposedBy: _b, ...trust }: Trust = cast.after(first, { keys: [...first.trust.keys, freshJudge().listed] }).trust;
    const { signEdition } = await import('../../audit/editions.ts');
    const own = signEdition({ trust: { ...trust, serial: 1 }, people: first.people, signatures: [], countersignatures: [] }, cast.root);
    rmSync(join(cast.folder, 'store', 'names'), { recursive: true });
    replaceFile(cast.place.trust, trustText(own));
    return cast.open().trust().keys.length === own.trust.keys.length ? 'can' : '';
  },
};

const gateId = (): string => scene.status.gates.find(({ state }) => state === 'open')?.id ?? '';
let first: Edition;

/** Ends a key's period a moment ago, for all workers. */
function ended(key: PrivateKey): void {
  const { trust } = scene.played.trust;
  const until = new Date(Date.now() - 1000).toISOString();
  const from = new Date(Date.now() - 3_600_000).toISOString();
  scene.played.trusting({ ...trust, keys: trust.keys.map((each) => (each.id === key.id ? { ...each, from, until } : each)) });
}

/** The table of SECURITY.md: by thief and attempt, what it says comes of it. */
function table(): Map<string, Outcome> {
  const text = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8');
  const [, part = ''] = text.split('\n## What a thief of a key can do\n');
  const found = new Map<string, Outcome>();
  for (const line of (part.split('\n## ')[0] ?? '').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length < 5 || cells[1] === 'with' || /^-+$/.test(cells[1] ?? '')) continue;
    const [, said] = /^(?:\*\*can\*\*|cannot: `([a-z.-]+)`)/.exec(cells[3] ?? '') ?? [];
    const outcome = said ?? ((cells[3] ?? '').startsWith('**can**') ? 'can' : `unreadable: ${cells[3]}`);
    found.set(`${cells[1]} | ${cells[2]}`, outcome);
  }
  return found;
}

describe('what a thief of a key can do is what the table of SECURITY.md says', () => {
  let over: (() => void) | undefined;
  let done: Promise<unknown> = Promise.resolve();
  beforeAll(async () => {
    cast = castOf();
    first = cast.first();
    await new Promise<void>((ready, failed) => {
      done = play('acme/private', async (played) => {
        scene = new Scene(played);
        await scene.look();
        ready();
        await new Promise<void>((end) => {
          over = end;
        });
      }).catch(failed);
    });
  });
  afterAll(async () => {
    over?.();
    await done;
    cast?.remove();
  });

  const said = table();
  test('every row of the table is tried, and everything tried is a row', () => {
    expect([...said.keys()].sort()).toEqual(Object.keys(rows).sort());
  });
  test.each(Object.entries(rows))('%s', async (name, attempted) => {
    const before = scene.played.changes().length;
    const outcome = await attempted();
    console.log(`${outcome.padEnd(28)} ${name}`);
    expect(outcome).toBe(said.get(name));
    // What is refused has changed nothing in any account.
    if (outcome !== 'can' && !/ceiling|take a containment back|goes back to/.test(name))
      expect(scene.played.changes()).toHaveLength(before);
  });
});
