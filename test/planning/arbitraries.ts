import fc from 'fast-check';
import type { Consumer, Store } from '../../domain/assessment.ts';
import type { GraphEdge, GraphNode } from '../../domain/credential.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { type DoneStep, type PlanStep, planHash } from '../../domain/plan.ts';
import type { PlanInput } from '../../planning/input.ts';
import { planRound } from '../../planning/plan.ts';
import { storeNodes } from '../../planning/rotate.ts';
import { a, account, arn, at, leakedKey } from './fixtures.ts';

const observation = (when: number, states: readonly Observation['state'][] = ['yes', 'no', 'unknown']): fc.Arbitrary<Observation> =>
  fc
    .tuple(fc.constantFrom(...states), fc.constantFrom('probe', 'administrator', 'log'))
    .map(([state, source]) =>
      state === 'unknown'
        ? unknown(at(when), source, 'nobody could say')
        : state === 'yes'
          ? yes(at(when), source, 'seen')
          : no(at(when), source, 'not seen'),
    );

const users = ['ci-deployer', 'backdoor', 'reporting'] as const;
/** Roles that sessions are of; the last is of an account that nobody here runs. */
const roles = [
  `arn:aws:iam::${account}:role/deploy`,
  `arn:aws:iam::${account}:role/teams/ci/odd.name`,
  'arn:aws:iam::999988887777:role/far',
] as const;
const arnOf = (user: string) => `arn:aws:iam::${account}:user/${user}`;

const keyNode = (at_: number) =>
  fc
    .record({
      user: fc.constantFrom(...users),
      live: observation(20),
      issued: fc.option(fc.integer({ min: -5000, max: 15 }), { nil: undefined }),
      listed: fc.boolean(),
      foreign: fc.boolean(),
    })
    .map(({ user, live, issued, listed, foreign }): GraphNode => {
      const node = a.keyNode(`AKIAQRANDOM${String(at_).padStart(9, '0')}`, {
        principal: foreign && at_ % 7 === 0 ? 'arn:aws:iam::999988887777:user/elsewhere' : arnOf(user),
        live,
      });
      const { issuedAt: _, status: __, ...credential } = node.credential as NonNullable<GraphNode['credential']>;
      return {
        ...node,
        credential: {
          ...credential,
          ...(issued === undefined ? {} : { issuedAt: at(issued) }),
          ...(listed || live.state !== 'no' ? { status: live.state === 'no' ? 'Inactive' : 'Active' } : {}),
        },
      };
    });

const sessionNode = (at_: number) =>
  fc
    .record({
      user: fc.constantFrom(...users),
      via: fc.constantFrom('GetSessionToken', 'GetFederationToken', 'GetScopedCredentials', 'AssumeRole', 'AssumeRole', 'SomethingNew'),
      role: fc.constantFrom(...roles, undefined),
      live: observation(5, ['yes', 'unknown', 'no']),
      issued: fc.option(fc.integer({ min: -200, max: 18 }), { nil: undefined }),
      ends: fc.option(fc.integer({ min: 0, max: 130_000 }), { nil: undefined }),
    })
    .map(({ user, role, via, live, issued, ends }): GraphNode => {
      const principal = (via === 'AssumeRole' || via === 'GetScopedCredentials') && role ? role : arnOf(user);
      const node = a.sessionNode(`ASIAQRANDOM${String(at_).padStart(9, '0')}`, { principal, derivedVia: via, live });
      const { issuedAt: _, expiresAt: __, ...credential } = node.credential as NonNullable<GraphNode['credential']>;
      return {
        ...node,
        credential: {
          ...credential,
          ...(issued === undefined ? {} : { issuedAt: at(issued) }),
          ...(ends === undefined ? {} : { expiresAt: at(ends) }),
        },
      };
    });

const principalNode = (user: string): GraphNode => ({
  id: arnOf(user),
  type: 'principal',
  title: user,
  provenance: { source: 'iam', at: at(0), confidence: 'certain', evidence: 'test' },
});

const consumer = (id: string, stores: readonly Store[]): fc.Arbitrary<Consumer> =>
  fc
    .record({
      store: fc.constantFrom(...stores.map((each) => each.id)),
      overlap: fc.boolean(),
      rereads: fc.constantFrom(2, 60, 'never' as const),
      assumes: fc.constantFrom([], [], [roles[0]], [roles[1]], [...roles]),
      // Mostly within networks that a fence could let in, or it would never be wanted where there are several.
      networks: fc.constantFrom([], ['198.51.100.0/24'], ['198.51.100.0/24', '10.0.0.0/8'], ['203.0.113.0/24']),
    })
    .map((over) => a.consumer(id, over));

const store = (id: string): fc.Arbitrary<Store> =>
  fc
    .record({
      provider: fc.constantFrom('vault', 'vault', 'vault', 'unheard-of'),
      account: fc.constantFrom('main', 'main', 'other'),
      principal: fc.constantFrom(arn, arn, arn, arnOf('reporting')),
      readableBy: fc.constantFrom([], [], [], ['ci-deployer'], [roles[0]], ['db'], [arnOf('backdoor'), roles[1]]),
    })
    .map((over) => a.store(id, over));

const inventory = fc
  .integer({ min: 0, max: 3 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => store(`store-${n}`))))
  .chain((stores) =>
    fc.record({
      stores: fc.constant(stores),
      consumers:
        stores.length === 0
          ? fc.constant([])
          : fc
              .integer({ min: 0, max: 4 })
              .chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => consumer(`app-${n}`, stores)))),
      protectedTargets: fc.constantFrom([], [], [], ['ci-deployer'], [leakedKey], ['reporting'], ['deploy']),
      owner: fc.constant('olga'),
    }),
  )
  .map((parts) => a.inventory(parts));

/** Any incident at all: graphs with circles, half-known keys, several principals and accounts, readable stores, every mode and proof. Nothing has been done yet. */
export const incident: fc.Arbitrary<PlanInput> = fc
  .record({
    root: fc.record({ live: observation(20, ['yes', 'yes', 'yes', 'unknown', 'no']), listed: fc.boolean() }),
    keys: fc.integer({ min: 0, max: 4 }).chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => keyNode(n + 1)))),
    sessions: fc.integer({ min: 0, max: 4 }).chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => sessionNode(n + 1)))),
    links: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 8 }),
    acts: fc.boolean(),
    makesUser: fc.boolean(),
    unlocks: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 2 }),
    issues: fc.boolean(),
    inventory,
    mode: fc.constantFrom('act', 'act', 'act', 'ask', 'ask', 'hold', 'pass'),
    proof: fc.constantFrom('possession', 'possession', 'issuer-signed', 'claim'),
    swept: observation(20, ['yes', 'yes', 'unknown']),
    fresh: fc.constantFrom('none', 'all', 'half'),
    since: fc.option(fc.integer({ min: -3000, max: 5 }), { nil: undefined }),
    slots: fc.option(fc.constantFrom({ used: 1, limit: 2 }, { used: 2, limit: 2 }), { nil: undefined }),
    ours: observation(1, ['yes', 'yes', 'yes', 'yes', 'unknown', 'no']),
    canary: fc.constantFrom(false, false, false, false, false, true),
    account: fc.constantFrom('act', 'act', 'act', 'act', 'propose', 'observe'),
    secretsRead: fc.constantFrom([], [], ['arn:aws:secretsmanager:eu-west-1:111122223333:secret:db']),
    principal: fc.constantFrom(arn, arn, arn, arn, undefined),
  })
  .map((parts) => {
    const root = a.keyNode(leakedKey, {
      live: parts.root.live,
      ...(parts.principal ? {} : { principal: 'arn:aws:iam::111122223333:role/not-a-user' }),
    });
    const nodes: GraphNode[] = [root, ...parts.keys, ...parts.sessions, ...(parts.acts ? users.map(principalNode) : [])];
    const made = nodes.filter((each) => each.credential);
    const edges: GraphEdge[] = parts.links.map(([from, to]) =>
      a.edge((made[from % made.length] as GraphNode).id, (made[to % made.length] as GraphNode).id),
    );
    if (parts.acts)
      for (const node of made) if (node.credential?.principal) edges.push(a.edge(node.id, node.credential.principal, 'acts-as'));
    if (parts.makesUser) edges.push(a.edge(root.id, arnOf('backdoor')));
    for (const [from, to] of parts.unlocks) {
      const target = parts.inventory.stores[to % Math.max(1, parts.inventory.stores.length)];
      if (!target) continue;
      const id = storeNodes(target)[1] as string;
      if (!nodes.some((each) => each.id === id)) nodes.push({ id, type: 'store', title: target.path, provenance: root.provenance });
      edges.push(a.edge((made[from % made.length] as GraphNode).id, id, 'unlocks'));
    }
    if (parts.issues && made[1]) edges.push(a.edge(made[1].id, root.id, 'issues'));
    const finding = a.finding(
      nodes,
      {
        providerTime: at(25),
        live: parts.root.live,
        ours: parts.ours,
        canary: parts.canary,
        swept: parts.swept,
        secretsRead: parts.secretsRead,
        ...(parts.slots ? { slots: parts.slots } : {}),
      },
      edges,
    );
    const all = made.map((each) => each.id);
    const { exposedSince: _, ...assessment } = a.assessment(finding, {
      proof: parts.proof,
      fresh: parts.fresh === 'none' ? [] : parts.fresh === 'all' ? all : all.filter((__, index) => index % 2 === 1),
    });
    const withPrincipal = parts.principal ? finding : { ...finding, principal: 'arn:aws:iam::111122223333:role/not-a-user' };
    return shown(
      a.input(
        { ...assessment, finding: withPrincipal, ...(parts.since === undefined ? {} : { exposedSince: at(parts.since) }) },
        {
          verdict: a.verdict({ mode: parts.mode, accounts: [{ provider: 'aws', account, mode: parts.account }] }),
          inventory: parts.inventory,
          snapshotHash: planHash({} as never),
        },
      ),
    );
  });

/** A counterexample that can be read: without the manifests, which are the same for all. */
function shown(input: PlanInput): PlanInput {
  const { finding } = input.assessment;
  const credentials = finding.graph.nodes.map(({ id, credential }) =>
    credential
      ? {
          id,
          ...credential,
          locator: undefined,
          kind: undefined,
          live: `${credential.live.state} ${credential.live.source} ${credential.live.at.slice(17, 19)}`,
        }
      : { id },
  );
  const text = JSON.stringify({
    round: input.round,
    mode: input.verdict.mode,
    account: input.verdict.accounts?.[0]?.mode,
    proof: input.assessment.proof,
    since: input.assessment.exposedSince,
    fresh: input.assessment.fresh,
    ours: finding.ours.state,
    swept: input.assessment.swept.state,
    slots: finding.slots,
    time: finding.providerTime,
    rolledBack: input.rolledBack,
    credentials,
    edges: finding.graph.edges.map((each) => `${each.from} ${each.kind} ${each.to}`),
    inventory: input.inventory,
    done: input.done.map(
      (each) =>
        `${each.step.id} ${each.state}${each.effectiveAt ? ` ${each.effectiveAt.slice(17, 19)}` : ''}${each.refusedBy ? ' refused' : ''}`,
    ),
  });
  return Object.assign(input, { [fc.toStringMethod]: () => text });
}

/** How one step of an imagined earlier round ended. */
const ending = fc.record({
  state: fc.constantFrom('done', 'done', 'done', 'done', 'failed', 'skipped', 'undone', 'stuck'),
  refused: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
  effective: fc.integer({ min: 2, max: 24 }),
});
type Ending = { readonly state: DoneStep['state']; readonly refused: boolean; readonly effective: number };

const finish = (step: PlanStep, round: number, how: Ending, n: number): DoneStep => ({
  round,
  step,
  state: how.state,
  ...(how.state === 'done' ? { effectiveAt: at(how.effective) } : {}),
  ...(how.state === 'done' && step.action.endsWith('/mint-key')
    ? { made: { accessKeyId: `AKIAQOURS${String(n).padStart(11, '0')}`, sealed: 'sha256:x', keyId: 'k' } }
    : {}),
  ...((how.state === 'done' || how.state === 'undone') && step.action.endsWith('/cut-off-role')
    ? {
        residual: {
          what: `cut-off on ${step.target.role}`,
          target: step.hold ?? '',
          stamp: at(how.effective),
          until: at(how.effective + 3_600),
        },
      }
    : {}),
  ...((how.state === 'done' || how.state === 'undone') && step.action.endsWith('/cut-off-sessions')
    ? { residual: { what: `cut-off on ${step.target.user}`, target: step.hold ?? '', until: at(how.effective + 129_600) } }
    : {}),
  ...(how.refused && (how.state === 'skipped' || how.state === 'undone') ? { refusedBy: 'rita' } : {}),
});

/** An incident some rounds in: what the planner itself planned has ended in every way it can, in whatever order the world allowed. */
export const incidentUnderWay: fc.Arbitrary<PlanInput> = fc
  .record({
    input: incident,
    endings: fc.array(ending, { minLength: 12, maxLength: 12 }),
    rounds: fc.integer({ min: 0, max: 3 }),
    rolledBack: fc.integer({ min: 0, max: 14 }).map((n) => n === 0),
    later: fc.constantFrom(25, 25, 25, 200_000),
  })
  .map(({ input, endings, rounds, rolledBack, later }) => {
    let current = input;
    let used = 0;
    for (let n = 0; n < rounds; n++) {
      const plan = planRound(current);
      const done = [...current.done];
      const ended = new Map<string, DoneStep['state']>();
      for (const step of plan.steps) {
        const how = endings[used % endings.length] as Ending;
        const reached = step.needs.every((need) => ended.get(need) === 'done');
        const result = finish(step, plan.round, reached ? how : { ...how, state: 'skipped', refused: false }, used++);
        ended.set(step.id, result.state);
        done.push(result);
      }
      current = { ...current, round: current.round + 1, done };
    }
    const { finding } = current.assessment;
    const assessment = later === 25 ? current.assessment : { ...current.assessment, finding: { ...finding, providerTime: at(later) } };
    return shown({ ...current, assessment, ...(rolledBack ? { rolledBack } : {}) });
  });
