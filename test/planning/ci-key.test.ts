import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../domain/canonical.ts';
import { unknown } from '../../domain/observation.ts';
import type { Plan } from '../../domain/plan.ts';
import { containedExtent, isSettled, nextAt, rotatedExtent } from '../../planning/facts.ts';
import { planRound } from '../../planning/plan.ts';
import { a, at, attackerKey, leakedKey, World } from './fixtures.ts';

const ids = (plan: Plan) => plan.steps.map((each) => each.id);
const step = (plan: Plan, id: string) => {
  const found = plan.steps.find((each) => each.id === id);
  if (!found) throw new Error(`${id} is not in ${ids(plan).join(', ')}`);
  return found;
};

describe('a key leaked in public', () => {
  const verdict = a.verdict({ mode: 'act' });

  it('is contained unasked, swept, replaced, and watched until its cut-off is lifted', () => {
    const world = new World();
    world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
    world.sessions.set('ASIAFEDERATED0000001', { via: 'GetFederationToken', issuedAt: 3, from: leakedKey });
    world.sessions.set('ASIASESSION000000002', { via: 'GetSessionToken', issuedAt: 3, from: leakedKey });
    const hidden = ['ASIAFEDERATED0000001', 'ASIASESSION000000002'];

    const first = world.look({ verdict, hidden, assessment: { depth: 'minimal' } });
    const burst = planRound(first);
    expect(burst.purpose).toBe('contain');
    expect(burst.gates).toEqual([]);
    expect(ids(burst)).toEqual([
      'r1-disable-key-R0000002',
      'r1-disable-key-EY000001',
      'r1-deny-principal-deployer',
      'r1-cut-off-sessions-deployer',
    ]);
    expect(step(burst, 'r1-cut-off-sessions-deployer').needs).toEqual(['r1-disable-key-R0000002', 'r1-disable-key-EY000001']);
    expect(step(burst, 'r1-deny-principal-deployer').needs).toEqual([]);
    expect(step(burst, 'r1-deny-principal-deployer').hold).toBe('arn:aws:iam::111122223333:user/ci-deployer');
    expect(burst.predicted.map((each) => each.consumer)).toEqual(['build', 'deploy']);
    expect(containedExtent(first.assessment, first.done)).toBe('no');
    world.carryOut(burst);

    const waiting = planRound(world.look({ verdict, hidden, swept: unknown(at(12), 'log', 'the marker has not come by') }));
    expect(waiting.purpose).toBe('nothing');
    expect(waiting.notes.join(' ')).toContain('the marker has not come by');

    const second = world.look({ verdict });
    const again = planRound(second);
    expect(again.purpose).toBe('nothing');
    expect(again.notes.join(' ')).toContain('swept once more');

    const third = world.look({ verdict });
    expect(containedExtent(third.assessment, third.done)).toBe('yes');
    const replace = planRound(third);
    expect(replace.purpose).toBe('rotate');
    expect(ids(replace)).toEqual([
      'r4-delete-key-EY000001',
      'r4-mint-key-deployer',
      'r4-lift-deny-deployer',
      'r4-stage-secret-deployer',
      'r4-distribute-secret-deployer',
      'r4-watch-readers-deployer',
      'r4-watch-new-use-build',
      'r4-watch-new-use-deploy',
      'r4-delete-key-R0000002',
    ]);
    expect(step(replace, 'r4-mint-key-deployer').needs).toEqual(['r4-delete-key-EY000001']);
    expect(step(replace, 'r4-mint-key-deployer').gate).toBeUndefined();
    expect(step(replace, 'r4-mint-key-deployer').params).toEqual({ sealTo: { provider: 'vault', account: 'main' } });
    expect(step(replace, 'r4-lift-deny-deployer').needs).toEqual(['r4-mint-key-deployer']);
    expect(replace.gates.map((each) => each.id)).toEqual(['g-irreversible']);
    expect(replace.gates[0]?.question).toBe(
      'Shall AKIAQLEAKEDKEY000001 of ci-deployer (the leaked key) and AKIAQATTACKER0000002 of ci-deployer (made while the leak was open, and evidence of it) be deleted? This cannot be undone: AWS keeps neither the key nor when it was last used, and will not make the same key again. Until it is answered build and deploy cannot be given a new key, as all places for one are taken.',
    );
    world.carryOut(replace);
    expect([...world.moved].sort()).toEqual(['build', 'deploy']);

    const fourth = world.look({ verdict });
    const done = planRound(fourth);
    expect(done.purpose).toBe('nothing');
    expect(rotatedExtent(fourth.assessment, fourth.done, fourth.inventory)).toBe('yes');
    expect(done.residuals).toHaveLength(1);
    expect(nextAt(done.residuals)).toBe(done.residuals[0]?.until);

    world.now += 129_700;
    const due = planRound(world.look({ verdict }));
    expect(due.purpose).toBe('release');
    expect(ids(due)).toEqual(['r6-lift-cut-off-deployer']);
    world.carryOut(due);
    const last = world.look({ verdict });
    const end = planRound(last);
    expect(end.purpose).toBe('nothing');
    expect(end.residuals).toEqual([]);
    expect(isSettled(last.assessment, last.done, end)).toBe(true);
  });

  it('waits, with the deletion refused, and says who left it so', () => {
    const world = new World();
    world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
    world.carryOut(planRound(world.look({ verdict })));
    world.carryOut(planRound(world.look({ verdict })), ['g-irreversible']);
    const plan = planRound(world.look({ verdict }));
    expect(plan.steps).toEqual([]);
    expect(plan.notes.join(' ')).toContain('no new key can be made');
    expect(plan.residuals.filter((each) => each.acceptedBy === 'rita')).toHaveLength(2);
  });
});

describe('a key leaked inside the house', () => {
  const verdict = a.verdict({ mode: 'ask' });

  it('is replaced in one plan with two gates, the old one broken last', () => {
    const world = new World();
    const plan = planRound(world.look({ verdict }));
    expect(plan.purpose).toBe('rotate');
    expect(plan.steps.map((each) => [each.id, each.gate, each.needs])).toEqual([
      ['r1-mint-key-deployer', 'g-outage', []],
      ['r1-stage-secret-deployer', 'g-outage', ['r1-mint-key-deployer']],
      ['r1-distribute-secret-deployer', 'g-outage', ['r1-stage-secret-deployer']],
      ['r1-watch-readers-deployer', 'g-outage', ['r1-distribute-secret-deployer']],
      ['r1-watch-new-use-build', 'g-outage', ['r1-watch-readers-deployer']],
      ['r1-watch-new-use-deploy', 'g-outage', ['r1-watch-readers-deployer']],
      ['r1-watch-old-quiet-EY000001', 'g-outage', ['r1-watch-new-use-build', 'r1-watch-new-use-deploy', 'r1-distribute-secret-deployer']],
      ['r1-disable-key-EY000001', 'g-outage', ['r1-watch-old-quiet-EY000001']],
      ['r1-cut-off-sessions-deployer', 'g-outage', ['r1-disable-key-EY000001']],
      ['r1-delete-key-EY000001', 'g-irreversible', ['r1-disable-key-EY000001', 'r1-cut-off-sessions-deployer']],
    ]);
    expect(plan.gates.map((each) => [each.id, each.rule.onSilence])).toEqual([
      ['g-outage', 'harmless'],
      ['g-irreversible', 'hold'],
    ]);
    expect(plan.predicted).toEqual([]);
    expect(canonicalJson(planRound(a.input(a.assessment(a.finding([a.keyNode(leakedKey)])))))).toBe(
      canonicalJson(planRound(a.input(a.assessment(a.finding([a.keyNode(leakedKey)]))))),
    );
    world.carryOut(plan);
    const next = world.look({ verdict });
    const quiet = planRound(next);
    expect(quiet.steps).toEqual([]);
    expect(containedExtent(next.assessment, next.done)).toBe('yes');
    expect(rotatedExtent(next.assessment, next.done, next.inventory)).toBe('yes');
    expect(quiet.residuals).toHaveLength(1);
  });
});
