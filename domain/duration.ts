import { fault } from './errors.ts';

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;
type Unit = keyof typeof units;

const pattern = /^(0|[1-9][0-9]*)(ms|s|m|h|d)$/;

/** True for a duration as files and flags write it: a whole number and one of `ms s m h d`, nothing between them. */
export function isDuration(text: string): boolean {
  const match = pattern.exec(text);
  return match !== null && Number.isSafeInteger(Number(match[1]) * units[match[2] as Unit]);
}

/** Milliseconds of a duration such as `500ms`, `4s`, `15m`, `36h` or `7d`. Throws `usage.invalid` for anything else. */
export function parseDuration(text: string): number {
  const match = pattern.exec(text);
  if (match === null || !isDuration(text)) throw fault('usage.invalid', { duration: text, expected: '500ms, 4s, 15m, 36h or 7d' });
  return Number(match[1]) * units[match[2] as Unit];
}

/**
 * The shortest text that {@link parseDuration} reads back as exactly `ms`: `90m` and not `1.5h`. `ms` is a whole number of milliseconds, zero or
 * more; throws `usage.invalid` otherwise, as a rounded duration in a record would be a false one.
 */
export function formatDuration(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0) throw fault('usage.invalid', { milliseconds: ms, expected: 'a whole number, zero or more' });
  if (ms === 0) return '0s';
  for (const [unit, length] of Object.entries(units)) if (ms % length === 0) return `${ms / length}${unit}`;
  return `${ms}ms`;
}
