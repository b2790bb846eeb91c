import { randomBytes } from 'node:crypto';
import { type Hash, sha256Of } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import type { Target } from '../../domain/plan.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Sealing, StepContext } from '../../providers/contract.ts';

/** One call that reached the world, by the permission it exercised in the provider's own words. */
export interface WorldCall {
  readonly permission: string;
  readonly changed: boolean;
}

/** What goes wrong on the way. `lost-reply`: the effect is there and the answer is not. `count`: how many calls suffer it; absent, every one. */
export interface Trouble {
  readonly kind: 'lost-reply' | 'throttled' | 'broken' | 'down';
  readonly count?: number;
}

/**
 * A world made fresh for one claim, with one action and the target it is tried on. Neighbours that the action must leave alone belong in it: another target of the same
 * kind at least.
 */
export interface World {
  readonly action: Action;
  readonly target: Target;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly made?: StepContext['made'];
  readonly inventory?: StepContext['inventory'];
  /** Milliseconds; keep them small. */
  readonly timing: StepContext['timing'];
  /** The incident that the step belongs to; any text where that does not matter. */
  readonly incident?: string;
  /** Everything there is, as JSON: without clocks, logs and counters, and with random ids replaced by steady ones. */
  snapshot(): Promise<unknown>;
  /** Every call since the world was made, whoever made it. */
  calls(): Promise<readonly WorldCall[]>;
  /** Makes trouble for calls that change something (`lost-reply`) or for all calls (the others). */
  trouble(trouble: Trouble): Promise<void>;
  calm(): Promise<void>;
  /** The target goes away by somebody else's hand. */
  remove?(): Promise<void>;
  /** Somebody changes what the action has changed, after it. */
  meddle?(): Promise<void>;
  /** For a watch: what it waits for comes to pass. Called after `capture`. */
  happen?(): Promise<void>;
  /** Called before a revert that is expected to go through, e.g. to let time go by. */
  ripen?(): Promise<void>;
  /** The same action over a connection that is allowed nothing. */
  powerless?(): Promise<Action>;
  /** The same action over a connection that is allowed what this policy says and nothing else; the policy is in the system's own language, as `permissions/` has it. */
  under?(policy: string): Promise<Action>;
  /** Texts that may be seen nowhere; a mint's secrets are added to them as they are sealed. */
  readonly secrets: readonly string[];
  close(): Promise<void>;
}

export type Harness = () => Promise<World>;

/** A {@link World} together with all that the engine would lend a step, and a record of all that the step lets out. */
export interface Stage {
  readonly world: World;
  readonly action: Action;
  readonly seen: unknown[];
  readonly secrets: string[];
  context(more?: Partial<StepContext>): StepContext;
}

/** Sealing without cryptography; each secret that passes through it is one that must be seen nowhere else. */
export function sealingOf(secrets: string[]): Sealing {
  const blobs = new Map<Hash, { readonly text: string; readonly context: string }>();
  return {
    async open(hash, _keyId, context) {
      const blob = blobs.get(hash);
      if (!blob) throw fault('record.missing', { record: hash });
      if (blob.context !== JSON.stringify(context)) throw fault('record.unreadable', { record: hash });
      return new Secret(blob.text);
    },
    async seal(secret, _to, context) {
      const hash = sha256Of(randomBytes(32));
      const text = secret.reveal();
      blobs.set(hash, { text, context: JSON.stringify(context) });
      secrets.push(...secretsIn(text));
      return { hash, keyId: 'seal_conformance' };
    },
    async shred(hash) {
      blobs.delete(hash);
    },
  };
}

/** The parts of a sealed text that are secret: the whole, and its members where it is JSON and they are called so. */
function secretsIn(text: string): string[] {
  try {
    const members = Object.entries(JSON.parse(text) as Record<string, unknown>);
    return [text, ...members.flatMap(([name, value]) => (/secret|password|token/i.test(name) && typeof value === 'string' ? [value] : []))];
  } catch {
    return [text];
  }
}

let steps = 0;

/** Sets a world up for one claim. Every context of one stage is of the same step, as a retry of an activity is. */
export function stageOf(world: World, action: Action = world.action): Stage {
  const seen: unknown[] = [];
  const secrets = [...world.secrets];
  const sealing = sealingOf(secrets);
  const step = `s${++steps}-${action.manifest.name}`;
  return {
    world,
    action,
    seen,
    secrets,
    context(more = {}) {
      const signal = more.signal ?? new AbortController().signal;
      return {
        incident: world.incident ?? `leak/${'c'.repeat(64)}`,
        run: 'conformance-run',
        step,
        signal,
        heartbeat: (detail) => seen.push(detail),
        timing: world.timing,
        sealing,
        params: world.params ?? {},
        made: world.made ?? {},
        inventory: world.inventory ?? { consumers: [], stores: [] },
        sleep: (ms) => waitFor(ms, signal),
        ...more,
      };
    },
  };
}

/** Waits, and ends at once with the signal's reason when that aborts. */
export function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
