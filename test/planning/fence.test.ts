import { describe, expect, it } from 'vitest';
import type { Consumer, InventoryFinding } from '../../domain/assessment.ts';
import type { Plan } from '../../domain/plan.ts';
import { containedExtent, isSettled, rotatedExtent } from '../../planning/facts.ts';
import { fenceFor, isOnTheInternet } from '../../planning/fence.ts';
import type { PlanInput } from '../../planning/input.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules, RuleName } from '../../planning/rules.ts';
import { a, arn, at, attackerKey, leakedKey, World } from './fixtures.ts';

const verdict = a.verdict({ mode: 'act' });
const within = (id: string, over: Partial<Consumer> = {}) => a.consumer(id, { networks: ['203.0.113.0/24'], ...over });
const declared: InventoryFinding = a.inventory({
  consumers: [within('build'), within('deploy', { networks: [], vpcs: ['vpc-0a1b2c3d'] })],
});
const actions = (plan: Plan) => plan.steps.map((each) => each.action);
const planned = (input: PlanInput): Plan => {
  const plan = planRound(input);
  expect(brokenRules(plan, input)).toEqual([]);
  return plan;
};

describe('what a fence can let in', () => {
  it.each([
    ['203.0.113.0/24', true],
    ['8.0.0.0/8', true],
    ['2001:db8::/32', true],
    ['0.0.0.0/0', false],
    ['8.0.0.0/7', false],
    ['10.1.0.0/16', false],
    ['172.20.0.0/16', false],
    ['192.168.1.0/24', false],
    ['100.64.0.0/10', false],
    ['127.0.0.0/8', false],
    ['169.254.0.0/16', false],
    ['fd00::/48', false],
    ['fe80::/64', false],
    ['2001::/16', false],
  ])('%s: %s', (network, expected) => {
    expect(isOnTheInternet(network)).toBe(expected);
  });

  it('is what consumers declare, and nothing where one of them would stand outside', () => {
    expect(fenceFor(declared.consumers)).toEqual({ networks: ['203.0.113.0/24'], vpcs: ['vpc-0a1b2c3d'] });
    expect(fenceFor([within('build'), a.consumer('deploy', { networks: ['10.0.0.0/8'] })])).toBeUndefined();
    expect(fenceFor([])).toBeUndefined();
  });
});

describe('a key leaked in public whose consumers all stand in declared networks', () => {
  it('is fenced in, replaced while they go on, turned off after them, and let out behind a cut-off', () => {
    const world = new World();
    world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
    world.sessions.set('ASIASESSION000000002', { via: 'GetSessionToken', issuedAt: 3, from: leakedKey });
    const look = () => world.look({ verdict, inventory: declared });

    const burst = planned(look());
    expect([burst.purpose, actions(burst), burst.predicted]).toEqual(['contain', ['aws/disable-key', 'aws/fence-principal'], []]);
    expect(burst.steps[0]?.target.accessKeyId).toBe(attackerKey);
    expect(burst.steps[1]).toMatchObject({
      hold: arn,
      params: { networks: ['203.0.113.0/24'], vpcs: ['vpc-0a1b2c3d'] },
      impact: 'none',
      liftedBy: 'lift-fence',
    });
    expect(burst.notes.join(' ')).toContain('Whoever holds the leaked one within these networks is not stopped');
    world.carryOut(burst);

    const swept = look();
    expect(containedExtent(swept.assessment, swept.done)).toBe('yes');
    const rotation = planned(swept);
    // Both places for a key are taken: the thief's goes first, if somebody allows it.
    expect(actions(rotation)).toEqual([
      'aws/delete-key',
      'aws/mint-key',
      'vault/stage-secret',
      'vault/distribute-secret',
      'vault/watch-readers',
      'aws/watch-new-use',
      'aws/watch-new-use',
      'aws/disable-key',
      'aws/cut-off-sessions',
      'aws/delete-key',
    ]);
    expect(rotation.steps.find((each) => each.action === 'aws/disable-key')?.gate).toBeUndefined();
    world.carryOut(rotation);

    const out = planned(look());
    expect(actions(out)).toEqual(['aws/lift-fence']);
    expect(out.steps[0]).toMatchObject({ lifts: 'fence-principal', hold: arn });
    world.carryOut(out);
    const end = look();
    const nothing = planned(end);
    expect(nothing.steps).toEqual([]);
    expect([containedExtent(end.assessment, end.done), rotatedExtent(end.assessment, end.done, declared)]).toEqual(['yes', 'yes']);
    expect(isSettled(end.assessment, end.done, nothing)).toBe(true);
  });

  it('is turned off and its user denied where the fence failed', () => {
    const world = new World();
    const first = planned(world.look({ verdict, inventory: declared }));
    const fence = first.steps.find((each) => each.action === 'aws/fence-principal');
    if (!fence) throw new Error('no fence');
    world.done.push({ round: 1, step: fence, state: 'failed' });
    expect(actions(planned(world.look({ verdict, inventory: declared })))).toEqual([
      'aws/disable-key',
      'aws/deny-principal',
      'aws/cut-off-sessions',
    ]);
  });

  it('is turned off at once where a consumer stands outside, where nobody is known to use it, and where people are asked first', () => {
    const outside = a.inventory({ consumers: [within('build'), a.consumer('deploy')] });
    for (const inventory of [outside, a.inventory({ consumers: [], stores: [] })])
      expect(actions(planned(new World().look({ verdict, inventory })))).toEqual([
        'aws/disable-key',
        'aws/deny-principal',
        'aws/cut-off-sessions',
      ]);
    const asked = planned(new World().look({ verdict: a.verdict({ mode: 'ask' }), inventory: declared }));
    expect(actions(asked)).not.toContain('aws/fence-principal');
  });

  it('stays fenced while a session would wake', () => {
    const world = new World();
    const look = () => world.look({ verdict, inventory: declared });
    world.carryOut(planned(look()));
    world.carryOut(planned(look()));
    // Made within the fence after the stamp, and seen by the log only now.
    world.sessions.set('ASIALATE000000000001', { via: 'GetSessionToken', issuedAt: world.now + 100, from: leakedKey });
    const late = planned(look());
    expect(actions(late)).not.toContain('aws/lift-fence');
  });

  it('a plan that lets in what nobody declares, or shuts a consumer out, breaks a rule', () => {
    const input = new World().look({ verdict, inventory: declared });
    const plan = planRound(input);
    const with_ = (params: Record<string, unknown>) => ({
      ...plan,
      steps: plan.steps.map((each) => (each.action === 'aws/fence-principal' ? { ...each, params } : each)),
    });
    const rules = (params: Record<string, unknown>) => brokenRules(with_(params), input).map(({ rule }) => rule);
    expect(rules({ networks: ['203.0.113.0/24', '198.51.100.0/24'], vpcs: ['vpc-0a1b2c3d'] })).toContain(RuleName.EXACT_TARGETS);
    expect(rules({ networks: ['203.0.113.0/24'], vpcs: [] })).toContain(RuleName.OUTAGE_SPELLED_OUT);
    expect(rules({ networks: ['203.0.113.0/24'], vpcs: ['vpc-0a1b2c3d'] })).toEqual([]);
    expect(at(0)).toContain('2026');
  });
});
