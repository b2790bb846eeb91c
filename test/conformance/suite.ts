import { describe, expect, it } from 'vitest';
import type { ProviderManifest } from '../../domain/manifest.ts';
import { type Claim, type ClaimName, claimNames, claims } from './claims.ts';
import { type Harness, stageOf } from './world.ts';

export interface SuiteOptions {
  /** Claims that this action does not keep, each with the reason, which also stands in the provider's README. */
  readonly unsupported?: Readonly<Partial<Record<ClaimName, string>>>;
  /** Milliseconds for one claim. */
  readonly timeout?: number;
  /** Runs claims side by side; right where every world is one of its own. */
  readonly concurrent?: boolean;
}

/** Holds one action to every claim, each in a world of its own. A claim that is void for its kind of action, or unsupported, is listed as skipped with the reason. */
export function describeAction(name: string, harness: Harness, options: SuiteOptions = {}): void {
  (options.concurrent ? describe.concurrent : describe)(name, () => {
    for (const claim of claimNames) {
      const { words, run, void: isVoid } = claims[claim] as Claim;
      const reason = options.unsupported?.[claim];
      if (reason !== undefined) {
        it.skip(`${words} (not here: ${reason})`, () => undefined);
        continue;
      }
      it(
        words,
        async (test) => {
          const world = await harness();
          try {
            const void_ = isVoid?.(world);
            if (void_ !== undefined) return test.skip(void_);
            await run(stageOf(world));
          } finally {
            await world.close();
          }
        },
        options.timeout ?? 30_000,
      );
    }
  });
}

/** Fails by name for each action of a manifest that has no conformance run. */
export function expectAllRun(manifest: ProviderManifest, run: readonly string[]): void {
  const missing = manifest.actions.map((action) => `${manifest.name}/${action.name}`).filter((name) => !run.includes(name));
  expect(missing, 'actions without a conformance run: each needs a describeAction').toEqual([]);
  const unknown = run.filter(
    (name) => name.startsWith(`${manifest.name}/`) && !manifest.actions.some((a) => name === `${manifest.name}/${a.name}`),
  );
  expect(unknown, 'conformance runs of actions that the manifest does not have').toEqual([]);
}

/** One harness of a provider, as `test/providers-<name>/harnesses.ts` lists them. */
export interface NamedHarness {
  /** `provider/action`. */
  readonly name: string;
  readonly options?: SuiteOptions;
  readonly open: Harness;
}

/** Holds every action of a provider to every claim; and the provider to have a run for each, and a connection to have exactly those. `connect` gives what a connection's actions are called, and ends the connection. */
export function describeProvider(
  manifest: ProviderManifest,
  harnesses: readonly NamedHarness[],
  connect: () => Promise<readonly string[]>,
): void {
  for (const { name, open, options } of harnesses) describeAction(name, open, options);

  it('every action of the manifest has a conformance run', () => {
    expectAllRun(
      manifest,
      harnesses.map((each) => each.name),
    );
  });

  it('a connection has exactly the actions of the manifest', async () => {
    expect([...(await connect())].sort()).toEqual(manifest.actions.map((action) => action.name).sort());
  });
}

/** The names of the actions that a world's connection has; the world is closed again. */
export async function actionsIn(world: {
  connect(): Promise<{ readonly actions: object }>;
  close(): Promise<unknown>;
}): Promise<readonly string[]> {
  try {
    return Object.keys((await world.connect()).actions);
  } finally {
    await world.close();
  }
}
