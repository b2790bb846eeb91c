import { describe, expect, it } from 'vitest';
import type { Action, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/manual/index.ts';
import { knownSystems, manifest, wordsFor } from '../../providers/manual/manifest.ts';
import { codeOf, sealings } from './bench.ts';

const connection = await provider.connect({ provider: 'manual', account: 'manual', mode: 'act', settings: {}, credentials: {} });
const contain = connection.actions.contain as Action;
const target = { account: 'manual', credential: 'manual.slack:x' };

function context(attested?: StepContext['attested']): StepContext {
  return {
    incident: 'leak/x',
    run: 'r',
    step: 'r1-contain',
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 1, giveUpMs: 1 },
    sealing: sealings(),
    params: {},
    made: {},
    inventory: { consumers: [], stores: [] },
    sleep: async () => undefined,
    ...(attested === undefined ? {} : { attested }),
  };
}
const ada = { by: 'ada', at: '2026-01-01T10:00:00.000Z' };
const ben = { by: 'ben', at: '2026-01-01T10:05:00.000Z' };

describe('a step done by hand', () => {
  it('is done when somebody has attested it, by their name and at their time', async () => {
    expect(await contain.apply(target, {}, context([ada]))).toMatchObject({ outcome: 'changed', acceptedAt: ada.at });
    const probed = await contain.probe(target, {}, context([ada]));
    expect(probed).toMatchObject({
      observation: { state: 'yes', source: 'administrator', evidence: 'attested by ada' },
      effectiveAt: ada.at,
    });
  });

  it('names all who attested, and counts from the last of them', async () => {
    const probed = await contain.probe(target, {}, context([ben, ada]));
    expect(probed).toMatchObject({ observation: { evidence: 'attested by ben, ada' }, effectiveAt: ben.at });
  });

  it.each([undefined, []])('is not done where nobody attested (%j), as by silence', async (attested) => {
    expect(await codeOf(contain.apply(target, {}, context(attested)))).toBe('warrant.gate-unsatisfied');
    expect((await contain.probe(target, {}, context(attested))).observation.state).toBe('unknown');
  });

  it('has nothing to take back', () => {
    for (const action of Object.values(connection.actions)) expect(action.revert).toBeUndefined();
  });
});

describe('what nobody can look at', () => {
  it('is unknown in every respect', async () => {
    const { finding } = await connection.look({
      credential: { kind: 'manual.slack', locator: { hmac: 'x' } },
      depth: 'full',
      known: [],
      ours: [],
      inventory: { consumers: [], stores: [] },
      signal: new AbortController().signal,
      heartbeat: () => undefined,
      sleep: async () => undefined,
      timing: context().timing,
    });
    for (const one of [finding.live, finding.ours, finding.possession, finding.misuse, finding.swept]) expect(one.state).toBe('unknown');
  });
});

describe('the words', () => {
  it.each([
    ['manual.slack', 'Slack'],
    ['manual.slack-bot-token', 'Slack'],
    ['manual.slackwebhook', 'Slack'],
    ['manual.npm', 'npm'],
    ['manual.npmtoken', 'npm'],
    ['manual.github', 'GitHub'],
    ['manual.github-pat', 'GitHub'],
    ['manual.gitlab-pat', 'GitLab'],
    ['manual.stripe-access-token', 'Stripe'],
    ['vault.token', 'Vault / OpenBao'],
    ['manual.private-key', 'whatever trusts the key'],
    ['manual.gcp-api-key', 'Google Cloud'],
    ['manual.generic-api-key', 'the system that accepts it'],
    ['manual.unidentified', 'the system that accepts it'],
    ['manual.striped', 'the system that accepts it'],
  ])('for %s speak of %s', (kind, system) => expect(wordsFor(kind).system).toBe(system));

  it('are whole sentences for every system, and no two systems share them', () => {
    const all = [...knownSystems];
    expect(new Set(all).size).toBe(all.length);
    for (const kind of ['manual.slack', 'manual.npm', 'manual.github', 'manual.gitlab', 'manual.stripe', 'manual.none']) {
      const { contain: first, replace, verifyDead, beware } = wordsFor(kind);
      for (const words of [first, replace, verifyDead, beware]) expect(words).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('every action of the manifest can be carried out, and no other', () => {
    expect(Object.keys(connection.actions)).toEqual(manifest.actions.map((action) => action.name));
  });
});
