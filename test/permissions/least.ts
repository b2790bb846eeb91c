import { describe, expect, it } from 'vitest';
import { codeOf, type ErrorCode, isFault, registry } from '../../domain/errors.ts';
import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Action, Applied } from '../../providers/contract.ts';
import { type PartPolicy, partOf, policiesOf } from '../../providers/permissions.ts';
import type { HarnessEntry } from '../conformance/runner.ts';
import { stageOf, type World } from '../conformance/world.ts';

/** How a course differs from the undisturbed one: a reply is lost, the target goes away, or the step lacks some of the parameters of the conformance case. */
export interface Way {
  readonly lost?: boolean;
  /** The target goes away between the capture and the apply. */
  readonly gone?: boolean;
  /** Plays the apply so that something happens between its look and its write. */
  between?(world: World, action: Action, apply: () => Promise<unknown>): Promise<unknown>;
  readonly without?: readonly string[];
  /** The refusal that it comes to where it is allowed all: it has looked, and what it saw stands in its way. */
  readonly ends?: ErrorCode;
}

/** What the engine does of an action, one after the other: `ok`, or the code of the first refusal. */
async function course(world: World, action: Action, { lost, gone, between, without = [] }: Way): Promise<string> {
  const params = Object.fromEntries(Object.entries(world.params ?? {}).filter(([name]) => !without.includes(name)));
  const stage = stageOf({ ...world, params }, action);
  try {
    const before = JSON.parse(JSON.stringify(await action.capture(world.target, stage.context()))) as unknown;
    if (gone) {
      await world.remove?.();
      await action.apply(world.target, before, stage.context());
      return 'ok';
    }
    if (between) {
      await between(world, action, () => action.apply(world.target, before, stage.context()));
      return 'ok';
    }
    await world.happen?.();
    if (lost) await world.trouble({ kind: 'lost-reply', count: 1 });
    const again = async <T>(run: () => Promise<T>): Promise<T> => {
      for (let tries = 1; ; tries++) {
        try {
          return await run();
        } catch (error) {
          if (tries === 5 || !isFault(error) || !registry[error.code].retryable) throw error;
        }
      }
    };
    const applied: Applied = await again(() => action.apply(world.target, before, stage.context()));
    await world.calm();
    const context = stage.context();
    const made = applied.made ? { ...context.made, [context.step]: applied.made } : context.made;
    const { observation } = await action.probe(world.target, before, { ...context, made });
    if (observation.state !== 'yes')
      return `the probe says ${observation.state}: ${'why' in observation ? observation.why : observation.evidence}`;
    await world.ripen?.();
    await again(async () => await action.revert?.(world.target, before, { ...context, made }));
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

/** Plays an action under a policy, undisturbed, with a reply lost and with the target gone, each in a world of its own. `ok`, or the first refusal. */
async function play(entry: HarnessEntry, under: Under, policy: PartPolicy, more: readonly Way[]): Promise<string> {
  for (const way of [{}, { lost: true }, { gone: true }, ...more]) {
    const world = await entry.open();
    try {
      if (way.lost && world.action.manifest.watches) continue;
      if (way.gone && (!world.remove || entry.options?.unsupported?.['gone is a success'] !== undefined)) continue;
      const ended = await course(world, await under(world, policy), way);
      if (ended !== (way.ends ?? 'ok')) return ended;
    } finally {
      await world.close();
    }
  }
  return 'ok';
}

/** The action of a world over a connection that is allowed exactly this policy. */
export type Under = (world: World, policy: PartPolicy) => Promise<Action>;

/**
 * Holds the generated policies of a provider to what its actions need. Policies only allow, so that an action which works under the statements it is said to need works under any more; with each of those
 * taken out it has to be refused by name. Together: with a statement removed, exactly the actions that need it fail.
 */
export function describeLeast(
  manifest: ProviderManifest,
  entries: readonly HarnessEntry[],
  under: Under,
  options: {
    readonly only?: readonly string[];
    readonly timeout?: number;
    /** Permissions that an action is said to need and that its conformance case does without, each with why: it has to work without them. By the action's name, a fitting of a statement's permissions. */
    readonly spared?: Readonly<Record<string, readonly { readonly which: RegExp; readonly because: string }[]>>;
    /** Further ways to play an action, by its name: what a permission is needed for may be no part of its conformance case. */
    readonly ways?: Readonly<Record<string, readonly Way[]>>;
  } = {},
): void {
  const policies = policiesOf(manifest);
  for (const entry of entries) {
    const action = manifest.actions.find((each) => `${manifest.name}/${each.name}` === entry.name);
    if (!action || action.permissions.length === 0 || (options.only && !options.only.includes(action.name))) continue;
    const policy = policies.find((each) => each.part === partOf(manifest, action));
    const needed = policy?.statements.filter((each) => each.neededBy.includes(action.name)) ?? [];
    const more = options.ways?.[action.name] ?? [];
    describe.concurrent(`${entry.name} under the generated policy \`${policy?.part}\``, () => {
      it(
        'works with the statements that it is said to need, and no other',
        async () => {
          expect(needed.length).toBeGreaterThan(0);
          expect(await play(entry, under, { part: policy?.part ?? 'read', statements: needed }, more)).toBe('ok');
        },
        options.timeout ?? 60_000,
      );
      for (const without of needed) {
        const spared = options.spared?.[action.name]?.find(({ which }) => without.permissions.every((each) => which.test(each)));
        if (spared) {
          it(
            `works without ${without.id}, since ${spared.because}`,
            async () => {
              const rest = needed.filter((each) => each !== without);
              expect(await play(entry, under, { part: (policy as PartPolicy).part, statements: rest }, more)).toBe('ok');
            },
            options.timeout ?? 60_000,
          );
          continue;
        }
        it(
          `is refused by name without ${without.id}`,
          async () => {
            const rest = (policy as PartPolicy).statements.filter((each) => each !== without);
            expect(await play(entry, under, { part: (policy as PartPolicy).part, statements: rest }, more)).toBe('provider.denied');
          },
          options.timeout ?? 60_000,
        );
      }
    });
  }
}
