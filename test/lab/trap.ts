import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

/** A server that nothing should ever call. */
export interface Trap {
  readonly address: string;
  /** What each caller said first. */
  readonly caught: readonly string[];
  close(): void;
}

export async function setTrap(): Promise<Trap> {
  const caught: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let first = '';
    caught.push('a connection without a word');
    const at = caught.length - 1;
    socket.on('data', (chunk) => {
      first += chunk.toString('latin1');
      caught[at] = first.slice(0, 300);
      socket.end('HTTP/1.1 500 trap\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    address: `127.0.0.1:${bound.port}`,
    caught,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** What a careless shell may hold, and what profile files may say. */
export function poisoned(to: string, home: string): NodeJS.ProcessEnv {
  const url = `http://${to}`;
  for (const folder of ['.aws', '.config/temporalio', '.config/gcloud', '.config/gh']) mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, '.aws', 'config'), `[default]\nregion = us-east-1\nendpoint_url = ${url}\n`);
  writeFileSync(join(home, '.aws', 'credentials'), '[default]\naws_access_key_id = AKIATRAPTRAPTRAPTRAP\naws_secret_access_key = trap\n');
  writeFileSync(join(home, '.config', 'temporalio', 'temporal.toml'), `[profile.default]\naddress = "${to}"\nnamespace = "trap"\n`);
  writeFileSync(join(home, '.vault-token'), 'trap');
  const { TOURNIQUET_PRACTICE_HOME: _, ...base } = process.env;
  const urls = [
    'AWS_ENDPOINT_URL',
    'VAULT_ADDR',
    'VAULT_AGENT_ADDR',
    'BAO_ADDR',
    'BAO_AGENT_ADDR',
    'GITHUB_API_URL',
    'TEMPORAL_CODEC_ENDPOINT',
  ];
  const services = ['IAM', 'STS', 'SECRETS_MANAGER', 'CLOUDTRAIL'].map((name) => `AWS_ENDPOINT_URL_${name}`);
  return {
    ...base,
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    ...Object.fromEntries([...urls, ...services].map((name) => [name, url])),
    AWS_ACCESS_KEY_ID: 'AKIATRAPTRAPTRAPTRAP',
    AWS_SECRET_ACCESS_KEY: 'trap',
    AWS_SESSION_TOKEN: 'trap',
    AWS_REGION: 'eu-west-1',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
    VAULT_TOKEN: 'trap',
    BAO_TOKEN: 'trap',
    GOOGLE_APPLICATION_CREDENTIALS: join(home, '.config', 'gcloud', 'key.json'),
    GOOGLE_CLOUD_PROJECT: 'trap',
    GH_HOST: to,
    GH_TOKEN: 'trap',
    GITHUB_TOKEN: 'trap',
    TEMPORAL_ADDRESS: to,
    TEMPORAL_NAMESPACE: 'trap',
    TEMPORAL_API_KEY: 'trap',
  };
}
