import { fault } from '../../domain/errors.ts';
import type { ActionManifest } from '../../domain/manifest.ts';
import { no, yes } from '../../domain/observation.ts';
import type { Action, Applied, Probed, Reverted, StepContext } from '../../providers/contract.ts';
import type { Trouble, World, WorldCall } from './world.ts';

/** A house of lamps that are switched over a line on which things go wrong: the smallest world in which every claim can be kept or broken. */
export class House {
  readonly lamps = new Map<string, { on: boolean; notes: string[] }>([
    ['hall', { on: true, notes: [] }],
    ['attic', { on: false, notes: [] }],
    ['porch', { on: true, notes: [] }],
  ]);
  readonly calls: WorldCall[] = [];
  /** Who was throttled, and how often a call was made all the same. */
  #trouble: { kind: Trouble['kind']; left: number } | undefined;
  readonly key: string;
  constructor(key: string) {
    this.key = key;
  }
  order(trouble: Trouble): void {
    this.#trouble = { kind: trouble.kind, left: trouble.count ?? Number.POSITIVE_INFINITY };
  }
  calm(): void {
    this.#trouble = undefined;
  }
  /** One call over the line, with the key in hand, as a real one would have. Its errors are what a vendor's library throws, key and all. */
  async call<T>(permission: string, key: string, effect: () => { readonly value: T; readonly changed: boolean }): Promise<T> {
    await Promise.resolve();
    if (key !== this.key) throw new LineError('Forbidden', key);
    const trouble = this.#trouble;
    const strikes = trouble !== undefined && trouble.left > 0 && (trouble.kind !== 'lost-reply' || !permission.startsWith('see'));
    if (strikes && trouble.kind !== 'lost-reply') {
      trouble.left--;
      this.calls.push({ permission, changed: false });
      throw new LineError(trouble.kind === 'throttled' ? 'SlowDown' : trouble.kind === 'broken' ? 'Broken' : 'Hangup', key);
    }
    const { value, changed } = effect();
    this.calls.push({ permission, changed });
    if (strikes) {
      trouble.left--;
      throw new LineError('Hangup', key);
    }
    return value;
  }
}

export class LineError extends Error {
  readonly request: { readonly key: string };
  constructor(name: string, key: string) {
    super(name);
    this.name = name;
    this.request = { key };
  }
}

export interface LampBefore {
  readonly on: boolean | 'absent';
}

/** The parts of the action, which a mutant replaces one of. `line` is what it has to work with. */
export interface Line {
  readonly house: House;
  readonly key: string;
}

const codes = {
  Forbidden: 'provider.denied',
  SlowDown: 'provider.throttled',
  Broken: 'provider.unavailable',
  Hangup: 'provider.uncertain',
} as const;

export function nameFault(error: unknown): unknown {
  if (!(error instanceof LineError)) return error;
  return fault(codes[error.name as keyof typeof codes] ?? 'provider.uncertain', { said: error.name });
}

export async function see({ house, key }: Line, lamp: string): Promise<boolean | 'absent'> {
  try {
    return await house.call('see-lamp', key, () => ({ value: house.lamps.get(lamp)?.on ?? ('absent' as const), changed: false }));
  } catch (error) {
    throw nameFault(error);
  }
}

export async function turn({ house, key }: Line, lamp: string, on: boolean): Promise<void> {
  try {
    await house.call('turn-lamp', key, () => {
      const found = house.lamps.get(lamp);
      const changed = found !== undefined && found.on !== on;
      if (found) found.on = on;
      return { value: undefined, changed };
    });
  } catch (error) {
    throw nameFault(error);
  }
}

export const lampManifest: ActionManifest = {
  name: 'turn-off',
  title: 'turn {lamp} off',
  phase: 'contain',
  reversibility: 'reversible',
  scope: 'credential',
  permissions: ['see-lamp', 'turn-lamp'],
  byHand: 'turn {lamp} off',
  source: 'the house',
};

const lampOf = (target: Readonly<Record<string, string>>): string => target.lamp ?? '';

/** The action as it should be. */
export function turnOff(line: Line): Required<Omit<Action<LampBefore>, 'stands'>> {
  const now = () => new Date().toISOString();
  return {
    manifest: lampManifest,
    async capture(target) {
      return { on: await see(line, lampOf(target)) };
    },
    async apply(target, _before, context): Promise<Applied> {
      const on = await see(line, lampOf(target));
      context.heartbeat({ lamp: lampOf(target) });
      const done = (outcome: Applied['outcome']): Applied => ({ outcome, acceptedAt: now(), requestIds: [] });
      context.signal.throwIfAborted();
      if (on === 'absent') return done('absent');
      if (!on) return done('already');
      await turn(line, lampOf(target), false);
      return done('changed');
    },
    async probe(target): Promise<Probed> {
      const on = await see(line, lampOf(target));
      if (on === true) return { observation: no(now(), 'administrator', 'it is on'), requestIds: [] };
      return { observation: yes(now(), 'administrator', 'it is off'), effectiveAt: now(), requestIds: [] };
    },
    async revert(target, before): Promise<Reverted> {
      const on = await see(line, lampOf(target));
      const done = (outcome: Reverted['outcome']): Reverted => ({
        outcome,
        requestIds: [],
        observation: yes(now(), 'administrator', 'it is as it was'),
      });
      if (on === before.on || before.on !== true) return done('already');
      if (on === 'absent') throw fault('provider.conflict', { lamp: lampOf(target) });
      await turn(line, lampOf(target), true);
      return done('changed');
    },
  };
}

export type Make = (line: Line) => Action;

/** A house made fresh, with the action that `make` gives. */
export function lampWorld(make: Make = (line) => turnOff(line) as Action): World {
  const key = `key-of-the-house-${Math.random().toString(36).slice(2)}`;
  const house = new House(key);
  const timing: StepContext['timing'] = { propagationMs: 1, logLagMs: 1, marginMs: 1, pollMs: 1, giveUpMs: 200 };
  return {
    action: make({ house, key }),
    target: { lamp: 'hall' },
    timing,
    secrets: [key],
    snapshot: async () => JSON.parse(JSON.stringify([...house.lamps])) as unknown,
    calls: async () => [...house.calls],
    trouble: async (trouble) => house.order(trouble),
    calm: async () => house.calm(),
    remove: async () => {
      house.lamps.delete('hall');
    },
    meddle: async () => {
      house.lamps.delete('hall');
    },
    powerless: async () => make({ house, key: 'no-such-key' }),
    close: async () => undefined,
  };
}
