import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { canonicalJson } from '../../domain/canonical.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import { containedExtent, situationOf } from '../../planning/facts.ts';
import type { PlanInput } from '../../planning/input.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules, RuleName } from '../../planning/rules.ts';
import { incident, incidentUnderWay } from './arbitraries.ts';
import { a, attackerKey, leakedKey, World } from './fixtures.ts';

/** One seed for all properties of a run, printed so that a failure can be had again: `TOURNIQUET_SEED=… npx vitest run test/planning`. */
const seed = Number(process.env.TOURNIQUET_SEED ?? 20261124);
const runs = process.env.TOURNIQUET_FULL === '1' ? 10_000 : 300;
console.info(`planner properties: ${runs} graphs each, seed ${seed}`);
const settings = { seed, numRuns: runs };
// A property of ten thousand graphs takes a minute and more on a busy machine; it is its claim that can fail, not the clock.
vi.setConfig({ testTimeout: 900_000 });

describe('every plan keeps the order rules', () => {
  it('in the first round, whatever the graph', () => {
    fc.assert(
      fc.property(incident, (input) => {
        expect(brokenRules(planRound(input), input)).toEqual([]);
      }),
      settings,
    );
  });

  it('in any round, however the steps before it ended', () => {
    fc.assert(
      fc.property(incidentUnderWay, (input) => {
        expect(brokenRules(planRound(input), input)).toEqual([]);
      }),
      settings,
    );
  });

  it('and is the same bytes for the same input', () => {
    fc.assert(
      fc.property(incidentUnderWay, (input) => {
        expect(canonicalJson(planRound(structuredClone(input)))).toBe(canonicalJson(planRound(input)));
      }),
      settings,
    );
  });

  it('and says why, where there is nothing to do', () => {
    fc.assert(
      fc.property(incidentUnderWay, (input) => {
        const plan = planRound(input);
        expect(plan.purpose === 'nothing').toBe(plan.steps.length === 0);
        if (plan.steps.length === 0) expect(plan.notes.length).toBeGreaterThan(0);
        for (const gate of plan.gates) expect(gate.question).toMatch(/\?/);
        for (const step of plan.steps) expect([step.title, step.byHand].every((each) => each.length > 0)).toBe(true);
      }),
      settings,
    );
  });

  it('and what lives is never called contained', () => {
    fc.assert(
      fc.property(incidentUnderWay, ({ assessment, done, inventory }) => {
        const extent = containedExtent(assessment, done);
        const situation = situationOf({ assessment, done, inventory });
        if (situation.standing > 0) expect(extent).not.toBe('yes');
        if (assessment.swept.state !== 'yes') expect(extent).not.toBe('yes');
        if (assessment.finding.live.state === 'unknown' && done.length === 0) expect(extent).not.toBe('yes');
      }),
      settings,
    );
  });
});

describe('an incident comes to its end', () => {
  const event = fc.constantFrom('nothing', 'nothing', 'session', 'role', 'key', 'refuse', 'reenable');

  it('whatever the attacker does between rounds, and whoever refuses what', () => {
    fc.assert(
      fc.property(fc.constantFrom('act', 'ask'), fc.boolean(), fc.array(event, { maxLength: 5 }), (mode, declared, events) => {
        const verdict = a.verdict({ mode });
        // Where every consumer declares its network the key is fenced in first, and only later turned off.
        const networks = declared ? ['198.51.100.0/24'] : [];
        const inventory = a.inventory({ consumers: [a.consumer('build', { networks }), a.consumer('deploy', { networks })] });
        const world = new World();
        let n = 0;
        for (let round = 0; round < 14; round++) {
          const input = world.look({ verdict, inventory });
          const plan = planRound(input);
          expect(brokenRules(plan, input)).toEqual([]);
          if (plan.steps.length === 0 && events.length <= round) return;
          const what = events[round];
          if (what === 'session')
            world.sessions.set(`ASIAEVENT${String(++n).padStart(11, '0')}`, {
              via: 'GetSessionToken',
              issuedAt: world.now,
              from: leakedKey,
            });
          if (what === 'role')
            world.sessions.set(`ASIAROLE${String(++n).padStart(12, '0')}`, {
              via: 'AssumeRole',
              issuedAt: world.now,
              from: leakedKey,
              role: 'arn:aws:iam::111122223333:role/deploy',
            });
          if (what === 'key' && world.keys.size < 2)
            world.keys.set(`AKIAQEVENT${String(++n).padStart(10, '0')}`, {
              active: true,
              issuedAt: world.now,
              changedAt: world.now,
              by: leakedKey,
            });
          const refuse = what === 'refuse' ? plan.gates.slice(0, 1).map((each) => each.id) : [];
          world.carryOut(plan, refuse);
          const key = world.keys.get(leakedKey);
          if (what === 'reenable' && key) key.active = true;
        }
        throw new Error('still planning after fourteen rounds');
      }),
      { ...settings, numRuns: Math.min(runs, 1000) },
    );
  });
});

/** Ways in which a planner could be wrong, and the rule that must name each. `undefined`: it does not apply to the plan. */
interface Mutant {
  readonly name: string;
  readonly rule: RuleName;
  readonly on: readonly (
    | 'contain'
    | 'rotate-after'
    | 'rotate-asked'
    | 'full'
    | 'stubborn'
    | 'leaky'
    | 'declared'
    | 'read'
    | 'role'
    | 'role-shared'
    | 'role-asked'
    | 'release'
    | 'claim'
  )[];
  readonly change: (plan: Plan) => Plan | undefined;
}

const swap = (plan: Plan, id: string, change: (step: PlanStep) => PlanStep): Plan => ({
  ...plan,
  steps: plan.steps.map((each) => (each.id === id ? change(each) : each)),
});
const find = (plan: Plan, action: string): PlanStep | undefined => plan.steps.find((each) => each.action === action);
const at = (plan: Plan, action: string, change: (step: PlanStep) => PlanStep): Plan | undefined => {
  const step = find(plan, action);
  return step && swap(plan, step.id, change);
};
const ungated = ({ gate: _, ...step }: PlanStep): PlanStep => step;
const target = (name: string, value: string) => (step: PlanStep) => ({ ...step, target: { ...step.target, [name]: value } });
const needing = (plan: Plan, action: string, on: string): Plan | undefined => {
  const need = find(plan, on);
  return need && at(plan, action, (step) => ({ ...step, needs: [...step.needs, need.id] }));
};
const needless = (step: PlanStep): PlanStep => ({ ...step, needs: [] });

const mutants: readonly Mutant[] = [
  {
    name: 'a need that is not in the plan',
    rule: RuleName.WELL_FORMED,
    on: ['contain', 'rotate-asked'],
    change: (plan) => ({ ...plan, steps: plan.steps.map((each, n) => (n === 0 ? { ...each, needs: ['r9-nothing'] } : each)) }),
  },
  {
    name: 'needs in a circle',
    rule: RuleName.WELL_FORMED,
    on: ['rotate-asked'],
    change: (plan) => needing(plan, 'aws/mint-key', 'aws/disable-key'),
  },
  {
    name: 'a gate that is not in the plan',
    rule: RuleName.WELL_FORMED,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => ({ ...plan, gates: [] }),
  },
  { name: 'no snapshot', rule: RuleName.EVIDENCE_FIRST, on: ['contain', 'rotate-asked'], change: ({ snapshot: _, ...plan }) => plan },
  {
    name: 'containment in a row',
    rule: RuleName.CHILDREN_FIRST,
    on: ['contain'],
    change: (plan) => needing(plan, 'aws/deny-principal', 'aws/disable-key'),
  },
  {
    name: 'the old key broken first',
    rule: RuleName.MAKE_BEFORE_BREAK,
    on: ['rotate-asked'],
    change: (plan) => {
      const free = at(plan, 'aws/disable-key', needless);
      return free && needing(free, 'aws/mint-key', 'aws/disable-key');
    },
  },
  {
    name: 'the old key broken as soon as the new one is delivered',
    rule: RuleName.CONSUMERS_BEFORE_REVOKE,
    on: ['rotate-asked'],
    change: (plan) => at(plan, 'aws/disable-key', (step) => ({ ...step, needs: [find(plan, 'vault/distribute-secret')?.id ?? ''] })),
  },
  {
    name: 'a consumer nobody watches',
    rule: RuleName.CONSUMERS_BEFORE_REVOKE,
    on: ['rotate-asked'],
    change: (plan) => {
      const watch = find(plan, 'aws/watch-new-use');
      return (
        watch && {
          ...plan,
          steps: plan.steps
            .filter((each) => each.id !== watch.id)
            .map((each) => ({ ...each, needs: each.needs.filter((need) => need !== watch.id) })),
        }
      );
    },
  },
  {
    name: 'consumers looked for before the delivery',
    rule: RuleName.CONSUMERS_BEFORE_REVOKE,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'aws/watch-new-use', needless),
  },
  {
    name: 'delivery before staging',
    rule: RuleName.CONSUMERS_BEFORE_REVOKE,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'vault/distribute-secret', needless),
  },
  {
    name: 'staging before the mint',
    rule: RuleName.CONSUMERS_BEFORE_REVOKE,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'vault/stage-secret', needless),
  },
  {
    name: 'a deletion nobody is asked about',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked', 'rotate-after', 'full'],
    change: (plan) => at(plan, 'aws/delete-key', ungated),
  },
  {
    name: 'a deletion at the gate for outages',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked'],
    change: (plan) => at(plan, 'aws/delete-key', (step) => ({ ...step, gate: 'g-outage' })),
  },
  {
    name: 'a deletion called reversible',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'aws/delete-key', (step) => ({ ...step, reversibility: 'reversible' })),
  },
  {
    name: 'a deletion before the consumers have moved',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'aws/delete-key', needless),
  },
  {
    name: 'a question that does not name the key',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked', 'full'],
    change: (plan) => ({
      ...plan,
      gates: plan.gates.map((each) => (each.reason === 'irreversible' ? { ...each, question: 'Shall we?' } : each)),
    }),
  },
  {
    name: 'silence that deletes',
    rule: RuleName.IRREVERSIBLE_GATED,
    on: ['rotate-asked', 'full'],
    change: (plan) => ({
      ...plan,
      gates: plan.gates.map((each) => (each.reason === 'irreversible' ? { ...each, rule: { ...each.rule, onSilence: 'proceed' } } : each)),
    }),
  },
  {
    name: 'a deny around the hold',
    rule: RuleName.ONE_HOLD,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/deny-principal', ({ hold: _, ...step }) => step),
  },
  {
    name: 'a cut-off through another’s hold',
    rule: RuleName.ONE_HOLD,
    on: ['contain', 'rotate-asked'],
    change: (plan) => at(plan, 'aws/cut-off-sessions', (step) => ({ ...step, hold: 'arn:aws:iam::111122223333:user/other' })),
  },
  {
    name: 'a cut-off stamped now',
    rule: RuleName.CUT_OFF_AFTER_DISABLE,
    on: ['contain', 'rotate-asked'],
    change: (plan) => at(plan, 'aws/cut-off-sessions', needless),
  },
  {
    name: 'no cut-off at all',
    rule: RuleName.CUT_OFF_AFTER_DISABLE,
    on: ['contain'],
    change: (plan) => ({ ...plan, steps: plan.steps.filter((each) => each.action !== 'aws/cut-off-sessions') }),
  },
  {
    name: 'a deny lifted before there is a new key',
    rule: RuleName.LIFT_LAST,
    on: ['rotate-after'],
    change: (plan) => at(plan, 'aws/lift-deny', needless),
  },
  {
    name: 'a deny lifted in the burst',
    rule: RuleName.LIFT_LAST,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/deny-principal', (step) => ({ ...step, action: 'aws/lift-deny' })),
  },
  {
    name: 'a cut-off lifted at once',
    rule: RuleName.LIFT_LAST,
    on: ['contain', 'rotate-asked'],
    change: (plan) => at(plan, 'aws/cut-off-sessions', (step) => ({ ...step, action: 'aws/lift-cut-off' })),
  },
  {
    name: 'an outage nobody is told of',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['contain', 'stubborn'],
    change: (plan) => ({
      ...plan,
      steps: plan.steps.map((each) =>
        each.target.accessKeyId === leakedKey && each.action === 'aws/disable-key' ? { ...each, impact: 'none' } : each,
      ),
    }),
  },
  {
    name: 'an outage that the question does not name',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['stubborn'],
    change: (plan) => ({ ...plan, gates: plan.gates.map((each) => (each.id === 'g-outage' ? { ...each, question: 'Shall we?' } : each)) }),
  },
  {
    name: 'an outage that is not predicted',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['contain', 'stubborn'],
    change: (plan) => ({ ...plan, predicted: [] }),
  },
  {
    name: 'an outage predicted from nowhere',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['contain'],
    change: (plan) => ({ ...plan, predicted: plan.predicted.map((each) => ({ ...each, fromStep: 'r9-nothing' })) }),
  },
  {
    name: 'a wildcard',
    rule: RuleName.EXACT_TARGETS,
    on: ['contain', 'rotate-asked'],
    change: (plan) => at(plan, 'aws/disable-key', target('accessKeyId', '*')),
  },
  {
    name: 'a prefix',
    rule: RuleName.EXACT_TARGETS,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/deny-principal', target('user', 'ci-*')),
  },
  {
    name: 'a target left out',
    rule: RuleName.EXACT_TARGETS,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/disable-key', target('user', '')),
  },
  {
    name: 'a bystander’s key',
    rule: RuleName.EXACT_TARGETS,
    on: ['contain', 'rotate-asked'],
    change: (plan) => at(plan, 'aws/disable-key', target('accessKeyId', 'AKIAQBYSTANDER000001')),
  },
  {
    name: 'a key under another user',
    rule: RuleName.EXACT_TARGETS,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/disable-key', target('user', 'reporting')),
  },
  {
    name: 'a path that is not the principal’s',
    rule: RuleName.EXACT_TARGETS,
    on: ['rotate-asked', 'rotate-after'],
    change: (plan) => at(plan, 'vault/distribute-secret', target('path', 'kv/payment/master')),
  },
  {
    name: 'a replacement in the burst',
    rule: RuleName.SWEPT_FIRST,
    on: ['contain'],
    change: (plan) => at(plan, 'aws/deny-principal', (step) => ({ ...step, action: 'aws/mint-key' })),
  },
  {
    name: 'a replacement into a store that the leak can read',
    rule: RuleName.NO_LEAKY_STORE,
    on: ['leaky', 'declared', 'read'],
    change: (plan) => at(plan, 'vault/distribute-secret', (step) => ({ ...step, gate: 'g-outage' })),
  },
  {
    name: 'a staging where the leak can read',
    rule: RuleName.NO_LEAKY_STORE,
    on: ['leaky', 'declared', 'read'],
    change: (plan) => at(plan, 'vault/stage-secret', ungated),
  },
  {
    name: 'a question that does not say how it would leak',
    rule: RuleName.NO_LEAKY_STORE,
    on: ['leaky', 'declared', 'read'],
    change: (plan) => ({
      ...plan,
      gates: plan.gates.map((each) => (each.reason === 'protected' ? { ...each, question: 'Shall we?' } : each)),
    }),
  },
  {
    name: 'silence that lets a replacement leak',
    rule: RuleName.NO_LEAKY_STORE,
    on: ['leaky', 'declared', 'read'],
    change: (plan) => ({
      ...plan,
      gates: plan.gates.map((each) => (each.id === 'g-readable-store' ? { ...each, rule: { ...each.rule, onSilence: 'harmless' } } : each)),
    }),
  },
  {
    name: 'a role stamped before the key is off',
    rule: RuleName.CUT_OFF_AFTER_DISABLE,
    on: ['role', 'role-asked'],
    change: (plan) => at(plan, 'aws/cut-off-role', needless),
  },
  {
    name: 'a deletion while a role session stands',
    rule: RuleName.CHILDREN_FIRST,
    on: ['role-asked'],
    change: (plan) => {
      const cut = find(plan, 'aws/cut-off-role')?.id;
      return at(plan, 'aws/delete-key', (step) => ({ ...step, needs: step.needs.filter((need) => need !== cut) }));
    },
  },
  {
    name: 'a role that the leak has no session of',
    rule: RuleName.EXACT_TARGETS,
    on: ['role', 'role-shared'],
    change: (plan) => at(plan, 'aws/cut-off-role', target('role', 'payroll')),
  },
  {
    name: 'a role around its hold',
    rule: RuleName.ONE_HOLD,
    on: ['role'],
    change: (plan) => at(plan, 'aws/cut-off-role', ({ hold: _, ...step }) => step),
  },
  {
    name: 'a role whose cut-off is lifted at once',
    rule: RuleName.LIFT_LAST,
    on: ['role'],
    change: (plan) => at(plan, 'aws/cut-off-role', (step) => ({ ...step, action: 'aws/lift-cut-off-role' })),
  },
  {
    name: 'others who act as the role, unasked',
    rule: RuleName.ASKED_FIRST,
    on: ['role-shared'],
    change: (plan) => at(plan, 'aws/cut-off-role', ungated),
  },
  {
    name: 'others who act as the role, unnamed',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['role-shared'],
    change: (plan) => ({ ...plan, gates: plan.gates.map((each) => ({ ...each, question: 'Shall we?' })) }),
  },
  {
    name: 'others who act as the role, as if it were nothing',
    rule: RuleName.OUTAGE_SPELLED_OUT,
    on: ['role-shared'],
    change: (plan) => at(plan, 'aws/cut-off-role', (step) => ({ ...step, impact: 'none' })),
  },
  {
    name: 'a step unasked where policy asks',
    rule: RuleName.ASKED_FIRST,
    on: ['rotate-asked', 'claim'],
    change: (plan) => at(plan, 'aws/disable-key', ungated),
  },
  {
    name: 'silence on a claim',
    rule: RuleName.ASKED_FIRST,
    on: ['claim'],
    change: (plan) => ({ ...plan, gates: plan.gates.map((each) => ({ ...each, rule: { ...each.rule, onSilence: 'harmless' } })) }),
  },
];

const act = a.verdict({ mode: 'act' });
const ask = a.verdict({ mode: 'ask' });
const deployRole = 'arn:aws:iam::111122223333:role/deploy';

function withRoleSession(): World {
  const world = new World();
  world.sessions.set('ASIAROLE000000000001', { via: 'AssumeRole', issuedAt: 2, from: leakedKey, role: deployRole });
  return world;
}

describe('no replacement goes where the leak can read it', () => {
  it('whatever the graph: as counted here from edges and declarations, and by no code of the planner', () => {
    let asked = 0;
    fc.assert(
      fc.property(incident, (input) => {
        const { graph, secretsRead } = input.assessment.finding;
        const root = `aws.access-key:${leakedKey}`;
        const reached = new Set([root]);
        for (const from of reached)
          for (const { kind, from: at_, to } of graph.edges) {
            if (kind === 'derives' && at_ === from) reached.add(to);
            if (kind === 'acts-as' && to === from && !to.startsWith('aws.')) reached.add(at_);
          }
        const live = graph.nodes.filter(
          ({ id, credential }) =>
            reached.has(id) &&
            credential?.live.state === 'yes' &&
            (!credential.expiresAt || credential.expiresAt > input.assessment.finding.providerTime),
        );
        const plan = planRound(input);
        for (const step of plan.steps) {
          if (step.action !== 'vault/stage-secret' && step.action !== 'vault/distribute-secret') continue;
          const store = input.inventory.stores.find(({ path, account }) => path === step.target.path && account === step.account);
          const names = store?.readableBy ?? [];
          const read = secretsRead.some((secret) => names.some((name) => secret.endsWith(`:${name}`)));
          const by = live.some(
            ({ credential }) =>
              credential?.principal !== undefined &&
              (names.includes(credential.principal) || names.includes(credential.principal.split(':user/')[1] ?? '\n')),
          );
          if (!read && !by) continue;
          asked++;
          expect(plan.gates.find(({ id }) => id === step.gate)).toMatchObject({ reason: 'protected', rule: { onSilence: 'hold' } });
        }
      }),
      settings,
    );
    // The property is about something: there were such plans.
    expect(asked).toBeGreaterThan(0);
  });

  const ways = (input: PlanInput) => planRound(input).gates.find((each) => each.id === 'g-readable-store')?.question;
  const readable = a.inventory({ stores: [a.store('ci', { readableBy: [deployRole] })] });

  it('nor where it could by a role that it assumed once and can assume again', () => {
    const world = withRoleSession();
    const input = world.look({ verdict: ask, inventory: readable });
    expect(ways(input)).toMatch(/whoever holds .*ASIAROLE.* can read kv\/ci\/deployer/i);
    expect(ways(input)).toContain('can assume role deploy again');
    world.sessions.clear();
    // The role alone, of which the leak never had a session, is nobody's way.
    expect(ways(new World().look({ verdict: ask, inventory: readable }))).toBeUndefined();
  });

  it('and where policy acts, the reader is stopped first, and then nobody is asked', () => {
    const world = withRoleSession();
    const first = planRound(world.look({ verdict: act, inventory: readable }));
    expect(first.steps.map((each) => each.action)).not.toContain('aws/mint-key');
    expect(first.steps.map((each) => each.action)).toContain('aws/cut-off-role');
    world.carryOut(first);
    const input = world.look({ verdict: act, inventory: readable });
    const second = planRound(input);
    expect(second.purpose).toBe('rotate');
    expect(ways(input)).toBeUndefined();
  });
});

describe('a wrong plan is caught by the rule it breaks', () => {
  const withSnapshot = (input: PlanInput): PlanInput => ({ ...input, snapshotHash: input.assessmentHash });
  const inputs: Record<Mutant['on'][number], () => PlanInput> = {
    contain: () => {
      const world = new World();
      world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
      return world.look({ verdict: act });
    },
    'rotate-after': () => {
      const world = new World();
      world.carryOut(planRound(world.look({ verdict: act })));
      return world.look({ verdict: act });
    },
    full: () => {
      const world = new World();
      world.keys.set(attackerKey, { active: true, issuedAt: 2, changedAt: 2, by: leakedKey });
      world.carryOut(planRound(world.look({ verdict: act })));
      return world.look({ verdict: act });
    },
    'rotate-asked': () => new World().look({ verdict: ask }),
    stubborn: () =>
      new World().look({
        verdict: ask,
        inventory: a.inventory({ consumers: [a.consumer('build'), a.consumer('legacy', { rereads: 'never', overlap: false })] }),
      }),
    leaky: () => {
      const input = new World().look({ verdict: ask });
      const { finding } = input.assessment;
      const store = {
        id: 'store:ci',
        type: 'store',
        title: 'kv/ci/deployer',
        provenance: (finding.graph.nodes[0] as (typeof finding.graph.nodes)[number]).provenance,
      } as const;
      const graph = {
        nodes: [...finding.graph.nodes, store],
        edges: [...finding.graph.edges, a.edge(`aws.access-key:${leakedKey}`, 'store:ci', 'unlocks')],
      };
      return { ...input, assessment: { ...input.assessment, finding: { ...finding, graph } } };
    },
    declared: () =>
      new World().look({ verdict: ask, inventory: a.inventory({ stores: [a.store('ci', { readableBy: ['ci-deployer'] })] }) }),
    read: () => {
      // The leaked key is off already, and what it has read still opens the store.
      const inventory = a.inventory({ stores: [a.store('ci', { readableBy: ['ci/vault-token'] })] });
      const world = new World();
      world.carryOut(planRound(world.look({ verdict: act, inventory })));
      const input = world.look({ verdict: act, inventory });
      const { finding } = input.assessment;
      const secretsRead = [`arn:aws:secretsmanager:eu-west-1:111122223333:secret:ci/vault-token-AbC1d2`];
      return { ...input, assessment: { ...input.assessment, finding: { ...finding, secretsRead } } };
    },
    role: () => withRoleSession().look({ verdict: act }),
    'role-shared': () =>
      withRoleSession().look({
        verdict: act,
        inventory: a.inventory({
          consumers: [a.consumer('build'), a.consumer('neighbour', { store: 'elsewhere', assumes: [deployRole] })],
          stores: [a.store(), a.store('elsewhere', { principal: 'arn:aws:iam::111122223333:user/reporting' })],
        }),
      }),
    'role-asked': () => withRoleSession().look({ verdict: ask }),
    release: () => new World().look({ verdict: act }),
    claim: () => new World().look({ verdict: act, assessment: { proof: 'claim' } }),
  };

  it.each(mutants.flatMap((mutant) => mutant.on.map((on) => [mutant.name, on, mutant] as const)))(
    '%s, on the plan "%s"',
    (_, on, mutant) => {
      const input = withSnapshot(inputs[on]());
      const plan = planRound(input);
      expect(brokenRules(plan, input)).toEqual([]);
      const wrong = mutant.change(plan);
      expect(wrong).toBeDefined();
      expect(brokenRules(wrong as Plan, input).map((each) => each.rule)).toContain(mutant.rule);
    },
  );

  it('a refused step that is planned again, an unnamed secret, a leak into rotation with something new: each has its rule', () => {
    const world = new World();
    const plan = planRound(world.look({ verdict: ask }));
    const input = {
      ...world.look({ verdict: ask }),
      done: plan.steps.slice(0, 1).map((step) => ({ round: 1, step, state: 'skipped', refusedBy: 'rita' }) as const),
    };
    expect(brokenRules(plan, input).map((each) => each.rule)).toContain(RuleName.REFUSED_STAYS);
    const { finding } = input.assessment;
    const read = { ...input, done: [], assessment: { ...input.assessment, finding: { ...finding, secretsRead: ['arn:secret'] } } };
    expect(brokenRules(plan, read).map((each) => each.rule)).toContain(RuleName.READ_SECRETS_NAMED);
    const after = inputs['rotate-after']();
    const rotating = planRound(after);
    const unswept = {
      ...after,
      assessment: { ...after.assessment, swept: { state: 'unknown', at: after.now, source: 'log', why: 'lag' } as const },
    };
    expect(brokenRules(rotating, unswept).map((each) => each.rule)).toContain(RuleName.SWEPT_FIRST);
    const session = a.sessionNode('ASIALATE000000000001', { issuedAt: after.now });
    const woken = {
      ...after,
      assessment: {
        ...after.assessment,
        finding: {
          ...after.assessment.finding,
          graph: { nodes: [...after.assessment.finding.graph.nodes, session], edges: [a.edge(`aws.access-key:${leakedKey}`, session.id)] },
        },
      },
    };
    expect(brokenRules(rotating, woken).map((each) => each.rule)).toContain(RuleName.LIFT_LAST);
  });

  it('every rule has a mutant', () => {
    const covered = new Set([...mutants.map((each) => each.rule), RuleName.REFUSED_STAYS, RuleName.READ_SECRETS_NAMED]);
    expect(Object.values(RuleName).filter((each) => !covered.has(each))).toEqual([]);
  });
});
