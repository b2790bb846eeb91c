import type { Fault, FaultOrder } from './faults.ts';
import type { Counter, LedgerEntry } from './ledger.ts';
import type { Origin } from './origin.ts';
import type { DelayOrder, TrailEntry } from './trail.ts';

export type { Fault, FaultKind, FaultOrder } from './faults.ts';
export type { Counter, Effect, LedgerEntry } from './ledger.ts';
export type { Origin } from './origin.ts';
export type { DelayOrder, TrailEntry } from './trail.ts';

/** Where the control port is, and the token it asks for. */
export interface ControlAddress {
  readonly url: string;
  readonly token: string;
}

/** Milliseconds since 1970, and how far the simulated clock is ahead. */
export interface ClockReading {
  readonly now: number;
  readonly wall: number;
  readonly offsetMs: number;
}

export interface Timing {
  /** How long a change of a key's status, or a new key, takes until authentication knows it. */
  readonly authenticationPropagationMs: number;
  /** How long a change of a policy, trust or service control policy takes until authorisation knows it. */
  readonly authorizationPropagationMs: number;
  /** How long an event takes until it can be looked up. */
  readonly logLagMs: number;
  /** Whether scoped-down credentials bear an issue time of their own or that of the session they come of: AWS does not document it. */
  readonly scopedIssueTime: 'own' | 'parent';
}

export interface SimulatedKey {
  readonly id: string;
  readonly status: 'Active' | 'Inactive';
  readonly createdAt: string;
  readonly lastUsed: { readonly at: number; readonly service: string; readonly region: string } | null;
}

interface PolicySetView {
  readonly inline: Readonly<Record<string, string>>;
  readonly attached: readonly string[];
  readonly boundary?: string;
  readonly groups: readonly string[];
}

/** The whole account without its secrets, dates in ISO 8601; as configured, whether effective yet or not. */
export interface SimulatedWorld {
  readonly accountId: string;
  readonly now: string;
  readonly users: readonly {
    readonly id: string;
    readonly name: string;
    readonly arn: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly policies: PolicySetView;
    readonly loginProfile: boolean;
    readonly serviceCredentials: readonly { readonly id: string; readonly service: string; readonly status: 'Active' | 'Inactive' }[];
    readonly signingCertificates: readonly { readonly id: string; readonly status: 'Active' | 'Inactive' }[];
    readonly mfaDevices: readonly string[];
    readonly sshKeys: readonly { readonly id: string; readonly status: 'Active' | 'Inactive' }[];
    readonly keys: readonly SimulatedKey[];
  }[];
  readonly groups: readonly { readonly id: string; readonly name: string; readonly policies: PolicySetView }[];
  readonly roles: readonly {
    readonly id: string;
    readonly name: string;
    readonly arn: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly trust: string;
    readonly policies: PolicySetView;
  }[];
  readonly sessions: readonly {
    readonly id: string;
    readonly kind: 'session-token' | 'federation' | 'role';
    readonly principalId: string;
    readonly arn: string | null;
    readonly mintedBy: string;
    readonly issuedAt: string;
    readonly expiresAt: string;
    readonly expired: boolean;
    readonly console: boolean;
  }[];
  readonly managedPolicies: readonly { readonly arn: string; readonly document: string }[];
  readonly secrets: readonly {
    readonly arn: string;
    readonly name: string;
    readonly region: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly deletesAt: string | null;
    readonly versions: Readonly<Record<string, readonly string[]>>;
  }[];
  readonly controlPolicies: readonly { readonly id: string; readonly name: string; readonly content: string }[];
  readonly attachedControlPolicies: readonly string[];
}

/** Talks to the control port of a running simulator, in this process or another. Throws on any answer but success. */
export class AwsControl {
  readonly #address: ControlAddress;
  constructor(address: ControlAddress) {
    this.#address = address;
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#address.url + path, {
      method,
      headers: { authorization: `Bearer ${this.#address.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the simulator's control port answered ${response.status} to ${method} ${path}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** Resolves once the simulator answers; rejects where it does not. */
  async health(): Promise<void> {
    await this.#ask('GET', '/health');
  }
  clock(): Promise<ClockReading> {
    return this.#ask('GET', '/clock');
  }
  /** Moves the simulated clock forward by so many milliseconds. */
  advance(ms: number): Promise<ClockReading> {
    return this.#ask('POST', '/clock', { advanceMs: ms });
  }
  timing(): Promise<Timing> {
    return this.#ask('GET', '/settings');
  }
  /** Changes times, also of changes made before; `propagationMs` sets both propagations. What was set this way outlives a restart. */
  setTiming(timing: Partial<Timing> & { readonly propagationMs?: number }): Promise<Timing> {
    return this.#ask('PUT', '/settings', timing);
  }
  inject(order: FaultOrder): Promise<Fault> {
    return this.#ask('POST', '/faults', order);
  }
  faults(): Promise<Fault[]> {
    return this.#ask('GET', '/faults');
  }
  async clearFaults(): Promise<void> {
    await this.#ask('DELETE', '/faults');
  }
  async removeFault(id: string): Promise<void> {
    await this.#ask('DELETE', `/faults/${encodeURIComponent(id)}`);
  }
  /** Resolves with a `hold` once it keeps an answer back; undefined where it did not within `ms`. Rejects where there is none of that id: a restart forgets faults. */
  async holding(id: string, ms: number): Promise<Fault | undefined> {
    const fault = await this.#ask<Fault>('GET', `/faults/${encodeURIComponent(id)}/holding?ms=${ms}`);
    return fault.held > 0 ? fault : undefined;
  }
  /** Lets go what a `hold` keeps back, and tells how many answers that were. */
  async release(id: string): Promise<number> {
    return (await this.#ask<{ released: number }>('POST', `/faults/${encodeURIComponent(id)}/release`)).released;
  }
  /** Has connections from a loopback address taken for coming from elsewhere; null takes it for itself again. A client binds itself to the address (`localAddress`), and no header changes it. */
  async setOrigin(address: string, origin: Origin | null): Promise<void> {
    await this.#ask('PUT', '/origins', { address, origin });
  }
  /** Calls since the server started, by `service:Action`. */
  counters(): Promise<Record<string, Counter>> {
    return this.#ask('GET', '/counters');
  }
  /** Every mutating call received, oldest first, after the given sequence number; restarts are survived. */
  mutations(since = 0): Promise<LedgerEntry[]> {
    return this.#ask('GET', `/mutations?since=${since}`);
  }
  /** The newest events of a Region, oldest first, those still within the lag included. The records hold session tokens. */
  events(region = 'us-east-1', last = 1000): Promise<TrailEntry[]> {
    return this.#ask('GET', `/events?region=${encodeURIComponent(region)}&last=${last}`);
  }
  /** Has the next events that match delivered late, out of their order. */
  async delayEvents(order: DelayOrder): Promise<void> {
    await this.#ask('POST', '/trail/delays', order);
  }
  /** Keeps a Region's log so many milliseconds further behind, from now on and whatever happened before; 0 lets it catch up. */
  async setLogBehind(region: string, ms: number): Promise<void> {
    await this.#ask('PUT', '/trail/behind', { region, ms });
  }
  /** Takes every delay of the log back; events that were made late stay late. */
  async clearDelays(): Promise<void> {
    await this.#ask('DELETE', '/trail/delays');
  }
  world(): Promise<SimulatedWorld> {
    return this.#ask('GET', '/state');
  }
  /** Makes a session one of the web console, which lets a federation session call IAM. */
  async makeConsoleSession(accessKeyId: string): Promise<void> {
    await this.#ask('PUT', `/sessions/${encodeURIComponent(accessKeyId)}/console`, { console: true });
  }
}
