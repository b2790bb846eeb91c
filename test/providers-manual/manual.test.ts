import { describe, expect, it } from 'vitest';
import { identify } from '../../intake/identify.ts';
import type { Action, StepContext } from '../../providers/contract.ts';
import { provider } from '../../providers/manual/index.ts';
import { general, manifest, templateFor, templates } from '../../providers/manual/manifest.ts';
import { codeOf, sealings } from '../providers-vault/bench.ts';

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
    ['manual.slackwebhook', 'Slack, an incoming webhook'],
    ['manual.slack-webhook', 'Slack, an incoming webhook'],
    ['manual.npm', 'npm'],
    ['manual.npm-token', 'npm'],
    ['manual.npmtoken', 'npm'],
    ['manual.github', 'GitHub'],
    ['manual.github-pat', 'GitHub'],
    ['manual.gitlab-pat', 'GitLab'],
    ['manual.salesforce-refresh-token', 'Salesforce'],
    ['manual.snowflake', 'Snowflake'],
    ['manual.azure-ad-client-secret', 'Microsoft Entra'],
    ['manual.kubernetes-secret', 'Kubernetes'],
    ['manual.anthropic-key', 'Anthropic, a model API key'],
    ['manual.openai-api-key', 'OpenAI, a model API key'],
    ['manual.cohere-api-key', 'a model API'],
    ['manual.stripe-access-token', 'Stripe'],
    ['vault.token', 'Vault / OpenBao'],
    ['manual.private-key', 'whatever trusts the key'],
    ['manual.gcp-api-key', 'Google Cloud'],
    ['manual.generic-api-key', 'the system that accepts it'],
    ['manual.unidentified', 'the system that accepts it'],
    ['manual.striped', 'the system that accepts it'],
  ])('for %s speak of %s', (kind, system) => expect(templateFor(kind).system).toBe(system));

  it('are there for the systems that this was asked for', () => {
    const systems = templates.map(({ system }) => system).join(' ');
    for (const name of ['npm', 'Slack', 'Salesforce', 'Snowflake', 'GitLab', 'Entra', 'Kubernetes', 'Anthropic', 'OpenAI'])
      expect(systems).toContain(name);
  });

  it.each([...templates, general].map((template) => [template.system, template] as const))(
    'for %s say how to contain, replace, sweep and prove it dead, what survives, who notices, and where that is from: in whole sentences',
    (_system, template) => {
      const { contain: first, replace, sweep, proof, identified, holderNotices, survives, source } = template;
      for (const words of [first, replace, sweep, proof, identified, holderNotices]) {
        expect(words).toMatch(/^[A-Z].*\.$/);
        expect(words).not.toMatch(/\.\s*\.|\s{2}|\{credential\}/);
      }
      expect(survives.length).toBeGreaterThan(0);
      for (const words of survives) expect(words).toMatch(/^\S.*\.$/);
      expect(source).toMatch(/\S/);
      // A removal that is believed for its own answer is how a credential stays live: each proof is a look.
      expect(proof).toMatch(/once|see|look|send/i);
    },
  );

  it('belong to one template each, whichever way a kind is named', () => {
    const kinds = templates.flatMap((template) => template.kinds);
    const marks = templates.flatMap((template) => template.marks);
    expect(new Set(kinds).size).toBe(kinds.length);
    expect(new Set(marks).size).toBe(marks.length);
    expect(new Set(templates.map(({ system }) => system)).size).toBe(templates.length);
    for (const template of templates) for (const kind of template.kinds) expect(templateFor(kind), kind).toBe(template);
  });

  it('are told of every secret that intake recognises by its form and no provider takes', () => {
    const made = ['npm_', 'xoxb-', 'glpat-', 'sk-ant-api03-', 'sk-proj-', 'xapp-'].map(
      (prefix) => `${prefix}${'a1B2c3D4e5'.repeat(4).slice(0, 36)}`,
    );
    const kinds = made.map((text) => identify(text)?.credential.kind ?? 'none');
    expect(kinds).toEqual([
      'manual.npm-token',
      'manual.slack-token',
      'manual.gitlab-token',
      'manual.anthropic-key',
      'manual.openai-key',
      'manual.slack-token',
    ]);
    for (const kind of kinds) expect(manifest.kinds.map((each) => each.kind)).toContain(kind);
  });

  it('never tell anybody to rotate a GitLab token with itself, nor to take a removed Entra secret for the end of it', () => {
    expect(templateFor('manual.gitlab-token').replace).toMatch(/Never rotate/);
    expect(templateFor('manual.entra-secret').contain).toMatch(/accountEnabled/);
    expect(templateFor('manual.entra-secret').survives.join(' ')).toMatch(/24 hours/);
    expect(templateFor('manual.slack-token').proof).toMatch(/read `ok`/);
    expect(templateFor('manual.kubernetes-token').survives.join(' ')).toMatch(/TokenRequest/);
  });

  it('every action of the manifest can be carried out, and no other', () => {
    expect(Object.keys(connection.actions)).toEqual(manifest.actions.map((action) => action.name));
  });
});
