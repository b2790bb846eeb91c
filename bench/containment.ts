/**
 * From the start event of a run to the moment the provider has received the first change: `node --import tsx bench/containment.ts [incidents]`. The whole embedded stack, each part its own process; one
 * incident at a time, each of a user and key of its own that leaked in public. Effects are quick here (200 ms), so that incidents end soon; the way to the first change does not wait for any.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createClient, openKeyring, parseReports, readTrust, sealInto } from '../client/index.ts';
import { parseConfiguration } from '../domain/configuration.schema.ts';
import { startStack } from '../lab/stack.ts';
import { percentile, row } from './figures.ts';

const count = Number(process.argv[2] ?? 50);
const folder = mkdtempSync(join(tmpdir(), 'tourniquet-bench-'));
const stack = await startStack({ directory: folder, propagationMs: 200, logLagMs: 300, recheckMs: 600_000, ui: false });
// More is reported here in an hour than anybody's budget allows.
writeFileSync(
  stack.paths.policy,
  readFileSync(stack.paths.policy, 'utf8').replaceAll(/(per: (?:account|reporter|engine), within: 1h, most:) \d+/g, '$1 10000'),
);
const configuration = parseConfiguration(readFileSync(stack.paths.configuration, 'utf8'), stack.paths.configuration);
const client = createClient({
  address: stack.temporal.address,
  keyring: openKeyring(join(stack.paths.keys, 'operator', 'codec.json')),
  seal: sealInto({ trust: readTrust(configuration.trust, configuration.root), drop: configuration.drop.directory }),
  reporter: 'bench',
});
const iam = new IAMClient({ region: stack.aws.region, endpoint: stack.aws.endpoint, credentials: stack.aws });
const warmup = 5;
const toFirstChange: number[] = [];
const toContained: number[] = [];
for (let n = 0; n < warmup + count; n++) {
  const UserName = `bench-${n}`;
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(
    new PutUserPolicyCommand({
      UserName,
      PolicyName: 'base',
      PolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }],
      }),
    }),
  );
  const key = (await iam.send(new CreateAccessKeyCommand({ UserName }))).AccessKey;
  if (!key?.AccessKeyId || !key.SecretAccessKey) throw new Error('no key');
  const probe = new SecretsManagerClient({
    region: stack.aws.region,
    endpoint: stack.aws.endpoint,
    credentials: { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey },
    maxAttempts: 1,
  });
  for (let tries = 0; ; tries++) {
    const live = await probe.send(new ListSecretsCommand({})).then(
      () => true,
      () => false,
    );
    if (live) break;
    if (tries > 100) throw new Error('the key never came alive');
    await wait(50);
  }
  const finding = JSON.stringify({
    SourceMetadata: {
      Data: {
        Git: {
          commit: 'c'.repeat(40),
          file: 'ci.env',
          repository: 'https://github.com/acme-example/website',
          timestamp: new Date(Date.now() - 60_000).toISOString(),
          line: 1,
        },
      },
    },
    DetectorName: 'AWS',
    Verified: true,
    Raw: key.AccessKeyId,
    RawV2: `${key.AccessKeyId}:${key.SecretAccessKey}`,
  });
  const [received] = await client.report(parseReports(finding, { name: 'bench.json' }).drafts);
  if (!received) throw new Error('not received');
  const incident = client.incident(received.id);
  for (;;) {
    const status = await incident.status();
    if (status.contained === 'yes') {
      if (n >= warmup && status.containedAt) toContained.push(Date.parse(status.containedAt) - Date.parse(status.startedAt));
      break;
    }
    await wait(150);
  }
  const history = await client.temporal.workflow.getHandle(received.id).fetchHistory();
  const started = history.events?.[0]?.eventTime;
  const startedAt = Number(started?.seconds) * 1000 + Number(started?.nanos) / 1e6;
  const changes = (await stack.control.mutations()).filter(
    (each) =>
      each.caller === stack.world.responder.accessKeyId && JSON.stringify(each.target).includes(UserName) && each.effect === 'changed',
  );
  const first = Math.min(...changes.map((each) => each.receivedAt));
  if (n >= warmup) toFirstChange.push(first - startedAt);
}
console.log(
  `${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? ''}; ${count} incidents, one at a time, after ${warmup} to warm up`,
);
console.log(row('', 'p50 ms', 'p95 ms', 'worst ms'));
console.log(row('---', '---', '---', '---'));
console.log(
  row(
    'start event → first change received by the provider',
    percentile(toFirstChange, 0.5),
    percentile(toFirstChange, 0.95),
    Math.max(...toFirstChange),
  ),
);
console.log(
  row(
    'start event → containment in effect (provider takes 0.2 s to effect)',
    percentile(toContained, 0.5),
    percentile(toContained, 0.95),
    Math.max(...toContained),
  ),
);
await client.close();
await stack.stop();
rmSync(folder, { recursive: true, force: true });
process.exit(0);
