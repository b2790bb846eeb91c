import type { Caller } from './access.ts';
import { validation } from './refusal.ts';
import { Change, type World } from './world.ts';
import type { Answer } from './xml.ts';

export type Service = 'iam' | 'sts' | 'cloudtrail' | 'secretsmanager' | 'organizations';
export type Input = Readonly<Record<string, unknown>>;

/** A request after reading and authentication: what is asked, by whom, and the world it is asked of. */
export class Call {
  readonly service: Service;
  readonly action: string;
  readonly input: Input;
  readonly region: string;
  readonly caller: Caller;
  readonly world: World;
  readonly change: Change;
  /** The id of what the call made, for the ledger. */
  made: string | undefined;
  constructor(about: { service: Service; action: string; input: Input; region: string; caller: Caller; world: World }) {
    this.service = about.service;
    this.action = about.action;
    this.input = about.input;
    this.region = about.region;
    this.caller = about.caller;
    this.world = about.world;
    this.change = new Change(about.world.state);
  }

  /** The simulated time of the call. */
  get now(): number {
    return this.world.clock.now();
  }
  #value(name: string): unknown {
    return Object.hasOwn(this.input, name) ? this.input[name] : undefined;
  }
  /** A text parameter, or undefined where it was not given. */
  optional(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string')
      throw validation(`1 validation error detected: Value at '${lowerFirst(name)}' failed to satisfy constraint: Member must be a string`);
    return value;
  }
  text(name: string): string {
    const value = this.optional(name);
    if (value === undefined || value === '') {
      throw validation(
        `1 validation error detected: Value null at '${lowerFirst(name)}' failed to satisfy constraint: Member must not be null`,
      );
    }
    return value;
  }
  /** A name in the alphabet that IAM allows. */
  name(name: string, longest = 128): string {
    const value = this.text(name);
    if (!/^[\w+=,.@-]+$/.test(value)) {
      throw validation(
        `The specified value for ${lowerFirst(name)} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-`,
      );
    }
    if (value.length > longest) {
      throw validation(
        `1 validation error detected: Value at '${lowerFirst(name)}' failed to satisfy constraint: Member must have length less than or equal to ${longest}`,
      );
    }
    return value;
  }
  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.text(name);
    const known = values.find((v) => v === value);
    if (known === undefined) {
      throw validation(
        `1 validation error detected: Value '${value}' at '${lowerFirst(name)}' failed to satisfy constraint: Member must satisfy enum value set: [${values.join(', ')}]`,
      );
    }
    return known;
  }
  integer(name: string, least: number, most: number, otherwise: number): number {
    const value = this.#value(name);
    if (value === undefined || value === null) return otherwise;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most) {
      throw validation(
        `1 validation error detected: Value '${String(value)}' at '${lowerFirst(name)}' failed to satisfy constraint: Member must be between ${least} and ${most}`,
      );
    }
    return number;
  }
  flag(name: string): boolean {
    const value = this.#value(name);
    return value === true || value === 'true';
  }
  list(name: string): unknown[] {
    const value = this.#value(name);
    return Array.isArray(value) ? value : [];
  }
  texts(name: string): string[] {
    return this.list(name).filter((v) => typeof v === 'string');
  }
  /** `Tags`, as a record. */
  tags(): Record<string, string> {
    const tags: Record<string, string> = {};
    for (const tag of this.list('Tags') as { Key?: unknown; Value?: unknown }[]) {
      if (typeof tag?.Key !== 'string' || typeof (tag.Value ?? '') !== 'string') throw validation('A tag has a Key and a Value.');
      tags[tag.Key] = (tag.Value ?? '') as string;
    }
    return tags;
  }
}

export const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

/** What the caller must be allowed for a call: the action under its policy name on a resource, with the keys that the call adds. */
export interface Need {
  readonly resource: string;
  readonly keys?: Readonly<Record<string, string>>;
}

export interface Operation {
  /** Whether the call may change the world; such calls are entered in the ledger. */
  readonly mutates: boolean;
  /** What CloudTrail says of it; absent means the opposite of `mutates`. */
  readonly readOnly?: boolean;
  /** Undefined where the call needs no permission, or judges for itself. */
  readonly need: (call: Call) => Need | undefined;
  readonly run: (call: Call) => Answer;
  /** Request parameters that CloudTrail leaves out, by their wire names. */
  readonly hidden?: readonly string[];
}

export type Operations = Readonly<Record<string, Operation>>;

/** One page of a list, as IAM pages: `MaxItems` and an opaque `Marker`. */
export function page<T>(call: Call, all: readonly T[]): { items: readonly T[]; tail: Answer } {
  const size = call.integer('MaxItems', 1, 1000, 100);
  const marker = call.optional('Marker');
  const start = marker === undefined ? 0 : Number(Buffer.from(marker, 'base64url').toString());
  if (!Number.isInteger(start) || start < 0 || start > all.length) throw validation('Invalid Marker.');
  const end = start + size;
  const more = end < all.length;
  return {
    items: all.slice(start, end),
    tail: { IsTruncated: more, Marker: more ? Buffer.from(String(end)).toString('base64url') : undefined },
  };
}
