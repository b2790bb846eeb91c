import { afterAll, describe, expect, it } from 'vitest';
import { spendOn, spendUnasked, turnOf } from '../../activities/budget.ts';
import { ownThings, publishSelf } from '../../audit/self.ts';
import type { Hash } from '../../domain/canonical.ts';
import { isFault } from '../../domain/errors.ts';
import type { Policy } from '../../domain/policy.schema.ts';
import { type Desk, openDesk, policy, reportOf, signed, trust } from './bench.ts';

const opened: Desk[] = [];
const fresh = (): Desk => {
  const desk = openDesk();
  opened.push(desk);
  return desk;
};
afterAll(() => {
  for (const each of opened) each.close();
});

const hour = 3_600_000;
const now = Date.parse('2026-03-01T12:10:00.000Z');
const budget = (per: 'engine' | 'account' | 'reporter', most: number): Policy['budgets'][number] => ({
  name: `by-${per}`,
  per,
  within: hour,
  most,
});
const spending = (n: number, over: { account?: string; reporter?: string | undefined } = {}) => ({
  incident: `leak/${n}`,
  run: 'run',
  provider: 'aws',
  account: '1',
  reporter: 'scanner' as string | undefined,
  ...over,
});
const codeOf = (error: unknown) => (isFault(error) ? error.code : String(error));

describe('a budget of what is done unasked', () => {
  it('holds among judges who spend at the same moment', async () => {
    const { store } = fresh();
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => spendOn(store, [budget('account', 15)], spending(n), now)));
    expect(answers.filter((each) => each === undefined)).toHaveLength(15);
    expect(new Set(answers.filter((each) => each !== undefined))).toEqual(new Set(['by-account']));
  });

  it('counts a run once, however often and by how many judges it is judged', async () => {
    const { store } = fresh();
    const again = await Promise.all(Array.from({ length: 20 }, () => spendOn(store, [budget('engine', 2)], spending(1), now)));
    expect(new Set(again)).toEqual(new Set([undefined]));
    expect(await spendOn(store, [budget('engine', 2)], spending(2), now)).toBeUndefined();
    expect(await spendOn(store, [budget('engine', 2)], spending(3), now)).toBe('by-engine');
    expect(await spendOn(store, [budget('engine', 2)], spending(1), now + 5 * hour)).toBeUndefined();
  });

  it('slides: what was spent less than its length ago counts across the turn of the hour', async () => {
    const { store } = fresh();
    const late = Date.parse('2026-03-01T12:59:00.000Z');
    for (const n of [1, 2, 3]) expect(await spendOn(store, [budget('engine', 3)], spending(n), late)).toBeUndefined();
    expect(await spendOn(store, [budget('engine', 3)], spending(4), late + 120_000)).toBe('by-engine');
    expect(await spendOn(store, [budget('engine', 3)], spending(4), late + hour + 1)).toBeUndefined();
  });

  it('is kept for each account and each reporter, and what one budget refuses uses up no other', async () => {
    const { store } = fresh();
    const both = [budget('account', 3), budget('reporter', 2)];
    expect(await spendOn(store, both, spending(1), now)).toBeUndefined();
    expect(await spendOn(store, both, spending(2), now)).toBeUndefined();
    for (const n of [3, 4, 5]) expect(await spendOn(store, both, spending(n), now)).toBe('by-reporter');
    expect(await spendOn(store, both, spending(6, { reporter: 'rita' }), now)).toBeUndefined();
    expect(await spendOn(store, both, spending(7, { reporter: 'rita' }), now)).toBe('by-account');
    expect(await spendOn(store, both, spending(8, { reporter: 'rita', account: '2' }), now)).toBeUndefined();
  });

  it('takes all whom nobody knows for one reporter, and none of them for somebody who is known', async () => {
    const { store } = fresh();
    const one = [budget('reporter', 1)];
    expect(await spendOn(store, one, spending(1, { reporter: undefined }), now)).toBeUndefined();
    expect(await spendOn(store, one, spending(2, { reporter: undefined }), now)).toBe('by-reporter');
    expect(await spendOn(store, one, spending(3), now)).toBeUndefined();
  });
});

describe('the worker’s own ceiling', () => {
  const plan = { incident: 'leak/1', run: 'run', round: 1 };
  const step = (id: string, over: object = {}) => ({ id, phase: 'contain' as const, provider: 'aws', ...over });

  it('refuses the change beyond it, counts a retry once, and counts nothing that a person has approved', async () => {
    const { store } = fresh();
    const deps = { store, clock: () => new Date(now), provider: 'aws', account: '1', unaskedPerHour: 3 };
    for (const id of ['a', 'a', 'b', 'b', 'c', 'a']) await spendUnasked(deps, plan, step(id), false);
    await spendUnasked(deps, plan, step('d', { gate: 'g-outage' }), true);
    await spendUnasked(deps, plan, step('e', { phase: 'watch' }), false);
    expect(await spendUnasked(deps, plan, step('f'), false).catch(codeOf)).toBe('warrant.budget-spent');
    // A gate that silence opened is no question that somebody has answered.
    expect(await spendUnasked(deps, plan, step('g', { gate: 'g-outage' }), false).catch(codeOf)).toBe('warrant.budget-spent');
    expect(await spendUnasked({ ...deps, account: '2' }, plan, step('f'), false).catch(codeOf)).toBeUndefined();
    expect(await spendUnasked({ ...deps, clock: () => new Date(now + hour + 1) }, plan, step('f'), false).catch(codeOf)).toBeUndefined();
  });

  it('holds among attempts at the same moment', async () => {
    const { store } = fresh();
    const deps = { store, clock: () => new Date(now), provider: 'aws', account: '1', unaskedPerHour: 5 };
    const all = await Promise.all(Array.from({ length: 30 }, (_, n) => spendUnasked(deps, plan, step(`s${n}`), false).catch(codeOf)));
    expect(all.filter((each) => each === undefined)).toHaveLength(5);
  });
});

describe('attention for what nothing proves', () => {
  const claim = (n: number, reporter = 'somebody') => ({ of: 'claim' as const, incident: `leak/${n}`, run: 'run', reporter });

  it('500 claims get their turns: a few at once, no more than the policy says in any hour, none twice', async () => {
    const { store } = fresh();
    const turns: number[] = [];
    for (let n = 0; n < 500; n++) turns.push(await turnOf(store, policy.looks, claim(n, `name ${n}`), now));
    expect(turns.filter((each) => each === now)).toHaveLength(10);
    for (let from = now; from < Math.max(...turns); from += 60_000)
      expect(turns.filter((each) => each > from && each <= from + hour).length).toBeLessThanOrEqual(71);
    const again = await turnOf(store, policy.looks, claim(499, 'another name'), now + 1000);
    expect(again).toBe(turns[499]);
    console.log(`  500 claims: 10 at once, the last in ${((Math.max(...turns) - now) / hour).toFixed(1)} hours`);
  });

  it('gives no turn twice among judges at the same moment', async () => {
    const { store } = fresh();
    const turns = await Promise.all(Array.from({ length: 60 }, (_, n) => turnOf(store, policy.looks, claim(n, `name ${n}`), now)));
    expect(turns.filter((each) => each === now)).toHaveLength(10);
    const later = turns.filter((each) => each > now);
    expect(new Set(later).size).toBeGreaterThanOrEqual(later.length - 10);
  });

  it('one name has fewer than all together, and does not use up those of others', async () => {
    const { store } = fresh();
    const mine = await Promise.all(Array.from({ length: 20 }, (_, n) => turnOf(store, policy.looks, claim(n, 'loud'), now)));
    expect(mine.filter((each) => each === now)).toHaveLength(5);
    expect(await turnOf(store, policy.looks, { of: 'sealed', incident: 'leak/99', run: 'run', reporter: 'quiet' }, now)).toBe(now);
  });

  it('a signed report of what waits is looked at at once, and so is a sealed one', async () => {
    const desk = fresh();
    const keys = Array.from({ length: 12 }, (_, n) => `AKIAY34FZKBOKMUTVV${String.fromCharCode(65 + n)}A`);
    const of = (id: string) => ({ credential: { kind: 'aws.access-key', locator: { accessKeyId: id } } });
    const answers = [];
    for (const id of keys) answers.push((await desk.receive('run', { report: reportOf({ ...of(id), reporter: 'loud' }) })).result);
    expect(answers.filter((each) => each.lookAt !== undefined)).toHaveLength(7);
    const last = keys.at(-1) ?? '';
    expect(answers.at(-1)?.lookAt).toBeDefined();
    expect((await desk.receive('run', signed(desk, of(last)))).result.lookAt).toBeUndefined();
    const sealed = { hash: `sha256:${'1'.repeat(64)}`, keyId: 'key' } as const;
    expect((await desk.receive('run', { report: reportOf({ ...of(last), sealed }) })).result.lookAt).toBeUndefined();
  });
});

describe('what the engine itself stands on', () => {
  const accounts = [
    { provider: 'aws', account: '609629065308' },
    { provider: 'vault', account: 'main' },
  ];

  it('is what each worker says of its own account, by its own key, and the last word counts', async () => {
    const desk = fresh();
    const worker = { store: desk.store, records: desk.records('worker'), provider: 'aws', account: '609629065308' };
    await publishSelf(worker, [{ id: 'AKIAOLD', what: 'its key' }]);
    await publishSelf(worker, [{ id: 'AKIAOLD', what: 'its key' }]);
    expect(await desk.store.list('self/')).toHaveLength(1);
    await publishSelf(worker, [{ id: 'AKIANEW', what: 'its key' }]);
    // A worker that speaks of an account that is not its own.
    await publishSelf({ ...worker, provider: 'vault', account: 'main' }, [{ id: 'kv/payments', what: 'a lie' }]);
    // And a name in the store that leads to a record of another kind.
    const stray = await desk.records('judge').write('refusal', {
      incident: 'x',
      run: 'x',
      round: 0,
      standsOn: [],
      body: { code: 'engine.undecodable', attempted: 'x', words: 'x', by: 'x' },
    });
    await desk.store.createIfAbsent('self/vault/main/000009', new TextEncoder().encode(stray));
    const source = { store: desk.store, trust, read: async (hash: Hash) => await desk.records('judge').read(hash, 'self') };
    const things = (await ownThings(source, accounts, ['break-glass'])).map(({ id }) => id);
    expect(things).toEqual(expect.arrayContaining(['AKIANEW', 'break-glass', trust.keys[0]?.id]));
    for (const none of ['AKIAOLD', 'kv/payments']) expect(things).not.toContain(none);
  });
});
