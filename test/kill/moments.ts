import type { FaultOrder } from '../../lab/aws/control.ts';
import type { PassedRequest } from '../../lab/proxy.ts';
import { kvMount } from '../../lab/world/cast.ts';
import type { Deployed, Visibility } from '../engine/world.ts';

/** What a moment is recognised by. None is a time. */
export type Sign =
  /** The provider has done the call, and its answer is kept back: between effect and completion of the step. */
  | { readonly of: 'aws'; readonly order: (deployed: Deployed) => FaultOrder }
  | { readonly of: 'vault'; readonly matches: (deployed: Deployed) => (request: PassedRequest) => boolean }
  /** The gate is open and nobody has answered. `waiting`: somebody has, and it wants one more. `answering`: the answer is given while the actor is away. */
  | { readonly of: 'gate'; readonly gate: string; readonly how: 'open' | 'waiting' | 'answering' }
  /** The look after a change is under way, and an answer of the log's is kept back: an `assess` of the second round or a later one. `after`: the change that it looks behind. */
  | { readonly of: 'sweep'; readonly after: (deployed: Deployed) => FaultOrder }
  /** Nothing is left to do before a date: the run sleeps in a timer. */
  | { readonly of: 'timer' }
  /** The run has ended, and its bundle is being written. */
  | { readonly of: 'archive' };

export interface Moment {
  readonly variant: Visibility;
  readonly name: string;
  /** The strikes of one incident come one after the other; those of one station come at once, for all incidents of a batch. */
  readonly station: number;
  /** Which incident of the variant it is a moment of. */
  readonly track: number;
  readonly sign: Sign;
}

const iam = (action: string, ...mentions: readonly string[]) => ({
  of: 'aws' as const,
  order: ({ user, pair }: Deployed): FaultOrder => ({
    kind: 'hold',
    service: 'iam',
    action,
    mentions: [user, ...mentions.map((word) => (word === 'leaked' ? pair.accessKeyId : word))],
  }),
});
const dataPath = ({ path }: Deployed): string => `/v1/${kvMount}/data/${path.slice(kvMount.length + 1)}`;
const writes = ({ method }: PassedRequest): boolean => method === 'PUT' || method === 'POST';

const signs = {
  'disable-key': iam('UpdateAccessKey', 'leaked', 'Inactive'),
  'deny-principal': iam('PutUserPolicy', 'tourniquet-hold'),
  'cut-off-sessions': iam('PutUserPolicy', 'tourniquet-cutoff'),
  'mint-key': iam('CreateAccessKey'),
  'stage-secret': {
    of: 'vault',
    matches: (deployed) => (request) => writes(request) && request.path.startsWith(`${dataPath(deployed)}--staged/`),
  },
  'distribute-secret': { of: 'vault', matches: (deployed) => (request) => writes(request) && request.path === dataPath(deployed) },
  'lift-deny': iam('DeleteUserPolicy', 'tourniquet-hold'),
  'delete-key': iam('DeleteAccessKey', 'leaked'),
  'lift-cut-off': iam('DeleteUserPolicy', 'tourniquet-cutoff'),
  'sweep after containment': { of: 'sweep', after: iam('PutUserPolicy', 'tourniquet-cutoff').order },
  'sweep after rotation': { of: 'sweep', after: iam('DeleteAccessKey', 'leaked').order },
  'last sweep': { of: 'sweep', after: iam('DeleteUserPolicy', 'tourniquet-cutoff').order },
  'outage gate open': { of: 'gate', gate: 'g-outage', how: 'open' },
  'outage gate answered meanwhile': { of: 'gate', gate: 'g-outage', how: 'answering' },
  'irreversible gate open': { of: 'gate', gate: 'g-irreversible', how: 'open' },
  'irreversible gate waiting for a second': { of: 'gate', gate: 'g-irreversible', how: 'waiting' },
  timer: { of: 'timer' },
  archive: { of: 'archive' },
} as const satisfies Readonly<Record<string, Sign>>;
type Name = keyof typeof signs;

/** By variant and station: the moment of each track. */
const stations: Readonly<Record<Visibility, readonly (readonly Name[])[]>> = {
  public: [
    ['disable-key', 'deny-principal', 'cut-off-sessions', 'sweep after containment'],
    ['mint-key', 'stage-secret', 'distribute-secret', 'lift-deny'],
    ['irreversible gate open', 'irreversible gate waiting for a second', 'delete-key', 'sweep after rotation'],
    ['timer'],
    ['lift-cut-off', 'last sweep', 'archive'],
  ],
  internal: [
    ['outage gate open', 'outage gate answered meanwhile', 'mint-key', 'stage-secret'],
    ['distribute-secret', 'disable-key', 'cut-off-sessions'],
    ['irreversible gate open', 'irreversible gate waiting for a second', 'delete-key', 'sweep after rotation'],
    ['timer'],
    ['lift-cut-off', 'last sweep', 'archive'],
  ],
};

export const stationCount = 5;
/** The first station with moments at or after a question about what cannot be undone. */
export const irreversibleStation = 2;
/** The station before which the provider's clock is moved past the cut-off's date. */
export const closingStation = 4;
export const trackCount = 4;
export const variants: readonly Visibility[] = ['public', 'internal'];

export const moments: readonly Moment[] = variants.flatMap((variant) =>
  stations[variant].flatMap((names, station) => names.map((name, track): Moment => ({ variant, name, station, track, sign: signs[name] }))),
);
