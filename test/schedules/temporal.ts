import {
  ApplicationFailure,
  CancelledFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  ensureApplicationFailure,
} from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import type { Command, Realm } from './realm.ts';
import { FaultKind, type Process, type Sim, settle } from './sim.ts';

/*
 * As much of a Temporal server, and of the workers' side of its library, as the engine leans on: histories, workflow tasks, activities with their time-outs, retries and cancellations,
 * timers, signals, updates with start, children, continue as new. Workflow code runs in Temporal's own workflow library; what is written here is the server and what lies between.
 */

interface Job {
  readonly variant: string;
  readonly [name: string]: unknown;
}

type Failure = Record<string, unknown>;

export interface Run {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly args: readonly unknown[];
  readonly startedAt: number;
  status: 'running' | 'completed' | 'failed' | 'continued';
  result?: unknown;
  failure?: Failure;
  inbox: Job[];
  readonly history: { readonly at: number; readonly jobs: readonly Job[]; readonly commands: string }[];
  readonly activities: Map<number, Activity>;
  readonly timers: Map<number, { off: boolean }>;
  readonly updates: Map<string, Update>;
  wanted: boolean;
  inFlight?: { readonly jobs: Job[]; readonly process: Process } | undefined;
  attributes: Record<string, unknown>;
  parent?: { readonly run: Run; readonly seq: number };
}

interface Update {
  state: 'admitted' | 'accepted' | 'done';
  outcome?: { readonly completed?: unknown; readonly rejected?: Failure };
  readonly waiters: ((outcome: { readonly completed?: unknown; readonly rejected?: Failure }) => void)[];
}

export interface Activity {
  readonly run: Run | undefined;
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly input: unknown;
  readonly heartbeatMs: number;
  readonly startToCloseMs: number;
  readonly expiresAt: number;
  readonly scheduledAt: number;
  readonly waitCancel: boolean;
  readonly retry: { readonly initialMs: number; readonly factor: number; readonly ceilingMs: number; readonly most: number };
  readonly workflow: { readonly workflowId: string; readonly runId: string };
  attempt: number;
  state: 'waiting' | 'started' | 'over';
  /** Counts starts, so that what comes from an earlier one is known for it. */
  token: number;
  lastBeat: number;
  cancelRequested: boolean;
  lastFailure?: Failure;
}

/** One attempt at work in a process. */
export interface Attempt {
  readonly activity: Activity;
  readonly number: number;
  readonly token: number;
  readonly process: Process;
  readonly startedAt: number;
  cancelled: boolean;
}

interface Instance {
  readonly activator: {
    now: number;
    getAndResetSinkCalls(): unknown;
    mutateWorkflowInfo(change: (info: Record<string, unknown>) => Record<string, unknown>): void;
  };
}

export type Functions = Readonly<Record<string, (input: never) => Promise<unknown>>>;

const converter = defaultPayloadConverter;
const plain = <T>(value: T): T => (value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T));
const readable = (value: unknown): string =>
  JSON.stringify(value, (_name, each) =>
    each instanceof Uint8Array ? Buffer.from(each).toString('utf8') : typeof each === 'bigint' ? String(each) : each,
  );

export class Temporal {
  readonly sim: Sim;
  readonly realm: Realm;
  readonly runs = new Map<string, Run[]>();
  /** Which process serves a queue, now; a queue is served by at most one that takes new tasks. */
  readonly #servers = new Map<string, { readonly process: Process; readonly functions: Functions }>();
  readonly #waiting = new Map<string, Set<Activity>>();
  readonly #judgeQueue: string;
  #cache = new Map<string, Instance>();
  #ids = 0;
  replays = 0;
  /** Told of each activity that starts, and how it ended. */
  onStart: (attempt: Attempt) => void = () => undefined;
  onEnd: (attempt: Attempt, ended: Record<string, unknown>) => void = () => undefined;
  onClose: (run: Run) => void = () => undefined;
  /** Work that must be done before the next event: workflow tasks, which are asynchronous. */
  readonly pending: (() => Promise<void>)[] = [];

  constructor(realm: Realm, sim: Sim, judgeQueue: string) {
    this.realm = realm;
    this.sim = sim;
    this.#judgeQueue = judgeQueue;
  }

  current(workflowId: string): Run | undefined {
    return this.runs.get(workflowId)?.at(-1);
  }

  get all(): readonly Run[] {
    return [...this.runs.values()].flat();
  }

  // ---- workers ----

  /** A process takes over a queue. Tasks that wait are given to it; the judge's process begins with an empty memory. */
  serve(queue: string, process: Process, functions: Functions) {
    this.#servers.set(queue, { process, functions });
    if (queue === this.#judgeQueue) this.#cache = new Map();
    for (const activity of this.#waiting.get(queue) ?? []) this.#dispatch(activity);
    if (queue === this.#judgeQueue) {
      for (const run of this.all) {
        if (run.inFlight) {
          run.inbox.unshift(...run.inFlight.jobs);
          run.inFlight = undefined;
        }
        run.wanted = false;
        if (run.inbox.length > 0) this.#want(run);
      }
    }
  }

  /** The judge forgets all runs; the next task of each is replayed from its history. */
  evict() {
    this.#cache.clear();
  }

  // ---- clients ----

  start(type: string, workflowId: string, args: readonly unknown[], more: Partial<Run> = {}): Run {
    const number = ++this.#ids;
    const run: Run = {
      workflowId,
      runId: `run-${String(number).padStart(4, '0')}-${workflowId.slice(-6)}`,
      type,
      args: plain(args),
      startedAt: this.sim.now,
      status: 'running',
      inbox: [],
      history: [],
      activities: new Map(),
      timers: new Map(),
      updates: new Map(),
      wanted: false,
      attributes: {},
      ...more,
    };
    this.runs.set(workflowId, [...(this.runs.get(workflowId) ?? []), run]);
    this.#put(run, {
      variant: 'initializeWorkflow',
      initializeWorkflow: { arguments: args.map((each) => converter.toPayload(each)), headers: {} },
    });
    return run;
  }

  signalWithStart(type: string, workflowId: string, name: string, args: readonly unknown[]): Run {
    const there = this.current(workflowId);
    const run = there?.status === 'running' ? there : this.start(type, workflowId, []);
    this.signal(run, name, args);
    return run;
  }

  signal(run: Run, name: string, args: readonly unknown[]): boolean {
    if (run.status !== 'running') return false;
    const job = (): Job => ({
      variant: 'signalWorkflow',
      signalWorkflow: { signalName: name, input: args.map((each) => converter.toPayload(plain(each))), headers: {} },
    });
    this.#put(run, job());
    if (this.sim.strike(FaultKind.DOUBLE_MESSAGE, 'server')) this.#put(run, job());
    return true;
  }

  /** Sends an update, and calls back with what came of it. The same id again is the same update. */
  update(
    run: Run,
    id: string,
    name: string,
    args: readonly unknown[],
    told: (outcome: { readonly completed?: unknown; readonly rejected?: Failure }) => void,
  ) {
    const known = run.updates.get(id);
    if (known) {
      if (known.outcome) told(known.outcome);
      else known.waiters.push(told);
      return;
    }
    if (run.status !== 'running')
      return told({ rejected: this.#failure(ApplicationFailure.retryable('the workflow is over', 'NotFound')) });
    run.updates.set(id, { state: 'admitted', waiters: [told] });
    this.#put(run, {
      variant: 'doUpdate',
      doUpdate: {
        id,
        protocolInstanceId: id,
        name,
        input: args.map((each) => converter.toPayload(plain(each))),
        headers: {},
        meta: {},
        runValidator: true,
      },
    });
  }

  /** What a query of a run answers; out of its history where no process has it in memory. */
  async query<T>(run: Run, name: string): Promise<T | undefined> {
    if (run.inFlight || run.history.length === 0) return undefined;
    const instance = await this.#instance(run);
    if (!instance) return undefined;
    this.realm.workflows.setActivator(instance.activator);
    const jobs = [{ variant: 'queryWorkflow', queryWorkflow: { queryId: 'q', queryType: name, arguments: [], headers: {} } }];
    this.realm.workflows.activate({ jobs });
    await settle();
    const { commands } = this.realm.workflows.concludeActivation().successful;
    instance.activator.getAndResetSinkCalls();
    const answer = commands.map((each) => each.respondToQuery as { succeeded?: { response: never } } | undefined).find(Boolean);
    return answer?.succeeded ? converter.fromPayload<T>(answer.succeeded.response) : undefined;
  }

  /** Replays a run's whole history and compares every command with what was done. */
  async verifyReplay(run: Run): Promise<void> {
    if (run.history.length === 0 || run.inFlight) return;
    await this.#replay(run);
  }

  // ---- workflow tasks ----

  #put(run: Run, job: Job) {
    if (run.status !== 'running') return;
    run.inbox.push(job);
    this.#want(run);
  }

  #want(run: Run) {
    const server = this.#servers.get(this.#judgeQueue);
    if (run.wanted || run.inFlight || !server || server.process.dead) return;
    run.wanted = true;
    this.sim.after(
      this.sim.takes(12, 4000),
      () => {
        if (this.sim.strike(FaultKind.EVICT, 'judge')) this.evict();
        this.pending.push(() => this.#task(run, server.process));
      },
      server.process,
    );
  }

  async #task(run: Run, process: Process): Promise<void> {
    if (process.dead || run.status !== 'running' || this.#servers.get(this.#judgeQueue)?.process !== process) return;
    run.wanted = false;
    if (run.inbox.length === 0) return;
    const instance = run.history.length === 0 ? this.#fresh(run, run.startedAt) : await this.#instance(run);
    if (!instance) return;
    const jobs = run.inbox.splice(0);
    run.inFlight = { jobs, process };
    const at = this.sim.now;
    let commands: Command[];
    try {
      commands = await this.#activate(instance, jobs, at, false);
    } catch (error) {
      this.sim.breach(
        'no run is wedged',
        `a workflow task of ${run.workflowId} fails: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      run.status = 'failed';
      run.inFlight = undefined;
      return;
    }
    this.#cache.set(run.runId, instance);
    this.sim.after(
      this.sim.takes(8, 800),
      () => {
        if (run.inFlight?.jobs !== jobs) return;
        run.inFlight = undefined;
        const ends = commands.some(
          (each) => each.completeWorkflowExecution || each.failWorkflowExecution || each.continueAsNewWorkflowExecution,
        );
        if (ends && run.inbox.length > 0) {
          // Something came in while the task was at work: the server refuses the end, and the task is done anew with what came.
          this.#cache.delete(run.runId);
          run.inbox = [...jobs, ...run.inbox];
          this.#want(run);
          return;
        }
        run.history.push({ at, jobs, commands: readable(commands) });
        for (const command of commands) this.#obey(run, command);
        if (run.inbox.length > 0) this.#want(run);
      },
      process,
    );
  }

  async #activate(instance: Instance, jobs: readonly Job[], at: number, replaying: boolean): Promise<Command[]> {
    const { workflows } = this.realm;
    const { activator } = instance;
    activator.now = at;
    activator.mutateWorkflowInfo((info) => ({
      ...info,
      unsafe: { ...(info.unsafe as object), isReplaying: replaying, isReplayingHistoryEvents: replaying },
    }));
    workflows.setActivator(activator);
    const first = jobs.find((job) => job.variant === 'initializeWorkflow');
    if (first) workflows.initialize(first.initializeWorkflow);
    const rank = (job: Job): number =>
      job.variant === 'initializeWorkflow' ? 0 : job.variant === 'signalWorkflow' || job.variant === 'doUpdate' ? 1 : 2;
    const ordered = [...jobs].sort((a, b) => rank(a) - rank(b)).map((job) => ({ ...job }));
    workflows.activate({ jobs: ordered });
    await settle();
    while (workflows.tryUnblockConditions() > 0) await settle();
    const { commands } = workflows.concludeActivation().successful;
    activator.getAndResetSinkCalls();
    return commands;
  }

  #fresh(run: Run, at: number): Instance {
    const { workflows, globals } = this.realm;
    workflows.setActivator(undefined);
    workflows.initRuntime({
      info: {
        workflowId: run.workflowId,
        runId: run.runId,
        firstExecutionRunId: run.runId,
        workflowType: run.type,
        taskQueue: this.#judgeQueue,
        namespace: 'default',
        attempt: 1,
        historyLength: 0,
        historySize: 0,
        continueAsNewSuggested: false,
        searchAttributes: {},
        typedSearchAttributes: undefined,
        startTime: new Date(run.startedAt),
        runStartTime: new Date(run.startedAt),
        unsafe: { isReplaying: false, isReplayingHistoryEvents: false },
      },
      now: at,
      showStackTraceSources: false,
      sourceMap: undefined,
      getTimeOfDay: () => 0n,
      randomnessSeed: [...Buffer.from(run.runId)],
      registeredActivityNames: new Set(),
      stackTracesEnabled: false,
      failureExceptionTypeNames: [],
    });
    return { activator: globals.__TEMPORAL_ACTIVATOR__ as Instance['activator'] };
  }

  async #instance(run: Run): Promise<Instance | undefined> {
    const cached = this.#cache.get(run.runId);
    if (cached) return cached;
    const made = await this.#replay(run);
    if (made) this.#cache.set(run.runId, made);
    return made;
  }

  async #replay(run: Run): Promise<Instance | undefined> {
    this.replays++;
    const instance = this.#fresh(run, run.startedAt);
    for (const [index, task] of run.history.entries()) {
      let commands: string;
      try {
        commands = readable(await this.#activate(instance, task.jobs, task.at, true));
      } catch (error) {
        this.sim.breach(
          'replay',
          `task ${index} of ${run.workflowId} throws in replay: ${error instanceof Error ? error.message : String(error)}`,
        );
        run.status = 'failed';
        return undefined;
      }
      if (commands !== task.commands) {
        this.sim.breach(
          'replay',
          `task ${index} of ${run.workflowId} does otherwise in replay: ${commands.slice(0, 300)} for ${task.commands.slice(0, 300)}`,
        );
        run.status = 'failed';
        return undefined;
      }
    }
    return instance;
  }

  // ---- commands ----

  #obey(run: Run, command: Command) {
    const part = <T>(name: string): T | undefined => (command[name] ?? undefined) as T | undefined;
    const timer = part<{ seq: number; startToFireTimeout: never }>('startTimer');
    if (timer) {
      const handle = this.sim.after(tsToMs(timer.startToFireTimeout), () => {
        if (!run.timers.delete(timer.seq)) return;
        this.#put(run, { variant: 'fireTimer', fireTimer: { seq: timer.seq } });
      });
      run.timers.set(timer.seq, handle);
      return;
    }
    const stop = part<{ seq: number }>('cancelTimer');
    if (stop) {
      const handle = run.timers.get(stop.seq);
      if (handle) handle.off = true;
      run.timers.delete(stop.seq);
      run.inbox = run.inbox.filter((job) => (job.fireTimer as { seq: number } | undefined)?.seq !== stop.seq);
      return;
    }
    const schedule = part<ScheduleActivity>('scheduleActivity');
    if (schedule) return this.#schedule(run, schedule);
    const cancel = part<{ seq: number }>('requestCancelActivity');
    if (cancel) return this.#cancel(run, cancel.seq);
    const update = part<{ protocolInstanceId: string; accepted?: object; rejected?: Failure; completed?: unknown }>('updateResponse');
    if (update) {
      const known = run.updates.get(update.protocolInstanceId);
      if (!known) return;
      if (update.accepted) known.state = 'accepted';
      else {
        known.state = 'done';
        known.outcome = update.rejected ? { rejected: update.rejected } : { completed: converter.fromPayload(update.completed as never) };
        for (const told of known.waiters.splice(0)) told(known.outcome);
      }
      return;
    }
    const child = part<{ seq: number; workflowId: string; workflowType: string; input: never[] }>('startChildWorkflowExecution');
    if (child) {
      if (this.current(child.workflowId)?.status === 'running') {
        this.#put(run, {
          variant: 'resolveChildWorkflowExecutionStart',
          resolveChildWorkflowExecutionStart: {
            seq: child.seq,
            failed: { workflowId: child.workflowId, workflowType: child.workflowType, cause: 1 },
          },
        });
        return;
      }
      const started = this.start(
        child.workflowType,
        child.workflowId,
        child.input.map((each) => converter.fromPayload(each)),
      );
      this.#put(run, {
        variant: 'resolveChildWorkflowExecutionStart',
        resolveChildWorkflowExecutionStart: { seq: child.seq, succeeded: { runId: started.runId } },
      });
      return;
    }
    const attributes = part<{ searchAttributes?: unknown; indexedFields?: Record<string, { data: Uint8Array }> }>(
      'upsertWorkflowSearchAttributes',
    );
    if (attributes) {
      const fields =
        (attributes.searchAttributes as { indexedFields?: Record<string, { data: Uint8Array }> } | undefined)?.indexedFields ??
        attributes.indexedFields ??
        {};
      for (const [name, payload] of Object.entries(fields)) run.attributes[name] = Buffer.from(payload.data).toString();
      return;
    }
    const complete = part<{ result: unknown }>('completeWorkflowExecution');
    const fail = part<{ failure: Failure }>('failWorkflowExecution');
    const again = part<{ arguments: never[]; workflowType: string }>('continueAsNewWorkflowExecution');
    if (complete || fail || again) {
      run.status = complete ? 'completed' : fail ? 'failed' : 'continued';
      if (complete) run.result = complete.result ? converter.fromPayload(complete.result as never) : undefined;
      if (fail) run.failure = fail.failure;
      for (const handle of run.timers.values()) handle.off = true;
      for (const activity of run.activities.values()) activity.state = 'over';
      const over = { rejected: this.#failure(ApplicationFailure.retryable('the workflow is over', 'NotFound')) };
      for (const known of run.updates.values()) {
        if (known.outcome) continue;
        known.outcome = over;
        for (const told of known.waiters.splice(0)) told(over);
      }
      this.#cache.delete(run.runId);
      this.onClose(run);
      if (again)
        this.start(
          run.type,
          run.workflowId,
          again.arguments.map((each) => converter.fromPayload(each)),
        );
      return;
    }
    const names = Object.keys(command).filter((name) => name !== 'eventGroupMarkers' && name !== 'userMetadata');
    throw new Error(`this server does not know the command ${names.join(', ')}`);
  }

  // ---- activities ----

  #schedule(run: Run, command: ScheduleActivity) {
    const { retryPolicy: retry } = command;
    const ms = (value: unknown, otherwise: number): number => (value ? tsToMs(value as never) : otherwise);
    const whole = ms(command.scheduleToCloseTimeout, 0);
    const activity: Activity = {
      run,
      seq: command.seq,
      id: command.activityId,
      type: command.activityType,
      queue: command.taskQueue,
      input: converter.fromPayload(command.arguments[0] as never),
      heartbeatMs: ms(command.heartbeatTimeout, 0),
      startToCloseMs: ms(command.startToCloseTimeout, 0),
      expiresAt: whole > 0 ? this.sim.now + whole : Number.POSITIVE_INFINITY,
      scheduledAt: this.sim.now,
      waitCancel: Number(command.cancellationType) === 1,
      retry: {
        initialMs: ms(retry?.initialInterval, 1000),
        factor: retry?.backoffCoefficient ?? 2,
        ceilingMs: ms(retry?.maximumInterval, 100_000),
        most: retry?.maximumAttempts ?? 0,
      },
      workflow: { workflowId: run.workflowId, runId: run.runId },
      attempt: 1,
      state: 'waiting',
      token: 0,
      lastBeat: 0,
      cancelRequested: false,
    };
    run.activities.set(activity.seq, activity);
    if (Number.isFinite(activity.expiresAt)) {
      this.sim.after(whole, () => {
        if (activity.state !== 'over') this.#timedOut(activity, true);
      });
    }
    this.#queue(activity);
  }

  /** Gives an activity to a worker that no workflow has asked for: a repeated one. Its result interests nobody. */
  repeat(original: Activity, id: string) {
    const activity: Activity = {
      ...original,
      run: undefined,
      id,
      attempt: 1,
      state: 'waiting',
      token: 0,
      lastBeat: 0,
      cancelRequested: false,
      expiresAt: Number.POSITIVE_INFINITY,
      scheduledAt: this.sim.now,
    };
    this.#queue(activity);
  }

  #queue(activity: Activity) {
    const waiting = this.#waiting.get(activity.queue) ?? new Set();
    this.#waiting.set(activity.queue, waiting.add(activity));
    this.#dispatch(activity);
  }

  #dispatch(activity: Activity) {
    const server = this.#servers.get(activity.queue);
    if (!server || server.process.dead) return;
    const { process } = server;
    this.sim.after(this.sim.takes(15, 2500), () => {
      if (process.dead || activity.state !== 'waiting' || this.#servers.get(activity.queue)?.process !== process) return;
      if (!this.#waiting.get(activity.queue)?.delete(activity)) return;
      this.#start(activity, process, server.functions);
    });
  }

  #start(activity: Activity, process: Process, functions: Functions) {
    activity.state = 'started';
    activity.lastBeat = this.sim.now;
    const token = ++activity.token;
    const attempt: Attempt = { activity, number: activity.attempt, token, process, startedAt: this.sim.now, cancelled: false };
    this.#watchBeats(activity, token);
    if (activity.startToCloseMs > 0) {
      this.sim.after(activity.startToCloseMs, () => {
        if (activity.state === 'started' && activity.token === token) this.#timedOut(activity, false);
      });
    }
    const sleeper = this.sim.strike(FaultKind.SLEEPER, process.name);
    if (sleeper) {
      process.pausedUntil = Math.max(process.pausedUntil, this.sim.now + sleeper.ms);
      this.sim.onSleeper(process, sleeper.ms);
    }
    if (this.sim.strike(FaultKind.GIVE_TWICE, process.name)) {
      this.sim.after(this.sim.takes(300, 6000), () => {
        if (activity.state === 'started' && activity.token === token && !activity.cancelRequested) this.#retry(activity, 0);
      });
    }
    this.sim.after(0, () => this.#work(attempt, functions), process);
  }

  #work(attempt: Attempt, functions: Functions) {
    const { activity, process } = attempt;
    const body = functions[activity.type];
    const { engine } = this.realm;
    const abort = new AbortController();
    let reject: (error: unknown) => void = () => undefined;
    const cancelled = new Promise<never>((_resolve, no) => {
      reject = no;
    });
    cancelled.catch(() => undefined);
    const cancel = (reason: string): void => {
      if (attempt.cancelled) return;
      attempt.cancelled = true;
      const error = new CancelledFailure(reason);
      abort.abort(error);
      reject(error);
    };
    const beat = (): void => {
      // What the server hears, and what the worker hears back.
      this.sim.after(3, () => {
        const current = activity.token === attempt.token && activity.state === 'started';
        if (current) activity.lastBeat = this.sim.now;
        if (!current || activity.cancelRequested) this.sim.after(3, () => cancel(current ? 'CANCELLED' : 'NOT_FOUND'), process);
      });
    };
    const info = {
      activityId: activity.id,
      activityType: activity.type,
      attempt: attempt.number,
      taskQueue: activity.queue,
      isLocal: false,
      inWorkflow: true,
      workflowExecution: activity.workflow,
      namespace: 'default',
      workflowNamespace: 'default',
    };
    const log = {
      warn: () => undefined,
      info: () => undefined,
      debug: () => undefined,
      trace: () => undefined,
      error: () => undefined,
      log: () => undefined,
    };
    const Context = engine.Context as unknown as new (...args: unknown[]) => unknown;
    const context = new Context(info, cancelled, abort.signal, beat, undefined, log, undefined, { details: undefined });
    this.onStart(attempt);
    const work = async (): Promise<void> => {
      let ended: Record<string, unknown>;
      try {
        const held = this.sim.boundary(process);
        if (held) await held;
        if (!body) throw ApplicationFailure.nonRetryable(`no activity ${activity.type}`);
        const result = await body(plain(activity.input) as never);
        ended = { completed: plain(result) };
      } catch (error) {
        const called = attempt.cancelled && (error instanceof CancelledFailure || (error as Error)?.name === 'AbortError');
        ended = called ? { cancelled: this.#failure(error) } : { failed: this.#failure(ensureApplicationFailure(error)) };
      }
      const held = this.sim.boundary(process);
      if (held) await held;
      this.onEnd(attempt, ended);
      if (this.sim.strike(FaultKind.LOSE_COMPLETION, process.name)) return;
      this.sim.after(this.sim.takes(10, 1500), () => this.#ended(attempt, ended));
    };
    this.sim.als.run({ process, attempt }, () => {
      (engine.asyncLocalStorage as unknown as { run(store: unknown, body: () => unknown): unknown }).run(context, work);
    });
  }

  #ended({ activity, token }: Attempt, ended: Record<string, unknown>) {
    if (activity.state !== 'started' || activity.token !== token) return;
    if (ended.completed !== undefined || 'completed' in ended)
      return this.#resolve(activity, { completed: { result: converter.toPayload(ended.completed) } });
    if (ended.cancelled && activity.cancelRequested)
      return this.#resolve(activity, { cancelled: { failure: this.#activityFailure(activity, ended.cancelled as Failure) } });
    const failure = (ended.failed ?? ended.cancelled) as Failure;
    const fatal =
      (failure.applicationFailureInfo as { nonRetryable?: boolean } | undefined)?.nonRetryable === true || ended.cancelled !== undefined;
    activity.lastFailure = failure;
    if (fatal || activity.cancelRequested)
      return this.#resolve(activity, { failed: { failure: this.#activityFailure(activity, failure) } });
    this.#retry(activity, Math.min(activity.retry.ceilingMs, activity.retry.initialMs * activity.retry.factor ** (activity.attempt - 1)));
  }

  #watchBeats(activity: Activity, token: number) {
    if (activity.heartbeatMs <= 0) return;
    this.sim.after(activity.lastBeat + activity.heartbeatMs - this.sim.now, () => {
      if (activity.state !== 'started' || activity.token !== token) return;
      if (this.sim.now - activity.lastBeat >= activity.heartbeatMs) this.#timedOut(activity, false);
      else this.#watchBeats(activity, token);
    });
  }

  #timedOut(activity: Activity, whole: boolean) {
    const failure: Failure = {
      message: 'activity timed out',
      source: 'Server',
      timeoutFailureInfo: { timeoutType: whole ? 3 : 4 },
      ...(activity.lastFailure ? { cause: activity.lastFailure } : {}),
    };
    if (whole || activity.cancelRequested)
      return this.#resolve(activity, { failed: { failure: this.#activityFailure(activity, failure) } });
    activity.lastFailure = failure;
    this.#retry(activity, Math.min(activity.retry.ceilingMs, activity.retry.initialMs * activity.retry.factor ** (activity.attempt - 1)));
  }

  #retry(activity: Activity, backoffMs: number) {
    if (
      (activity.retry.most > 0 && activity.attempt >= activity.retry.most) ||
      this.sim.now + backoffMs >= activity.expiresAt ||
      activity.run === undefined
    ) {
      const failure = activity.lastFailure ?? { message: 'no more tries', source: 'Server', timeoutFailureInfo: { timeoutType: 4 } };
      return this.#resolve(activity, { failed: { failure: this.#activityFailure(activity, failure) } });
    }
    activity.attempt++;
    activity.token++;
    activity.state = 'waiting';
    this.sim.after(backoffMs, () => {
      if (activity.state === 'waiting') this.#queue(activity);
    });
  }

  #cancel(run: Run, seq: number) {
    const activity = run.activities.get(seq);
    if (!activity || activity.state === 'over') return;
    activity.cancelRequested = true;
    const cancelled = { cancelled: { failure: this.#activityFailure(activity, this.#failure(new CancelledFailure('CANCELLED'))) } };
    if (activity.state === 'waiting') {
      this.#waiting.get(activity.queue)?.delete(activity);
      this.#resolve(activity, cancelled);
    } else if (!activity.waitCancel) this.#resolve(activity, cancelled);
  }

  #resolve(activity: Activity, result: Record<string, unknown>) {
    activity.state = 'over';
    if (activity.run?.activities.get(activity.seq) !== activity) return;
    this.#put(activity.run, { variant: 'resolveActivity', resolveActivity: { seq: activity.seq, result } });
  }

  #failure(error: unknown): Failure {
    return defaultFailureConverter.errorToFailure(error, converter) as unknown as Failure;
  }

  #activityFailure(activity: Activity, cause: Failure): Failure {
    return {
      message: 'Activity task failed',
      source: 'Server',
      cause,
      activityFailureInfo: { activityType: { name: activity.type }, activityId: activity.id, retryState: 1 },
    };
  }
}

interface ScheduleActivity {
  readonly seq: number;
  readonly activityId: string;
  readonly activityType: string;
  readonly taskQueue: string;
  readonly arguments: readonly unknown[];
  readonly heartbeatTimeout?: unknown;
  readonly startToCloseTimeout?: unknown;
  readonly scheduleToCloseTimeout?: unknown;
  readonly cancellationType?: unknown;
  readonly retryPolicy?: {
    readonly initialInterval?: unknown;
    readonly backoffCoefficient?: number;
    readonly maximumInterval?: unknown;
    readonly maximumAttempts?: number;
  };
}

/** An error out of a failure, for whoever waited for an update. */
export function errorOf(failure: Failure): Error {
  return defaultFailureConverter.failureToError(failure as never, converter);
}
