import { canonicalJson } from '../../domain/canonical.ts';
import { type ErrorCode, fault } from '../../domain/errors.ts';
import type { Target } from '../../domain/plan.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';

/**
 * What goes wrong with one step, and when.
 * `before`: its apply fails before it has changed anything, each time.
 * `lost`: its apply has its whole effect and the reply never comes; a retry gets no answer before it has changed anything, or, where `retry` is said, fails of that.
 * `undo`: it applies as it should, and its revert fails before it has changed anything, each time.
 */
export type Blow =
  | { readonly kind: 'before'; readonly code?: ErrorCode }
  | { readonly kind: 'lost'; readonly retry?: ErrorCode }
  | { readonly kind: 'undo'; readonly code?: ErrorCode };

/** Where a step stops until it is let go: before it has changed anything, after all it does, or in its first look once it has. Being called off ends the wait. */
export type Stop = 'before' | 'after';

/** One step as the actions see it. */
export interface Struck {
  readonly incident: string;
  readonly step: string;
  /** `provider/action`. */
  readonly action: string;
  readonly target: Target;
}

/** What happened to a step, in the order in which it happened. */
export type Happening = 'apply' | 'stopped-before' | 'effect' | 'stopped-after' | 'applied' | 'struck' | 'revert' | 'reverted';

export interface Strikes {
  /** The blow for this step, if any. Asked at every attempt. */
  blow?(step: Struck): Blow | undefined;
  /** Whether the step is to stop there. Asked at every attempt. */
  stop?(step: Struck, at: Stop): Promise<void> | undefined;
  /** Told of everything; what it returns is waited for. */
  happened?(step: Struck, what: Happening): unknown;
}

/**
 * The same connection, with each of its actions under the blows that `strikes` deals. The provider's own code does all that is done: a blow falls between it and the engine,
 * where a reply is lost or a worker dies.
 */
export function struck(connection: Connection, strikes: Strikes): Connection {
  return {
    ...connection,
    check: () => connection.check(),
    look: (look) => connection.look(look),
    close: () => connection.close(),
    actions: Object.fromEntries(
      Object.entries(connection.actions).map(([name, action]) => [name, beneath(`${connection.provider}/${name}`, action, strikes)]),
    ),
  };
}

function beneath(name: string, action: Action, strikes: Strikes): Action {
  const lost = new Set<string>();
  const stepOf = (target: Target, context: StepContext): Struck => ({
    incident: context.incident,
    step: context.step,
    action: name,
    target,
  });
  const tell = async (step: Struck, what: Happening): Promise<void> => {
    await strikes.happened?.(step, what);
  };
  const fail = async (step: Struck, code: ErrorCode): Promise<never> => {
    await tell(step, 'struck');
    throw fault(code, { action: name, step: step.step, because: 'a blow of the test' });
  };
  const halt = async (step: Struck, at: Stop, context: StepContext): Promise<void> => {
    const open = strikes.stop?.(step, at);
    if (open === undefined) return;
    await tell(step, at === 'before' ? 'stopped-before' : 'stopped-after');
    await unlessAborted(open, context.signal);
  };
  const revert = action.revert?.bind(action);
  return {
    manifest: action.manifest,
    capture: (target, context) => action.capture(target, context),
    probe: (target, before, context) => action.probe(target, before, context),
    async apply(target, before, context) {
      const step = stepOf(target, context);
      const key = canonicalJson([step.incident, step.step]);
      await tell(step, 'apply');
      const blow = strikes.blow?.(step);
      if (blow?.kind === 'before') return await fail(step, blow.code ?? 'provider.denied');
      if (blow?.kind === 'lost' && lost.has(key)) return await fail(step, blow.retry ?? 'provider.unavailable');
      await halt(step, 'before', context);
      const applied = await action.apply(target, before, context);
      await tell(step, 'effect');
      if (blow?.kind === 'lost') {
        lost.add(key);
        return await fail(step, 'provider.uncertain');
      }
      await halt(step, 'after', context);
      await tell(step, 'applied');
      return applied;
    },
    ...(revert
      ? {
          async revert(target: Target, before: unknown, context: StepContext) {
            const step = stepOf(target, context);
            await tell(step, 'revert');
            const blow = strikes.blow?.(step);
            if (blow?.kind === 'undo') return await fail(step, blow.code ?? 'provider.denied');
            const reverted = await revert(target, before, context);
            await tell(step, 'reverted');
            return reverted;
          },
        }
      : {}),
  };
}

async function unlessAborted(open: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([open, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * What stands in a world, by name, as its administrator reads it through the system's own interface: never through the provider under test. Clocks, counters and what moves by
 * itself are left out. A value may be secret: it is compared and never shown.
 */
export type Picture = Readonly<Record<string, unknown>>;

/** One thing that is not as it was. `was` and `is` are whole values, undefined where it was not or is not there. */
export interface Difference {
  readonly name: string;
  readonly kind: 'gone' | 'new' | 'changed';
  readonly was?: unknown;
  readonly is?: unknown;
}

/** Everything in which two pictures differ, by name. */
export function differences(before: Picture, after: Picture): readonly Difference[] {
  const out: Difference[] = [];
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
    const was = before[name];
    const is = after[name];
    if (same(was, is)) continue;
    const kind = is === undefined ? 'gone' : was === undefined ? 'new' : 'changed';
    out.push({ name, kind, ...(was === undefined ? {} : { was }), ...(is === undefined ? {} : { is }) });
  }
  return out;
}

const same = (a: unknown, b: unknown): boolean =>
  a === undefined || b === undefined ? a === b : canonicalJson(a as never) === canonicalJson(b as never);

/** `name: kind`, which shows no value. */
export const inWords = ({ name, kind }: Difference): string => `${name}: ${kind}`;
