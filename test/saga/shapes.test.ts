import { describe, expect, it } from 'vitest';
import { expectResult, isSighting, mostOfMessage, resultShapes, sizeOf } from '../../workflows/shapes.ts';
import { gate, sighting, step } from './scripted-world.ts';

const hash = `sha256:${'a'.repeat(64)}`;
const observation = { state: 'yes', at: '', source: 'probe', evidence: '' };
const right: Readonly<Record<string, unknown>> = {
  hash,
  hashes: [hash],
  text: 'words',
  texts: ['words'],
  number: 1,
  boolean: true,
  object: {},
  list: [],
  observation,
};
const wrong: readonly unknown[] = [undefined, null, '', 7, Number.NaN, [], [7], {}, 'sha256:', { state: 'maybe' }, true, 'x'.repeat(5000)];

/** A result of that activity in which everything is as it should be. */
function good(of: keyof typeof resultShapes): Record<string, unknown> {
  const shape: Readonly<Record<string, string>> = resultShapes[of];
  const made = Object.fromEntries(Object.entries(shape).flatMap(([name, kind]) => (kind.endsWith('?') ? [] : [[name, right[kind]]])));
  if (of === 'judge') {
    const plan = { purpose: 'contain', round: 1, residuals: [], predicted: [], notes: [] };
    return { ...made, content: { ...plan, steps: [step('a')], gates: [gate('g')] } };
  }
  return made;
}

describe('an activity’s result of the wrong shape', () => {
  it.each(Object.keys(resultShapes) as (keyof typeof resultShapes)[])('of %s is refused, whichever member is wrong', (of) => {
    expect(expectResult(of, good(of))).toEqual(good(of));
    for (const answer of [undefined, null, 'done', 7, [], {}]) expect(() => expectResult(of, answer)).toThrow(TypeError);
    const shape: Readonly<Record<string, string>> = resultShapes[of];
    for (const [name, kind] of Object.entries(shape)) {
      const others = wrong.filter((each) => JSON.stringify(each) !== JSON.stringify(right[kind.replace('?', '')]));
      const refused = others.filter((each) => {
        try {
          expectResult(of, { ...good(of), [name]: each });
          return false;
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return true;
        }
      });
      expect(refused.length, `${of}.${name}`).toBeGreaterThan(4);
    }
  });

  it('is refused where a step or a gate of its plan is not one', () => {
    const { content, ...judged } = good('judge') as { content: Record<string, unknown> };
    const withPlan = (plan: Record<string, unknown>) => () => expectResult('judge', { ...judged, content: { ...content, ...plan } });
    expect(withPlan({})).not.toThrow();
    for (const name of Object.keys(step('a')).filter((each) => each !== 'params' && each !== 'affects'))
      expect(withPlan({ steps: [{ ...step('a'), [name]: 7 }] }), name).toThrow(TypeError);
    expect(withPlan({ steps: [null] })).toThrow(TypeError);
    expect(withPlan({ gates: [{ ...gate('g'), rule: { deadlineMs: 'soon' } }] })).toThrow(TypeError);
  });
});

it('a sighting has a size that a run can pass on, and what has no JSON has none', () => {
  expect(isSighting(sighting('rpt_1'))).toBe(true);
  expect(sizeOf(sighting('rpt_1'))).toBeLessThan(mostOfMessage);
  const round: Record<string, unknown> = {};
  round.self = round;
  expect(sizeOf(round)).toBe(Number.POSITIVE_INFINITY);
  expect(sizeOf(undefined)).toBe(Number.POSITIVE_INFINITY);
});
