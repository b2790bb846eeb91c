import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListAttachedUserPoliciesCommand,
  ListUserPoliciesCommand,
  ListUserTagsCommand,
  PutUserPolicyCommand,
  TagUserCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetSessionTokenCommand, STSClient } from '@aws-sdk/client-sts';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { parse, stringify } from 'yaml';
import { createJudgeActivities, createProviderActivities } from '../../activities/index.ts';
import { readKey, readKeys } from '../../audit/keys.ts';
import { createSealing } from '../../audit/sealing.ts';
import { type Signer, signerFrom } from '../../audit/signing.ts';
import { initTrust } from '../../audit/trust.ts';
import { createClient, decisionFor, parseReports, sealInto, signDecision, type TourniquetClient } from '../../client/index.ts';
import { hashOf } from '../../domain/canonical.ts';
import { judgeQueue, queueOf } from '../../domain/manifest.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import { PayloadType } from '../../domain/record.ts';
import { Secret } from '../../domain/secret.ts';
import { loadInventory } from '../../inventory/index.ts';
import { AwsControl, startAwsSimulator } from '../../lab/aws/index.ts';
import { trufflehogFinding } from '../../lab/scenarios/finding.ts';
import { type KeyPair, responderPolicy } from '../../lab/world/aws.ts';
import { provider as aws } from '../../providers/aws/index.ts';
import type { AccountConfig, Connection, Provider, Sealing, StepContext } from '../../providers/contract.ts';
import { manifests } from '../../providers/manifests.ts';
import { provider as manual } from '../../providers/manual/index.ts';
import { timingOf } from '../../providers/timing.ts';
import { provider as vault } from '../../providers/vault/index.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { noSealing } from '../../workers/provider.ts';
import { found } from '../audit/house.ts';
import type { Finding } from '../canary/forms.ts';
import {
  Hunt,
  keysIn,
  type PlaceKind,
  throughArguments,
  throughFiles,
  throughRuns,
  throughStore,
  throughTemporaryFiles,
  tokensOf,
} from '../canary/hunt.ts';
import type { Picture, Struck } from '../conformance/strikes.ts';
import { startServer, type TestServer } from '../providers-vault/server.ts';
import { until } from '../until.ts';

/*
 * The engine whole in one process: judge and provider workers on a real Temporal server, with real keys, over a simulated AWS account and a real OpenBao. Many incidents run in it at
 * once, each with a user, a store and a repository of its own, so that none knows of another.
 */

/** Where the leak is found, and what the user has besides the key that leaks. `crowded`: public, an old key that is turned off, and a policy of somebody's under one of our names. */
export const Variant = { PUBLIC: 'public', INTERNAL: 'internal', CROWDED: 'crowded' } as const;
export type Variant = (typeof Variant)[keyof typeof Variant];

/** One incident's part of the world. */
export interface Place {
  readonly name: string;
  readonly variant: Variant;
  readonly user: string;
  readonly arn: string;
  readonly leaked: KeyPair;
  readonly second: string | undefined;
  /** Below the mount. */
  readonly below: string;
  readonly path: string;
  readonly repository: string;
  readonly consumer: string;
  readonly readerToken: string;
  /** Minted with the leaked key before it leaked. */
  session: KeyPair & { readonly sessionToken: string };
  readonly stored: Readonly<Record<string, string>>;
}

export interface UndoEngine {
  readonly client: TourniquetClient;
  readonly control: AwsControl;
  readonly iam: IAMClient;
  readonly bao: TestServer;
  readonly accountId: string;
  readonly responder: string;
  place(name: string): Place;
  /** The place that a step's target is in, or that a key is of. */
  placeAt(target: Readonly<Record<string, string>>): Place | undefined;
  placeOfKey(accessKeyId: string): Place | undefined;
  report(place: Place): Promise<string>;
  /** Signs and hands in; asks again where the plan was made anew in between. Gives why it was refused, where it was. */
  decide(incident: string, verdict: 'approve' | 'rollback' | 'dismiss', by: string, gate?: string): Promise<string | undefined>;
  status(incident: string): Promise<IncidentStatus>;
  /** What stands of a place, as the administrators of AWS and OpenBao read it. */
  picture(place: Place): Promise<Picture>;
  /** The same of a user and a store that belong to no incident. */
  bystander(): Promise<Picture>;
  /** Which of our controls were ever put on the user, by the account's own ledger. */
  controls(place: Place): Promise<{ readonly hold: boolean; readonly cutOff: boolean }>;
  /** What the session that was minted before the leak may do now. */
  session(place: Place): Promise<'works' | 'refused'>;
  /** Lets the consumer read its store and use what it finds there, until it is let through. */
  consume(place: Place, until: AbortSignal): Promise<void>;
  /** Lets the incident be no more; not waited for before the whole is closed. */
  end(incident: string): void;
  /** Looks for every secret of this world, those that were minted and taken back among them, in whatever the engine leaves. `more`: what the caller made itself. */
  hunt(more?: Readonly<Record<string, string>>): Promise<Hunted>;
  close(): Promise<void>;
}

/** What a hunt found, how many things it looked at, and which places it should have looked into and had nothing of. */
export interface Hunted {
  readonly findings: readonly Finding[];
  readonly looked: number;
  readonly unlooked: readonly PlaceKind[];
}

export interface UndoOptions {
  readonly places: Readonly<Record<string, Variant>>;
  /** Puts the connections under whatever the test wants. */
  wrap(connection: Connection): Connection;
}

const mount = 'kv';
const region = 'us-east-1';
const passphrase = new Secret(randomBytes(18).toString('base64url'));
const timing: StepContext['timing'] = { propagationMs: 200, logLagMs: 300, marginMs: 50, pollMs: 100, giveUpMs: 30_000 };
/** A person's own policy, under a name that the engine uses as well: it denies something and not all. */
export const ownPolicy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: '*' }] });
const work = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }],
});

/** What the workers of this process have logged, all of it, as a log file would have it. */
const logged: string[] = [];
let quieted = false;
function quiet(): void {
  if (quieted) return;
  const logger = new DefaultLogger('TRACE', (entry) => {
    const line = inspect(entry, { depth: 8 });
    logged.push(line);
    if (entry.level === 'ERROR') process.stderr.write(`${line}\n`);
  });
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  quieted = true;
}

export async function startUndoEngine(options: UndoOptions): Promise<UndoEngine> {
  quiet();
  const home = mkdtempSync(join(tmpdir(), 'tourniquet-undo-'));
  const at = (...parts: string[]) => join(home, ...parts);
  const closing: (() => unknown)[] = [() => rmSync(home, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const each of closing.reverse()) await each();
  };
  try {
    return await compose(options, at, closing, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function compose(
  options: UndoOptions,
  at: (...parts: string[]) => string,
  closing: (() => unknown)[],
  close: () => Promise<void>,
): Promise<UndoEngine> {
  const since = Date.now();
  const [sim, bao, code] = await Promise.all([
    startAwsSimulator({ propagationMs: timing.propagationMs, logLagMs: timing.logLagMs, regions: [region] }),
    startServer(),
    workflowCode(),
  ]);
  closing.push(
    () => sim.close(),
    () => bao.stop(),
  );
  const accountId = sim.accountId;
  const endpoint = sim.endpoint;
  const iam = new IAMClient({ endpoint, region, credentials: sim.admin });
  closing.push(() => iam.destroy());
  const control = new AwsControl(sim.control);

  const makeKey = async (user: string): Promise<KeyPair> => {
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
    return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
  };
  const put = (user: string, name: string, document: string) =>
    iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: document }));
  const token = async (name: string): Promise<string> => {
    const { body } = await bao.call('POST', 'auth/token/create', {
      policies: [name.startsWith('job') ? 'reader' : name],
      display_name: name,
    });
    return body.auth.client_token;
  };
  await bao.call('PUT', 'sys/policies/acl/reader', { policy: `path "${mount}/data/ci/*" { capabilities = ["read"] }` });
  await bao.call('PUT', 'sys/policies/acl/tourniquet', {
    policy: [
      `path "${mount}/data/ci/*" { capabilities = ["create", "read", "update"] }`,
      `path "${mount}/metadata/ci/*" { capabilities = ["create", "read", "update", "delete"] }`,
      `path "${mount}/delete/ci/*" { capabilities = ["update"] }`,
    ].join('\n'),
  });
  await iam.send(new CreateUserCommand({ UserName: 'tourniquet-responder' }));
  await put('tourniquet-responder', 'respond', responderPolicy(accountId));
  const responder = await makeKey('tourniquet-responder');

  const makePlace = async (name: string, variant: Variant): Promise<Place> => {
    const user = `deployer-${name}`;
    await iam.send(new CreateUserCommand({ UserName: user }));
    await put(user, 'deploy', work);
    await iam.send(new TagUserCommand({ UserName: user, Tags: [{ Key: 'team', Value: 'ci' }] }));
    let second: string | undefined;
    if (variant === 'crowded') {
      second = (await makeKey(user)).accessKeyId;
      await iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: second, Status: 'Inactive' }));
      await put(user, 'tourniquet-hold', ownPolicy);
    }
    const leaked = await makeKey(user);
    const below = `ci/${name}`;
    const stored = { id: leaked.accessKeyId, secret: leaked.secretAccessKey, region };
    // Two versions, so that the one that stands is not the first, and the one before is not it.
    await bao.call('POST', `${mount}/data/${below}`, { data: { id: 'an older one', secret: 'of no use any more', region } });
    await bao.call('POST', `${mount}/data/${below}`, { data: stored });
    await bao.call('POST', `${mount}/metadata/${below}`, { custom_metadata: { team: 'ci' }, max_versions: 12 });
    return {
      name,
      variant,
      user,
      arn: `arn:aws:iam::${accountId}:user/${user}`,
      leaked,
      second,
      below,
      path: `${mount}/${below}`,
      repository: `https://git.example.test/acme/${name}`,
      consumer: `job-${name}`,
      readerToken: await token(`job-${name}`),
      session: { ...leaked, sessionToken: '' },
      stored,
    };
  };
  const places = new Map<string, Place>();
  for (const [name, variant] of Object.entries(options.places)) places.set(name, await makePlace(name, variant));
  const bystander = await makePlace('bystander', 'crowded');
  await Promise.all(
    [...places.values()].map(async (place) => {
      const sts = new STSClient({ endpoint, region, credentials: place.leaked });
      const got = await until(`${place.name}: the key is accepted`, async () => {
        try {
          return (await sts.send(new GetSessionTokenCommand({}))).Credentials;
        } catch {
          return undefined;
        }
      });
      sts.destroy();
      place.session = {
        accessKeyId: got.AccessKeyId ?? '',
        secretAccessKey: got.SecretAccessKey ?? '',
        sessionToken: got.SessionToken ?? '',
      };
    }),
  );
  // A scanner knows the time of a leak to the second; the sessions are to be older than that.
  const tried = Math.floor(Date.now() / 1000);
  await until('the second of the last session is over', async () => Math.floor(Date.now() / 1000) > tried);

  const policyText = generous(readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8'));
  const policy = parsePolicy(policyText, 'policy.yaml');
  const inventory = loadInventory(
    stringify({
      v: 1,
      stores: [...places.values()].map((each) => ({
        id: each.name,
        provider: 'vault',
        account: 'main',
        path: each.path,
        fields: { accessKeyId: 'id', secretAccessKey: 'secret' },
        principal: each.arn,
      })),
      consumers: [...places.values()].map((each) => ({
        id: each.consumer,
        name: each.consumer,
        owner: 'team-ci',
        contact: 'ci@example.test',
        store: each.name,
        overlap: true,
        rereads: '200ms',
        criticality: 'production',
        seenAs: { userAgent: each.consumer },
      })),
      repositories: [...places.values()].map((each) => ({
        match: each.repository,
        visibility: each.variant === 'internal' ? 'internal' : 'public',
      })),
      owners: [...places.values()].map((each) => ({ principal: each.arn, owner: 'olga' })),
    }),
    'inventory.yaml',
  );

  const made = initTrust({
    keys: at('keys'),
    trust: at('trust.yaml'),
    people: at('people.yaml'),
    accounts: [
      { provider: 'aws', account: accountId },
      { provider: 'vault', account: 'main' },
    ],
    persons: [
      { id: 'ada', name: 'Ada', roles: ['responder', 'approver', 'security-lead'], passphrase },
      { id: 'ben', name: 'Ben', roles: ['responder', 'approver', 'security-lead'], passphrase },
      { id: 'olga', name: 'Olga', roles: ['owner'], passphrase },
      { id: 'scanner', name: 'Scanner', roles: ['reporter'], passphrase },
    ],
    rootPassphrase: passphrase,
    cost: { n: 2, r: 8, p: 1 },
    code: [code.hash],
  });
  mkdirSync(at('store'), { recursive: true });
  const { trust, people, engine, paths } = made;
  const { environment, codec, dataConverter, drop, configured, common } = await found(at(), made, {
    trust: () => trust,
    people: () => people,
  });
  closing.push(() => environment.teardown());
  const vaultToken = await token('tourniquet');
  const entries: (Omit<AccountConfig, 'provider'> & { readonly provider: Provider })[] = [
    {
      provider: aws,
      account: accountId,
      mode: 'act',
      settings: { endpoint, regions: [region], signatureRetryMs: 50 },
      credentials: { accessKeyId: new Secret(responder.accessKeyId), secretAccessKey: new Secret(responder.secretAccessKey) },
    },
    {
      provider: vault,
      account: 'main',
      mode: 'act',
      settings: { auditLog: bao.auditLog, mounts: [mount], paths: [] },
      credentials: { address: new Secret(bao.address), token: new Secret(vaultToken) },
    },
  ];
  const accounts = entries.map(({ provider, account, mode, settings }) => ({
    provider: provider.manifest.name,
    account,
    mode,
    credentials: '',
    settings,
  }));
  const configuration = configured(accounts, policyText, {
    recheckMs: 500,
    pace: { heartbeatMs: 5_000, retryCeilingMs: 1_000, stuckAfterMs: 60_000 },
  });
  /** What was sealed, by which every credential goes that the engine makes: also one that no store ever held. */
  const sealed = new Set<string>();
  const noting = (sealing: Sealing): Sealing => ({
    open: (...args) => sealing.open(...args),
    shred: (hash) => sealing.shred(hash),
    seal(secret, ...rest) {
      sealed.add(secret.reveal());
      return sealing.seal(secret, ...rest);
    },
  });
  const judge = common(paths.judge);
  const shared = { connection: environment.nativeConnection, namespace: environment.namespace ?? 'default', dataConverter };
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: judgeQueue,
      workflowBundle: { code: code.code },
      sinks: { audit: { scheduled: { fn: () => undefined, callDuringReplay: false } } },
      activities: {
        ...createJudgeActivities({
          ...judge.deps,
          configuration,
          accounts,
          policy: () => ({ policy, hash: hashOf(policy), text: policyText }),
          inventory: () => inventory,
          manifests,
          client: environment.client,
          workflowCode: code,
          codecs: [codec],
          signStatement: (content) => judge.signer.sign(PayloadType.STATEMENT, content),
        }),
      },
      maxCachedWorkflows: 400,
      maxHeartbeatThrottleInterval: '500ms',
      maxConcurrentActivityTaskExecutions: 200,
    }),
    await Worker.create({
      ...shared,
      taskQueue: queueOf('manual', 'manual'),
      activities: {
        ...createProviderActivities({
          ...judge.deps,
          provider: 'manual',
          account: 'manual',
          mode: 'act',
          connection: await manual.connect({ provider: 'manual', account: 'manual', mode: 'act', settings: {}, credentials: {} }),
          sealing: noSealing,
          timing: timingOf({}, manual.manifest),
          ownTargets: [],
        }),
      },
    }),
  ];
  for (const entry of entries) {
    const { name } = entry.provider.manifest;
    const folder = paths.providers[`${name}-${entry.account}`] as string;
    const connection = await entry.provider.connect({ ...entry, provider: name });
    closing.push(() => connection.close());
    const worker = await Worker.create({
      ...shared,
      taskQueue: queueOf(name, entry.account),
      maxConcurrentActivityTaskExecutions: 200,
      // What is called off hears of it at its next beat.
      maxHeartbeatThrottleInterval: '500ms',
      activities: {
        ...createProviderActivities({
          ...common(folder).deps,
          provider: name,
          account: entry.account,
          mode: 'act',
          connection: options.wrap(connection),
          sealing: noting(createSealing({ drop, keys: readKeys(join(folder, 'sealing')), trust: () => trust, engine })),
          timing: name === 'vault' ? { ...timing, propagationMs: 0, logLagMs: 0, marginMs: 0 } : timing,
          ownTargets: name === 'aws' ? [responder.accessKeyId] : [],
          unaskedPerHour: 1_000_000,
        }),
      },
    });
    workers.push(worker);
  }
  const running = workers.map((worker) => worker.run());
  closing.push(async () => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
  });

  const client = createClient({ client: environment.client, seal: sealInto({ trust, drop: at('drop') }), reporter: 'scanner' });
  const ending: Promise<void>[] = [];
  // Whoever still waits for an answer of a hold gets one, or would go on asking a server that is gone.
  closing.push(async () => {
    await Promise.all(ending);
    for await (const each of client.temporal.workflow.list({ query: "ExecutionStatus = 'Running'" }))
      await client.temporal.workflow
        .getHandle(each.workflowId)
        .terminate('the test is over')
        .catch(() => undefined);
    await wait(500);
  });
  const signers = new Map<string, Signer>();
  const signer = (person: string): Signer => {
    const known = signers.get(person) ?? signerFrom(readKey(paths.persons[person] as string, passphrase));
    signers.set(person, known);
    return known;
  };
  const byName = new Map(
    [...places.values()].flatMap((each) => [each.user, each.path, each.leaked.accessKeyId].map((name) => [name, each] as const)),
  );

  const pictureOf = async (place: Pick<Place, 'user' | 'below'>): Promise<Picture> => {
    const { user, below } = place;
    const out: Record<string, unknown> = {};
    const UserName = user;
    const [keys, names, attached, tags] = await Promise.all([
      iam.send(new ListAccessKeysCommand({ UserName })),
      iam.send(new ListUserPoliciesCommand({ UserName })),
      iam.send(new ListAttachedUserPoliciesCommand({ UserName })),
      iam.send(new ListUserTagsCommand({ UserName })),
    ]);
    for (const key of keys.AccessKeyMetadata ?? []) out[`key ${key.AccessKeyId} of ${user}`] = key.Status;
    for (const PolicyName of names.PolicyNames ?? []) {
      const { PolicyDocument } = await iam.send(new GetUserPolicyCommand({ UserName, PolicyName }));
      out[`policy ${PolicyName} of ${user}`] = JSON.parse(decodeURIComponent(PolicyDocument ?? '{}'));
    }
    out[`attached policies of ${user}`] = (attached.AttachedPolicies ?? []).map((each) => each.PolicyArn ?? '').sort();
    out[`tags of ${user}`] = (tags.Tags ?? []).map((each) => `${each.Key}=${each.Value}`).sort();
    const [value, metadata, staged] = await Promise.all([
      bao.call('GET', `${mount}/data/${below}`),
      bao.call('GET', `${mount}/metadata/${below}`),
      bao.call('LIST', `${mount}/metadata/${below}--staged`),
    ]);
    out[`secret ${mount}/${below}`] = value.body?.data?.data ?? null;
    const { custom_metadata, max_versions, cas_required, delete_version_after } = metadata.body?.data ?? {};
    out[`metadata of ${mount}/${below}`] = { custom_metadata, max_versions, cas_required, delete_version_after };
    out[`versions of ${mount}/${below}`] = Object.keys(metadata.body?.data?.versions ?? {}).length;
    for (const name of staged.body?.data?.keys ?? []) out[`secret ${mount}/${below}--staged/${name}`] = 'there';
    return JSON.parse(JSON.stringify(out)) as Picture;
  };

  return {
    client,
    control,
    iam,
    bao,
    accountId,
    responder: responder.accessKeyId,
    place(name) {
      const found = places.get(name);
      if (found === undefined) throw new Error(`no place ${name}`);
      return found;
    },
    placeAt: ({ user, path }) => byName.get(user ?? path ?? ''),
    placeOfKey: (accessKeyId) => byName.get(accessKeyId),
    async report(place) {
      const text = trufflehogFinding({
        repository: place.repository,
        pair: place.leaked,
        accountId,
        arn: place.arn,
        committedAt: new Date(),
      });
      const { drafts, problems } = parseReports(text, { name: 'trufflehog.json' });
      const [draft] = drafts;
      if (draft === undefined) throw new Error(problems[0]?.words ?? 'no report');
      return (await client.report(draft, { reporter: 'scanner', signer: signer('scanner') })).id;
    },
    async decide(incident, verdict, by, gate) {
      for (let left = 20; ; left--) {
        const status = await client.incident(incident).status();
        if (status.planHash !== undefined) {
          const decision = decisionFor(status, {
            verdict,
            by,
            reason: 'as the test wants it',
            planHash: status.planHash,
            ...(gate === undefined ? {} : { gate }),
          });
          const ruling = await client.incident(incident).decide(signDecision(decision, signer(by)));
          if (ruling.accepted) return undefined;
          const over = verdict === 'approve' || ruling.code === 'decision.nothing-to-roll-back';
          if (over || left === 0) return ruling.why;
        } else if (left === 0) throw new Error('there is never a plan');
        await wait(100);
      }
    },
    status: (incident) => client.incident(incident).status(),
    picture: pictureOf,
    bystander: () => pictureOf(bystander),
    async controls(place) {
      const written = (await control.mutations()).filter(
        (each) => each.action === 'PutUserPolicy' && each.effect === 'changed' && each.caller === responder.accessKeyId,
      );
      const of = (name: string) => written.some(({ target }) => target.UserName === place.user && target.PolicyName === name);
      return { hold: of('tourniquet-hold'), cutOff: of('tourniquet-cutoff') };
    },
    async session(place) {
      const secrets = new SecretsManagerClient({ endpoint, region, credentials: place.session, maxAttempts: 1 });
      try {
        await secrets.send(new ListSecretsCommand({}));
        return 'works';
      } catch (error) {
        if (error instanceof Error && /Denied|Unrecognized|Expired|InvalidClientTokenId/i.test(error.name)) return 'refused';
        throw error;
      } finally {
        secrets.destroy();
      }
    },
    async consume(place, signal) {
      const answer = await bao.call('GET', `${mount}/data/${place.below}`, undefined, place.readerToken);
      const { id, secret } = answer.body?.data?.data ?? {};
      const secrets = new SecretsManagerClient({
        endpoint,
        region,
        credentials: { accessKeyId: id, secretAccessKey: secret },
        maxAttempts: 1,
        customUserAgent: [[place.consumer]],
      });
      try {
        while (!signal.aborted) {
          try {
            await secrets.send(new ListSecretsCommand({}));
            return;
          } catch {
            await wait(150);
          }
        }
      } finally {
        secrets.destroy();
      }
    },
    async hunt(more = {}) {
      const secrets: Record<string, string> = {
        "the engine's own AWS secret": responder.secretAccessKey,
        "the administrator's AWS secret": sim.admin.secretAccessKey,
        "the vault worker's token": vaultToken,
        'the root token': bao.rootToken,
        'the passphrase of people': passphrase.reveal(),
        ...keysIn(at('keys')),
        ...(await tokensOf(control)),
        ...more,
      };
      for (const [n, secret] of [...sealed].entries()) secrets[`sealed secret ${n + 1}`] = secret;
      for (const { name, leaked, session, readerToken } of places.values()) {
        secrets[`the leaked secret of ${name}`] = leaked.secretAccessKey;
        secrets[`the session's secret of ${name}`] = session.secretAccessKey;
        secrets[`the token of the consumer of ${name}`] = readerToken;
      }
      const hunt = new Hunt(secrets);
      await throughRuns(hunt, client, [codec]);
      await throughStore(hunt, judge.deps.store, at('store'));
      throughFiles(hunt, at(), ['keys']);
      throughArguments(hunt);
      throughTemporaryFiles(hunt, since, [at(), bao.dir]);
      for (const line of logged) hunt.look('log', line.slice(0, 40), line);
      const wanted: readonly PlaceKind[] = ['history', 'decoded history', 'memo', 'workflow id', 'search attribute', 'failure', 'log'];
      const below: readonly PlaceKind[] = ['file', 'temporary file', 'process argument', 'blob', 'record', 'name in the store'];
      let looked = 0;
      for (const count of hunt.looked.values()) looked += count;
      return { findings: hunt.findings, looked, unlooked: [...wanted, ...below].filter((kind) => !hunt.looked.has(kind)) };
    },
    end(incident) {
      ending.push(
        client.temporal.workflow
          .getHandle(incident)
          .terminate('the test is over')
          .then(
            () => undefined,
            () => undefined,
          ),
      );
    },
    close,
  };
}

/** The default policy, with budgets that a hundred incidents at once do not spend. */
function generous(text: string): string {
  const policy = parse(text) as { budgets?: { most: number }[] };
  for (const budget of policy.budgets ?? []) budget.most = 1_000_000;
  return stringify(policy);
}

/** A step by what it does and to what, whatever round it is of: `aws/disable-key leaked`. */
export function nameOf(place: Place, { action, target }: Pick<Struck, 'action' | 'target'>): string {
  const key = target.accessKeyId;
  if (key === undefined) return action;
  return `${action} ${key === place.leaked.accessKeyId ? 'leaked' : key === place.second ? 'second' : 'another'}`;
}
