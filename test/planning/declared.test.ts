import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { canonicalJson } from '../../domain/canonical.ts';
import { type GraphEdge, nodeId } from '../../domain/credential.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Plan } from '../../domain/plan.ts';
import { containedExtent, isSettled, rotatedExtent, situationOf } from '../../planning/facts.ts';
import type { PlanInput } from '../../planning/input.ts';
import { declared } from '../../planning/kinds/declared.ts';
import { planRound } from '../../planning/plan.ts';
import { brokenRules } from '../../planning/rules.ts';
import { a, at } from './fixtures.ts';
import { about, carriedOut, cloud, forge, node, safe, systems } from './systems.ts';

const actions = (plan: Plan) => plan.steps.map((each) => each.action);
const only = (plan: Plan, action: string) => {
  const found = plan.steps.filter((each) => each.action === action);
  if (found.length !== 1 || !found[0]) throw new Error(`${action} stands ${found.length} times in ${actions(plan).join(', ')}`);
  return found[0];
};
/** A plan that keeps every order rule, or the test says which it breaks. */
const plan = (input: PlanInput): Plan => {
  const made = planRound(input);
  expect(brokenRules(made, input)).toEqual([]);
  return made;
};

const email = 'ci@here.cloud.test';
const key = (id: string, over = {}) => node('cloud.account-key', { email, id }, { principal: email, status: 'enabled', ...over });
const token = (sha256: string, over = {}) =>
  node('cloud.token', { sha256 }, { principal: email, derivedVia: 'exchange', issuedAt: at(2), expiresAt: at(3602), ...over });
const store = a.store('ci', { principal: email });
const consumer = a.consumer('build', { store: 'ci' });
const off = (id: string, at_ = 12) => key(id, { live: no(at(at_), 'administrator', 'disabled'), status: 'disabled' });

describe('a key that can be disabled, of an account that can', () => {
  const leaked = { stores: [store], consumers: [consumer] };

  it('in public: key and account are turned off at once, since what it made is seen by nobody', () => {
    const first = plan(about('cloud', [key('leaked')], leaked));
    expect([first.purpose, actions(first), first.gates]).toEqual(['contain', ['cloud/disable-key', 'cloud/disable-account'], []]);
    const deny = only(first, 'cloud/disable-account');
    expect(deny).toMatchObject({ hold: email, liftedBy: 'enable-account', target: { account: 'here', email }, impact: 'outage' });
    expect(only(first, 'cloud/disable-key').target).toEqual({ account: 'here', email, id: 'leaked' });
  });

  it('is replaced, and the account comes back only when the last token from before is dead', () => {
    const first = plan(about('cloud', [key('leaked')], leaked));
    const done = carriedOut(first, 12);
    const second = plan(about('cloud', [off('leaked')], { ...leaked, input: { round: 2, done }, finding: { providerTime: at(40) } }));
    expect(actions(second)).toEqual(['cloud/upload-key', 'vault/stage-secret', 'vault/distribute-secret', 'vault/watch-readers']);
    expect(second.gates).toEqual([]);
    // Effective at 12, and a token lives an hour.
    expect(second.residuals.map((each) => [each.target, each.until])).toEqual([[email, at(3612)]]);
    expect(second.notes.join(' ')).toContain(`The deny on ${email} stays until ${at(3612)}`);

    const rest = carriedOut(second, 41).filter((each) => each.step.action !== 'cloud/delete-key');
    const both = [off('leaked'), key('ours', { issuedAt: at(41) })] as const;
    const later = (time: number) =>
      about('cloud', [...both], { ...leaked, input: { round: 3, done: [...done, ...rest] }, finding: { providerTime: at(time) } });
    const early = plan(later(3611));
    expect(actions(early)).toEqual([]);
    expect(isSettled(later(3611).assessment, later(3611).done, { steps: [] }, systems)).toBe(true);
    const due = plan(later(3613));
    expect(actions(due)).toEqual(['cloud/enable-account', 'cloud/watch-new-use', 'cloud/delete-key']);
    expect(due.gates.map((each) => [each.id, each.question])).toEqual([
      ['g-irreversible', `Shall leaked of ${email} (the leaked key) be deleted? This cannot be undone: the system forgets it.`],
    ]);
    const lift = only(due, 'cloud/enable-account');
    expect(lift).toMatchObject({ lifts: 'disable-account', hold: email });
    expect([lift.gate, only(due, 'cloud/watch-new-use').needs]).toEqual([undefined, [lift.id]]);
    const all = [...done, ...rest, ...carriedOut(due, 3620)];
    const end = later(3630).assessment;
    expect([containedExtent(end, all, systems), rotatedExtent(end, all, later(3630).inventory, systems)]).toEqual(['yes', 'yes']);
    expect(planRound({ ...later(3630), round: 4, done: all }).steps).toEqual([]);
  });

  it('a token that is seen to live keeps the account off until it has expired', () => {
    const first = plan(about('cloud', [key('leaked')]));
    const done = carriedOut(first, 12);
    const edges = [a.edge(nodeId({ kind: 'cloud.account-key', locator: { email, id: 'leaked' } }), 'cloud.token:t')];
    const late = token('t', { expiresAt: at(40_000) });
    const input = about('cloud', [off('leaked'), late], { edges, input: { round: 2, done }, finding: { providerTime: at(5000) } });
    const second = plan(input);
    expect(actions(second)).not.toContain('cloud/enable-account');
    expect(second.residuals.map((each) => each.until)).toEqual([at(40_000)]);
    expect(containedExtent(input.assessment, done, systems)).toBe('yes');
  });

  it('asked first: a new one before the old one goes, and no deny', () => {
    const input = about('cloud', [key('leaked')], { ...leaked, input: { verdict: a.verdict({ mode: 'ask' }) } });
    const asked = plan(input);
    expect(actions(asked)).toEqual([
      'cloud/upload-key',
      'vault/stage-secret',
      'vault/distribute-secret',
      'vault/watch-readers',
      'cloud/watch-new-use',
      'cloud/watch-old-quiet',
      'cloud/disable-key',
      'cloud/delete-key',
    ]);
    expect(asked.gates.find((each) => each.id === 'g-outage')?.question).toContain('Then leaked is turned off.');
  });

  it('a token that was found afterwards, which only the account’s disabling stops, has it disabled', () => {
    const input = about('cloud', [key('leaked')], { ...leaked, input: { verdict: a.verdict({ mode: 'ask' }) } });
    const done = carriedOut(plan(input), 12, { 'cloud/delete-key': 'skipped' }).filter((each) => each.step.phase !== 'mint');
    const edges = [a.edge(nodeId({ kind: 'cloud.account-key', locator: { email, id: 'leaked' } }), 'cloud.token:t')];
    const found = plan(
      about('cloud', [off('leaked'), token('t')], { ...leaked, edges, input: { round: 2, done, verdict: a.verdict({ mode: 'ask' }) } }),
    );
    expect([found.purpose, actions(found)]).toEqual(['contain', ['cloud/disable-account']]);
  });

  it('of an account elsewhere: a person does it', () => {
    const far = 'ci@far.cloud.test';
    const input = about('cloud', [node('cloud.account-key', { email: far, id: 'leaked' }, { principal: far })]);
    expect(plan(input).steps.every((each) => each.provider === 'manual')).toBe(true);
  });

  it('a leaked token is stopped with its account, and nothing is replaced', () => {
    const input = about('cloud', [token('t', { live: yes(at(1), 'log', 'seen') })]);
    expect(actions(plan(input))).toEqual(['cloud/disable-account']);
    const done = carriedOut(plan(input), 12);
    const next = plan({ ...input, round: 2, done });
    expect([actions(next), next.residuals.map((each) => each.until)]).toEqual([[], [at(3612)]]);
    const after = about('cloud', [token('t', { live: yes(at(1), 'log', 'seen') })], {
      input: { round: 3, done },
      finding: { providerTime: at(3700) },
    });
    expect(actions(plan(after))).toEqual(['cloud/enable-account']);
  });
});

describe('a token that can only be revoked for good', () => {
  const leaked = node('forge.token', { hashed: 'h1' });
  const deploy = (id: string, over = {}) =>
    node('forge.deploy-key', { repository: 'shop', id }, { derivedVia: 'personal token', issuedAt: at(-50_000), ...over });
  const edge = (id: string): GraphEdge => a.edge(leaked.id, `forge.deploy-key:${id}/shop`);

  it('stands for itself, and its revocation is asked about before anything else', () => {
    const input = about('forge', [leaked]);
    const first = plan(input);
    expect([first.purpose, actions(first)]).toEqual(['contain', ['forge/revoke-token']]);
    expect(only(first, 'forge/revoke-token')).toMatchObject({
      target: { account: 'here', hashed: 'h1' },
      reversibility: 'irreversible',
      gate: 'g-irreversible',
    });
    expect(first.gates[0]).toMatchObject({ reason: 'irreversible', rule: { onSilence: 'hold' } });
    expect(first.gates[0]?.question).toContain('h1');
    expect(situationOf({ ...input, manifests: systems })).toMatchObject({ handled: true, reversible: false });
  });

  it('revoked: contained by a sweep that counts, and replaced by hand', () => {
    const input = about('forge', [leaked], { stores: [a.store('ci', { principal: 'forge.token:h1' })], consumers: [consumer] });
    const first = plan(input);
    expect(only(first, 'forge/revoke-token')).toMatchObject({ impact: 'outage', affects: ['build'] });
    const done = carriedOut(first, 12);
    const gone = node('forge.token', { hashed: 'h1' }, { live: no(at(13), 'administrator', 'gone'), status: 'absent' });
    const second = plan(
      about('forge', [gone], {
        stores: [a.store('ci', { principal: 'forge.token:h1' })],
        consumers: [consumer],
        input: { round: 2, done },
      }),
    );
    expect(actions(second)).toEqual(['manual/replace']);
    expect(containedExtent(about('forge', [gone]).assessment, done, systems)).toBe('yes');
  });

  it('refused: it stays, and bears the name of who left it', () => {
    const first = plan(about('forge', [leaked]));
    const done = carriedOut(first, 12, { 'forge/revoke-token': 'refused' });
    const input = about('forge', [leaked], { input: { round: 2, done } });
    const second = plan(input);
    expect(actions(second)).not.toContain('forge/revoke-token');
    expect(second.residuals.map((each) => each.acceptedBy)).toContain('rita');
    expect(containedExtent(input.assessment, done, systems)).toBe('no');
  });

  it('a key that dies with it needs no step of its own; one that outlives it does', () => {
    const outlives = deploy('2', { derivedVia: 'app' });
    const first = plan(about('forge', [leaked, deploy('1'), outlives], { edges: [edge('1'), edge('2')] }));
    expect(first.steps.map((each) => [each.action, each.target.id])).toEqual([
      ['forge/revoke-token', undefined],
      ['forge/delete-deploy-key', '2'],
    ]);
    const done = carriedOut(first, 12);
    const unseen = about('forge', [leaked, deploy('1')], { edges: [edge('1')], input: { round: 2, done } });
    expect(containedExtent(unseen.assessment, done, systems)).toBe('yes');
    // A look that still finds it after the revocation finds it standing.
    const alive = deploy('1', { live: yes(at(30), 'administrator', 'listed') });
    const found = about('forge', [leaked, alive], { edges: [edge('1')], input: { round: 2, done } });
    expect(containedExtent(found.assessment, done, systems)).toBe('partial');
    expect(actions(plan(found))).toEqual(['forge/delete-deploy-key']);
  });

  it('of a kind that nothing is declared for: a person does it all, and the sweep is theirs', () => {
    const input = about('safe', [node('safe.batch', { hmac: 'x' })]);
    expect(actions(plan(input))).toEqual(['manual/contain', 'manual/replace', 'manual/sweep']);
    expect(situationOf({ ...input, manifests: systems })).toMatchObject({ handled: false, reversible: false });
  });
});

describe('a token whose entity can be disabled', () => {
  const entity = 'entity/web';
  const leaked = node('safe.token', { accessor: 'a1' }, { principal: entity });

  it('is stopped through the entity at once, and its end is asked about', () => {
    const first = plan(about('safe', [leaked]));
    expect(first.steps.map((each) => [each.action, each.gate])).toEqual([
      ['safe/revoke-token', 'g-irreversible'],
      ['safe/disable-entity', undefined],
    ]);
    const done = carriedOut(first, 12, { 'safe/revoke-token': 'skipped' });
    const input = about('safe', [leaked], { input: { round: 2, done } });
    expect(containedExtent(input.assessment, done, systems)).toBe('yes');
    expect(actions(plan(input))).toEqual(['safe/revoke-token']);
  });

  it('the entity comes back when the token is dead, and not while an orphan of its making lives', () => {
    const done = carriedOut(plan(about('safe', [leaked])), 12);
    const gone = node('safe.token', { accessor: 'a1' }, { principal: entity, live: no(at(13), 'administrator', 'gone'), status: 'absent' });
    const orphan = node('safe.token', { accessor: 'a2' }, { principal: entity, derivedVia: 'create-orphan', issuedAt: at(3) });
    const edges = [a.edge(leaked.id, orphan.id)];
    const found = plan(about('safe', [gone, orphan], { edges, input: { round: 2, done } }));
    expect(actions(found)).toEqual(['safe/revoke-token']);
    expect(only(found, 'safe/revoke-token').target.accessor).toBe('a2');
    const clean = plan(about('safe', [gone], { input: { round: 2, done }, finding: { providerTime: at(40) } }));
    // Each token is known by its accessor, so that a sweep which counts says that none is left to be woken.
    expect(actions(clean)).toEqual(['manual/replace', 'safe/enable-entity']);
  });

  it('a batch token dies with the token that made it', () => {
    const batch = node('safe.batch', { hmac: 'x' }, { derivedVia: 'create-batch', expiresAt: at(3000) });
    const first = plan(about('safe', [leaked, batch], { edges: [a.edge(leaked.id, batch.id)] }));
    expect(actions(first)).toEqual(['safe/revoke-token', 'safe/disable-entity']);
  });
});

describe('a credential whose owner nobody knows', () => {
  it('is dealt with all the same where its own levers ask for no owner', () => {
    const nobodys = node('safe.token', { accessor: 'a1' });
    const first = plan(about('safe', [nobodys]));
    expect(actions(first)).toEqual(['safe/revoke-token']);
    const owned = node('cloud.account-key', { email, id: 'leaked' });
    expect(actions(plan(about('cloud', [owned])))).toEqual(['cloud/disable-key']);
  });
});

describe('what is read out of a manifest', () => {
  const knowledge = declared(cloud);
  if (!knowledge) throw new Error('the cloud is known');

  it('a name and an id are one principal, and a pattern always has to match the whole text', () => {
    expect(knowledge.principal(email, 'other')).toMatchObject({ id: email, account: 'here', name: email });
    expect(knowledge.principal(`serviceAccount:${email}`, 'here')?.id).not.toBe(email);
    expect(knowledge.principal(undefined, 'here')).toBeUndefined();
    expect(knowledge.principal('*', 'here')).toBeUndefined();
    const entities = declared(safe);
    expect(entities?.principal('entity/web', 'here')).toMatchObject({ id: 'entity/web', name: 'web', account: 'here' });
    expect(entities?.principal('entity/web', 'here')).toEqual(entities?.principal(entities.principal('entity/web', 'here')?.id, 'here'));
  });

  it('a lever with a hole in it is none', () => {
    const half = { kind: 'cloud.account-key', locator: { id: 'x' }, live: yes(at(0), 'log', 'x') };
    const principal = knowledge.principal(email, 'here');
    if (!principal) throw new Error('a principal');
    expect(knowledge.standsAlone(half)).toBe(false);
    expect(knowledge.disable(half, principal)).toBeUndefined();
    const wild = { ...half, locator: { email, id: 'x*' } };
    expect(knowledge.disable(wild, principal)).toBeUndefined();
  });

  it('a manifest that says what can be done about no kind is known by nobody', () => {
    expect(declared(systems.vault.kinds.length === 0 ? systems.vault : { ...cloud, kinds: [] })).toBeUndefined();
    expect(declared({ ...forge, kinds: forge.kinds.map(({ ways: _, ...kind }) => kind) })).toBeUndefined();
  });
});

describe('every plan over declared kinds keeps the order rules', () => {
  const seed = Number(process.env.TOURNIQUET_SEED ?? 20261124);
  const numRuns = process.env.TOURNIQUET_FULL === '1' ? 5000 : 300;
  vi.setConfig({ testTimeout: 900_000 });
  const live = fc.constantFrom(
    yes(at(0), 'administrator', 'x'),
    yes(at(20), 'administrator', 'x'),
    unknown(at(1), 'log', 'x'),
    no(at(5), 'administrator', 'x'),
  );
  const input: fc.Arbitrary<PlanInput> = fc
    .record({
      provider: fc.constantFrom('cloud', 'forge', 'safe'),
      live: fc.array(live, { minLength: 4, maxLength: 4 }),
      count: fc.integer({ min: 1, max: 4 }),
      links: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }),
      mode: fc.constantFrom('act', 'ask', 'pass'),
      proof: fc.constantFrom('possession', 'possession', 'claim'),
      stores: fc.boolean(),
      endings: fc.array(fc.constantFrom('done', 'done', 'done', 'failed', 'skipped', 'undone', 'refused'), { minLength: 8, maxLength: 8 }),
      rounds: fc.integer({ min: 0, max: 3 }),
      time: fc.constantFrom(25, 4000, 200_000),
    })
    .map((parts) => {
      const made = (n: number) => {
        const over = { live: parts.live[n] ?? yes(at(0), 'log', 'x') };
        if (parts.provider === 'cloud') return n % 2 === 0 ? key(`k${n}`, over) : token(`t${n}`, over);
        if (parts.provider === 'forge')
          return n === 0
            ? node('forge.token', { hashed: 'h0' }, over)
            : node('forge.deploy-key', { repository: 'shop', id: String(n) }, { ...over, derivedVia: n % 2 ? 'personal token' : 'app' });
        return n === 3
          ? node('safe.batch', { hmac: 'b' }, { ...over, derivedVia: 'create-batch' })
          : node(
              'safe.token',
              { accessor: `a${n}` },
              { ...over, principal: 'entity/web', ...(n > 0 ? { derivedVia: 'create-orphan' } : {}) },
            );
      };
      const nodes = Array.from({ length: parts.count }, (_, n) => made(n));
      const edges = parts.links.map(([from, to]) => a.edge(nodes[from % nodes.length]?.id ?? '', nodes[to % nodes.length]?.id ?? ''));
      let current = about(parts.provider as 'cloud', nodes as [(typeof nodes)[0]], {
        edges,
        assessment: { proof: parts.proof as 'claim' },
        ...(parts.stores
          ? { stores: [store, a.store('f', { principal: 'forge.token:h0' })], consumers: [consumer, a.consumer('other', { store: 'f' })] }
          : {}),
        input: { verdict: a.verdict({ mode: parts.mode as 'act' }) },
      });
      let used = 0;
      for (let n = 0; n < parts.rounds; n++) {
        const next = planRound(current);
        const ended = new Map<string, string>();
        const done = next.steps.map((step) => {
          const how = step.needs.every((need) => ended.get(need) === 'done') ? (parts.endings[used++ % 8] as string) : 'skipped';
          ended.set(step.id, how);
          return how === 'refused'
            ? ({ round: next.round, step, state: 'skipped', refusedBy: 'rita' } as const)
            : ({
                round: next.round,
                step,
                state: how as 'done',
                ...(how === 'done' ? { effectiveAt: at(12) } : {}),
                ...(how === 'done' && step.phase === 'mint' ? { made: { email, id: 'ours' } } : {}),
              } as const);
        });
        current = { ...current, round: current.round + 1, done: [...current.done, ...done] };
      }
      const { finding } = current.assessment;
      return { ...current, assessment: { ...current.assessment, finding: { ...finding, providerTime: at(parts.time) } } };
    });

  it('whatever the graph, however earlier steps ended; and is the same bytes for the same input', () => {
    fc.assert(
      fc.property(input, (each) => {
        const made = planRound(each);
        expect(brokenRules(made, each)).toEqual([]);
        expect(canonicalJson(planRound(structuredClone(each)))).toBe(canonicalJson(made));
        expect(made.purpose === 'nothing').toBe(made.steps.length === 0);
        if (made.steps.length === 0) expect(made.notes.length).toBeGreaterThan(0);
        const situation = situationOf({ ...each, manifests: systems });
        if (situation.standing > 0) expect(containedExtent(each.assessment, each.done, systems)).not.toBe('yes');
      }),
      { seed, numRuns },
    );
  });
});
