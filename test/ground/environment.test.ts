import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { afterEach, describe, expect, it } from 'vitest';
import { isDropped, practiceEnvironment } from '../../lab/environment.ts';
import { startPart } from '../../lab/servers/part.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const each of cleanUps.splice(0).reverse()) await each();
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'tourniquet-environment-'));
  cleanUps.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A listener that counts who calls, and an environment and a home whose every variable and profile lead to it. */
async function trap(): Promise<{ calls: () => number; base: Record<string, string> }> {
  let calls = 0;
  const server: Server = createServer((socket) => {
    calls += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  cleanUps.push(() => new Promise<void>((done) => void server.close(() => done())));
  const address = server.address();
  const where = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  const home = folder();
  const put = (path: string, text: string): void => {
    mkdirSync(join(home, path, '..'), { recursive: true });
    writeFileSync(join(home, path), text);
  };
  put('.aws/credentials', '[default]\naws_access_key_id = AKIAREALREALREALREAL\naws_secret_access_key = real\n');
  put('.aws/config', `[default]\nregion = eu-west-1\nendpoint_url = http://${where}\n`);
  put('.vault-token', 'real');
  put('.config/temporalio/temporal.toml', `[profile.default]\naddress = "${where}"\nnamespace = "real"\n`);
  put('.config/gcloud/application_default_credentials.json', '{"type":"authorized_user","refresh_token":"real"}');
  put('.config/gh/hosts.yml', 'github.com:\n  oauth_token: real\n');
  return {
    calls: () => calls,
    base: {
      PATH: process.env.PATH ?? '',
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      AWS_ACCESS_KEY_ID: 'AKIAREALREALREALREAL',
      AWS_SECRET_ACCESS_KEY: 'real',
      AWS_SESSION_TOKEN: 'real',
      AWS_REGION: 'eu-west-1',
      AWS_PROFILE: 'default',
      AWS_ENDPOINT_URL: `http://${where}`,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${where}`,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${where}`,
      AWS_CONFIG_FILE: join(home, '.aws/config'),
      AWS_SHARED_CREDENTIALS_FILE: join(home, '.aws/credentials'),
      VAULT_ADDR: `http://${where}`,
      VAULT_TOKEN: 'real',
      VAULT_PROXY_ADDR: `http://${where}`,
      BAO_ADDR: `http://${where}`,
      BAO_TOKEN: 'real',
      GOOGLE_APPLICATION_CREDENTIALS: join(home, '.config/gcloud/application_default_credentials.json'),
      GOOGLE_CLOUD_PROJECT: 'real',
      GCE_METADATA_HOST: where,
      CLOUDSDK_CONFIG: join(home, '.config/gcloud'),
      GH_TOKEN: 'real',
      GITHUB_TOKEN: 'real',
      GITHUB_API_URL: `http://${where}`,
      TEMPORAL_ADDRESS: where,
      TEMPORAL_NAMESPACE: 'real',
      TEMPORAL_API_KEY: 'real',
      TEMPORAL_CODEC_ENDPOINT: `http://${where}`,
    },
  };
}

describe('a test of this suite', () => {
  it('has no variable, profile or home that leads to a real account', () => {
    // Those that the practice environment sets itself all say: there is nothing here.
    const own = ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_EC2_METADATA_DISABLED', 'CLOUDSDK_CONFIG'];
    expect(Object.keys(process.env).filter((name) => isDropped(name) && !own.includes(name))).toEqual([]);
    expect(process.env.AWS_EC2_METADATA_DISABLED).toBe('true');
    expect(homedir()).toBe(process.env.HOME);
    expect(homedir()).toBe(process.env.TOURNIQUET_PRACTICE_HOME);
    expect(process.env.TZ).toBe('UTC');
  });

  it('finds no AWS credentials and no Temporal profile by the usual chains', async () => {
    const client = new STSClient({ region: 'us-east-1', maxAttempts: 1 });
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({ name: 'CredentialsProviderError' });
    const { connectionOptions, namespace } = loadClientConnectConfig();
    expect(connectionOptions.address).toBeUndefined();
    expect(namespace ?? 'default').toBe('default');
  });
});

describe('an environment full of traps', () => {
  it('leaves nothing behind in the practice environment, whatever the case of a name', async () => {
    const { base } = await trap();
    const made = practiceEnvironment({ ...base, aws_secret_access_key: 'real', Vault_Token: 'real' }, { home: folder() });
    expect(Object.entries(made).filter(([, value]) => value === 'real' || value.includes(base.HOME ?? '?'))).toEqual([]);
    expect(made.PATH).toBe(base.PATH);
    expect(made.NO_PROXY).toContain('127.0.0.1');
  });

  it('is not seen by tests, and nothing they start calls what it names', async () => {
    const { calls, base } = await trap();
    const ran = spawnSync(
      process.execPath,
      [join(root, 'scripts', 'test.mjs'), 'test/ground/environment.test.ts', '-t', 'a test of this suite'],
      {
        cwd: root,
        env: base,
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    expect(ran.stdout.trim().split('\n').at(-1), ran.stdout + ran.stderr).toBe('2 passed, 0 failed');
    expect(ran.status).toBe(0);
    expect(calls()).toBe(0);
  }, 70_000);

  it('is not seen by a part of the lab, whose own settings do reach it', async () => {
    const { base } = await trap();
    const log = join(folder(), 'part.log');
    const before = { ...process.env };
    cleanUps.push(() => {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    });
    Object.assign(process.env, base, { HOME: before.HOME });
    const part = startPart('teller', process.execPath, ['-e', 'console.log(JSON.stringify(process.env))'], {
      log,
      env: { TEMPORAL_ADDRESS: 'mine' },
    });
    await part.ended;
    const seen = JSON.parse(readFileSync(log, 'utf8')) as Record<string, string>;
    expect(Object.entries(seen).filter(([, value]) => value === 'real')).toEqual([]);
    expect(seen.TEMPORAL_ADDRESS).toBe('mine');
  });
});
