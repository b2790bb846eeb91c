import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { inspect } from 'node:util';
import { type ErrorCode, isFault, registry } from '../../domain/errors.ts';
import type { Applied, Probed, StepContext } from '../../providers/contract.ts';
import { type Stage, stageOf, type Trouble, type World } from './world.ts';

/** Something that every action promises, whatever it does. `run` throws where the world shows otherwise. */
export interface Claim {
  readonly words: string;
  /** Why it says nothing about an action of this kind; undefined where it does. */
  void?(world: World): string | undefined;
  run(stage: Stage): Promise<void>;
}

const changes = (world: World) => (world.action.manifest.watches ? 'it changes nothing' : undefined);
const reverts = (world: World) =>
  changes(world) ?? (world.action.manifest.reversibility === 'irreversible' ? 'it cannot be undone' : undefined);
const changed = async (world: World) => (await world.calls()).filter((call) => call.changed).length;

async function begin({ action, world, context }: Stage): Promise<unknown> {
  return through(await action.capture(world.target, context()));
}

/** A before-state as it comes back out of a record. */
function through(before: unknown): unknown {
  return JSON.parse(JSON.stringify(before)) as unknown;
}

/** Whether a failure is one after which the same call may be tried again. */
function retryable(error: unknown): boolean {
  return isFault(error) && registry[error.code].retryable;
}

/** Applies as the engine does: again after every failure that says so. */
async function applied(stage: Stage, before: unknown, more?: Partial<StepContext>, tries = 6): Promise<Applied> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await stage.action.apply(stage.world.target, before, stage.context(more));
    } catch (error) {
      if (attempt === tries || !retryable(error)) throw error;
    }
  }
}

/** Probes as the engine does: in the context that knows what a mint made. */
async function probed(stage: Stage, before: unknown, after?: Applied): Promise<Probed> {
  const context = stage.context();
  const made = after?.made ? { ...context.made, [context.step]: after.made } : context.made;
  return await stage.action.probe(stage.world.target, before, { ...context, made });
}

async function reverted(stage: Stage, before: unknown, after?: Applied, tries = 6) {
  ok(stage.action.revert, 'a reversible action has a revert');
  const context = stage.context();
  const made = after?.made ? { ...context.made, [context.step]: after.made } : context.made;
  for (let attempt = 1; ; attempt++) {
    try {
      return await stage.action.revert(stage.world.target, before, { ...stage.context(), made });
    } catch (error) {
      if (attempt === tries || !retryable(error)) throw error;
    }
  }
}

async function failureOf(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Where a secret is in what was let out: the text itself, or in the encodings that logs and records use. */
function leaksIn(secrets: readonly string[], let_out: readonly unknown[]): string[] {
  const text = let_out
    .map((each) => (each instanceof Error ? everything(each) : typeof each === 'string' ? each : everything(each)))
    .join('\n');
  return secrets.filter((secret) => {
    if (secret === '') return false;
    const bytes = Buffer.from(secret);
    return [secret, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex'), encodeURIComponent(secret)].some((form) =>
      text.includes(form),
    );
  });
}

function everything(value: unknown): string {
  return inspect(value, {
    depth: 12,
    showHidden: true,
    maxStringLength: null,
    maxArrayLength: null,
    breakLength: Number.POSITIVE_INFINITY,
  });
}

const listeners = new Set<unknown[]>();
let restore: (() => void) | undefined;

/** Keeps whatever is written to the process's outputs. One tap serves all that listen at a time. */
function tap(): () => void {
  const heard = (words: readonly unknown[]) => {
    for (const listener of listeners) listener.push(...words);
  };
  const outputs = [process.stdout, process.stderr].map((output) => {
    const { write } = output;
    output.write = ((chunk: unknown) => {
      heard([typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString()]);
      return true;
    }) as typeof output.write;
    return () => {
      output.write = write;
    };
  });
  const methods = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) => {
    const spoken = console[method];
    console[method] = (...words: unknown[]) => heard(words);
    return () => {
      console[method] = spoken;
    };
  });
  return () => {
    for (const undo of [...outputs, ...methods]) undo();
  };
}

/** Runs with whatever is written to the process's outputs kept. */
async function overheard<T>(into: unknown[], run: () => Promise<T>): Promise<T> {
  listeners.add(into);
  restore ??= tap();
  try {
    return await run();
  } finally {
    listeners.delete(into);
    if (listeners.size === 0) {
      restore?.();
      restore = undefined;
    }
  }
}

/** What each kind of trouble may be called. What the world has not answered is never called a success. */
const names: Readonly<Record<Exclude<Trouble['kind'], 'lost-reply'>, readonly ErrorCode[]>> = {
  throttled: ['provider.throttled'],
  broken: ['provider.unavailable', 'provider.uncertain'],
  down: ['provider.unavailable', 'provider.uncertain'],
};

export const claims = {
  'capture is pure': {
    words: 'capture changes nothing, carries no secret, and is plain JSON',
    async run(stage) {
      const { world, action } = stage;
      const start = await world.snapshot();
      const before = await action.capture(world.target, stage.context());
      deepStrictEqual(await world.snapshot(), start, 'capture changed the world');
      strictEqual(await changed(world), 0, 'capture made a call that changes something');
      deepStrictEqual(through(before), before, 'the before-state does not survive JSON');
      deepStrictEqual(leaksIn(stage.secrets, [JSON.stringify(before)]), [], 'the before-state holds a secret');
    },
  },
  'apply and probe agree': {
    words: 'apply changes the world, and probe says so and said no before',
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      const start = await world.snapshot();
      const early = await probed(stage, before);
      ok(early.observation.state !== 'yes', `probe says yes before anything was done: ${inspect(early.observation)}`);
      await world.happen?.();
      const after = await applied(stage, before);
      if (world.action.manifest.watches) deepStrictEqual(await world.snapshot(), start, 'a watch changed the world');
      else {
        strictEqual(after.outcome, 'changed');
        notDeepStrictEqual(await world.snapshot(), start, 'nothing is different after apply');
      }
      const late = await probed(stage, before, after);
      strictEqual(late.observation.state, 'yes', `probe does not see it: ${inspect(late.observation)}`);
      ok(late.effectiveAt, 'what is in effect has a time');
      ok(Date.parse(late.effectiveAt) >= 0 && Date.parse(after.acceptedAt) >= 0, 'times are ISO 8601');
    },
  },
  'twice is once': {
    words: 'apply twice is apply once',
    void: changes,
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      await applied(stage, before);
      const once = await world.snapshot();
      const effects = await changed(world);
      const again = await applied(stage, before);
      deepStrictEqual(await world.snapshot(), once, 'the second apply changed the world');
      // A mint cannot give the same secret twice: it makes anew and takes the first away, and the world is as after one.
      if (world.action.manifest.mints) return;
      ok(again.outcome !== 'changed', 'the second apply says that it changed something');
      strictEqual(await changed(world), effects, 'the second apply made a change');
    },
  },
  'a lost reply is survived': {
    words: 'a lost reply, and a second one, are survived by trying again',
    void: changes,
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      const start = await world.snapshot();
      await world.trouble({ kind: 'lost-reply', count: 2 });
      const after = await applied(stage, before);
      await world.calm();
      const lost = await world.snapshot();
      notDeepStrictEqual(lost, start, 'nothing is different after apply');
      const seen = await probed(stage, before, after);
      strictEqual(seen.observation.state, 'yes', `probe does not see it: ${inspect(seen.observation)}`);
      await applied(stage, before);
      deepStrictEqual(await world.snapshot(), lost, 'the world is another than after an undisturbed apply');
    },
  },
  'gone is a success': {
    words: 'a target that is already gone is the success `absent`',
    void: (world) => changes(world) ?? (world.remove ? undefined : 'its target cannot go away'),
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      await world.remove?.();
      const start = await world.snapshot();
      const effects = await changed(world);
      const after = await applied(stage, before, {}, 1);
      strictEqual(after.outcome, 'absent');
      deepStrictEqual(await world.snapshot(), start, 'apply changed what was left');
      strictEqual(await changed(world), effects);
    },
  },
  'revert restores': {
    words: 'apply then revert leaves the whole world as it was',
    void: reverts,
    async run(stage) {
      const { world } = stage;
      const start = await world.snapshot();
      const before = await begin(stage);
      const after = await applied(stage, before);
      notDeepStrictEqual(await world.snapshot(), start, 'nothing is different after apply');
      await world.ripen?.();
      const back = await reverted(stage, before, after);
      strictEqual(back.outcome, 'changed');
      deepStrictEqual(await world.snapshot(), start, 'revert left the world another than it was');
    },
  },
  'revert twice is once': {
    words: 'revert twice is revert once, and revert without an apply is harmless',
    void: reverts,
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      const start = await world.snapshot();
      const effects = await changed(world);
      const idle = await reverted(stage, before);
      ok(idle.outcome !== 'changed', 'a revert without an apply says that it changed something');
      deepStrictEqual(await world.snapshot(), start, 'a revert without an apply changed the world');
      strictEqual(await changed(world), effects, 'a revert without an apply made a change');
      const after = await applied(stage, before);
      await world.ripen?.();
      await reverted(stage, before, after);
      const once = await world.snapshot();
      const done = await changed(world);
      const again = await reverted(stage, before, after);
      ok(again.outcome !== 'changed', 'the second revert says that it changed something');
      deepStrictEqual(await world.snapshot(), once, 'the second revert changed the world');
      strictEqual(await changed(world), done, 'the second revert made a change');
    },
  },
  'a lost reply is reverted': {
    words: 'a step whose reply was lost can still be reverted, and a revert whose reply was lost tried again',
    void: reverts,
    async run(stage) {
      const { world } = stage;
      const start = await world.snapshot();
      const before = await begin(stage);
      await world.trouble({ kind: 'lost-reply', count: 1 });
      const lost = await failureOf(() => applied(stage, before, {}, 1));
      await world.calm();
      ok(lost !== undefined, 'no reply was lost: `trouble` of the world has to know the calls by which this action changes something');
      notDeepStrictEqual(await world.snapshot(), start, 'the lost call had no effect');
      await world.ripen?.();
      await world.trouble({ kind: 'lost-reply', count: 1 });
      await reverted(stage, before);
      await world.calm();
      deepStrictEqual(await world.snapshot(), start, 'revert left the world another than it was');
    },
  },
  'revert gives way': {
    words: 'revert refuses to overwrite somebody’s later change: `provider.conflict`',
    void: (world) => reverts(world) ?? (world.meddle ? undefined : 'nobody else can change what it changed'),
    async run(stage) {
      const { world } = stage;
      const before = await begin(stage);
      const after = await applied(stage, before);
      await world.meddle?.();
      await world.ripen?.();
      const theirs = await world.snapshot();
      const error = await failureOf(() => reverted(stage, before, after));
      ok(isFault(error) && error.code === 'provider.conflict', `revert did not answer with a conflict: ${inspect(error)}`);
      deepStrictEqual(await world.snapshot(), theirs, 'revert overwrote somebody’s change');
    },
  },
  'trouble has a name': {
    words: 'every trouble is a fault with a code of its own, and nothing that was not answered is called done',
    async run(stage) {
      const { world, action } = stage;
      const before = await begin(stage);
      // Patience is short here, as what is waited for does not come.
      const context = () => stage.context({ timing: { ...world.timing, giveUpMs: Math.min(world.timing.giveUpMs, 300) } });
      for (const kind of ['throttled', 'broken', 'down'] as const) {
        await world.trouble({ kind });
        const named = async (what: string, run: () => Promise<unknown>) => {
          const error = await failureOf(run);
          ok(isFault(error), `${what} under ${kind} did not throw a fault but ${inspect(error)}`);
          ok(names[kind].includes(error.code), `${what} under ${kind} is called ${error.code}`);
        };
        const probe = async () => {
          let answer: Probed | undefined;
          const error = await failureOf(async () => {
            answer = await action.probe(world.target, before, context());
          });
          if (answer) strictEqual(answer.observation.state, 'unknown', `probe under ${kind} answers ${inspect(answer.observation)}`);
          else ok(isFault(error) && names[kind].includes(error.code), `probe under ${kind} threw ${inspect(error)}`);
        };
        // All at once: nothing gets through, so that none can be in another's way.
        await Promise.all([
          named('capture', () => action.capture(world.target, context())),
          named('apply', () => action.apply(world.target, before, context())),
          action.revert ? named('revert', async () => await action.revert?.(world.target, before, context())) : undefined,
          probe(),
        ]);
        await world.calm();
      }
      if (!world.powerless) return;
      const weak = stageOf(world, await world.powerless());
      const start = await world.snapshot();
      const error = await failureOf(() => weak.action.apply(world.target, before, weak.context()));
      ok(isFault(error) && error.code === 'provider.denied', `apply without permission: ${inspect(error)}`);
      deepStrictEqual(await world.snapshot(), start);
    },
  },
  'no secret gets out': {
    words: 'no secret is in a result, an error, a log line or a heartbeat',
    async run(stage) {
      const { world, action } = stage;
      const out: unknown[] = [];
      const keep = async (run: () => Promise<unknown>) => {
        try {
          out.push(await run());
        } catch (error) {
          out.push(error);
        }
      };
      await overheard(out, async () => {
        const before = await begin(stage);
        out.push(before);
        await world.happen?.();
        for (const kind of ['lost-reply', 'broken', 'down'] as const) {
          await world.trouble({ kind, count: 1 });
          await keep(() => action.apply(world.target, before, stage.context()));
          await keep(() => action.probe(world.target, before, stage.context()));
          await world.calm();
        }
        let after: Applied | undefined;
        await keep(async () => {
          after = await applied(stage, before);
          return after;
        });
        await keep(() => probed(stage, before, after));
        await world.ripen?.();
        if (action.revert) await keep(() => reverted(stage, before, after));
      });
      ok(stage.secrets.length > 0, 'the world has no secret to look for');
      deepStrictEqual(leaksIn(stage.secrets, [...out, ...stage.seen]).length, 0, 'a secret was let out');
    },
  },
  'only what is declared': {
    words: 'only permissions that the manifest declares are exercised',
    async run(stage) {
      const { world, action } = stage;
      const from = (await world.calls()).length;
      const before = await begin(stage);
      const others = (await world.calls()).length;
      await world.happen?.();
      const happened = (await world.calls()).length;
      const after = await applied(stage, before);
      await probed(stage, before, after);
      const middle = (await world.calls()).length;
      await world.ripen?.();
      const ripe = (await world.calls()).length;
      if (action.revert) await reverted(stage, before, after);
      const all = await world.calls();
      const own = [...all.slice(from, others), ...all.slice(happened, middle), ...all.slice(ripe)];
      const undeclared = [...new Set(own.map((call) => call.permission))].filter((name) => !action.manifest.permissions.includes(name));
      ok(own.length > 0 || action.manifest.permissions.length === 0, 'no call was seen at all');
      deepStrictEqual(undeclared, [], 'calls that the manifest does not declare');
    },
  },
  'it takes no for an answer': {
    words: 'throttling is waited out and not stormed; an abort ends before the next change',
    async run(stage) {
      const { world, action } = stage;
      const before = await begin(stage);
      await world.happen?.();
      const start = (await world.calls()).length;
      await world.trouble({ kind: 'throttled', count: 3 });
      await applied(stage, before, {}, 8);
      await world.calm();
      const spent = (await world.calls()).length - start;
      ok(spent <= 60, `${spent} calls were made to get past three refusals`);

      if (action.manifest.watches) return;
      const settled = await world.snapshot();
      const effects = await changed(world);
      const gone = new AbortController();
      gone.abort(new DOMException('the lease is lost', 'AbortError'));
      const error = await failureOf(() => action.apply(world.target, before, stage.context({ signal: gone.signal })));
      ok(error instanceof Error && error.name === 'AbortError', `an aborted apply went on: ${inspect(error)}`);
      strictEqual(await changed(world), effects, 'an aborted apply made a change');

      const midway = new AbortController();
      const context = stage.context({ signal: midway.signal });
      const stopping = {
        ...context,
        sleep: (ms: number) => {
          midway.abort(new DOMException('the lease is lost', 'AbortError'));
          return context.sleep(ms);
        },
      };
      await failureOf(() => action.apply(world.target, before, stopping));
      await applied(stage, before);
      deepStrictEqual(await world.snapshot(), settled, 'what an abort left is not what the next try mends');
    },
  },
  'what cannot be undone says so': {
    words: 'an irreversible action has no revert and says why; a reversible one has one',
    async run({ action }) {
      const { reversibility, irreversibleBecause, watches } = action.manifest;
      // A watch changes nothing, so that there may be nothing to take back.
      if (!watches || reversibility === 'irreversible') strictEqual(action.revert !== undefined, reversibility === 'reversible');
      strictEqual(irreversibleBecause !== undefined, reversibility === 'irreversible');
    },
  },
} as const satisfies Record<string, Claim>;

export type ClaimName = keyof typeof claims;
export const claimNames = Object.keys(claims) as readonly ClaimName[];
