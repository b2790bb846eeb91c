import type { Hash } from './canonical.ts';

/**
 * What was seen of the world. `unknown` is an answer of its own and is never rounded to yes or no.
 * `at` is when it was seen (ISO 8601, UTC), `source` who said so: `probe` (the credential itself was tried), `administrator`
 * (an administrator's look-up), `log`, `inventory`, `reporter`, `engine`.
 */
export type Observation =
  | {
      readonly state: 'yes' | 'no';
      readonly at: string;
      readonly source: ObservationSource;
      readonly evidence: string;
      readonly record?: Hash;
    }
  | { readonly state: 'unknown'; readonly at: string; readonly source: ObservationSource; readonly why: string; readonly record?: Hash };

export const ObservationSource = {
  PROBE: 'probe',
  ADMINISTRATOR: 'administrator',
  LOG: 'log',
  INVENTORY: 'inventory',
  REPORTER: 'reporter',
  ENGINE: 'engine',
} as const;
export type ObservationSource = (typeof ObservationSource)[keyof typeof ObservationSource];

/** Yes, as told by `source` at `at`; `evidence` is a sentence, with the provider's request id where there is one. */
export function yes(at: string, source: ObservationSource, evidence: string): Observation {
  return { state: 'yes', at, source, evidence };
}
/** No; see {@link yes}. */
export function no(at: string, source: ObservationSource, evidence: string): Observation {
  return { state: 'no', at, source, evidence };
}
/** Not known, and why. */
export function unknown(at: string, source: ObservationSource, why: string): Observation {
  return { state: 'unknown', at, source, why };
}
