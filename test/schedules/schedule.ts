import { readFileSync } from 'node:fs';
import type { Decision, DecisionVerdict } from '../../domain/decision.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import type { Plan } from '../../domain/plan.ts';
import type { AnyRecord } from '../../domain/record-bodies.ts';
import { Watch } from './invariants.ts';
import { engineId, keys, MemoryDrop, MemoryStore, people, type persons, signerOf, trustOf } from './memory.ts';
import type { Realm } from './realm.ts';
import { type Breach, chance, epoch, type Fault, FaultKind, type Process, Sim, settle } from './sim.ts';
import { type Activity, type Attempt, errorOf, type Functions, type Run, Temporal } from './temporal.ts';
import { account, arn, storeKey, storePath, times, user, World } from './world.ts';

/** What a schedule is made of: all of it a function of the seed, some of it taken away again where a failing one is made smaller. */
export interface Order {
  readonly seed: number;
  /** Numbers of the faults that are kept; all where it is left out. */
  readonly keep?: readonly number[];
  /** After so many choices everything is quick. */
  readonly calmAfter?: number;
}

export interface Outcome {
  readonly order: Order;
  readonly breaches: readonly Breach[];
  readonly faults: readonly Fault[];
  readonly struck: number;
  readonly choices: number;
  readonly events: number;
  readonly replays: number;
  readonly ended: readonly string[];
  readonly story: readonly string[];
  readonly virtualMs: number;
}

/** What happens in a schedule besides faults. */
export interface Scenario {
  readonly repository: 'acme/public' | 'acme/private';
  /** Without a secret a report is a mere claim. */
  readonly sealed: boolean;
  /** Both keys of the user leak: two incidents on one principal. */
  readonly twoLeaks: boolean;
  readonly elevated: boolean;
  readonly thiefMintsKey: boolean;
  readonly thiefSessionsAt: readonly number[];
  readonly approve: 'soon' | 'late' | 'never' | 'reject';
  readonly rollbackAt: number | undefined;
  readonly rollback: 'rollback' | 'dismiss';
  readonly rollbackOf: 'first' | 'second' | 'both';
  readonly secondSightingAt: number | undefined;
  readonly staleApproval: boolean;
  /** Whether the schedule goes on until the last residual is lifted, a day and a half later. */
  readonly whole: boolean;
}

export function scenarioOf(seed: number): Scenario {
  const roll = chance(seed, 'scenario');
  const one = <T>(...of: readonly T[]): T => of[Math.floor(roll() * of.length)] as T;
  const often = (p: number): boolean => roll() < p;
  const isPublic = often(0.55);
  const elevated = often(0.3);
  const scenario: Scenario = {
    repository: isPublic ? 'acme/public' : 'acme/private',
    sealed: !often(0.06),
    twoLeaks: often(0.3),
    elevated,
    thiefMintsKey: elevated && often(0.6),
    thiefSessionsAt: Array.from({ length: Math.floor(roll() * 4) }, () => Math.floor(roll() * roll() * 30_000)),
    approve: one('soon', 'soon', 'soon', 'late', 'never', 'reject'),
    rollbackAt: often(0.45) ? Math.floor(roll() * (isPublic ? 110_000 : 160_000)) : undefined,
    rollback: often(0.85) ? 'rollback' : 'dismiss',
    rollbackOf: one('first', 'second', 'both'),
    secondSightingAt: often(0.25) ? Math.floor(roll() * 60_000) : undefined,
    staleApproval: often(0.35),
    whole: often(0.15),
  };
  return scenario;
}

export function faultsOf(seed: number): Fault[] {
  const roll = chance(seed, 'faults');
  const one = <T>(...of: readonly T[]): T => of[Math.floor(roll() * of.length)] as T;
  const up = (most: number): number => 1 + Math.floor(roll() * roll() * most);
  const count = Math.floor(roll() * roll() * 9);
  const late = chance(seed, 'late log');
  const extra: Fault[] =
    late() < 0.15 ? [{ kind: FaultKind.LATE_LOG, who: 'aws', at: 1 + Math.floor(late() * 60), ms: late() < 0.5 ? 60_000 : 1_200_000 }] : [];
  const listed = Array.from({ length: count }, (): Fault => {
    switch (Math.floor(roll() * 14)) {
      case 0:
      case 1:
        return { kind: FaultKind.CRASH, who: 'aws', at: up(420), ms: one(10, 1500, 9000, 40_000) };
      case 2:
        return { kind: FaultKind.CRASH, who: 'judge', at: up(420), ms: one(10, 1500, 9000, 80_000) };
      case 3:
        return { kind: FaultKind.CRASH, who: 'vault', at: up(120), ms: one(10, 1500, 9000) };
      case 4:
      case 5:
        return { kind: FaultKind.PAUSE, who: one('aws', 'aws', 'judge', 'vault'), at: up(400), ms: one(2000, 7000, 20_000, 90_000) };
      case 6:
        return { kind: FaultKind.SLEEPER, who: one('aws', 'aws', 'vault'), at: up(24), ms: one(7000, 20_000, 90_000) };
      case 7:
      case 8:
        return { kind: FaultKind.LOSE_REPLY, who: one('aws', 'aws', 'vault'), at: up(160), ms: 0 };
      case 9:
        return { kind: FaultKind.UNREACHABLE, who: one('aws', 'aws', 'vault'), at: up(160), ms: one(1, 3000, 30_000, 300_000) };
      case 10:
        return { kind: FaultKind.LOSE_COMPLETION, who: one('aws', 'aws', 'judge', 'vault'), at: up(30), ms: 0 };
      case 11:
        return { kind: FaultKind.GIVE_TWICE, who: one('aws', 'aws', 'judge', 'vault'), at: up(24), ms: 0 };
      case 12:
        return one<Fault>(
          { kind: FaultKind.EVICT, who: 'judge', at: up(60), ms: 0 },
          { kind: FaultKind.DOUBLE_MESSAGE, who: 'server', at: up(4), ms: 0 },
        );
      default:
        return { kind: FaultKind.REPEAT_APPLY, who: one('aws', 'aws', 'vault'), at: up(12), ms: one(500, 10_000, 60_000) };
    }
  });
  return [...listed, ...extra];
}

const policyText = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const inventoryText = `
v: 1
stores:
  - { id: ci, provider: vault, account: main, path: ${storePath}, fields: { accessKeyId: id, secretAccessKey: secret }, principal: "${arn}" }
consumers:
  - { id: build, name: build, owner: team-ci, contact: ci@example.test, store: ci, overlap: true, rereads: 5s, criticality: production, seenAs: { userAgent: build-agent } }
  - { id: deploy, name: deploy, owner: team-ci, contact: ci@example.test, store: ci, overlap: true, rereads: 12s, criticality: production, seenAs: { userAgent: deploy-agent } }
repositories:
  - { match: github.com/acme/private, visibility: internal }
  - { match: github.com/acme/public, visibility: public }
owners:
  - { principal: "${arn}", owner: olga }
`;
const listing = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['iam:ListUsers', 'sts:*'], Resource: '*' }],
});
const wide = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['iam:*', 'sts:*'], Resource: '*' }] });
const pace = { heartbeatMs: 5000, retryCeilingMs: 4000, stuckAfterMs: 120_000 };
const accounts = [
  { provider: 'aws', account, mode: 'act' as const, credentials: '', settings: { timing: times } },
  { provider: 'vault', account: 'main', mode: 'act' as const, credentials: '', settings: { timing: times } },
];
const quietAfter = 15 * 60_000;
const ends = new Set(['closed', 'dismissed', 'rolled-back']);

/** Plays one schedule to its end, or to the first broken promise. */
export async function play(realm: Realm, order: Order): Promise<Outcome> {
  const { seed } = order;
  const whole = faultsOf(seed);
  const faults = order.keep ? order.keep.flatMap((index) => whole[index] ?? []) : whole;
  const sim = new Sim(seed, faults, order.calmAfter);
  realm.sim = sim;
  const world = new World(realm, sim);
  realm.outside = world;
  return await new Play(realm, sim, world, order, whole).run();
}

class Play {
  readonly realm: Realm;
  readonly sim: Sim;
  readonly world: World;
  readonly order: Order;
  readonly whole: readonly Fault[];
  readonly scenario: Scenario;
  readonly temporal: Temporal;
  readonly store: MemoryStore;
  readonly drop: MemoryDrop;
  readonly watch: Watch;
  readonly records = new Map<string, AnyRecord>();
  readonly #generations = new Map<string, number>();
  readonly incidents: string[] = [];
  readonly leaked: { accessKeyId: string; secretAccessKey: string }[] = [];
  #decisions = 0;
  #reports = 0;
  #planned = 0;
  #lastWork = 0;
  readonly #consumers: { readonly everyMs: number; next: { off: boolean }; call: () => void }[] = [];

  constructor(realm: Realm, sim: Sim, world: World, order: Order, whole: readonly Fault[]) {
    this.realm = realm;
    this.sim = sim;
    this.world = world;
    this.order = order;
    this.whole = whole;
    this.scenario = scenarioOf(order.seed);
    this.temporal = new Temporal(realm, sim, 'tourniquet');
    this.store = new MemoryStore(realm.engine, sim);
    this.drop = new MemoryDrop(realm.engine, sim);
    this.watch = new Watch(this);
  }

  // ---- the processes ----

  #process(name: string): Process {
    const generation = (this.#generations.get(name) ?? 0) + 1;
    this.#generations.set(name, generation);
    return { name, generation, dead: false, pausedUntil: 0 };
  }

  #common(key: (typeof keys)['judge']) {
    const { engine } = this.realm;
    const signer = signerOf(engine, key);
    const trust = this.#trust;
    const clock = () => new Date(this.sim.now);
    return {
      engine: engineId,
      store: this.store,
      records: engine.createRecords({ store: this.store, signer, trust: () => trust, engine: engineId, clock }),
      trust: () => trust,
      people: () => people,
      clock,
      verify: engine.verifyEnvelope,
    };
  }

  get #trust() {
    return trusts(this.realm);
  }

  async #startJudge(): Promise<void> {
    const { engine } = this.realm;
    const process = this.#process('judge');
    const common = this.#common(keys.judge);
    const { policy, inventory } = texts(this.realm);
    const configuration = {
      v: 1,
      engine: engineId,
      temporal: { namespace: 'default' },
      store: { directory: '' },
      drop: { directory: '' },
      trust: '',
      people: '',
      policy: '',
      inventory: '',
      root: '',
      accounts,
      recheckMs: 10 * 60_000,
      codec: { enabled: false },
      pace,
    };
    const made = engine.createJudgeActivities({
      ...common,
      configuration,
      accounts,
      policy: () => policy,
      inventory: () => inventory,
      manifests: { aws: engine.awsManifest, vault: engine.vaultManifest, manual: engine.manualManifest },
      client: this.#client() as never,
      workflowCode: { hash: engine.sha256Of(''), code: '' },
      codecs: [],
      signStatement: () => ({ payloadType: '', payload: '', signatures: [] }),
    } as never) as unknown as Functions;
    // There is no history here in the server's own form that a bundle could be made of.
    const functions = { ...made, exportBundle: async () => ({ bundle: engine.sha256Of('bundle'), events: 1 }) };
    this.temporal.serve('tourniquet', process, functions);
    const manual = await engine.connectManual({ provider: 'manual', account: 'manual', mode: 'act', settings: {}, credentials: {} });
    this.temporal.serve('tourniquet-manual-manual', process, this.#providing('manual', 'manual', manual, common));
  }

  #providing(provider: string, of: string, connection: unknown, common: object): Functions {
    return this.realm.engine.createProviderActivities({
      ...common,
      provider,
      account: of,
      mode: 'act',
      connection,
      sealing: this.drop.for(`${provider}-${of}`),
      timing: times,
      ownTargets: provider === 'aws' ? [this.world.admin.accessKeyId] : [],
    } as never) as unknown as Functions;
  }

  async #startProvider(name: 'aws' | 'vault'): Promise<void> {
    const { engine } = this.realm;
    const process = this.#process(name);
    const secret = (text: string) => new engine.Secret(text);
    const connection =
      name === 'aws'
        ? await engine.connectAws({
            provider: 'aws',
            account,
            mode: 'act',
            settings: { endpoint: 'http://memory.test', regions: ['us-east-1'], signatureRetryMs: 50 },
            credentials: { accessKeyId: secret(this.world.admin.accessKeyId), secretAccessKey: secret(this.world.admin.secretAccessKey) },
          })
        : await engine.connectVault({
            provider: 'vault',
            account: 'main',
            mode: 'act',
            settings: { address: 'http://memory.test', auditLog: '/memory/audit.log' },
            credentials: { token: secret('token') },
          });
    const of = name === 'aws' ? account : 'main';
    this.temporal.serve(engine.queueOf(name, of), process, this.#providing(name, of, connection, this.#common(keys[name])));
  }

  async #start(name: string): Promise<void> {
    if (name === 'judge') await this.#startJudge();
    else await this.#startProvider(name as 'aws' | 'vault');
  }

  /** The judge's client of the server: the few calls that its activities make. */
  #client(): unknown {
    const { sim, temporal } = this;
    const travelling = async <T>(work: (told: (value: T) => void, failed: (error: Error) => void) => void): Promise<T> => {
      const process = sim.process;
      const held = sim.boundary(process);
      if (held) await held;
      return await new Promise<T>((resolve, reject) => {
        sim.after(sim.takes(8, 500), () =>
          work(
            (value) => sim.after(sim.takes(8, 500), () => resolve(value), process),
            (error) => sim.after(sim.takes(8, 500), () => reject(error), process),
          ),
        );
      });
    };
    return {
      workflow: {
        executeUpdateWithStart: (
          name: string,
          options: {
            updateId: string;
            args: unknown[];
            startWorkflowOperation: { type: string; options: { workflowId: string; args: unknown[] } };
          },
        ) =>
          travelling((told, failed) => {
            const { type, options: start } = options.startWorkflowOperation;
            const there = temporal.current(start.workflowId);
            const run = there?.status === 'running' ? there : temporal.start(type, start.workflowId, start.args);
            temporal.update(run, options.updateId, name, options.args, (outcome) => {
              if (outcome.rejected) failed(Object.assign(new Error('Workflow Update failed'), { cause: errorOf(outcome.rejected) }));
              else told(outcome.completed as never);
            });
          }),
        getHandle: (workflowId: string, runId?: string) => ({
          describe: () =>
            travelling((told) => {
              const run = (temporal.runs.get(workflowId) ?? []).find((each) => runId === undefined || each.runId === runId);
              told({ status: { name: run?.status === 'running' ? 'RUNNING' : 'COMPLETED' } } as never);
            }),
          // At once and without a draw, so that seeds that found something before there was a query still play what they found.
          query: (name: string) =>
            new Promise((resolve, reject) => {
              const { process } = sim;
              const run = (temporal.runs.get(workflowId) ?? []).find((each) => runId === undefined || each.runId === runId);
              const ask = (): void => {
                temporal.pending.push(async () => {
                  const answer = run && (await temporal.query(run, name));
                  if (answer !== undefined) resolve(answer);
                  else if (!run || run.status === 'failed') reject(new Error('no such run'));
                  // One in the middle of a task answers when it is through with it.
                  else sim.after(100, ask, process);
                });
              };
              ask();
            }),
        }),
      },
    };
  }

  // ---- what happens besides ----

  #plan(ms: number, run: () => void) {
    this.#planned++;
    this.sim.after(ms, () => {
      this.#planned--;
      run();
    });
  }

  #report(index: number) {
    const { sim, scenario } = this;
    const leaked = this.leaked[index];
    if (!leaked) return;
    const credential = { kind: 'aws.access-key', locator: { accessKeyId: leaked.accessKeyId } };
    const sealed = scenario.sealed ? this.drop.put(leaked.secretAccessKey, `aws-${account}`, credential) : undefined;
    const report = {
      v: 1,
      id: `rpt_${String(++this.#reports).padStart(26, '0')}`,
      format: 'trufflehog',
      credential,
      origin: {
        where: 'repository',
        repository: `https://github.com/${scenario.repository}`,
        committedAt: new Date(epoch - 3_600_000).toISOString(),
      },
      reporter: 'scanner',
      seenAt: new Date(sim.now).toISOString(),
      ...(sealed ? { sealed } : {}),
      claims: {},
    };
    const incident = this.realm.engine.incidentId(credential);
    if (!this.incidents.includes(incident)) this.incidents.push(incident);
    this.temporal.signalWithStart('leakResponse', incident, 'sighting', [{ report }]);
  }

  /** A thief's call with the leaked key. */
  #steal(action: 'GetSessionToken' | 'CreateAccessKey') {
    const pair = this.leaked[0];
    if (!pair) return;
    try {
      if (action === 'GetSessionToken') this.world.call(pair, 'thief', 'sts', action, { DurationSeconds: 129_600 }, 'us-east-1', undefined);
      else this.world.call(pair, 'thief', 'iam', action, { UserName: user }, 'us-east-1', undefined);
      this.sim.tell(`thief: ${action} let through`);
    } catch (error) {
      this.sim.tell(`thief: ${action} refused, ${(error as Error).name}`);
    }
  }

  /** A consumer reads its store and calls with what it found, again and again; seldom where nothing goes on, since all its calls are in a log that is read. */
  #consume(id: string, everyMs: number) {
    const consumer = { everyMs, next: { off: false }, call: (): void => undefined };
    consumer.call = () => {
      try {
        const read = this.world.kvRead(`kv/data/${storeKey}`, id) as { data: { data: { id: string; secret: string } } };
        const { id: accessKeyId, secret } = read.data.data;
        this.world.call({ accessKeyId, secretAccessKey: secret }, `${id}-agent`, 'iam', 'ListUsers', {}, 'us-east-1', undefined);
      } catch (error) {
        this.watch.refusedConsumer(id, error as Error);
      }
      const idle = this.sim.now - this.#lastWork > 120_000;
      consumer.next = this.sim.after(idle ? 6 * 3_600_000 : everyMs, consumer.call);
    };
    consumer.next = this.sim.after(everyMs, consumer.call);
    this.#consumers.push(consumer);
  }

  #worked() {
    if (this.sim.now - this.#lastWork > 120_000) {
      for (const consumer of this.#consumers) {
        consumer.next.off = true;
        consumer.next = this.sim.after(consumer.everyMs, consumer.call);
      }
    }
    this.#lastWork = this.sim.now;
  }

  // ---- people ----

  #sign(
    by: (typeof persons)[number],
    decision: Omit<Decision, 'v' | 'engine' | 'id' | 'issuedAt' | 'expiresAt' | 'reason' | 'by'>,
  ): unknown {
    const { engine } = this.realm;
    const whole: Decision = {
      v: 1,
      engine: engineId,
      ...decision,
      reason: 'as agreed',
      by,
      id: `dec_${String(++this.#decisions).padStart(8, '0')}`,
      issuedAt: new Date(this.sim.now).toISOString(),
      expiresAt: new Date(this.sim.now + 3_600_000).toISOString(),
    };
    this.watch.signed(whole);
    return signerOf(engine, keys[by]).sign(engine.PayloadType.DECISION, whole);
  }

  /** Says something of a run as it stands. */
  #say(run: Run, by: (typeof persons)[number], verdict: DecisionVerdict, gate: string, stale = false) {
    this.temporal.pending.push(async () => {
      const status = await this.temporal.query<IncidentStatus>(run, 'status');
      if (!status?.planHash) {
        // A run in the middle of a task is asked again in a moment; one without a plan once it has one.
        if (run.status === 'running' && (status === undefined || !this.sim.quiet))
          this.#plan(400, () => this.#say(run, by, verdict, gate, stale));
        return;
      }
      const earlier = stale ? this.#planBefore(run, status.round) : undefined;
      if (stale && !earlier) return;
      const signed = this.#sign(by, {
        incident: run.workflowId,
        run: run.runId,
        round: status.round,
        gate,
        planHash: (earlier ? this.realm.engine.planHash(earlier) : status.planHash) as never,
        evidenceHead: status.head,
        verdict,
      });
      this.sim.tell(`${by}: ${verdict} of ${gate} in round ${status.round}${stale ? ', over an earlier plan' : ''}`);
      const asSignal = verdict !== 'dismiss' && this.sim.pick() < 0.3;
      if (asSignal) this.temporal.signal(run, verdict, [signed]);
      else {
        const id = `decide-${this.#decisions}`;
        const send = (): void => this.temporal.update(run, id, 'decide', [signed], () => undefined);
        send();
        // Whoever is not sure that it arrived sends it once more.
        if (this.sim.pick() > 0.75) this.sim.after(this.sim.takes(400, 5000), send);
      }
    });
  }

  #planBefore(run: Run, round: number): Plan | undefined {
    let found: Plan | undefined;
    for (const record of this.records.values())
      if (record.type === 'plan' && record.run === run.runId && record.body.round < round && record.body.steps.length > 0)
        found = record.body;
    return found;
  }

  #opened(record: AnyRecord) {
    if (record.type !== 'gate' || record.body.event !== 'opened') return;
    const { gate } = record.body;
    const run = this.temporal.current(record.incident);
    if (!run || run.runId !== record.run) return;
    const { approve, staleApproval } = this.scenario;
    const plan = [...this.records.values()].findLast(
      (each) => each.type === 'plan' && each.run === record.run && each.round === record.round,
    );
    const rule = plan?.type === 'plan' ? plan.body.gates.find((each) => each.id === gate) : undefined;
    const quorum = rule?.rule.quorum ?? 1;
    if (staleApproval)
      for (const by of ['ada', 'ben', 'cleo'] as const)
        this.#plan(this.sim.takes(1500, 5000), () => this.#say(run, by, 'approve', gate, true));
    if (approve === 'never' && !this.sim.quiet) return;
    const soon = (): number =>
      approve === 'late' && !this.sim.quiet ? this.sim.takes(60_000, 1_200_000) : 600 + this.sim.takes(6000, 60_000);
    if (approve === 'reject' && !this.sim.quiet && rule?.reason === 'irreversible') {
      this.#plan(soon(), () => this.#say(run, 'ben', 'reject', gate));
      return;
    }
    const who = (rule?.rule.roles.includes('responder') ? ['ada', 'cleo', 'ben'] : ['ben', 'cleo', 'ada']) as (typeof persons)[number][];
    for (const by of who.slice(0, quorum)) this.#plan(soon(), () => this.#say(run, by, 'approve', gate));
  }

  /** After the last fault somebody goes round and answers what is open. */
  #tidy(times = 0) {
    this.sim.after(times < 12 ? 30_000 : times < 30 ? 600_000 : 6 * 3_600_000, () => {
      for (const run of this.#runs()) {
        if (run.status !== 'running') continue;
        this.temporal.pending.push(async () => {
          const status = await this.temporal.query<IncidentStatus>(run, 'status');
          for (const gate of status?.gates ?? []) {
            if (gate.state !== 'open') continue;
            const left = gate.rule.quorum - gate.approvals.length;
            const who = (['ben', 'cleo', 'ada'] as const).filter((each) => !gate.approvals.includes(each) && !gate.barred.includes(each));
            for (const by of who.slice(0, Math.max(1, left))) this.#say(run, by, 'approve', gate.id);
          }
        });
      }
      this.#tidy(times + 1);
    });
  }

  #runs(): Run[] {
    return this.temporal.all.filter((run) => run.type === 'leakResponse');
  }

  // ---- the whole ----

  #setUp() {
    const { sim, world, scenario, realm, temporal } = this;
    const first = world.newPair();
    this.leaked.push(first);
    world.makeUser(user, [['base', scenario.elevated ? wide : listing]], [], first, sim.now - 20 * 86_400_000);
    if (scenario.twoLeaks) {
      const second = world.newPair();
      world.putKey(world.aws.state.user(user).id, second, sim.now - 19 * 86_400_000);
      this.leaked.push(second);
    }
    world.kvPut(storeKey, { id: first.accessKeyId, secret: first.secretAccessKey });
    this.watch.begin();
    this.store.onBlob = (hash, bytes) => {
      const record = readRecord(bytes);
      if (!record) return;
      this.records.set(hash, record);
      this.watch.recorded(hash, record);
      this.#opened(record);
    };
    world.onEffect = (effect) => {
      this.#worked();
      this.watch.effect(effect);
    };
    temporal.onStart = (attempt) => {
      if (attempt.process.name !== 'judge') this.#worked();
      this.watch.started(attempt);
    };
    temporal.onEnd = (attempt, ended) => {
      this.watch.ended(attempt, ended);
      this.#repeat(attempt);
    };
    temporal.onClose = (run) => this.watch.closed(run);
    sim.onDeath = (process, downMs) => sim.after(downMs, () => temporal.pending.push(() => this.#start(process.name)));
    sim.onSleeper = (process) => sim.after(300, () => temporal.pending.push(() => this.#start(process.name)));
    for (const at of scenario.thiefSessionsAt) this.#plan(at, () => this.#steal('GetSessionToken'));
    if (scenario.thiefMintsKey) this.#plan(Math.floor(sim.pick() * 12_000), () => this.#steal('CreateAccessKey'));
    this.#consume('build', 5000);
    this.#consume('deploy', 12_000);
    this.#plan(1500, () => this.#report(0));
    if (scenario.twoLeaks) this.#plan(1500 + Math.floor(sim.pick() * 40_000), () => this.#report(1));
    if (scenario.secondSightingAt !== undefined) this.#plan(scenario.secondSightingAt, () => this.#report(0));
    if (scenario.rollbackAt !== undefined) {
      this.#plan(1500 + scenario.rollbackAt, () => {
        for (const [index, incident] of this.incidents.entries()) {
          if (scenario.rollbackOf !== 'both' && this.incidents.length > 1 && (scenario.rollbackOf === 'first') !== (index === 0)) continue;
          const run = temporal.current(incident);
          if (run) this.#say(run, 'cleo', scenario.rollback, 'incident');
        }
      });
    }
    void realm;
  }

  /** Somebody with rights on the namespace does an apply again that the engine has done, under another activity's name. */
  #repeat(attempt: Attempt) {
    const { activity, process } = attempt;
    if (activity.type !== 'apply' || !activity.run) return;
    const again = this.sim.strike(FaultKind.REPEAT_APPLY, process.name);
    if (again) this.#plan(again.ms, () => this.temporal.repeat(activity, `again-${activity.id}`));
  }

  /**
   * Whether a run that was called off waits for a person as it should: every undo that it has not done was refused because somebody else, the other incident among them, has changed the same thing
   * since. Such a step is tried for ever and is what `stuck` is for; these schedules have nobody who finishes it by hand.
   */
  #waitsForPerson(run: Run): boolean {
    if (!this.scenario.twoLeaks || !String(run.attributes.TourniquetState ?? '').includes('stuck')) return false;
    const last = new Map<string, Activity>();
    for (const activity of run.activities.values()) {
      const { warrant } = (activity.input ?? {}) as { warrant?: { step?: string } };
      if (activity.type === 'revert' && activity.state === 'over' && warrant?.step) last.set(warrant.step, activity);
    }
    const failed = [...last.values()].filter((each) => each.lastFailure !== undefined);
    return (
      failed.length > 0 &&
      failed.every((each) => (each.lastFailure?.applicationFailureInfo as { type?: string } | undefined)?.type === 'provider.conflict')
    );
  }

  /** Whether nothing more is to be expected but the passing of time. `atLast`: no time is left, so that what waits for a person counts too. */
  #isDone(atLast = false): boolean {
    const runs = this.#runs();
    if (this.#planned > 0 || runs.length < this.leaked.length) return false;
    return runs.every((run) => {
      if (run.status !== 'running') return true;
      if (atLast && this.#waitsForPerson(run)) return true;
      if (this.scenario.whole && !this.watch.accepted(run)) return false;
      const state = String(run.attributes.TourniquetState ?? '');
      return state.includes('watching') && this.watch.rests(run);
    });
  }

  async run(): Promise<Outcome> {
    const { sim, temporal, scenario } = this;
    sim.tell(`seed ${this.order.seed}: ${JSON.stringify(scenario)}`);
    for (const fault of sim.faults) sim.tell(`ordered: ${JSON.stringify(fault)}`);
    for (const name of ['judge', 'aws', 'vault']) await this.#start(name);
    this.#setUp();
    sim.after(quietAfter, () => {
      sim.quiet = true;
      this.#tidy();
    });
    const last = epoch + (scenario.whole ? 5 * 86_400_000 : 6 * 3_600_000);
    while (sim.breaches.length === 0) {
      while (temporal.pending.length > 0) await temporal.pending.shift()?.();
      if (sim.breaches.length > 0) break;
      if (!sim.step(last)) {
        if (temporal.pending.length === 0 && !this.#isDone(true)) this.#unfinished();
        break;
      }
      await settle();
      if (sim.events > 60_000) {
        this.#unfinished();
        break;
      }
      if ((sim.events & 15) === 0 && this.#isDone()) break;
    }
    if (sim.breaches.length === 0) {
      this.watch.atEnd();
      for (const run of temporal.all) if (sim.breaches.length === 0) await temporal.verifyReplay(run);
    }
    return {
      order: this.order,
      breaches: sim.breaches,
      faults: this.whole,
      struck: sim.struck.length,
      choices: sim.choices,
      events: sim.events,
      replays: temporal.replays,
      ended: this.#runs().map((run) =>
        run.status === 'completed' ? String((run.result as { state?: string })?.state) : String(run.attributes.TourniquetState),
      ),
      story: sim.story,
      virtualMs: sim.now - epoch,
    };
  }

  #unfinished() {
    const words = this.temporal.all
      .filter((run) => run.status === 'running')
      .map(
        (run) =>
          `${run.workflowId.slice(0, 20)} ${run.attributes.TourniquetState ?? ''} contained ${run.attributes.TourniquetContained ?? ''} ${this.watch.lastWords(run)}: ${[
            ...run.activities.values(),
          ]
            .filter((each) => each.state !== 'over')
            .map((each) => `${each.type} ${each.state} attempt ${each.attempt}`)
            .join(', ')}`,
      );
    this.sim.breach(
      'every incident ends or watches a dated residual',
      `after ${Math.round((this.sim.now - epoch) / 1000)} s and ${this.sim.events} events: ${words.join('; ')}`,
    );
  }

  isEnd(state: string): boolean {
    return ends.has(state);
  }
}

function readRecord(bytes: Uint8Array): AnyRecord | undefined {
  try {
    const envelope = JSON.parse(Buffer.from(bytes).toString('utf8')) as { payload?: string };
    return JSON.parse(Buffer.from(envelope.payload ?? '', 'base64').toString('utf8')) as AnyRecord;
  } catch {
    return undefined;
  }
}

const kept = new WeakMap<Realm, { trust: ReturnType<typeof trustOf>; policy: unknown; inventory: unknown }>();
function textsAndTrust(realm: Realm) {
  let found = kept.get(realm);
  if (!found) {
    const policy = realm.engine.parsePolicy(policyText, 'default.yaml');
    found = {
      trust: trustOf(realm.engine),
      policy: { policy, hash: realm.engine.hashOf(policy), text: policyText },
      inventory: realm.engine.loadInventory(inventoryText, 'inventory.yaml'),
    };
    kept.set(realm, found);
  }
  return found;
}
const trusts = (realm: Realm) => textsAndTrust(realm).trust;
const texts = (realm: Realm) => textsAndTrust(realm);
