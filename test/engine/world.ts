import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AccessKeyMetadata,
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUserPoliciesCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import nodeVault from 'node-vault';
import { parse, stringify } from 'yaml';
import { type BundleFiles, unpackBundle } from '../../audit/bundle.ts';
import { readKey, readStoreKey } from '../../audit/keys.ts';
import { openRecord, parseEnvelope } from '../../audit/records.ts';
import type { IncidentReport } from '../../audit/report.ts';
import { type Signer, signerFrom } from '../../audit/signing.ts';
import { type BlobStore, openDirectoryStore } from '../../audit/store.ts';
import { readTrust } from '../../audit/trust.ts';
import {
  type Ask,
  createClient,
  type DecisionRuling,
  decisionFor,
  type IncidentStatus,
  openKeyring,
  parseReports,
  type ReportDraft,
  sealInto,
  signDecision,
  type TourniquetClient,
} from '../../client/index.ts';
import type { Hash } from '../../domain/canonical.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import type { GateStatus } from '../../domain/messages.ts';
import type { ChainEntry, RecordType } from '../../domain/record.ts';
import type { RecordAs } from '../../domain/record-bodies.ts';
import { isEnded } from '../../domain/states.ts';
import type { LedgerEntry } from '../../lab/aws/control.ts';
import { trufflehogFinding } from '../../lab/scenarios/finding.ts';
import { type Stack, type StackOptions, startStack } from '../../lab/stack.ts';
import { deployerPolicy, type KeyPair, untilAccepted } from '../../lab/world/aws.ts';
import { deployments, fields, kvMount, region, scripted, vaultAccount } from '../../lab/world/cast.ts';
import { workerPolicy } from '../../lab/world/vault.ts';
import { until } from '../until.ts';

export type Visibility = 'public' | 'internal';

/** A user with one key, the store that holds the key, and the repository it leaks in. Nobody uses it unless the test starts somebody. */
export interface Deployed {
  readonly name: string;
  readonly user: string;
  readonly arn: string;
  readonly pair: KeyPair;
  /** Mount first. */
  readonly path: string;
  readonly repository: string;
  readonly owner: string;
}

/** What stands in IAM of one user, as an administrator reads it: what a rollback has to bring back. */
export interface UserPicture {
  readonly keys: Readonly<Record<string, string>>;
  readonly policies: Readonly<Record<string, string>>;
}

export interface World {
  readonly stack: Stack;
  readonly client: TourniquetClient;
  /** IAM as the account's administrator. */
  readonly iam: IAMClient;
  readonly store: BlobStore;
  deployed(name: string): Deployed;
  signer(person: string): Signer;
  /** A TruffleHog finding of the deployment's pair, as intake reads it. */
  finding(deployed: Deployed): ReportDraft;
  /** Reports that finding, signed by the person named, and gives the incident's id. */
  leak(deployed: Deployed, reporter?: string): Promise<string>;
  sign(status: IncidentStatus, ask: Omit<Ask, 'planHash' | 'reason'> & { readonly planHash?: string }): SignedDecision;
  /** Signs and hands in; the ruling is expected to hold where `accepted` is not false. */
  decide(id: string, ask: Omit<Ask, 'planHash' | 'reason'>): Promise<DecisionRuling>;
  /** Watches until the status passes. Open gates that `answer` is true of are approved by as many of the scripted people as they want. */
  follow(id: string, passes: (status: IncidentStatus) => boolean, options?: FollowOptions): Promise<IncidentStatus>;
  picture(user: string): Promise<UserPicture>;
  /** The changes that were asked for of one user, by whom the caller is not the administrator. */
  changes(user: string, since?: number): Promise<readonly LedgerEntry[]>;
  lastChange(): Promise<number>;
  record<T extends RecordType>(hash: Hash, type: T): Promise<RecordAs<T>>;
  /** The records of a chain of one type, in its order. */
  records<T extends RecordType>(chain: readonly ChainEntry[], type: T): Promise<readonly RecordAs<T>[]>;
  /** A bundle in the store, opened. */
  bundle(hash: Hash): Promise<{ readonly files: BundleFiles; readonly report: IncidentReport }>;
  /** What the store of a deployment holds now. */
  stored(deployed: Deployed): Promise<Readonly<Record<string, string>>>;
  /** Writes another policy and waits until the judge has to have looked at the file again. */
  setPolicy(change: (text: string) => string): Promise<void>;
  stop(): Promise<void>;
}

export interface FollowOptions {
  readonly run?: string;
  /** Which gates are approved; none where it is not said. */
  readonly answer?: (gate: GateStatus) => boolean;
  readonly timeoutMs?: number;
}

/** Workers look at their files at most twice a second, and read what has changed since. */
const lookMs = 500;

/**
 * The practice stack with short times, and beside its two deployments the ones named: each has a user, a store and a repository of its own, and no consumers, so that one stack
 * plays many incidents which know nothing of each other. Everything lies in a folder of its own that `stop` removes.
 */
export async function startWorld(wanted: Readonly<Record<string, Visibility>> = {}, options: StackOptions = {}): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'tourniquet-engine-'));
  const stack = await startStack({ directory, propagationMs: 300, logLagMs: 500, recheckMs: 500, ui: false, ...options });
  const { paths, aws } = stack;
  const admin = { accessKeyId: aws.accessKeyId, secretAccessKey: aws.secretAccessKey };
  const iam = new IAMClient({ endpoint: aws.endpoint, region, credentials: admin });
  const vault = nodeVault({ endpoint: stack.vault.address, token: stack.vault.token });
  const client = createClient({
    address: stack.temporal.address,
    namespace: stack.temporal.namespace,
    keyring: openKeyring(join(paths.keys, 'operator', 'codec.json')),
    seal: sealInto({ trust: readTrust(paths.trust, stack.root), drop: paths.drop }),
    reporter: 'scanner',
  });
  const store = openDirectoryStore(paths.store, readStoreKey(join(paths.keys, 'judge', 'store.key')));
  const known = new Map<string, Deployed>();
  for (const { variant, user, path, repository, owner } of Object.values(deployments)) {
    const arn = `arn:aws:iam::${aws.accountId}:user/${user}`;
    known.set(variant, { name: variant, user, arn, pair: stack.world.deployers[variant], path, repository, owner });
  }
  const untilRead = async (file: string): Promise<void> => {
    const since = statSync(file).mtimeMs;
    await until('workers have looked at their files again', async () => Date.now() > since + lookMs);
  };

  const made = await Promise.all(Object.entries(wanted).map(([name]) => deploy(name)));
  if (made.length > 0) {
    const inventory = parse(readFileSync(paths.inventory, 'utf8'));
    for (const each of made) {
      known.set(each.name, each);
      inventory.stores.push({ id: each.name, provider: 'vault', account: vaultAccount, path: each.path, fields, principal: each.arn });
      inventory.repositories.push({ match: each.repository, visibility: wanted[each.name], owner: each.owner });
      inventory.owners.push({ principal: each.arn, owner: each.owner });
    }
    writeFileSync(paths.inventory, stringify(inventory));
    await vault.write('sys/policies/acl/tourniquet-vault-worker', { policy: workerPolicy([...known.values()].map(({ path }) => path)) });
  }
  await Promise.all([
    stack.settled,
    client.connect(),
    untilRead(paths.inventory),
    ...made.map(({ pair }) => untilAccepted({ endpoint: aws.endpoint }, pair)),
  ]);
  // A scanner knows the time of a leak to the second. Our own trial of a pair must not fall into the one in which it leaks, or it is a use by nobody knows whom.
  const tried = Date.now();
  await until('the second of the last trial is over', async () => Math.floor(Date.now() / 1_000) > Math.floor(tried / 1_000));

  async function deploy(name: string): Promise<Deployed> {
    const user = `deployer-${name}`;
    await iam.send(new CreateUserCommand({ UserName: user }));
    await iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: 'deploy', PolicyDocument: deployerPolicy(aws.accountId, user) }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
    const pair = { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
    await vault.write(`${kvMount}/data/ci/${name}`, {
      data: { [fields.accessKeyId]: pair.accessKeyId, [fields.secretAccessKey]: pair.secretAccessKey },
    });
    return {
      name,
      user,
      arn: `arn:aws:iam::${aws.accountId}:user/${user}`,
      pair,
      path: `${kvMount}/ci/${name}`,
      repository: `https://git.example.test/acme/${name}`,
      owner: 'olu',
    };
  }

  const signers = new Map<string, Signer>();
  const world: World = {
    stack,
    client,
    iam,
    store,
    deployed(name) {
      const found = known.get(name);
      if (found === undefined) throw new Error(`no deployment ${name}`);
      return found;
    },
    signer(person) {
      const signer = signers.get(person) ?? signerFrom(readKey(join(paths.keys, 'people', `${person}.json`), stack.passphrase));
      signers.set(person, signer);
      return signer;
    },
    finding({ repository, pair, arn }) {
      const text = trufflehogFinding({ repository, pair, accountId: aws.accountId, arn, committedAt: new Date() });
      const { drafts, problems } = parseReports(text, { name: 'trufflehog.json' });
      const [draft] = drafts;
      if (draft === undefined || problems.length > 0) throw new Error(problems[0]?.words ?? 'no report');
      return draft;
    },
    async leak(deployed, reporter = 'scanner') {
      const { id } = await client.report(world.finding(deployed), { reporter, signer: world.signer(reporter) });
      return id;
    },
    sign(status, ask) {
      const decision = decisionFor(status, { reason: 'as the test wants it', ...ask, planHash: ask.planHash ?? status.planHash ?? '' });
      return signDecision(decision, world.signer(ask.by));
    },
    async decide(id, ask) {
      const incident = client.incident(id);
      return await incident.decide(world.sign(await incident.status(), ask));
    },
    async follow(id, passes, { run, answer = () => false, timeoutMs = 45_000 } = {}) {
      const incident = client.incident(id, run);
      let last: IncidentStatus | undefined;
      for await (const status of incident.watch({ everyMs: 100, signal: AbortSignal.timeout(timeoutMs) })) {
        last = status;
        if (passes(status)) return status;
        if (isEnded(status.state)) break;
        for (const gate of status.gates.filter((each) => each.state === 'open' && answer(each))) {
          const by = scripted.find((person) => !gate.approvals.includes(person));
          // A plan may be made anew between the look and the answer: that decision is refused as stale, and the next look shows the new plan.
          if (by !== undefined) await incident.decide(world.sign(status, { verdict: 'approve', gate: gate.id, by }));
        }
      }
      throw new Error(`the incident did not get there; it is:\n${tell(last)}`);
    },
    async picture(user) {
      const keys = (await iam.send(new ListAccessKeysCommand({ UserName: user }))).AccessKeyMetadata ?? [];
      const names = (await iam.send(new ListUserPoliciesCommand({ UserName: user }))).PolicyNames ?? [];
      const policies = await Promise.all(
        names.sort().map(async (name) => {
          const { PolicyDocument } = await iam.send(new GetUserPolicyCommand({ UserName: user, PolicyName: name }));
          return [name, decodeURIComponent(PolicyDocument ?? '')] as const;
        }),
      );
      return {
        keys: Object.fromEntries(keys.map((key: AccessKeyMetadata) => [key.AccessKeyId, key.Status])),
        policies: Object.fromEntries(policies),
      };
    },
    async changes(user, since = 0) {
      const all = await stack.control.mutations(since);
      return all.filter(({ target, caller }) => caller !== admin.accessKeyId && (target.UserName ?? target.userName) === user);
    },
    async lastChange() {
      return (await stack.control.mutations()).at(-1)?.seq ?? 0;
    },
    async record(hash, type) {
      const envelope = parseEnvelope(await store.get(hash), hash);
      return openRecord(envelope, { trust: readTrust(paths.trust, stack.root), engine: stack.engine, type, hash });
    },
    async records(chain, type) {
      return await Promise.all(chain.filter((entry) => entry.type === type).map(({ record }) => world.record(record, type)));
    },
    async bundle(hash) {
      const files = unpackBundle(await store.get(hash));
      return { files, report: JSON.parse(Buffer.from(files.get('report.json') ?? []).toString('utf8')) as IncidentReport };
    },
    async stored({ path }) {
      const answer = await vault.read(`${kvMount}/data/${path.slice(kvMount.length + 1)}`);
      return answer.data.data as Record<string, string>;
    },
    async setPolicy(change) {
      writeFileSync(paths.policy, change(readFileSync(paths.policy, 'utf8')));
      await untilRead(paths.policy);
    },
    async stop() {
      iam.destroy();
      await client.close();
      await stack.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return world;
}

export { until };

/** What a status says, for whoever reads a failed test. */
export function tell(status: IncidentStatus | undefined): string {
  if (status === undefined) return 'unknown';
  const { state, round, contained, rotated, gates, steps, timeline } = status;
  return [
    `${state}, round ${round}, contained ${contained}, rotated ${rotated}, ${status.mode ?? 'no mode'} by rule ${status.rule ?? 'none'}`,
    ...gates.map((gate) => `gate ${gate.id} ${gate.state}, approved by ${gate.approvals.length} of ${gate.rule.quorum}`),
    ...steps.map((step) => `step ${step.id} ${step.state} ${step.failure?.words ?? ''}`),
    ...timeline.slice(-14).map(({ who, what }) => `${who}: ${what.slice(0, 240)}`),
  ].join('\n');
}

/** The gate of that id as it stands. */
export const gateOf = (status: IncidentStatus, id: string): GateStatus | undefined => status.gates.find((gate) => gate.id === id);

/** Contained and rotated, and nothing left but what has a date. */
export const isWatching = (status: IncidentStatus): boolean =>
  status.state === 'watching' && status.contained === 'yes' && status.rotated === 'yes';
