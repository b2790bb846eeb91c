import { fault } from '../../domain/errors.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Applied, Reverted } from '../../providers/contract.ts';
import type { ClaimName } from './claims.ts';
import { type LampBefore, type Line, LineError, type Make, see, turn, turnOff } from './lamps.ts';

/** A defect, and the claim that is there to catch it. */
export interface Mutant {
  readonly name: string;
  readonly caughtBy: ClaimName;
  /** Further claims that cannot hold with this defect. Every other claim has to hold: a claim that falls to everything tells nothing. */
  readonly alsoBy?: readonly ClaimName[];
  readonly make: Make;
}

type Lamp = Required<Omit<Action<LampBefore>, 'stands'>>;
const now = () => new Date().toISOString();
const lampIn = (target: Readonly<Record<string, string>>) => target.lamp ?? '';

/** The right action with some parts replaced. */
const but =
  (change: (right: Lamp, line: Line) => Partial<Omit<Action<LampBefore>, 'manifest'>> & { manifest?: Lamp['manifest'] }): Make =>
  (line) => {
    const right = turnOff(line);
    return { ...right, ...change(right, line) } as Action;
  };

/** The tests of the tests: each breaks one promise, and keeps the others as far as it can. */
export const mutants: readonly Mutant[] = [
  {
    name: 'capture turns the lamp off to see whether it can',
    caughtBy: 'capture is pure',
    make: but((right, line) => ({
      async capture(target, context) {
        const before = await right.capture(target, context);
        await turn(line, lampIn(target), false);
        await turn(line, lampIn(target), true);
        return before;
      },
    })),
  },
  {
    name: 'capture writes the key down',
    caughtBy: 'capture is pure',
    alsoBy: ['no secret gets out'],
    make: but((right, line) => ({
      capture: async (target, context) => ({ ...(await right.capture(target, context)), with: line.key }),
    })),
  },
  {
    name: 'capture keeps a Date',
    caughtBy: 'capture is pure',
    make: but((right) => ({ capture: async (target, context) => ({ ...(await right.capture(target, context)), at: new Date() }) })),
  },
  {
    name: 'probe always says yes',
    caughtBy: 'apply and probe agree',
    make: but((right) => ({
      async probe(target, before, context) {
        await right.probe(target, before, context);
        return { observation: yes(now(), 'administrator', 'surely'), effectiveAt: now(), requestIds: [] };
      },
    })),
  },
  {
    name: 'probe does not say since when',
    caughtBy: 'apply and probe agree',
    make: but((right) => ({
      async probe(target, before, context) {
        const { effectiveAt: _, ...rest } = await right.probe(target, before, context);
        return rest;
      },
    })),
  },
  {
    name: 'apply says yes and does nothing',
    caughtBy: 'apply and probe agree',
    alsoBy: [
      'twice is once',
      'a lost reply is survived',
      'gone is a success',
      'revert restores',
      'a lost reply is reverted',
      'trouble has a name',
      'it takes no for an answer',
    ],
    make: but(() => ({ apply: async () => ({ outcome: 'changed', acceptedAt: now(), requestIds: [] }) })),
  },
  {
    name: 'apply notes each time that it was there',
    caughtBy: 'twice is once',
    alsoBy: ['a lost reply is survived', 'revert restores', 'it takes no for an answer'],
    make: but((right, line) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        line.house.lamps.get(lampIn(target))?.notes.push('was here');
        return done;
      },
    })),
  },
  {
    name: 'apply says that it changed what was so already',
    caughtBy: 'twice is once',
    make: but((right) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        return done.outcome === 'already' ? { ...done, outcome: 'changed' } : done;
      },
    })),
  },
  {
    name: 'apply blinks a lamp that is off already',
    caughtBy: 'twice is once',
    make: but((right, line) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        if (done.outcome !== 'already') return done;
        await turn(line, lampIn(target), true);
        await turn(line, lampIn(target), false);
        return done;
      },
    })),
  },
  {
    name: 'apply gives up once a reply was lost',
    caughtBy: 'a lost reply is survived',
    make: but((right) => {
      let lost = 0;
      return {
        async apply(target, before, context) {
          if (lost) throw fault('provider.conflict', { lamp: lampIn(target) });
          try {
            return await right.apply(target, before, context);
          } catch (error) {
            if ((error as { code?: string }).code === 'provider.uncertain') lost++;
            throw error;
          }
        },
      };
    }),
  },
  {
    name: 'the try after a lost reply leaves a note on another lamp',
    caughtBy: 'a lost reply is survived',
    make: but((right, line) => {
      let lost = false;
      return {
        async apply(target, before, context) {
          if (lost) line.house.lamps.get('porch')?.notes.push('tried again');
          try {
            return await right.apply(target, before, context);
          } catch (error) {
            lost ||= (error as { code?: string }).code === 'provider.uncertain';
            throw error;
          }
        },
      };
    }),
  },
  {
    name: 'apply takes its own lost change for a conflict',
    caughtBy: 'a lost reply is survived',
    alsoBy: ['twice is once', 'it takes no for an answer'],
    make: but((right) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        if (done.outcome === 'already') throw fault('provider.conflict', { lamp: lampIn(target) });
        return done;
      },
    })),
  },
  {
    name: 'apply works through the next lamp when it is tried again',
    caughtBy: 'a lost reply is survived',
    alsoBy: ['a lost reply is reverted', 'trouble has a name'],
    make: but((right, line) => {
      let lost = 0;
      return {
        async apply(target, before, context) {
          try {
            return await right.apply(target, before, context);
          } catch (error) {
            lost++;
            throw error;
          } finally {
            const next = ['porch', 'attic'][lost];
            if (lost > 0 && next) line.house.lamps.get(next)?.notes.push('tried instead');
          }
        },
      };
    }),
  },
  {
    name: 'a lamp that is gone is a failure',
    caughtBy: 'gone is a success',
    make: but((right) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        if (done.outcome === 'absent') throw fault('provider.gone', { lamp: lampIn(target) });
        return done;
      },
    })),
  },
  {
    name: 'a lamp that is gone is said to have been turned off',
    caughtBy: 'gone is a success',
    make: but((right) => ({
      async apply(target, before, context) {
        const done = await right.apply(target, before, context);
        return done.outcome === 'absent' ? { ...done, outcome: 'changed' } : done;
      },
    })),
  },
  {
    name: 'revert leaves a note',
    caughtBy: 'revert restores',
    make: but((right, line) => ({
      async revert(target, before, context) {
        const done = await right.revert(target, before, context);
        if (done.outcome === 'changed') line.house.lamps.get(lampIn(target))?.notes.push('back on');
        return done;
      },
    })),
  },
  {
    name: 'revert turns every lamp on',
    caughtBy: 'revert restores',
    make: but((right, line) => ({
      async revert(target, before, context) {
        const done = await right.revert(target, before, context);
        if (done.outcome === 'changed') for (const lamp of line.house.lamps.keys()) await turn(line, lamp, true);
        return done;
      },
    })),
  },
  {
    name: 'revert does not trouble itself',
    caughtBy: 'revert restores',
    alsoBy: ['revert twice is once', 'a lost reply is reverted', 'revert gives way', 'trouble has a name'],
    make: but(() => ({
      revert: async () =>
        ({ outcome: 'changed', requestIds: [], observation: yes(now(), 'administrator', 'as it was') }) satisfies Reverted,
    })),
  },
  {
    name: 'revert toggles',
    caughtBy: 'revert twice is once',
    alsoBy: ['a lost reply is reverted', 'revert gives way'],
    make: but((_right, line) => ({
      async revert(target): Promise<Reverted> {
        const on = await see(line, lampIn(target));
        await turn(line, lampIn(target), on !== true);
        return { outcome: 'changed', requestIds: [], observation: yes(now(), 'administrator', 'as it was') };
      },
    })),
  },
  {
    name: 'revert says that it changed what was as before',
    caughtBy: 'revert twice is once',
    make: but((right) => ({
      async revert(target, before, context) {
        const done = await right.revert(target, before, context);
        return done.outcome === 'already' ? { ...done, outcome: 'changed' } : done;
      },
    })),
  },
  {
    name: 'revert blinks a lamp that shines already',
    caughtBy: 'revert twice is once',
    make: but((right, line) => ({
      async revert(target, before, context) {
        const done = await right.revert(target, before, context);
        if (done.outcome !== 'already' || (await see(line, lampIn(target))) !== true) return done;
        await turn(line, lampIn(target), false);
        await turn(line, lampIn(target), true);
        return done;
      },
    })),
  },
  {
    name: 'a revert whose reply was lost takes its own change for somebody else’s',
    caughtBy: 'a lost reply is reverted',
    make: but((right) => {
      let lost = false;
      return {
        async revert(target, before, context) {
          if (lost) throw fault('provider.conflict', { lamp: lampIn(target) });
          try {
            return await right.revert(target, before, context);
          } catch (error) {
            lost = (error as { code?: string }).code === 'provider.uncertain';
            throw error;
          }
        },
      };
    }),
  },
  {
    name: 'revert needs the reply of the apply',
    caughtBy: 'a lost reply is reverted',
    make: but((right) => {
      let reply: Applied | undefined;
      return {
        async apply(target, before, context) {
          reply = await right.apply(target, before, context);
          return reply;
        },
        async revert(target, before, context) {
          if (reply) return await right.revert(target, before, context);
          await right.probe(target, before, context);
          return { outcome: 'already', requestIds: [], observation: yes(now(), 'administrator', 'nothing was done') };
        },
      };
    }),
  },
  {
    name: 'revert says nothing of a lamp that somebody has taken away',
    caughtBy: 'revert gives way',
    make: but((right) => ({
      async revert(target, before, context) {
        try {
          return await right.revert(target, before, context);
        } catch (error) {
          if ((error as { code?: string }).code !== 'provider.conflict') throw error;
          return { outcome: 'absent', requestIds: [], observation: yes(now(), 'administrator', 'it is gone') };
        }
      },
    })),
  },
  {
    name: 'revert puts back what somebody has taken away',
    caughtBy: 'revert gives way',
    make: but((right, line) => ({
      async revert(target, before, context) {
        const lamps = line.house.lamps;
        if (before.on === true && !lamps.has(lampIn(target))) lamps.set(lampIn(target), { on: true, notes: [] });
        return await right.revert(target, before, context);
      },
    })),
  },
  {
    name: 'whatever goes wrong, the lamp is gone',
    caughtBy: 'trouble has a name',
    alsoBy: ['a lost reply is reverted', 'it takes no for an answer'],
    make: but((right) => ({
      async apply(target, before, context) {
        try {
          return await right.apply(target, before, context);
        } catch {
          return { outcome: 'absent', acceptedAt: now(), requestIds: [] };
        }
      },
    })),
  },
  {
    name: 'probe takes a broken line for a dark lamp',
    caughtBy: 'trouble has a name',
    make: but((right) => ({
      async probe(target, before, context) {
        try {
          return await right.probe(target, before, context);
        } catch {
          return { observation: yes(now(), 'administrator', 'it does not shine'), requestIds: [] };
        }
      },
    })),
  },
  {
    name: 'apply throws what the line throws',
    caughtBy: 'trouble has a name',
    alsoBy: ['a lost reply is survived', 'no secret gets out', 'it takes no for an answer'],
    make: but((right, line) => ({
      async apply(target, before, context) {
        try {
          return await right.apply(target, before, context);
        } catch {
          throw new LineError('Broken', line.key);
        }
      },
    })),
  },
  {
    name: 'a refusal is called trouble on the line',
    caughtBy: 'trouble has a name',
    make: but((right) => ({
      async apply(target, before, context) {
        try {
          return await right.apply(target, before, context);
        } catch (error) {
          throw (error as { code?: string }).code === 'provider.denied' ? fault('provider.unavailable', { lamp: lampIn(target) }) : error;
        }
      },
    })),
  },
  {
    name: 'the fault keeps the line’s error as its cause',
    caughtBy: 'no secret gets out',
    alsoBy: ['trouble has a name', 'it takes no for an answer'],
    make: but((right, line) => ({
      async apply(target, before, context) {
        try {
          return await right.apply(target, before, context);
        } catch {
          throw fault('provider.uncertain', { lamp: lampIn(target) }, new LineError('Hangup', line.key));
        }
      },
    })),
  },
  {
    name: 'a heartbeat says the key',
    caughtBy: 'no secret gets out',
    make: but((right, line) => ({
      async apply(target, before, context) {
        context.heartbeat({ with: line.key });
        return await right.apply(target, before, context);
      },
    })),
  },
  {
    name: 'a line of log says the key, in base64',
    caughtBy: 'no secret gets out',
    make: but((right, line) => ({
      async apply(target, before, context) {
        console.warn('turning off with', Buffer.from(line.key).toString('base64'));
        return await right.apply(target, before, context);
      },
    })),
  },
  {
    name: 'it looks into the fuse box too',
    caughtBy: 'only what is declared',
    make: but((right, line) => ({
      async apply(target, before, context) {
        await line.house.call('see-fuses', line.key, () => ({ value: undefined, changed: false })).catch(() => undefined);
        return await right.apply(target, before, context);
      },
    })),
  },
  {
    name: 'probe looks into the fuse box once all is dark',
    caughtBy: 'only what is declared',
    make: but((right, line) => ({
      async probe(target, before, context) {
        const seen = await right.probe(target, before, context);
        if (seen.observation.state === 'yes')
          await line.house.call('see-fuses', line.key, () => ({ value: undefined, changed: false })).catch(() => undefined);
        return seen;
      },
    })),
  },
  {
    name: 'told to slow down, it asks a hundred times more',
    caughtBy: 'it takes no for an answer',
    make: but((right, line) => ({
      async apply(target, before, context) {
        try {
          return await right.apply(target, before, context);
        } catch (error) {
          if ((error as { code?: string }).code === 'provider.throttled')
            await Promise.allSettled(Array.from({ length: 100 }, () => see(line, lampIn(target))));
          throw error;
        }
      },
    })),
  },
  {
    name: 'it does not hear that it should stop',
    caughtBy: 'it takes no for an answer',
    make: but((right) => ({
      apply: async (target, before, context) => await right.apply(target, before, { ...context, signal: new AbortController().signal }),
    })),
  },
  {
    name: 'it says that it cannot be undone, and undoes it',
    caughtBy: 'what cannot be undone says so',
    make: but((right) => ({ manifest: { ...right.manifest, reversibility: 'irreversible', irreversibleBecause: 'it is dark' } })),
  },
  {
    name: 'it does not say why it cannot be undone',
    caughtBy: 'what cannot be undone says so',
    make: (line) => {
      const { revert: _, ...rest } = turnOff(line);
      return { ...rest, manifest: { ...rest.manifest, reversibility: 'irreversible' } } as Action;
    },
  },
];
