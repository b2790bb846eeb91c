import { describe, expect, it } from 'vitest';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Plan } from '../../domain/plan.ts';
import { containedExtent, isSettled, rotatedExtent } from '../../planning/facts.ts';
import type { PlanInput } from '../../planning/input.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import { a, account, arn, at, attackerKey, gateRule, leakedKey, manifests, World } from './fixtures.ts';

const act = a.verdict({ mode: 'act' });
const ask = a.verdict({ mode: 'ask' });
const actions = (plan: Plan) => plan.steps.map((each) => each.action);
const only = (plan: Plan, action: string) => {
  const found = plan.steps.filter((each) => each.action === action);
  expect(found).toHaveLength(1);
  return found[0] as Plan['steps'][number];
};
const root = (over: Parameters<typeof a.keyNode>[1] = {}) => a.keyNode(leakedKey, over);
const rootId = root().id;

describe('consumers that notice', () => {
  const inventory = a.inventory({
    consumers: [a.consumer('build'), a.consumer('legacy', { rereads: 'never' }), a.consumer('batch', { overlap: false, rereads: 60 })],
  });

  it('are named in the question, restarted by hand, and predicted', () => {
    const plan = planRound(new World().look({ verdict: ask, inventory }));
    const question = plan.gates.find((each) => each.id === 'g-outage')?.question ?? '';
    expect(question).toContain(
      'legacy never looks at its store again: it is out from then until somebody restarts it (team-ci, ci@example.test).',
    );
    expect(question).toContain('batch cannot hold two keys at once');
    expect(question).not.toContain('build never');
    const restart = only(plan, 'manual/restart');
    expect(restart.gate).toBe(`g-${restart.id}`);
    expect(restart.needs).toEqual([only(plan, 'vault/distribute-secret').id]);
    expect(plan.steps.find((each) => each.target.consumer === 'legacy' && each.action === 'aws/watch-new-use')?.needs).toContain(
      restart.id,
    );
    expect(only(plan, 'aws/disable-key').impact).toBe('outage');
    expect(only(plan, 'aws/disable-key').affects).toEqual(['legacy', 'batch']);
    expect(only(plan, 'vault/distribute-secret').impact).toBe('outage');
    expect(plan.predicted.map((each) => [each.consumer, each.seconds])).toEqual([
      ['legacy', undefined],
      ['batch', 75],
    ]);
  });

  it('in public are out from the burst on, with the seconds that the machine needs by the account’s own timing', () => {
    const verdict = a.verdict({
      mode: 'act',
      accounts: [{ provider: 'aws', account, mode: 'act', settings: { timing: { propagationMs: 4000, logLagMs: 5000 } } }],
    });
    const world = new World();
    const plan = planRound(world.look({ verdict }));
    expect(plan.predicted.map((each) => [each.consumer, each.seconds])).toEqual([
      ['build', 19],
      ['deploy', 19],
    ]);
    world.carryOut(plan);
    const next = planRound(world.look({ verdict }));
    expect(next.predicted.map((each) => [each.consumer, each.untilStep, each.because.includes('until it reads the new one')])).toEqual([
      ['build', 'r2-watch-new-use-build', true],
      ['deploy', 'r2-watch-new-use-deploy', true],
    ]);
  });
});

describe('stores', () => {
  it('each get the new key, and each consumer is watched after its own', () => {
    const inventory = a.inventory({
      stores: [a.store('ci'), a.store('apps')],
      consumers: [a.consumer('build'), a.consumer('web', { store: 'apps' }), a.consumer('worker', { store: 'apps' })],
    });
    const plan = planRound(new World().look({ verdict: ask, inventory }));
    expect(plan.steps.filter((each) => each.action === 'vault/stage-secret').map((each) => each.target.path)).toEqual([
      'kv/ci/deployer',
      'kv/apps/deployer',
    ]);
    const readers = plan.steps.filter((each) => each.action === 'vault/watch-readers');
    expect(readers).toHaveLength(2);
    expect(plan.steps.find((each) => each.target.consumer === 'web')?.needs).toEqual([readers[1]?.id]);
    expect(only(plan, 'aws/watch-old-quiet').needs).toEqual(
      expect.arrayContaining(plan.steps.filter((each) => each.action === 'aws/watch-new-use').map((each) => each.id)),
    );
  });

  it('that the engine cannot write to get it from the first by hand', () => {
    const inventory = a.inventory({
      stores: [a.store('vendor', { provider: 'unheard-of' }), a.store('ci')],
      consumers: [a.consumer('build'), a.consumer('web', { store: 'vendor' })],
    });
    const plan = planRound(new World().look({ verdict: ask, inventory }));
    const deliver = only(plan, 'manual/deliver');
    expect(deliver.needs).toEqual([only(plan, 'vault/distribute-secret').id]);
    expect(plan.gates.find((each) => each.id === deliver.gate)?.question).toContain('The engine cannot write there.');
    expect(plan.steps.find((each) => each.target.consumer === 'web')?.needs).toEqual([deliver.id]);
  });

  it('that nobody knows make the replacement a matter for a person', () => {
    const plan = planRound(new World().look({ verdict: ask, inventory: a.inventory({ stores: [], consumers: [] }) }));
    expect(actions(plan)).toEqual(['manual/replace', 'aws/watch-old-quiet', 'aws/disable-key', 'aws/cut-off-sessions', 'aws/delete-key']);
    expect(plan.notes.join(' ')).toContain('No store is known that holds the key of ci-deployer');
    expect(only(plan, 'aws/watch-old-quiet').needs).toEqual([only(plan, 'manual/replace').id]);
  });

  it('of other principals are none of this incident’s', () => {
    const inventory = a.inventory({
      stores: [a.store('ci', { principal: 'reporting' }), a.store('own', { principal: 'ci-deployer' })],
      consumers: [a.consumer('build'), a.consumer('own', { store: 'own' })],
    });
    const plan = planRound(new World().look({ verdict: ask, inventory }));
    expect(only(plan, 'vault/distribute-secret').target.path).toBe('kv/own/deployer');
    expect(plan.steps.flatMap((each) => each.target.consumer ?? [])).toEqual(['own']);
  });
});

describe('key slots', () => {
  it('both taken by live keys: broken before made, spelled out, and asked', () => {
    const world = new World();
    world.keys.set('AKIAQOLDER0000000009', { active: true, issuedAt: -200_000, changedAt: -200_000 });
    const input = world.look({ verdict: ask });
    const plan = planRound(input);
    expect(actions(plan).slice(0, 4)).toEqual(['aws/disable-key', 'aws/cut-off-sessions', 'aws/delete-key', 'aws/mint-key']);
    expect(only(plan, 'aws/mint-key').needs).toEqual([only(plan, 'aws/delete-key').id]);
    expect(only(plan, 'aws/disable-key').impact).toBe('outage');
    expect(plan.gates.find((each) => each.id === 'g-outage')?.question).toContain('build is out from then until it reads a new key');
    expect(plan.gates.find((each) => each.id === 'g-irreversible')?.question).toContain('build and deploy');
    expect(plan.predicted).toHaveLength(2);
    expect(brokenRules(plan, input)).toEqual([]);
  });

  it('one taken by a key that is off and nobody’s evidence: that one goes first, asked, and nobody is out', () => {
    const world = new World();
    world.keys.set('AKIAQOLDER0000000009', { active: false, issuedAt: -200_000, changedAt: -200_000 });
    const plan = planRound(world.look({ verdict: ask }));
    const mint = only(plan, 'aws/mint-key');
    const freed = plan.steps.find((each) => each.id === mint.needs[0]);
    expect([freed?.action, freed?.target.accessKeyId, freed?.gate]).toEqual(['aws/delete-key', 'AKIAQOLDER0000000009', 'g-irreversible']);
    expect(plan.predicted).toEqual([]);
    expect(plan.gates[0]?.question).toContain('turned off, used by nobody, and in the way of a new key');
  });
});

describe('keys whose maker is not certain', () => {
  const second = (over: Parameters<typeof a.keyNode>[1] = {}) => a.keyNode(attackerKey, { issuedAt: at(2), ...over });

  it('made while the leak was open: turned off in the burst', () => {
    const plan = planRound(a.input(a.assessment(a.finding([root(), second()]))));
    expect(plan.steps.filter((each) => each.action === 'aws/disable-key').map((each) => [each.target.accessKeyId, each.gate])).toEqual([
      [leakedKey, undefined],
      [attackerKey, undefined],
    ]);
  });

  it.each([
    [
      'a consumer was seen on it',
      a.finding([root(), second()], { seen: [{ consumer: 'build', credential: second().id, lastAt: at(5) }] }),
      at(-60),
    ],
    [
      'the log names another maker',
      a.finding(
        [
          root(),
          second(),
          a.keyNode('AKIAQADMINISTRATOR01', {
            principal: 'arn:aws:iam::111122223333:user/admin',
            live: unknown(at(0), 'log', 'not looked at'),
          }),
        ],
        {},
        [a.edge('aws.access-key:AKIAQADMINISTRATOR01', second().id)],
      ),
      at(-60),
    ],
    ['when the leak began is not known', a.finding([root(), second()]), undefined],
  ])('%s: asked first', (_, finding, since) => {
    const { exposedSince: __, ...assessment } = a.assessment(finding);
    const input = a.input({ ...assessment, ...(since ? { exposedSince: since } : {}) });
    const plan = planRound(input);
    const step = plan.steps.find((each) => each.target.accessKeyId === attackerKey);
    expect(plan.gates.find((each) => each.id === step?.gate)?.question).toContain('nobody can say');
    expect(brokenRules(plan, input)).toEqual([]);
  });

  it('made before the leak: a bystander, and not touched', () => {
    const plan = planRound(a.input(a.assessment(a.finding([root(), second({ issuedAt: at(-5000) })]))));
    expect(plan.steps.every((each) => each.target.accessKeyId !== attackerKey)).toBe(true);
  });

  it('that we made: never touched', () => {
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: act })));
    world.carryOut(planRound(world.look({ verdict: act })));
    const ours = [...world.keys.keys()].find((each) => each.startsWith('AKIAQOURS'));
    expect(ours).toBeDefined();
    const plan = planRound(world.look({ verdict: act }));
    expect(plan.steps.every((each) => each.target.accessKeyId !== ours)).toBe(true);
  });
});

describe('what the leak made', () => {
  it('on a user it made itself: the key, the user and its sessions are stopped', () => {
    const backdoor = 'arn:aws:iam::111122223333:user/backdoor';
    const nodes = [
      root(),
      { id: backdoor, type: 'principal', title: 'backdoor', provenance: root().provenance } as const,
      a.keyNode(attackerKey, { principal: backdoor, issuedAt: at(2) }),
    ];
    const plan = planRound(
      a.input(a.assessment(a.finding(nodes, {}, [a.edge(rootId, backdoor), a.edge(nodes[2]?.id ?? '', backdoor, 'acts-as')]))),
    );
    const onBackdoor = plan.steps.filter((each) => each.target.user === 'backdoor');
    expect(onBackdoor.map((each) => each.action)).toEqual(['aws/disable-key', 'aws/deny-principal', 'aws/cut-off-sessions']);
    expect(onBackdoor[1]?.hold).toBe(backdoor);
  });

  it('on a user of somebody else: the key and its sessions, and not the whole user', () => {
    const other = 'arn:aws:iam::111122223333:user/reporting';
    const key = a.keyNode(attackerKey, { principal: other, issuedAt: at(2) });
    const plan = planRound(a.input(a.assessment(a.finding([root(), key], {}, [a.edge(rootId, key.id)]))));
    expect(plan.steps.filter((each) => each.target.user === 'reporting').map((each) => each.action)).toEqual([
      'aws/disable-key',
      'aws/cut-off-sessions',
    ]);
  });

  const roleArn = 'arn:aws:iam::111122223333:role/deploy';
  const afterBurst = (principal: string, over: Partial<PlanInput> = {}) => {
    const session = a.sessionNode('ASIAROLE000000000001', { derivedVia: 'AssumeRole', principal, expiresAt: at(3600) });
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: act })));
    const base = world.look({ verdict: act });
    const { finding } = base.assessment;
    const graph = { nodes: [...finding.graph.nodes, session], edges: [a.edge(rootId, session.id)] };
    return { ...base, ...over, assessment: { ...base.assessment, finding: { ...finding, graph } } };
  };

  it('by assuming a role: its sessions from before a stamp are refused, for as long as one can live, and nothing is replaced before', () => {
    const input = afterBurst(roleArn);
    const plan = planRound(input);
    expect(plan.steps).toHaveLength(1);
    expect(plan.steps[0]).toMatchObject({
      action: 'aws/cut-off-role',
      target: { account, role: 'deploy' },
      hold: roleArn,
      params: { maxLifeSeconds: 3599 },
    });
    expect(plan.steps[0]?.gate).toBeUndefined();
    const cut = (stamp: number, until = stamp + 3600) => ({
      ...input,
      round: 3,
      done: [
        ...input.done,
        {
          round: 2,
          step: plan.steps[0] as Plan['steps'][number],
          state: 'done',
          effectiveAt: at(30),
          residual: { what: 'cut off', target: roleArn, stamp: at(stamp), until: at(until) },
        } as const,
      ],
    });
    const rotating = planRound(cut(40));
    expect(rotating.purpose).toBe('rotate');
    expect(rotating.residuals.map((each) => each.until)).toContain(at(40 + 3600));
    // Issued after the stamp, it is not stopped by it: another one is wanted.
    expect(actions(planRound(cut(0)))).toEqual(['aws/cut-off-role']);
    // Taken back by a rollback, it stands until its date all the same, and is lifted then.
    const undone = (providerTime: string): PlanInput => {
      const base = cut(40);
      const done = base.done.map((each) => (each.step.action === 'aws/cut-off-role' ? ({ ...each, state: 'undone' } as const) : each));
      const { assessment } = base;
      return { ...base, done, rolledBack: true, assessment: { ...assessment, finding: { ...assessment.finding, providerTime } } };
    };
    expect(actions(planRound(undone(at(3000))))).toEqual([]);
    expect(planRound(undone(at(3000))).residuals.map((each) => each.until)).toContain(at(3640));
    expect(actions(planRound(undone(at(3700))))).toEqual(['aws/lift-cut-off-role']);
    // The date is the later one of the step's and of the last session that it is known to stop.
    expect(planRound(cut(40, 90)).residuals.map((each) => each.until)).toContain(at(3600));
  });

  it('by assuming a role that others act as too: they are named, told of, and asked about, whatever policy says of the key', () => {
    const neighbour = a.consumer('neighbour', { store: 'elsewhere', assumes: [roleArn] });
    const own = a.consumer('build', { assumes: [roleArn] });
    const inventory = a.inventory({
      consumers: [own, neighbour],
      stores: [a.store(), a.store('elsewhere', { principal: 'arn:aws:iam::111122223333:user/reporting' })],
    });
    const input = afterBurst(roleArn, { inventory });
    const plan = planRound(input);
    expect(plan.steps[0]).toMatchObject({ gate: 'g-role-deploy', impact: 'outage', affects: ['build', 'neighbour'] });
    expect(plan.gates[0]?.question).toMatch(/role deploy.*neighbour/);
    expect(plan.gates[0]?.question).not.toContain('build');
    expect(plan.predicted.map((each) => each.consumer)).toEqual(['neighbour']);
    expect(brokenRules(plan, input)).toEqual([]);
    // Whoever uses the leaked key itself is out already, and nobody is asked about it again.
    const alone = planRound(afterBurst(roleArn, { inventory: a.inventory({ consumers: [own] }) }));
    expect(alone.steps[0]).toMatchObject({ action: 'aws/cut-off-role', impact: 'possible', affects: ['build'] });
    expect(alone.gates).toEqual([]);
  });

  it('by assuming a role where people are asked first: the role is cut off after the key, and before anything is deleted', () => {
    const session = a.sessionNode('ASIAROLE000000000001', { derivedVia: 'AssumeRole', principal: roleArn, expiresAt: at(3600) });
    const world = new World();
    const base = world.look({ verdict: ask });
    const { finding } = base.assessment;
    const graph = { nodes: [...finding.graph.nodes, session], edges: [a.edge(rootId, session.id)] };
    const input = { ...base, assessment: { ...base.assessment, finding: { ...finding, graph } } };
    const plan = planRound(input);
    const step = (action: string) => plan.steps.find((each) => each.action === action);
    expect(step('aws/cut-off-role')?.needs).toContain(step('aws/disable-key')?.id);
    expect(step('aws/delete-key')?.needs).toContain(step('aws/cut-off-role')?.id);
    expect(plan.gates.find((each) => each.id === 'g-outage')?.question).toContain('role deploy');
    expect(brokenRules(plan, input)).toEqual([]);
  });

  it('by assuming a role of another account: a person stops it, nothing is replaced before, and what its end is is said', () => {
    const withRole = afterBurst('arn:aws:iam::999988887777:role/deploy');
    const plan = planRound(withRole);
    expect(actions(plan)).toEqual(['manual/contain']);
    expect(plan.gates[0]?.question).toContain(`It expires by itself at ${at(3600)}`);
    const attested = {
      ...withRole,
      round: 3,
      done: [...withRole.done, { round: 2, step: plan.steps[0] as Plan['steps'][number], state: 'done', effectiveAt: at(30) } as const],
    };
    expect(planRound(attested).purpose).toBe('rotate');
  });

  it('in a circle is contained together, and the plan says so', () => {
    const one = a.sessionNode('ASIACIRCLE0000000001');
    const two = a.sessionNode('ASIACIRCLE0000000002');
    const plan = planRound(
      a.input(a.assessment(a.finding([root(), one, two], {}, [a.edge(rootId, one.id), a.edge(one.id, two.id), a.edge(two.id, one.id)]))),
    );
    expect(plan.notes.join(' ')).toContain('in a circle');
    expect(plan.purpose).toBe('contain');
  });

  it('too much at once stops at a person', () => {
    const nodes = [
      root(),
      ...Array.from({ length: 250 }, (_, n) => a.keyNode(`AKIAQMANY${String(n).padStart(11, '0')}`, { issuedAt: at(1) })),
    ];
    const edges = nodes.slice(1).map((each) => a.edge(rootId, each.id));
    const plan = planRound(a.input(a.assessment(a.finding(nodes, {}, edges))));
    const gated = plan.steps.filter((each) => each.gate === 'g-width');
    expect(plan.steps.filter((each) => each.action === 'aws/disable-key')).toHaveLength(251);
    expect(gated).toHaveLength(51);
    expect(plan.gates.map((each) => [each.id, each.rule.onSilence])).toEqual([['g-width', 'hold']]);
  });

  it('a session minted after the present cut-off is cut off anew', () => {
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: act })));
    world.carryOut(planRound(world.look({ verdict: act })));
    world.sessions.set('ASIALATER00000000001', { via: 'GetSessionToken', issuedAt: world.now, from: leakedKey });
    const input = world.look({ verdict: act });
    expect(containedExtent(input.assessment, input.done)).toBe('partial');
    const plan = planRound(input);
    expect(actions(plan)).toEqual(['aws/cut-off-sessions']);
    expect(plan.purpose).toBe('contain');
    world.carryOut(plan);
    expect(planRound(world.look({ verdict: act })).purpose).toBe('nothing');
  });

  it('keeps the deny on while lifting it would wake something', () => {
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: act })));
    const base = world.look({ verdict: act });
    const session = a.sessionNode('ASIALATE000000000001', { issuedAt: at(5000), expiresAt: at(90_000) });
    const { finding } = base.assessment;
    const input = {
      ...base,
      assessment: {
        ...base.assessment,
        finding: { ...finding, graph: { nodes: [...finding.graph.nodes, session], edges: [a.edge(rootId, session.id)] } },
      },
    };
    const plan = planRound(input);
    expect(actions(plan)).not.toContain('aws/lift-deny');
    expect(plan.notes.join(' ')).toContain('lifting it would wake');
    expect(plan.residuals.map((each) => each.until)).toContain(at(90_000));
    expect(brokenRules(plan, input)).toEqual([]);
  });
});

describe('where nothing is to be done, or not by the engine', () => {
  it('a dead credential: nothing, and whether its life is swept', () => {
    const swept = planRound(a.input(a.assessment(a.finding([root({ live: no(at(0), 'administrator', 'Inactive'), status: 'Inactive' })]))));
    expect([swept.purpose, swept.notes]).toEqual([
      'nothing',
      [
        'aws.access-key AKIAQLEAKEDKEY000001 is dead already, so there is nothing to contain.',
        'Its life was swept: nothing that it made still stands.',
      ],
    ]);
    const open = planRound(
      a.input(
        a.assessment(
          a.finding([root({ live: no(at(0), 'administrator', 'gone'), status: 'absent' })], {
            swept: unknown(at(1), 'log', 'the log lags'),
          }),
        ),
      ),
    );
    expect(open.notes.join(' ')).toContain('not swept yet, so what it made is not known: the log lags');
  });

  it('a dead credential that made a key: the key is turned off, the consumers’ user is not denied', () => {
    const key = a.keyNode(attackerKey, { issuedAt: at(2) });
    const plan = planRound(
      a.input(a.assessment(a.finding([root({ live: no(at(0), 'administrator', 'Inactive') }), key], {}, [a.edge(rootId, key.id)]))),
    );
    expect(actions(plan)).toEqual(['aws/disable-key', 'aws/cut-off-sessions']);
  });

  it('liveness unknown is not dead', () => {
    const plan = planRound(a.input(a.assessment(a.finding([root({ live: unknown(at(0), 'administrator', 'denied') })]))));
    expect(actions(plan)).toContain('aws/disable-key');
  });

  it('a canary is left as it is, and settles at once', () => {
    const input = a.input(a.assessment(a.finding([root()], { canary: true })), { verdict: a.verdict({ mode: 'pass', reason: 'bait' }) });
    const plan = planRound(input);
    expect([plan.purpose, plan.steps]).toEqual(['nothing', []]);
    expect(isSettled(input.assessment, [], plan)).toBe(true);
  });

  it('a foreign one: a person tells its owner', () => {
    const input = a.input(a.assessment(a.finding([root()], { ours: no(at(0), 'administrator', 'not configured') })));
    const plan = planRound(input);
    expect([plan.purpose, actions(plan)]).toEqual(['manual', ['manual/tell-owner']]);
    expect(isSettled(input.assessment, [], plan)).toBe(false);
  });

  it('a kind that nobody handles: contained by nothing but a signed word, and settled only when swept by one', () => {
    const credential = { kind: 'manual.db-password', locator: { name: 'prod' } };
    const open = unknown(at(0), 'engine', 'no provider handles it');
    const finding = { ...a.finding([]), provider: 'manual', account: 'manual', ours: open, live: open, swept: open };
    const { principal: _, ...bare } = finding;
    const input = a.input(a.assessment(bare, { credential }));
    const plan = planRound(input);
    expect([plan.purpose, actions(plan)]).toEqual(['manual', ['manual/contain', 'manual/replace', 'manual/sweep']]);
    expect(new Set(plan.gates.map((each) => each.reason))).toEqual(new Set(['manual']));
    expect(plan.gates.every((each) => each.rule.onSilence === 'hold')).toBe(true);
    expect(containedExtent(input.assessment, [])).toBe('unknown');
    const done = plan.steps.map((step) => ({ round: 1, step, state: 'done', effectiveAt: at(20) }) as const);
    expect(containedExtent(input.assessment, done.slice(0, 1))).toBe('unknown');
    expect(containedExtent(input.assessment, done)).toBe('yes');
    expect(rotatedExtent(input.assessment, done, input.inventory)).toBe('yes');
    const next = planRound({ ...input, round: 2, done });
    expect(next.steps).toEqual([]);
    expect(isSettled(input.assessment, done, next)).toBe(true);
  });

  it.each([
    ['what the engine stands on', a.verdict({ mode: 'hold', reason: 'The engine stands on it.' })],
    ['an account in mode propose', a.verdict({ mode: 'act', accounts: [{ provider: 'aws', account, mode: 'propose' }] })],
  ])('%s: a sheet to be done by hand, with the commands', (_, verdict) => {
    const input = a.input(a.assessment(a.finding([root()])), { verdict });
    const plan = planRound(input);
    expect([plan.purpose, new Set(actions(plan)), plan.gates.map((each) => each.id)]).toEqual([
      'manual',
      new Set(['manual/by-hand']),
      ['g-by-hand'],
    ]);
    expect(plan.steps.map((each) => each.byHand)).toContain(
      `aws iam update-access-key --user-name ci-deployer --access-key-id ${leakedKey} --status Inactive`,
    );
    expect(brokenRules(plan, input)).toEqual([]);
  });

  it('an account that is only observed: nothing, and what would have been', () => {
    const verdict = a.verdict({ mode: 'act', accounts: [{ provider: 'aws', account, mode: 'observe' }] });
    const plan = planRound(a.input(a.assessment(a.finding([root()])), { verdict }));
    expect(plan.steps).toEqual([]);
    expect(plan.notes.join(' ')).toContain(`disable access key ${leakedKey} of ci-deployer`);
  });

  it('a claim: everything that changes anything is asked, and silence does nothing', () => {
    const input = a.input(a.assessment(a.finding([root()]), { proof: 'claim' }), { verdict: act });
    const plan = planRound(input);
    expect(plan.steps.every((each) => each.gate !== undefined)).toBe(true);
    expect(plan.gates.every((each) => each.rule.onSilence === 'hold')).toBe(true);
    expect(plan.gates[0]?.question).toContain('All that stands behind this is a claim');
  });

  it('a protected user: asked, though policy would act', () => {
    const input = a.input(a.assessment(a.finding([root()])), { inventory: a.inventory({ protectedTargets: [arn, 'ci-deployer'] }) });
    const plan = planRound(input);
    expect(new Set(plan.steps.map((each) => each.gate))).toEqual(new Set(['g-protected']));
    expect(plan.gates[0]?.question).toContain('protected');
  });

  it('rolled back: nothing but lifting what is due', () => {
    const world = new World();
    const first = planRound(world.look({ verdict: act }));
    world.carryOut(first);
    const undone = world.done.map((each) => ({ ...each, state: 'undone', refusedBy: 'rita' }) as const);
    const input = { ...world.look({ verdict: act }), done: undone, rolledBack: true };
    const plan = planRound(input);
    expect(plan.steps).toEqual([]);
    expect(plan.residuals).toHaveLength(1);
    const due = planRound({
      ...input,
      assessment: { ...input.assessment, finding: { ...input.assessment.finding, providerTime: at(200_000) } },
    });
    expect(actions(due)).toEqual(['aws/lift-cut-off']);
  });
});

describe('steps that went wrong', () => {
  it('failed once: planned again; three times: done by a person', () => {
    const input = new World().look({ verdict: act });
    const disable = only(planRound(input), 'aws/disable-key');
    const failed = (times: number) =>
      planRound({
        ...input,
        round: times + 1,
        done: Array.from({ length: times }, (_, n) => ({ round: n + 1, step: disable, state: 'failed' }) as const),
      });
    expect(actions(failed(1))).toContain('aws/disable-key');
    const byHand = only(failed(3), 'manual/by-hand');
    expect(byHand.byHand).toContain('aws iam update-access-key');
    expect(actions(failed(3))).not.toContain('aws/disable-key');
  });

  it('refused: not asked again, and what is left standing bears the name of who left it', () => {
    const world = new World();
    world.carryOut(planRound(world.look({ verdict: ask })), ['g-outage', 'g-irreversible']);
    const input = world.look({ verdict: ask });
    const plan = planRound(input);
    expect(plan.steps).toEqual([]);
    expect(plan.residuals.map((each) => [each.target, each.acceptedBy])).toEqual([
      [leakedKey, 'rita'],
      ['ci-deployer', 'rita'],
      [leakedKey, 'rita'],
    ]);
    expect(containedExtent(input.assessment, input.done)).toBe('no');
    expect(isSettled(input.assessment, input.done, plan)).toBe(false);
  });

  it('what silence has done is not done again, and the rest is asked anew', () => {
    const world = new World();
    const plan = planRound(world.look({ verdict: ask }));
    for (const step of plan.steps) {
      const harmless = step.impact === 'none' && step.reversibility === 'reversible';
      world.done.push({
        round: 1,
        step,
        state: harmless ? 'done' : 'skipped',
        effectiveAt: at(30),
        ...(step.action === 'aws/mint-key' ? { made: { accessKeyId: 'AKIAQOURS00000000001', sealed: 'sha256:0', keyId: 'k' } } : {}),
      });
    }
    world.keys.set('AKIAQOURS00000000001', { active: true, issuedAt: 30, changedAt: 30 });
    const input = world.look({ verdict: ask });
    expect(rotatedExtent(input.assessment, input.done, input.inventory)).toBe('partial');
    expect(actions(planRound(input))).toEqual(['aws/disable-key', 'aws/cut-off-sessions', 'aws/delete-key']);
  });

  it('a delivery that met a conflict is made again from the same staged secret', () => {
    const world = new World();
    const plan = planRound(world.look({ verdict: ask }));
    for (const step of plan.steps.slice(0, 3)) {
      world.done.push({
        round: 1,
        step,
        state: step.action === 'vault/distribute-secret' ? 'failed' : 'done',
        effectiveAt: at(30),
        ...(step.action === 'aws/mint-key' ? { made: { accessKeyId: 'AKIAQOURS00000000001', sealed: 'sha256:0', keyId: 'k' } } : {}),
      });
    }
    world.keys.set('AKIAQOURS00000000001', { active: true, issuedAt: 30, changedAt: 30 });
    const again = planRound(world.look({ verdict: ask }));
    expect(actions(again)).not.toContain('aws/mint-key');
    expect(actions(again)).not.toContain('vault/stage-secret');
    expect(only(again, 'vault/distribute-secret').params).toEqual({ stage: 'r1-stage-secret-deployer', mint: 'r1-mint-key-deployer' });
  });

  it('a new key that somebody has turned off is made again', () => {
    const world = new World();
    const plan = planRound(world.look({ verdict: ask }));
    const mint = only(plan, 'aws/mint-key');
    world.done.push({
      round: 1,
      step: mint,
      state: 'done',
      effectiveAt: at(30),
      made: { accessKeyId: 'AKIAQOURS00000000001', sealed: 'sha256:0', keyId: 'k' },
    });
    world.keys.set('AKIAQOURS00000000001', { active: false, issuedAt: 30, changedAt: 30 });
    expect(actions(planRound(world.look({ verdict: ask })))).toContain('aws/mint-key');
  });
});

describe('what else a user may have', () => {
  it('made while the leak was open: turned off with its key; a console password is stopped with the user, and its removal is asked about', () => {
    const of = (kind: string, member: string, id: string) => ({
      ...a.keyNode(id),
      id: `${kind}:${id}`,
      credential: { ...a.keyNode(id, { issuedAt: at(2) }).credential, kind, locator: { [member]: id } } as never,
    });
    const nodes = [root(), of('aws.ssh-key', 'sshPublicKeyId', 'APKA1'), of('aws.login-profile', 'user', 'ci-deployer')];
    const input = a.input(a.assessment(a.finding(nodes)), { verdict: act });
    const plan = planRound(input);
    expect(brokenRules(plan, input)).toEqual([]);
    expect(plan.steps.map((each) => [each.action, each.target.sshPublicKeyId ?? each.target.accessKeyId, each.gate])).toEqual([
      ['aws/disable-key', leakedKey, undefined],
      ['aws/disable-ssh-key', 'APKA1', undefined],
      ['aws/delete-login-profile', undefined, 'g-irreversible'],
      ['aws/deny-principal', undefined, undefined],
      ['aws/cut-off-sessions', undefined, undefined],
    ]);
    // Only access keys make sessions that a cut-off has to wait for.
    expect(only(plan, 'aws/cut-off-sessions').params.keys).toEqual([leakedKey]);
  });
});

describe('the sealed pair', () => {
  it('goes along with the disable of the leaked key alone, where it was proven real', () => {
    const sealed = { hash: `sha256:${'1'.repeat(64)}`, keyId: 'seal-1' } as const;
    const finding = a.finding([root(), a.keyNode(attackerKey, { issuedAt: at(2) })]);
    const plan = planRound(a.input(a.assessment(finding, { sealed })));
    expect(plan.steps.filter((each) => each.params.sealed !== undefined).map((each) => [each.action, each.target.accessKeyId])).toEqual([
      ['aws/disable-key', leakedKey],
    ]);
  });
});

describe('a leaked session', () => {
  it('is cut off, its user is not denied, and nothing is replaced', () => {
    const session = a.sessionNode('ASIALEAKED0000000001', { live: yes(at(1), 'log', 'minted') });
    const finding = { ...a.finding([session]), live: yes(at(1), 'log', 'minted') };
    const input = a.input(a.assessment(finding, { credential: { kind: 'aws.session', locator: { accessKeyId: 'ASIALEAKED0000000001' } } }));
    const plan = planRound(input);
    expect(actions(plan)).toEqual(['aws/cut-off-sessions']);
    const done = [
      {
        round: 1,
        step: plan.steps[0] as Plan['steps'][number],
        state: 'done',
        effectiveAt: at(12),
        residual: { what: 'cut-off', target: arn, until: at(12 + 129_600) },
      } as const,
    ];
    expect(containedExtent(input.assessment, done)).toBe('yes');
    expect(planRound({ ...input, round: 2, done }).steps).toEqual([]);
  });
});

describe('what the planner knows of AWS and what its manifest says', () => {
  it('agree on what stops a session', async () => {
    const { aws } = await import('../../planning/kinds/aws.ts');
    for (const kind of manifests.aws.kinds) {
      for (const mint of kind.mints) {
        if (mint.kind !== 'aws.session') continue;
        const stopped = aws.stoppedBy({
          kind: 'aws.session',
          locator: { accessKeyId: 'ASIA' },
          derivedVia: mint.via,
          ...(mint.via === 'AssumeRole' ? { principal: 'arn:aws:iam::111122223333:role/deploy' } : {}),
          live: yes(at(0), 'log', 'minted'),
        });
        expect(stopped).toEqual(expect.arrayContaining([...mint.killedBy]));
        // A later stamp than their own stops scoped-down credentials in either reading of what is not documented.
        if (mint.via !== 'GetScopedCredentials') expect(stopped).toHaveLength(mint.killedBy.length);
        if (mint.killedBy.length > 0) expect(mint.maxLife).toBeLessThanOrEqual(aws.longestChild);
      }
    }
  });

  it('name the same actions', async () => {
    const { aws } = await import('../../planning/kinds/aws.ts');
    const principal = aws.principal(arn, account);
    const role = aws.principal('arn:aws:iam::111122223333:role/deploy', account);
    if (!principal || !role) throw new Error('the ARN is not understood');
    const key = { kind: 'aws.access-key', locator: { accessKeyId: leakedKey }, live: yes(at(0), 'log', 'x') };
    const levers = [
      aws.disable(key, principal),
      aws.remove(key, principal),
      aws.deny(principal),
      aws.liftDeny(principal),
      aws.cutOff(principal),
      aws.liftCutOff(principal),
      aws.cutOff(role),
      aws.liftCutOff(role),
      aws.mint(principal),
      aws.watchNewUse(principal, 'build'),
      aws.watchOldQuiet(key, principal),
      ...[
        ['aws.service-specific-credential', 'serviceSpecificCredentialId'],
        ['aws.signing-certificate', 'certificateId'],
        ['aws.ssh-key', 'sshPublicKeyId'],
        ['aws.login-profile', 'user'],
      ].flatMap(([kind = '', member = '']) => {
        const other = { kind, locator: { [member]: 'ci-deployer' }, live: yes(at(0), 'administrator', 'listed') };
        expect([aws.standsAlone(other), aws.stoppedBy(other), aws.mint(principal, other)]).toEqual([true, ['deny-principal'], undefined]);
        return [aws.disable(other, principal), aws.remove(other, principal)];
      }),
    ].filter((each) => each !== undefined);
    // Actions that no plan wants.
    const unplanned = ['fence-principal', 'lift-fence', 'tag-user'];
    expect(
      [...levers.map((each) => each.action), ...unplanned].sort(),
      'an action of the manifest is either a lever of planning/kinds/aws.ts, and then stands among the levers here, or one that no plan wants, and then stands in `unplanned`',
    ).toEqual(manifests.aws.actions.map((each) => each.name).sort());
    for (const lever of levers)
      expect(lever.hold !== undefined).toBe(manifests.aws.actions.find((each) => each.name === lever.action)?.scope === 'principal');
  });

  it('a name in an inventory and an ARN are one principal; a role is one of another kind', async () => {
    const { aws } = await import('../../planning/kinds/aws.ts');
    expect(aws.principal('ci-deployer', account)).toEqual(aws.principal(arn, account));
    expect(aws.principal('arn:aws:iam::111122223333:user/ci/path/ci-deployer', account)?.name).toBe('ci-deployer');
    expect(aws.principal('arn:aws:iam::111122223333:role/deploy', account)).toMatchObject({ kind: 'role', name: 'deploy', account });
    expect(aws.principal('arn:aws:iam::111122223333:user/*', account)).toBeUndefined();
    expect(aws.principal(undefined, account)).toBeUndefined();
  });

  it('every step that waits on a gate counts by a rule of the verdict', () => {
    const plan = planRound(new World().look({ verdict: ask }));
    expect(plan.gates.every((each) => each.rule.roles === gateRule.roles)).toBe(true);
  });
});
