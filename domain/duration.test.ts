import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, isDuration, parseDuration } from './duration.ts';
import { isFault } from './errors.ts';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['4s', 4_000],
    ['15m', 900_000],
    ['36h', 129_600_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s is %i milliseconds', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '4', 's', '1.5h', '-4s', '04s', '4 s', '4S', '1h30m', '4sec', '1e3s', '99999999999999999d'])(
    '%j is refused, not guessed',
    (text) => {
      expect(isDuration(text)).toBe(false);
      expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
    },
  );

  it('what is written is read back exactly', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });

  it('a fraction, a negative and a nonsense number are refused', () => {
    for (const ms of [1.5, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      let caught: unknown;
      try {
        formatDuration(ms);
      } catch (error) {
        caught = error;
      }
      expect(isFault(caught)).toBe(true);
    }
  });
});
