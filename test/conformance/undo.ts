import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { isFault, registry } from '../../domain/errors.ts';
import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Sealing, StepContext } from '../../providers/contract.ts';
import { type Blow, type Difference, differences, inWords, type Picture, type Strikes, struck } from './strikes.ts';
import { type Harness, sealingOf, waitFor } from './world.ts';

/** One step of a plan, in the order in which the steps are taken. */
export interface UndoStep {
  /** Unique in the plan; `params` of later steps name it where they need what it made. */
  readonly name: string;
  readonly action: Action;
  readonly target: Target;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** A world made fresh for one row, and a plan that is tried in it. */
export interface UndoWorld {
  readonly steps: readonly UndoStep[];
  /** Milliseconds; keep them small. */
  readonly timing: StepContext['timing'];
  readonly incident?: string;
  readonly made?: StepContext['made'];
  readonly inventory?: StepContext['inventory'];
  /** Where secrets are sealed; one without cryptography where it is not said. */
  readonly sealing?: Sealing;
  /** What stands, read as an administrator through the system's own interface. Neighbours that nothing may touch belong in it. */
  picture(): Promise<Picture>;
  /** What names a difference that has to stay, e.g. a residual with its date; undefined for one that nothing names. `residuals`: what the reverts answered. */
  explain?(difference: Difference, residuals: readonly string[]): string | undefined;
  /** Called before the undo, e.g. to let time go by. */
  ripen?(): Promise<void>;
  /** Called once a step has been applied, e.g. to let a consumer read. */
  applied?(step: UndoStep): Promise<void>;
  /** Takes a step back by the system's own interface, as its manifest's `byHandUndo` says. */
  byHand?(step: UndoStep): Promise<void>;
  close(): Promise<void>;
}

export interface UndoOptions {
  /** The names of the plan's steps: a row that does not happen is then one that fails by name. */
  readonly steps: readonly string[];
  /** Milliseconds for one row. */
  readonly timeout?: number;
  readonly concurrent?: boolean;
}

/** One row of the harness: which step it is about, and what befalls it. */
export interface UndoRow {
  readonly words: string;
  readonly step: string;
  readonly blow?: Blow;
}

/** The rows of one step, by its name. */
export function undoRowsOf(step: string): readonly UndoRow[] {
  return [
    { words: `${step} fails before its effect`, step, blow: { kind: 'before' } },
    { words: `${step} has its effect, and the reply is lost for good`, step, blow: { kind: 'lost' } },
    { words: `${step} has its effect, the reply is lost, and the retry fails`, step, blow: { kind: 'lost', retry: 'provider.denied' } },
    { words: `${step} cannot be taken back, and is finished by hand`, step, blow: { kind: 'undo' } },
    { words: `all is taken back after ${step}`, step },
  ];
}

/**
 * Holds a plan to its undo: for every step, it fails before its effect, after it with the reply lost, and in its undo; and everything is taken back after every step. The world is then as it was, but
 * for what is named. Steps are captured before the first change and taken back in reverse, each from what its capture wrote down, as the engine does; an engine is not needed.
 */
export function describeUndo(name: string, open: () => Promise<UndoWorld>, options: UndoOptions): void {
  (options.concurrent ? describe.concurrent : describe)(`undo of ${name}`, () => {
    for (const row of options.steps.flatMap(undoRowsOf)) {
      it(
        row.words,
        async (test) => {
          const world = await open();
          try {
            deepStrictEqual(
              world.steps.map((step) => step.name),
              options.steps,
              'the plan has other steps than the rows',
            );
            const step = world.steps.find((each) => each.name === row.step) as UndoStep;
            const { manifest } = step.action;
            if (row.blow?.kind === 'undo' && (manifest.watches || manifest.reversibility === 'irreversible'))
              return test.skip(manifest.watches ? 'a watch takes nothing back' : 'it cannot be undone');
            await playUndoRow(world, row);
          } finally {
            await world.close();
          }
        },
        options.timeout ?? 60_000,
      );
    }
  });
}

/** Plays one row in a fresh world, and throws where the world shows a difference that nothing names, or where the row did not happen. */
export async function playUndoRow(world: UndoWorld, row: UndoRow): Promise<void> {
  await new Course(world, row).run();
}

/** The undo of one action alone, in the world of its conformance run; see {@link describeUndo}. */
export function describeUndoOf(name: string, harness: Harness, options: Omit<UndoOptions, 'steps'> = {}): void {
  describeUndo(
    name,
    async () => {
      const world = await harness();
      await world.happen?.();
      const gone = world.action.manifest.reversibility === 'irreversible';
      return {
        steps: [{ name, action: world.action, target: world.target, ...(world.params ? { params: world.params } : {}) }],
        timing: world.timing,
        ...(world.incident ? { incident: world.incident } : {}),
        ...(world.made ? { made: world.made } : {}),
        ...(world.inventory ? { inventory: world.inventory } : {}),
        picture: async () => ({ world: JSON.parse(JSON.stringify(await world.snapshot())) as unknown }),
        ...(gone ? { explain: () => 'it cannot be undone, and says so' } : {}),
        ...(world.ripen ? { ripen: () => world.ripen?.() as Promise<void> } : {}),
        close: () => world.close(),
      };
    },
    { ...options, steps: [name] },
  );
}

/** Fails by name for each action of a manifest whose undo was not held to this. */
export function expectAllUndone(manifest: ProviderManifest, run: readonly string[]): void {
  const missing = manifest.actions.map((action) => `${manifest.name}/${action.name}`).filter((name) => !run.includes(name));
  expect(missing, 'actions without an undo run').toEqual([]);
}

/** One row: capture, apply in order until the blow, take back in reverse. */
class Course {
  readonly #world: UndoWorld;
  readonly #row: UndoRow;
  readonly #sealing: Sealing;
  readonly #made: Record<string, Readonly<Record<string, string>>>;
  readonly #befores = new Map<string, unknown>();
  readonly #residuals: string[] = [];
  #fell = false;
  #calm = false;

  constructor(world: UndoWorld, row: UndoRow) {
    this.#world = world;
    this.#row = row;
    this.#made = { ...world.made };
    this.#sealing = world.sealing ?? sealingOf([]);
  }

  async run(): Promise<void> {
    const { steps } = this.#world;
    const { step: named, blow } = this.#row;
    const start = await this.#world.picture();
    for (const step of steps) this.#befores.set(step.name, through(await step.action.capture(step.target, this.#context(step))));
    const tried: UndoStep[] = [];
    for (const step of steps) {
      tried.push(step);
      const done = await this.#apply(step);
      if (done) await this.#world.applied?.(step);
      if (!done || step.name === named) break;
    }
    await this.#world.ripen?.();
    let stuck: UndoStep | undefined;
    for (const step of [...tried].reverse()) {
      if (!step.action.revert || step.action.manifest.reversibility === 'irreversible') continue;
      const code = await this.#revert(step);
      if (code === undefined) continue;
      ok(blow?.kind === 'undo' && step.name === named, `${step.name} cannot be taken back: ${code}`);
      stuck = step;
      await this.#finish(step);
    }
    if (blow) ok(this.#fell, 'the blow did not fall');
    if (blow?.kind === 'undo') ok(stuck, 'its undo did not fail');
    const left = differences(start, await this.#world.picture()).filter(
      (each) => this.#world.explain?.(each, this.#residuals) === undefined,
    );
    deepStrictEqual(left.map(inWords), [], 'the world is another than before, and nothing names it');
  }

  /** By hand where somebody knows how, else as soon as the provider lets the undo through again. The manifest has to say how. */
  async #finish(step: UndoStep): Promise<void> {
    ok(step.action.manifest.byHandUndo, 'its manifest does not say how to take it back by hand');
    if (this.#world.byHand) {
      await this.#world.byHand(step);
      const { observation } = await step.action.probe(step.target, this.#befores.get(step.name), this.#context(step));
      strictEqual(observation.state, 'no', 'done by hand, and the probe does not say so');
    } else {
      this.#calm = true;
      strictEqual(await this.#revert(step), undefined, 'it cannot be taken back once nothing is in the way');
    }
  }

  /** Whether it was applied. Tried again as the engine does, a few times. */
  async #apply(step: UndoStep): Promise<boolean> {
    const action = this.#under(step);
    for (let attempt = 1; ; attempt++) {
      try {
        const applied = await action.apply(step.target, this.#befores.get(step.name), this.#context(step));
        if (applied.made) this.#made[step.name] = applied.made;
        return true;
      } catch (error) {
        ok(isFault(error), `${step.name} failed of something that is no fault: ${String(error)}`);
        if (attempt < 3 && registry[error.code].retryable) continue;
        ok(this.#row.step === step.name && this.#fell, `${step.name} cannot be applied: ${error.code}`);
        return false;
      }
    }
  }

  /** The code of the failure; undefined where it was taken back. */
  async #revert(step: UndoStep): Promise<string | undefined> {
    const action = this.#under(step);
    for (let attempt = 1; ; attempt++) {
      try {
        const reverted = await action.revert?.(step.target, this.#befores.get(step.name), this.#context(step));
        if (reverted?.residual) this.#residuals.push(reverted.residual.what);
        return undefined;
      } catch (error) {
        ok(isFault(error), `the undo of ${step.name} failed of something that is no fault: ${String(error)}`);
        if (attempt < 3 && registry[error.code].retryable) continue;
        return error.code;
      }
    }
  }

  #under(step: UndoStep): Action {
    const { name } = step.action.manifest;
    const strikes: Strikes = {
      blow: () => (step.name === this.#row.step && !this.#calm ? this.#row.blow : undefined),
      happened: (_step, what) => {
        if (what === 'struck') this.#fell = true;
      },
    };
    const known = this.#strucks.get(step.name);
    if (known) return known;
    const connection = struck(
      {
        provider: '',
        account: '',
        check: async () => [],
        look: async () => Promise.reject(new Error('nobody looks')),
        actions: { [name]: step.action },
        close: async () => undefined,
      },
      strikes,
    );
    const action = connection.actions[name] as Action;
    this.#strucks.set(step.name, action);
    return action;
  }
  readonly #strucks = new Map<string, Action>();

  #context(step: UndoStep): StepContext {
    const { signal } = new AbortController();
    return {
      incident: this.#world.incident ?? `leak/${'d'.repeat(64)}`,
      run: 'undo-run',
      step: step.name,
      signal,
      heartbeat: () => undefined,
      timing: this.#world.timing,
      sealing: this.#sealing,
      params: step.params ?? {},
      made: this.#made,
      inventory: this.#world.inventory ?? { consumers: [], stores: [] },
      sleep: (ms) => waitFor(ms, signal),
    };
  }
}

/** A before-state as it comes back out of a record. */
const through = (before: unknown): unknown => (before === undefined ? undefined : JSON.parse(JSON.stringify(before)));
