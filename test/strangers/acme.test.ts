import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { routeOf } from '../../activities/report.ts';
import { parseConfiguration } from '../../domain/configuration.schema.ts';
import { codeOf, type Fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { harnesses } from '../../examples/provider-acme/harnesses.ts';
import { manifest as acme } from '../../examples/provider-acme/manifest.ts';
import { row, startStandIn } from '../../examples/provider-acme/stand-in.ts';
import { knowledgeOf } from '../../planning/kinds/index.ts';
import { planRound } from '../../planning/plan.ts';
import type { Action } from '../../providers/contract.ts';
import { manifests } from '../../providers/manifests.ts';
import { renderPolicy } from '../../providers/permissions.ts';
import { type Loaded, loadProviders } from '../../providers/registry.ts';
import { providerPages } from '../../scripts/gen-providers.ts';
import { createProviderWorker } from '../../workers/provider.ts';
import { strangers } from '../../workers/settings.ts';
import { gapsOf } from '../conformance/manifests.ts';
import { describeLeast } from '../permissions/least.ts';
import { a } from '../planning/fixtures.ts';
import { about, node } from '../planning/systems.ts';
import { built, type Deployment, deployment, root } from './deployment.ts';

const name = 'tourniquet-provider-acme';
let place: Deployment;
let loaded: Loaded;
const git = (...args: readonly string[]): string => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout;
const exporting = (manifest: unknown, more = ''): Readonly<Record<string, string>> => ({
  'package.json': JSON.stringify({ type: 'module', exports: { '.': { import: './main.js' } } }),
  'main.js': `export const provider = { manifest: ${JSON.stringify(manifest)}, identify: () => undefined, connect: async () => ({ actions: {}, close: async () => undefined }), ${more} };\n`,
});

beforeAll(async () => {
  place = deployment();
  place.install(name, built());
  const [kind, action] = [acme.kinds[0], acme.actions[0]];
  place.install(
    'broken',
    exporting({
      ...acme,
      name: 'broken',
      kinds: [{ ...kind, ways: { disable: { action: 'burn', target: {}, subject: 'x' } } }],
      actions: [{ ...action, phase: 'attack' }],
      spare: 1,
    }),
  );
  place.install('@acme/no-manifest', {
    'package.json': '{"type":"module","main":"x.js"}',
    'x.js': 'export const provider = { identify() {}, connect() {} };\n',
  });
  place.install('throws', { 'package.json': '{"type":"module"}', 'index.js': "throw new Error('not today');\n" });
  place.install('no-provider', { 'package.json': '{"type":"module"}', 'index.js': 'export const x = 1;\n' });
  place.install('poses-as-aws', exporting({ ...acme, name: 'aws', kinds: [] }));
  place.install('takes-a-kind', exporting({ ...acme, name: 'taker' }));
  place.install('two-faced', exporting({ ...acme, name: 'two-faced', kinds: [] }));
  loaded = await loadProviders(
    [name, 'broken', '@acme/no-manifest', 'throws', 'no-provider', 'poses-as-aws', 'takes-a-kind', 'not-installed', 'two-faced'],
    place.folder,
    manifests,
  );
});
afterAll(() => place?.remove());

describe('a provider that nobody planned for, written from the docs', () => {
  it('needs its own folder and one line of configuration, and nothing of the engine knows it', () => {
    const listed = git('ls-files', 'examples/provider-acme').trim().split('\n');
    console.log(
      `${git('diff', '--stat', '4b825dc642cb6eb9a060e54bf8d69288fbee4904', 'HEAD', '--', 'examples/provider-acme')}tourniquet.yaml | 1 +: providers: [{ package: ${name} }]`,
    );
    for (const file of [
      'manifest.ts',
      'connect.ts',
      'errors.ts',
      'descendants.ts',
      'index.ts',
      'README.md',
      ...acme.actions.map((each) => `${each.name}.ts`),
    ])
      expect(listed).toContain(`examples/provider-acme/${file}`);
    const rooms = [
      'domain',
      'planning',
      'providers',
      'intake',
      'inventory',
      'audit',
      'activities',
      'workflows',
      'workers',
      'client',
      'cli',
      'lab',
      'policies',
    ];
    expect(git('grep', '-l', '-E', 'provider-acme/|acme/(suspend|delete)-token', '--', ...rooms).trim()).toBe('');
  });

  it('imports nothing but what the package publishes', () => {
    const imports = git('grep', '-hoE', "from '[^']+'", '--', 'examples/provider-acme/*.ts').trim().split('\n');
    expect([...new Set(imports.filter((each) => !/from '(\.\/|node:)/.test(each)))].sort()).toEqual([
      "from 'tourniquet-engine/provider'",
      "from 'tourniquet-engine/testing'",
    ]);
  });

  it('is loaded by the name of its package, and does what it says', async () => {
    expect(loaded.manifests.acme).toEqual(acme);
    const at = await startStandIn();
    try {
      at.keys.set('k', ['tokens.read', 'tokens.list', 'tokens.update']);
      at.rows.set('root', row('root'));
      at.rows.set('child', row('child', { parent: 'root' }));
      at.rows.set('grandchild', row('grandchild', { parent: 'child' }));
      const connection = await loaded.providers.acme?.connect({
        provider: 'acme',
        account: 'main',
        mode: 'act',
        settings: { address: at.address },
        credentials: { key: new Secret('k') },
      });
      const credential = loaded.providers.acme?.identify('acme_root.S3cret')?.credential;
      expect(credential).toEqual({ kind: 'acme.token', locator: { id: 'root' } });
      const looked = await connection?.look({
        credential: credential as NonNullable<typeof credential>,
        depth: 'full',
        known: [],
        ours: [],
        inventory: { consumers: [], stores: [] },
        signal: new AbortController().signal,
        heartbeat: () => undefined,
        sleep: async () => undefined,
        timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 1, giveUpMs: 100 },
      });
      expect(looked?.finding.descendants).toEqual(['acme.token:child', 'acme.token:grandchild']);
      expect(looked?.finding.misuse.state).toBe('unknown');
    } finally {
      await at.close();
    }
  });

  it('keeps every claim, in a process of its own that knows the published names alone', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['dist/conformance.js'], {
      cwd: join(place.folder, 'node_modules', name),
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toMatch(/\n24 passed, 0 failed\n$/);
    expect(status).toBe(0);
  });

  it('says all that the docs and the planner read', () => expect(gapsOf(acme)).toEqual([]));

  it('is the one that the judge sends its credentials to, once it has an account', () => {
    const deps = {
      manifests: { ...manifests, ...loaded.manifests },
      accounts: [{ provider: 'acme', account: 'main', mode: 'act' as const, credentials: '', settings: {} }],
    };
    const credential = { kind: 'acme.token', locator: { id: 'root' } };
    expect(routeOf(deps, credential)).toEqual({ provider: 'acme', account: 'main', handled: true });
    expect(routeOf({ ...deps, manifests }, credential)).toMatchObject({ provider: 'manual', handled: false });
  });

  it('is planned for by its manifest: the leaked token and what it made are suspended', () => {
    const leaked = node('acme.token', { id: 'root' });
    const child = node('acme.token', { id: 'child' }, { derivedVia: 'POST /tokens' });
    const edges = [a.edge(leaked.id, child.id)];
    const known = { ...manifests, ...loaded.manifests };
    const plan = planRound({ ...about('cloud', [leaked, child], { edges, finding: { provider: 'acme' } }), manifests: known });
    const own = plan.steps.filter((step) => step.provider === 'acme');
    expect(own.map((step) => [step.action, step.target.id])).toEqual(
      expect.arrayContaining([
        ['acme/suspend-token', 'root'],
        ['acme/suspend-token', 'child'],
      ]),
    );
    expect(own[0]?.byHand).toBe('acme tokens update root --status suspended');
    expect(knowledgeOf('acme')).toBeUndefined();
  });

  it('has a page, a row among the capabilities and policies made from its manifest', () => {
    const pages = providerPages({ acme }, '');
    expect(Object.keys(pages).sort()).toEqual([
      'docs/capabilities.md',
      'docs/providers/acme.md',
      'permissions/acme/contain.json',
      'permissions/acme/eradicate.json',
      'permissions/acme/read.json',
    ]);
    expect(pages['docs/capabilities.md']).toContain('`suspend-token` → its undo');
    expect(pages['docs/providers/acme.md']).toContain('acme tokens update {id} --status suspended');
    expect(pages['docs/providers/acme.md']).toContain('nobody has looked');
  });
});

describe('tourniquet audit verify', () => {
  const verify = (...args: readonly string[]): string => {
    const main = join(root, 'cli', 'main.ts');
    const { stdout, stderr } = spawnSync(process.execPath, [main, 'audit', 'verify', 'no-such-bundle', ...args], {
      cwd: place.folder,
      encoding: 'utf8',
    });
    return stdout + stderr;
  };
  it('takes the manifest of a provider that took part, so that its plans can be made again', () => {
    expect(verify('--provider', name)).toMatch(/file\.missing|no-such-bundle/);
    expect(verify('--provider', name)).not.toContain('usage.invalid');
  });
  it('and names a package that is none', () => {
    expect(verify('--provider', 'broken')).toContain('actions[0].phase');
  });
});

describeLeast(acme, harnesses, async (world, policy) => (await world.under?.(renderPolicy(acme, policy))) as Action);

describe('a package that is no provider is refused by name with what is wrong, and the rest works', () => {
  const problems = (of: string): readonly string[] => loaded.refused.find((each) => each.package === of)?.problems ?? [];
  it.each([
    [
      'broken',
      [
        'manifest actions[0].phase: Invalid option: expected one of "contain"|"mint"|"distribute"|"verify"|"revoke"|"watch"',
        'manifest spare: no such member is known here',
      ],
    ],
    ['@acme/no-manifest', ['manifest (whole manifest): Invalid input: expected object, received null']],
    ['throws', ['not today']],
    ['no-provider', ['it exports no `provider`', 'manifest (whole manifest): Invalid input: expected object, received null']],
    ['poses-as-aws', ['manifest name: there is a provider aws already']],
    ['takes-a-kind', ['manifest kinds[0].kind: expected a kind of this provider: taker.…']],
  ])('%s', (of, expected) => {
    expect(problems(of)).toEqual(expected);
  });

  it('one that is not installed', () => {
    expect(problems('not-installed')).toEqual(['it is not installed, neither beside tourniquet.yaml nor where the engine is']);
    expect(Object.keys(loaded.providers)).toEqual(['acme', 'two-faced']);
  });

  it('one whose connection has other actions than its manifest, when it connects', async () => {
    const connecting = loaded.providers['two-faced']?.connect({
      provider: 'two-faced',
      account: 'x',
      mode: 'act',
      settings: {},
      credentials: {},
    });
    expect(codeOf(await connecting?.catch((error: unknown) => error))).toBe('provider.unsupported');
  });

  it('and the manifest that was read is not the package’s to change', () => {
    const permissions = (loaded.manifests.acme?.actions[0]?.permissions ?? []) as string[];
    expect(permissions.length).toBeGreaterThan(0);
    expect(() => permissions.push('everything')).toThrow(TypeError);
  });

  it('as tourniquet.yaml names them, relative to its own folder', async () => {
    const configuration = parseConfiguration(
      `v: 1\nengine: eng_test\nstore: { directory: store }\nroot: ${Buffer.alloc(32, 1).toString('base64')}\nproviders:\n  - package: ${name}\n  - package: broken\n`,
      join(place.folder, 'tourniquet.yaml'),
    );
    const found = await strangers({ configuration, folder: place.folder }, manifests);
    expect(Object.keys(found.manifests)).toEqual(['acme']);
    expect(found.refused.map((each) => each.package)).toEqual(['broken']);
    // A worker of an account whose provider is refused says so, and what is wrong, before it connects with anything.
    const account = { provider: 'broken', account: 'x', mode: 'act' as const, credentials: '/nowhere', settings: {} };
    const settings = { role: 'provider' as const, provider: 'broken', account: 'x', keys: '/nowhere', folder: place.folder };
    const starting = createProviderWorker(
      { ...settings, configuration: { ...configuration, accounts: [account] } },
      undefined as never,
      '',
    );
    const refusal = await starting.catch((error: unknown) => error);
    expect(codeOf(refusal)).toBe('provider.unsupported');
    expect(String((refusal as Fault).context.refused)).toContain('broken: manifest actions[0].phase');
    expect(await strangers({ configuration: { ...configuration, providers: [] }, folder: place.folder }, manifests)).toMatchObject({
      refused: [],
    });
  });
});
