import { createHmac, randomBytes } from 'node:crypto';
import { CreateAccessKeyCommand, CreateUserCommand } from '@aws-sdk/client-iam';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import { readTrust } from '../../audit/trust.ts';
import { reportId } from '../../client/report.ts';
import { sealInto } from '../../client/sealing.ts';
import { incidentId } from '../../domain/credential.ts';
import { judgeQueue } from '../../domain/manifest.ts';
import { SignalName, WorkflowName } from '../../domain/messages.ts';
import { PayloadType } from '../../domain/record.ts';
import type { Report, SealedRef, Sighting } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import type { World } from '../engine/world.ts';

/** A key of somebody who has leaked nothing. */
export interface Bystander {
  readonly user: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** So many live keys, two a user. */
export async function bystanders(world: World, count: number): Promise<readonly Bystander[]> {
  const users = Array.from({ length: Math.ceil(count / 2) }, (_, n) => `bystander-${n}`);
  const made: Bystander[] = [];
  const next = users.values();
  // A handful at a time: the simulator answers one after another, and its client gives up on what waits too long.
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const user of next) {
        await world.iam.send(new CreateUserCommand({ UserName: user }));
        for (let n = 0; n < 2 && made.length < count; n++) {
          const { AccessKey } = await world.iam.send(new CreateAccessKeyCommand({ UserName: user }));
          made.push({ user, accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' });
        }
      }
    }),
  );
  return made;
}

const day = 86_400_000;

/** What a liar says of a key: the worst there is, in the name of somebody who is trusted, of a place that strangers can read, for years. */
export function lie(world: World, { accessKeyId }: Bystander, at: number, over: Partial<Report> = {}): Report {
  const said = {
    v: 1,
    format: 'gitleaks',
    credential: { kind: 'aws.access-key', locator: { accessKeyId } },
    origin: { where: 'repository', repository: world.deployed('real').repository, committedAt: '2019-01-01T00:00:00.000Z' },
    reporter: ['scanner', 'sam', 'ada', `tool-${at}`][at % 4] ?? 'scanner',
    seenAt: new Date().toISOString(),
    claims: { validity: 'active', publiclyLeaked: true, severity: 'critical' },
    note: 'act now',
    ...over,
  } as const;
  return { id: reportId(said), ...said };
}

/** Each way to dress a claim in proof that belongs to something else. */
export const disguises: Readonly<
  Record<string, (world: World, key: Bystander, at: number, others: readonly Bystander[], real: SealedRef) => Promise<Sighting>>
> = {
  'an old signature': async (world, key, at) =>
    sign(world, lie(world, key, at, { signed: { engine: world.stack.engine, at: new Date(Date.now() - 30 * day).toISOString() } })),
  'a signature for another engine': async (world, key, at) =>
    sign(world, lie(world, key, at, { signed: { engine: 'eng_elsewhere', at: now() } })),
  'a signature over another report': async (world, key, at, others) => {
    const other = others[(at + 1) % others.length] ?? key;
    const { signature } = sign(world, lie(world, other, at, { signed: { engine: world.stack.engine, at: now() } }));
    return { report: lie(world, key, at, { signed: { engine: world.stack.engine, at: now() } }), ...(signature ? { signature } : {}) };
  },
  'somebody else’s webhook': async (world, key, at) => {
    const report = lie(world, key, at);
    const body = JSON.stringify({
      action: 'publicly_leaked',
      alert: { number: at, secret: key.accessKeyId, validity: 'active', publicly_leaked: true, created_at: now(), updated_at: now() },
      repository: { html_url: report.origin.repository, visibility: 'public' },
    });
    const signature = `sha256=${createHmac('sha256', 'a secret of somebody else').update(body).digest('hex')}`;
    return { report, issuer: { scheme: 'github-webhook', body, signature } };
  },
  'the sealed secret of somebody else': async (world, key, at, others) => {
    const other = others[(at + 1) % others.length] ?? key;
    return { report: lie(world, key, at, await sealed(world, key, other.secretAccessKey)) };
  },
  'a sealed secret that was made up': async (world, key, at) => ({
    report: lie(world, key, at, await sealed(world, key, randomBytes(30).toString('base64'))),
  }),
  'the sealed blob of another report': async (world, key, at, _, real) => ({ report: lie(world, key, at, { sealed: real }) }),
};

const now = (): string => new Date().toISOString();

function sign(world: World, report: Report): Sighting {
  return { report, signature: world.signer('scanner').sign(PayloadType.REPORT, report) };
}

async function sealed(world: World, { accessKeyId }: Bystander, secret: string): Promise<{ readonly sealed: SealedRef }> {
  const { paths, root } = world.stack;
  const seal = sealInto({ trust: readTrust(paths.trust, root), drop: paths.drop });
  const reference = await seal(new Secret(secret), { kind: 'aws.access-key', locator: { accessKeyId } }, world.stack.aws.accountId);
  if (reference === undefined) throw new Error('nobody to seal to');
  return { sealed: reference };
}

/** Sends it as anybody can who may write to the namespace. */
export async function force(world: World, sighting: Sighting): Promise<string> {
  const workflowId = incidentId(sighting.report.credential);
  await world.client.temporal.workflow.signalWithStart(WorkflowName.LEAK_RESPONSE, {
    workflowId,
    taskQueue: judgeQueue,
    signal: SignalName.SIGHTING,
    signalArgs: [sighting],
    args: [],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  });
  return workflowId;
}

/** In the order given, a few at a time. */
export async function eachOf<T, R>(items: readonly T[], work: (item: T, at: number) => Promise<R>, width = 20): Promise<readonly R[]> {
  const results: R[] = [];
  const entries = items.entries();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const [at, item] of entries) results[at] = await work(item, at);
    }),
  );
  return results;
}
