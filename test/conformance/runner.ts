import { AssertionError } from 'node:assert';
import { isFault } from '../../domain/errors.ts';
import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Action } from '../../providers/contract.ts';
import { type Claim, type ClaimName, claimNames, claims } from './claims.ts';
import { lampWorld } from './lamps.ts';
import { type Mutant, mutants } from './mutants.ts';
import type { NamedHarness } from './suite.ts';
import { stageOf, type World } from './world.ts';

export type HarnessEntry = NamedHarness;

/** A defect of one provider's own action, exported as `mutants` beside the harnesses; `of` is `provider/action`. */
export interface ProviderMutant {
  readonly name: string;
  readonly of: string;
  readonly caughtBy: ClaimName;
  readonly alsoBy?: readonly ClaimName[];
  /** The trap of the providers' reference that it falls into, where it is one. */
  readonly trap?: number;
  make(right: Action, world: World): Action;
}

/** How one claim ended. `void`: it says nothing about an action of this kind; `unsupported`: the provider does not keep it, and says why. */
export interface Verdict {
  readonly action: string;
  readonly claim: ClaimName;
  readonly state: 'green' | 'red' | 'void' | 'unsupported';
  readonly why?: string;
}

export interface RunOptions {
  /** Milliseconds for one claim, where the harness says nothing. */
  readonly timeout?: number;
  /** How many worlds there may be at a time, of harnesses that say they may run side by side. */
  readonly atOnce?: number;
  /** Told of each verdict as it falls. */
  said?(verdict: Verdict): void;
}

const wordsOf = (error: unknown): string => {
  const text = error instanceof Error ? `${error.name === 'AssertionError' ? '' : `${error.name}: `}${error.message}` : String(error);
  return text.replace(/\s+/g, ' ').slice(0, 300);
};

async function within<T>(ms: number, what: string, run: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([run, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Holds one action to one claim, in a world of its own. */
export async function judge(entry: HarnessEntry, claim: ClaimName, timeout = 60_000): Promise<Verdict> {
  const base = { action: entry.name, claim };
  const unsupported = entry.options?.unsupported?.[claim];
  if (unsupported !== undefined) return { ...base, state: 'unsupported', why: unsupported };
  const { run, void: isVoid } = claims[claim] as Claim;
  try {
    return await within(
      entry.options?.timeout ?? timeout,
      claim,
      (async (): Promise<Verdict> => {
        const world = await entry.open();
        try {
          const why = isVoid?.(world);
          if (why !== undefined) return { ...base, state: 'void', why };
          await run(stageOf(world));
          return { ...base, state: 'green' };
        } finally {
          await world.close();
        }
      })(),
    );
  } catch (error) {
    return { ...base, state: 'red', why: wordsOf(error) };
  }
}

/** Holds actions to every claim. What may not run side by side runs alone, after the rest. */
export async function judgeAll(entries: readonly HarnessEntry[], options: RunOptions = {}): Promise<readonly Verdict[]> {
  const out: Verdict[] = [];
  const jobs = entries.flatMap((entry) => claimNames.map((claim) => ({ entry, claim })));
  const run = async ({ entry, claim }: (typeof jobs)[number]) => {
    const verdict = await judge(entry, claim, options.timeout);
    out.push(verdict);
    options.said?.(verdict);
  };
  const many = jobs.filter(({ entry }) => entry.options?.concurrent);
  await Promise.all(
    Array.from({ length: options.atOnce ?? 4 }, async () => {
      for (let job = many.shift(); job; job = many.shift()) await run(job);
    }),
  );
  for (const job of jobs) if (!job.entry.options?.concurrent) await run(job);
  return out;
}

/** What a planted defect fell to; `wrong` where that is not what it was planted for. */
export interface Fall {
  readonly mutant: string;
  readonly caughtBy: ClaimName;
  readonly fellTo: readonly ClaimName[];
  readonly wrong?: string;
}

/**
 * Plays a defect against every claim. It has to fall to the one it was planted for, by that claim's own finding, and to those that it names besides; one that falls to no claim
 * changes no behaviour, and one that falls to another than named says that a claim tells something else than its name.
 */
async function fallOf(
  { name, caughtBy, alsoBy = [] }: Pick<Mutant, 'name' | 'caughtBy' | 'alsoBy'>,
  open: () => Promise<World>,
  among: readonly ClaimName[] = claimNames,
): Promise<Fall> {
  const fellTo: ClaimName[] = [];
  const accidents: ClaimName[] = [];
  for (const claim of among) {
    const { run, void: isVoid } = claims[claim] as Claim;
    const world = await open();
    try {
      if (isVoid?.(world) !== undefined) continue;
      await run(stageOf(world));
    } catch (error) {
      fellTo.push(claim);
      if (!(error instanceof AssertionError || isFault(error))) accidents.push(claim);
    } finally {
      await world.close();
    }
  }
  const expected = [caughtBy, ...alsoBy];
  const others = fellTo.filter((claim) => !expected.includes(claim));
  const missed = expected.filter((claim) => among.includes(claim) && !fellTo.includes(claim));
  const wrong =
    fellTo.length === 0
      ? 'it changes no behaviour that a claim sees'
      : missed.length > 0
        ? `it is not caught by: ${missed.join(', ')}`
        : others.length > 0
          ? `it falls to another claim than the one named: ${others.join(', ')}`
          : accidents.includes(caughtBy)
            ? `“${caughtBy}” fell over instead of finding it`
            : undefined;
  return { mutant: name, caughtBy, fellTo, ...(wrong === undefined ? {} : { wrong }) };
}

/** Plays the suite's own mutants. Whatever they write is swallowed: some of them do wrong by writing. */
export async function playMutants(planted: readonly Mutant[] = mutants): Promise<readonly Fall[]> {
  const restore = hush();
  try {
    const falls: Fall[] = [];
    for (const mutant of planted) falls.push(await fallOf(mutant, async () => lampWorld(mutant.make)));
    return falls;
  } finally {
    restore();
  }
}

/** Plays defects of a provider's own actions, each in the world of that action's case. Only the claims it names are played: a real server is slow, and what a claim tells is shown by the suite's own. */
export async function playProviderMutants(planted: readonly ProviderMutant[], entries: readonly HarnessEntry[]): Promise<readonly Fall[]> {
  const restore = hush();
  try {
    const falls: Fall[] = [];
    for (const mutant of planted) {
      const entry = entries.find((each) => each.name === mutant.of);
      if (!entry) {
        falls.push({ mutant: mutant.name, caughtBy: mutant.caughtBy, fellTo: [], wrong: `there is no harness of ${mutant.of}` });
        continue;
      }
      const open = async (): Promise<World> => {
        const world = await entry.open();
        return { ...world, action: mutant.make(world.action, world) };
      };
      falls.push(await fallOf(mutant, open, [mutant.caughtBy, ...(mutant.alsoBy ?? [])]));
    }
    return falls;
  } finally {
    restore();
  }
}

function hush(): () => void {
  const methods = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) => {
    const spoken = console[method];
    console[method] = () => undefined;
    return () => {
      console[method] = spoken;
    };
  });
  return () => {
    for (const undo of methods) undo();
  };
}

/** Names of actions that no harness covers, and of harnesses whose action no manifest has. */
export function uncovered(
  manifests: readonly ProviderManifest[],
  entries: readonly HarnessEntry[],
): { readonly actions: readonly string[]; readonly harnesses: readonly string[] } {
  const declared = manifests.flatMap((manifest) => manifest.actions.map((action) => `${manifest.name}/${action.name}`));
  const covered = entries.map((entry) => entry.name);
  return {
    actions: declared.filter((name) => !covered.includes(name)),
    harnesses: covered.filter((name, at) => !declared.includes(name) || covered.indexOf(name) !== at),
  };
}
