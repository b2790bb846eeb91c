import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf } from '../../domain/canonical.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { DoneStep, Plan } from '../../domain/plan.ts';
import type { ReportRecord } from '../../domain/report.ts';
import { assessmentOf, containedExtent, freshNodes, nextAt, reachOf, situationOf, stampOf } from '../../planning/facts.ts';
import { condense, indexGraph, reach } from '../../planning/graph.ts';
import { planRound } from '../../planning/plan.ts';
import { a, arn, at, attackerKey, leakedKey, World } from './fixtures.ts';

const act = a.verdict({ mode: 'act' });

describe('how far it is contained', () => {
  /** The burst on the leaked key, done, with its effects at second 12. */
  const burst = (): { readonly world: World; readonly done: readonly DoneStep[] } => {
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: act })));
    return { world, done: world.done };
  };
  const extent = (nodes: Parameters<typeof a.finding>[0], done: readonly DoneStep[] = [], over: Parameters<typeof a.finding>[1] = {}) => {
    const edges = nodes.slice(1).map((each) => a.edge((nodes[0] as (typeof nodes)[number]).id, each.id));
    return containedExtent(a.assessment(a.finding(nodes, over, edges)), done);
  };
  const off = a.keyNode(leakedKey, { live: no(at(5), 'administrator', 'Inactive'), status: 'Inactive' });

  it.each([
    ['nothing done, and it lives', extent([a.keyNode(leakedKey)]), 'no'],
    ['whether it lives is unknown', extent([a.keyNode(leakedKey, { live: unknown(at(5), 'administrator', 'denied') })]), 'unknown'],
    ['dead, and swept', extent([off]), 'yes'],
    ['dead, and the sweep does not count', extent([off], [], { swept: unknown(at(5), 'log', 'lag') }), 'unknown'],
    ['dead, and a session of it stands', extent([off, a.sessionNode('ASIASTANDS0000000001')]), 'partial'],
    ['dead, and its session has expired', extent([off, a.sessionNode('ASIAEXPIRED000000001', { expiresAt: at(9) })]), 'yes'],
    [
      'dead, and whether its session lives is unknown',
      extent([off, a.sessionNode('ASIAUNKNOWN000000001', { live: unknown(at(5), 'log', 'no status') })]),
      'unknown',
    ],
    ['dead, and a key it made lives', extent([off, a.keyNode(attackerKey)]), 'partial'],
    [
      'the burst done: its sessions from before are stopped',
      extent([off, a.sessionNode('ASIASTOPPED000000001', { issuedAt: at(2) })], burst().done),
      'yes',
    ],
    [
      'the burst done, and a session of an assumed role',
      extent(
        [off, a.sessionNode('ASIAROLE000000000001', { derivedVia: 'AssumeRole', principal: 'arn:aws:iam::111122223333:role/deploy' })],
        burst().done,
      ),
      'partial',
    ],
    [
      'the burst done, and the key seen live afterwards',
      extent([a.keyNode(leakedKey, { live: yes(at(500), 'probe', 'accepted') })], burst().done),
      'no',
    ],
    [
      'the burst done, and the key still listed as it was before',
      extent([a.keyNode(leakedKey, { live: yes(at(1), 'administrator', 'Active') })], burst().done),
      'yes',
    ],
  ])('%s: %s', (_, seen, expected) => expect(seen).toBe(expected));

  it('a step taken back, failed or skipped contains nothing', () => {
    const { done } = burst();
    for (const state of ['undone', 'failed', 'skipped', 'stuck'] as const)
      expect(
        extent(
          [a.keyNode(leakedKey)],
          done.map((each) => ({ ...each, state })),
        ),
      ).toBe('no');
  });

  it('a deny that was lifted stops nothing any more; the cut-off beneath it still does', () => {
    const { world } = burst();
    world.carryOut(planRound(world.look({ verdict: act })));
    expect(world.done.some((each) => each.step.action === 'aws/lift-deny' && each.state === 'done')).toBe(true);
    expect(extent([off, a.sessionNode('ASIAEARLY00000000001', { issuedAt: at(2) })], world.done)).toBe('yes');
    expect(extent([off, a.sessionNode('ASIALATER00000000001', { issuedAt: at(50_000) })], world.done)).toBe('partial');
  });
});

describe('facts only rise', () => {
  const report = (over: Partial<ReportRecord['report']> = {}, record: Partial<ReportRecord> = {}): ReportRecord => ({
    report: {
      v: 1,
      id: 'rpt_1',
      format: 'trufflehog',
      credential: { kind: 'aws.access-key', locator: { accessKeyId: leakedKey } },
      origin: { where: 'repository', committedAt: at(-600) },
      reporter: 'scanner',
      seenAt: at(0),
      claims: {},
      ...over,
    },
    receivedAt: at(1),
    proof: 'claim',
    ...record,
  });
  const sealed = { hash: hashOf('sealed'), keyId: 'seal-1' };
  const accepted = a.finding([a.keyNode(leakedKey)]);
  const untried = { ...accepted, possession: unknown(at(30), 'engine', 'it is not tried a second time') };
  const merge = { reportHashes: [hashOf(1)], inventory: a.inventory({ exposure: 'public' }), swept: accepted.swept, known: [] };

  it('possession once shown stays shown, though it is not tried again', () => {
    const first = assessmentOf({ ...merge, reports: [report({ sealed })], finding: accepted });
    expect([first.proof, first.sealed]).toEqual(['possession', sealed]);
    const second = assessmentOf({ ...merge, reports: [report({ sealed })], finding: untried, previous: first });
    expect([second.proof, second.sealed]).toEqual(['possession', sealed]);
    expect(assessmentOf({ ...merge, reports: [report({ sealed })], finding: untried })).toMatchObject({ proof: 'claim' });
    expect(assessmentOf({ ...merge, reports: [report({ sealed })], finding: untried }).sealed).toBeUndefined();
  });

  it('a place once public stays public, and unknown is worse than internal', () => {
    const first = assessmentOf({ ...merge, reports: [report()], finding: untried });
    const second = assessmentOf({
      ...merge,
      reports: [report()],
      finding: untried,
      inventory: a.inventory({ exposure: 'internal' }),
      previous: first,
    });
    expect(second.exposure).toBe('public');
    const third = assessmentOf({
      ...merge,
      reports: [report()],
      finding: untried,
      inventory: a.inventory({ exposure: 'internal' }),
      previous: { ...first, exposure: 'unknown' },
    });
    expect(third.exposure).toBe('unknown');
  });

  it('the leak began at the earliest that anybody says who signed, whatever a claim says, and every reporter is kept', () => {
    const made = assessmentOf({
      ...merge,
      reports: [
        report(),
        report({ reporter: 'gitleaks', origin: { where: 'repository', committedAt: at(-900) } }),
        report({ origin: { where: 'chat', committedAt: at(-300) } }, { proof: 'person-signed', signedBy: 'rita' }),
        report({ origin: { where: 'chat', committedAt: 'yesterday' } }, { proof: 'person-signed', signedBy: 'rita' }),
      ],
      finding: untried,
    });
    expect([made.exposedSince, made.reporters, made.unsigned, made.proof]).toEqual([
      at(-300),
      ['scanner', 'rita', 'gitleaks'].sort((x, y) => made.reporters.indexOf(x) - made.reporters.indexOf(y)),
      false,
      'person-signed',
    ]);
  });

  it('reports that nobody signed are unsigned', () => {
    expect(assessmentOf({ ...merge, reports: [report(), report()], finding: untried }).unsigned).toBe(true);
    expect(assessmentOf({ ...merge, reports: [report({}, { proof: 'issuer-signed' })], finding: untried }).unsigned).toBe(false);
  });

  it('the situation does not fall because it was acted on', () => {
    const world = new World();
    world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
    const before = world.look({ verdict: act });
    world.carryOut(planRound(before));
    const after = world.look({ verdict: act });
    expect(after.assessment.finding.live.state).toBe('no');
    const [first, second] = [before, after].map((input) =>
      situationOf({ assessment: input.assessment, inventory: input.inventory, done: input.done }),
    );
    expect([first?.live, second?.live]).toEqual(['yes', 'yes']);
    expect([first?.misused, second?.misused]).toEqual(['yes', 'yes']);
    expect([first?.standing, second?.standing]).toEqual([1, 0]);
  });
});

describe('the situation', () => {
  it('counts only the consumers of the principal, and bars who signed a report, and the owner', () => {
    const inventory = a.inventory({
      stores: [a.store('ci'), a.store('other', { principal: 'reporting' })],
      consumers: [a.consumer('build'), a.consumer('lint', { criticality: 'test' }), a.consumer('report', { store: 'other' })],
      protectedTargets: ['ci-deployer'],
    });
    const signed = a.assessment(a.finding([a.keyNode(leakedKey)]), { reporters: ['scanner', 'rita'], signers: ['scanner'] });
    const situation = situationOf({ assessment: signed, inventory, done: [] });
    expect(situation.consumers).toEqual({ total: 2, production: 1, internal: 0, test: 1 });
    expect(situation.barred).toEqual(['scanner', 'olga']);
    expect([situation.protected, situation.reversible, situation.handled, situation.own]).toEqual([true, true, true, false]);
    expect(
      situationOf({ assessment: a.assessment(a.finding([a.keyNode(leakedKey)])), inventory, done: [], ownTargets: [leakedKey] }).own,
    ).toBe(true);
  });

  it('keeps unknown as unknown', () => {
    const open = unknown(at(0), 'administrator', 'denied');
    const finding = { ...a.finding([a.keyNode(leakedKey, { live: open })]), ours: open, misuse: open };
    const situation = situationOf({ assessment: a.assessment(finding), inventory: a.inventory(), done: [] });
    expect([situation.live, situation.foreign, situation.misused]).toEqual(['unknown', 'unknown', 'unknown']);
  });

  it('is not reversible where the principal is of another account or is no user', () => {
    for (const principal of ['arn:aws:iam::999988887777:user/elsewhere', 'arn:aws:iam::111122223333:role/deploy']) {
      const situation = situationOf({
        assessment: a.assessment({ ...a.finding([a.keyNode(leakedKey, { principal })]), principal }),
        inventory: a.inventory(),
        done: [],
      });
      expect(situation.reversible).toBe(false);
    }
  });
});

describe('small facts', () => {
  it('the next date is the earliest of those that have one', () => {
    const residual = (until?: string) => ({ what: 'x', target: 'y', ...(until ? { until } : {}) });
    expect(nextAt([residual(at(50)), residual(), residual(at(20))])).toBe(at(20));
    expect(nextAt([residual()])).toBeUndefined();
  });

  it('fresh is what no round knew and no step of ours made', () => {
    const finding = a.finding([
      a.keyNode(leakedKey),
      a.keyNode(attackerKey),
      a.keyNode('AKIAQOURS00000000001'),
      { id: arn, type: 'principal', title: 'x', provenance: a.keyNode(leakedKey).provenance },
    ]);
    expect(freshNodes(finding, [`aws.access-key:${leakedKey}`], [{ accessKeyId: 'AKIAQOURS00000000001' }])).toEqual([
      `aws.access-key:${attackerKey}`,
    ]);
  });

  it('a cut-off’s moment is what its residual says, and else when it took effect', () => {
    const step = planRound(new World().look({ verdict: act })).steps.find(
      (each) => each.action === 'aws/cut-off-sessions',
    ) as Plan['steps'][number];
    const done = { round: 1, step, state: 'done', effectiveAt: at(30) } as const;
    expect(stampOf(done, { longestChild: 129_600 })).toBe(Date.parse(at(30)));
    expect(stampOf({ ...done, residual: { what: 'x', target: arn, until: at(129_640) } }, { longestChild: 129_600 })).toBe(
      Date.parse(at(40)),
    );
  });

  it('a key of ours is no member of the incident, even where the leaked one made it', () => {
    const made = { round: 1, step: {} as DoneStep['step'], state: 'done', made: { accessKeyId: attackerKey } } as const;
    const step = planRound(new World().look({ verdict: act })).steps[0] as Plan['steps'][number];
    const { members, ours } = reachOf(
      a.assessment(
        a.finding([a.keyNode(leakedKey), a.keyNode(attackerKey)], {}, [
          a.edge(`aws.access-key:${leakedKey}`, `aws.access-key:${attackerKey}`),
        ]),
      ),
      [{ ...made, step }],
    );
    expect(members.map((each) => each.id)).toEqual([`aws.access-key:${leakedKey}`]);
    expect([...ours]).toEqual([`aws.access-key:${attackerKey}`]);
  });
});

describe('the graph', () => {
  const graphs = fc.integer({ min: 1, max: 12 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      edges: fc.array(fc.tuple(fc.nat({ max: size - 1 }), fc.nat({ max: size - 1 })), { maxLength: 30 }),
    }),
  );

  it('condensed: members of a component reach each other, others do not, and children come first', () => {
    fc.assert(
      fc.property(graphs, ({ size, edges }) => {
        const ids = Array.from({ length: size }, (_, n) => `n${n}`);
        const next = (id: string) => edges.filter(([from]) => `n${from}` === id).map(([, to]) => `n${to}`);
        const components = condense(ids, next);
        expect(components.flat().sort()).toEqual([...ids].sort());
        const place = new Map(components.flatMap((component, n) => component.map((id) => [id, n] as const)));
        const from = new Map(ids.map((id) => [id, reach([id], next)]));
        for (const one of ids) {
          for (const two of ids) {
            const both = from.get(one)?.has(two) === true && from.get(two)?.has(one) === true;
            expect(place.get(one) === place.get(two)).toBe(both);
            if (from.get(one)?.has(two) && !both) expect(place.get(two) as number).toBeLessThan(place.get(one) as number);
          }
        }
      }),
      { seed: 20261124 },
    );
  });

  it('a chain of fifty thousand does not overflow, and edges to nowhere are left out', () => {
    const ids = Array.from({ length: 50_000 }, (_, n) => `n${n}`);
    expect(condense(ids, (id) => [`n${Number(id.slice(1)) + 1}`])).toHaveLength(50_000);
    const index = indexGraph({ nodes: [a.keyNode(leakedKey)], edges: [a.edge(`aws.access-key:${leakedKey}`, 'nowhere')] });
    expect(index.out(`aws.access-key:${leakedKey}`, 'derives')).toEqual([]);
  });
});
