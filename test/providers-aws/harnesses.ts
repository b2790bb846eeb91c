import {
  CreateLoginProfileCommand,
  CreateRoleCommand,
  CreateServiceSpecificCredentialCommand,
  DeleteAccessKeyCommand,
  DeleteLoginProfileCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteServiceSpecificCredentialCommand,
  DeleteSigningCertificateCommand,
  DeleteSSHPublicKeyCommand,
  PutRolePolicyCommand,
  TagUserCommand,
  UpdateAccessKeyCommand,
  UpdateServiceSpecificCredentialCommand,
  UpdateSigningCertificateCommand,
  UpdateSSHPublicKeyCommand,
  UploadSigningCertificateCommand,
  UploadSSHPublicKeyCommand,
} from '@aws-sdk/client-iam';
import { manifest } from '../../providers/aws/manifest.ts';
import { cutOffDocument, cutOffPolicy, fenceDocument, fencePolicy, holdDocument, holdPolicy } from '../../providers/aws/policies.ts';
import { investigationTag, investigationValue } from '../../providers/aws/tag-user.ts';
import type { Action } from '../../providers/contract.ts';
import type { SuiteOptions, World, WorldCall } from '../conformance/index.ts';
import { certificates, sshKey } from '../lab-aws/uploads.ts';
import { listing, type Pair, type Practice, practice, timing, useKey } from './practice.ts';

interface Account {
  readonly world: Practice;
  readonly leaked: Pair;
}

/** What differs from action to action; the rest of the world is the same for all. */
interface Case {
  readonly options?: SuiteOptions;
  prepare(account: Account): Promise<Omit<Partial<World>, 'action'> & { readonly target: World['target'] }>;
}

export const user = 'ci-deployer';
const other = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: '*' }] });
const hours = 3_600_000;
const gates = { networks: ['198.51.100.0/24', '2001:db8:7::/48'], vpcs: ['vpc-0a1b2c3d4e5f60718'], endpoints: ['vpce-1a2b3c4d'] };

const setStatus = (world: Practice, accessKeyId: string, status: 'Active' | 'Inactive') =>
  world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId, Status: status }));
const removeKey = async (world: Practice, accessKeyId: string) => {
  await world.admin.iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: accessKeyId }));
};

const tag = async (world: Practice, name: string, key: string, value: string) => {
  await world.admin.iam.send(new TagUserCommand({ UserName: name, Tags: [{ Key: key, Value: value }] }));
};

export const practicePassword = 'practice-Passw0rd';

/** A Bedrock API key of a user. */
export const serviceCredential = async (world: Practice, name: string, status: 'Active' | 'Inactive' = 'Active'): Promise<string> => {
  const made = await world.admin.iam.send(
    new CreateServiceSpecificCredentialCommand({ UserName: name, ServiceName: 'bedrock.amazonaws.com' }),
  );
  const id = made.ServiceSpecificCredential?.ServiceSpecificCredentialId ?? '';
  if (status === 'Inactive')
    await world.admin.iam.send(
      new UpdateServiceSpecificCredentialCommand({ UserName: name, ServiceSpecificCredentialId: id, Status: status }),
    );
  return id;
};
const removeServiceCredential = async (world: Practice, id: string) => {
  await world.admin.iam.send(new DeleteServiceSpecificCredentialCommand({ UserName: user, ServiceSpecificCredentialId: id }));
};

export const certificate = async (world: Practice, name: string, which: 0 | 1 | 2, status: 'Active' | 'Inactive' = 'Active') => {
  const made = await world.admin.iam.send(new UploadSigningCertificateCommand({ UserName: name, CertificateBody: certificates[which] }));
  const id = made.Certificate?.CertificateId ?? '';
  if (status === 'Inactive')
    await world.admin.iam.send(new UpdateSigningCertificateCommand({ UserName: name, CertificateId: id, Status: status }));
  return id;
};
const removeCertificate = async (world: Practice, id: string) => {
  await world.admin.iam.send(new DeleteSigningCertificateCommand({ UserName: user, CertificateId: id }));
};

export const uploadedKey = async (world: Practice, name: string, status: 'Active' | 'Inactive' = 'Active') => {
  const made = await world.admin.iam.send(new UploadSSHPublicKeyCommand({ UserName: name, SSHPublicKeyBody: sshKey() }));
  const id = made.SSHPublicKey?.SSHPublicKeyId ?? '';
  if (status === 'Inactive')
    await world.admin.iam.send(new UpdateSSHPublicKeyCommand({ UserName: name, SSHPublicKeyId: id, Status: status }));
  return id;
};
const removeUploadedKey = async (world: Practice, id: string) => {
  await world.admin.iam.send(new DeleteSSHPublicKeyCommand({ UserName: user, SSHPublicKeyId: id }));
};

/** The role of the cases that are about one, and a neighbour that has the same things on it. */
export const role = 'deploy-role';
const onRole = (world: Practice, name: string, document: string) =>
  world.admin.iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: cutOffPolicy, PolicyDocument: document }));
const makeRole = (world: Practice, name: string) =>
  world.admin.iam.send(
    new CreateRoleCommand({
      RoleName: name,
      MaxSessionDuration: 7_200,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${world.account}:root` }, Action: 'sts:AssumeRole' }],
      }),
    }),
  );
const removeRole = async (world: Practice) => {
  const { roles } = await world.control.world();
  for (const PolicyName of Object.keys(roles.find((each) => each.name === role)?.policies.inline ?? {}))
    await world.admin.iam.send(new DeleteRolePolicyCommand({ RoleName: role, PolicyName }));
  await world.admin.iam.send(new DeleteRoleCommand({ RoleName: role }));
};
const roles = async (world: Practice) => {
  for (const name of [role, 'bystanding-role']) await makeRole(world, name);
  await onRole(world, 'bystanding-role', cutOffDocument('fedcba9876543210fedcba98', new Date().toISOString()));
};

const cases: Readonly<Record<string, Case>> = {
  'disable-key': {
    async prepare({ world, leaked }) {
      return {
        target: { account: world.account, user, accessKeyId: leaked.accessKeyId },
        remove: () => removeKey(world, leaked.accessKeyId),
        meddle: () => removeKey(world, leaked.accessKeyId),
      };
    },
  },
  'fence-principal': {
    async prepare({ world }) {
      // The neighbour has another incident's.
      await world.policy('bystander', fencePolicy, fenceDocument('fedcba9876543210fedcba98', gates));
      return {
        target: { account: world.account, user },
        params: { networks: gates.networks, vpcs: [...gates.vpcs, ...gates.endpoints], maxLifeSeconds: 0 },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, fencePolicy, other),
      };
    },
  },
  'lift-fence': {
    async prepare({ world, leaked }) {
      await world.policy('bystander', fencePolicy, fenceDocument('fedcba9876543210fedcba98', gates));
      await world.policy(user, fencePolicy, fenceDocument('0123456789abcdef01234567', gates));
      await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date().toISOString()));
      await setStatus(world, leaked.accessKeyId, 'Inactive');
      return {
        target: { account: world.account, user },
        params: { keys: [leaked.accessKeyId] },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, fencePolicy, other),
      };
    },
  },
  'deny-principal': {
    async prepare({ world }) {
      return {
        target: { account: world.account, user },
        // No session can have been minted under this deny, so that nothing has to stay behind. The other case has a test of its own.
        params: { maxLifeSeconds: 0 },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, holdPolicy, other),
      };
    },
  },
  'lift-deny': {
    async prepare({ world, leaked }) {
      await world.policy(user, holdPolicy, holdDocument('0123456789abcdef01234567'));
      await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date().toISOString()));
      await setStatus(world, leaked.accessKeyId, 'Inactive');
      return {
        target: { account: world.account, user },
        params: { keys: [leaked.accessKeyId] },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, holdPolicy, other),
      };
    },
  },
  'cut-off-sessions': {
    async prepare({ world }) {
      return {
        target: { account: world.account, user },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, cutOffPolicy, other),
        ripen: async () => {
          await world.control.advance(37 * hours);
        },
      };
    },
  },
  'lift-cut-off': {
    async prepare({ world }) {
      await world.policy(user, cutOffPolicy, cutOffDocument('0123456789abcdef01234567', new Date(Date.now() - 40 * hours).toISOString()));
      return {
        target: { account: world.account, user },
        remove: () => world.deleteUser(user),
        meddle: () => world.policy(user, cutOffPolicy, other),
      };
    },
  },
  'cut-off-role': {
    async prepare({ world }) {
      await roles(world);
      return {
        target: { account: world.account, role },
        remove: () => removeRole(world),
        meddle: async () => {
          await onRole(world, role, other);
        },
        ripen: async () => {
          await world.control.advance(3 * hours);
        },
      };
    },
  },
  'lift-cut-off-role': {
    async prepare({ world }) {
      await roles(world);
      await onRole(world, role, cutOffDocument('0123456789abcdef01234567', new Date(Date.now() - 3 * hours).toISOString()));
      return {
        target: { account: world.account, role },
        remove: () => removeRole(world),
        meddle: async () => {
          await onRole(world, role, other);
        },
      };
    },
  },
  'mint-key': {
    options: { unsupported: { 'gone is a success': 'there is no making a key for a user that is gone: it is `provider.gone`' } },
    async prepare({ world, leaked }) {
      return {
        target: { account: world.account, user },
        params: { sealTo: { provider: 'vault', account: 'main' } },
        meddle: async () => {
          const { users } = await world.control.world();
          const fresh = users.find((each) => each.name === user)?.keys.filter((key) => key.id !== leaked.accessKeyId) ?? [];
          for (const key of fresh) await setStatus(world, key.id, 'Inactive');
        },
      };
    },
  },
  'delete-key': {
    async prepare({ world, leaked }) {
      await setStatus(world, leaked.accessKeyId, 'Inactive');
      return {
        target: { account: world.account, user, accessKeyId: leaked.accessKeyId },
        remove: () => removeKey(world, leaked.accessKeyId),
      };
    },
  },
  'disable-service-credential': {
    async prepare({ world }) {
      const id = await serviceCredential(world, user);
      await serviceCredential(world, 'bystander');
      return {
        target: { account: world.account, user, serviceSpecificCredentialId: id },
        remove: () => removeServiceCredential(world, id),
        meddle: () => removeServiceCredential(world, id),
      };
    },
  },
  'delete-service-credential': {
    async prepare({ world }) {
      const id = await serviceCredential(world, user, 'Inactive');
      await serviceCredential(world, user);
      await serviceCredential(world, 'bystander', 'Inactive');
      return {
        target: { account: world.account, user, serviceSpecificCredentialId: id },
        remove: () => removeServiceCredential(world, id),
      };
    },
  },
  'disable-signing-certificate': {
    async prepare({ world }) {
      const id = await certificate(world, user, 0);
      await certificate(world, user, 1);
      await certificate(world, 'bystander', 2);
      return {
        target: { account: world.account, user, certificateId: id },
        remove: () => removeCertificate(world, id),
        meddle: () => removeCertificate(world, id),
      };
    },
  },
  'delete-signing-certificate': {
    async prepare({ world }) {
      const id = await certificate(world, user, 0, 'Inactive');
      await certificate(world, user, 1, 'Inactive');
      await certificate(world, 'bystander', 2, 'Inactive');
      return { target: { account: world.account, user, certificateId: id }, remove: () => removeCertificate(world, id) };
    },
  },
  'disable-ssh-key': {
    async prepare({ world }) {
      const id = await uploadedKey(world, user);
      await uploadedKey(world, user);
      await uploadedKey(world, 'bystander');
      return {
        target: { account: world.account, user, sshPublicKeyId: id },
        remove: () => removeUploadedKey(world, id),
        meddle: () => removeUploadedKey(world, id),
      };
    },
  },
  'delete-ssh-key': {
    async prepare({ world }) {
      const id = await uploadedKey(world, user, 'Inactive');
      await uploadedKey(world, user, 'Inactive');
      await uploadedKey(world, 'bystander', 'Inactive');
      return { target: { account: world.account, user, sshPublicKeyId: id }, remove: () => removeUploadedKey(world, id) };
    },
  },
  'delete-login-profile': {
    async prepare({ world }) {
      for (const name of [user, 'bystander'])
        await world.admin.iam.send(new CreateLoginProfileCommand({ UserName: name, Password: practicePassword }));
      // AWS does not let a profile be changed that was made a moment ago; what that says to a step is tried in classes.test.ts.
      await world.control.advance(5_000);
      return {
        target: { account: world.account, user },
        remove: async () => {
          await world.admin.iam.send(new DeleteLoginProfileCommand({ UserName: user }));
        },
        secrets: [practicePassword],
      };
    },
  },
  'tag-user': {
    async prepare({ world }) {
      // Somebody has used the tag before, in a spelling of theirs; a user without it is tried in tag-user.test.ts.
      await tag(world, user, 'Tourniquet:Under-Investigation', 'by hand last year');
      await tag(world, user, 'team', 'ci');
      await tag(world, 'bystander', investigationTag, investigationValue({ incident: `leak/${'f'.repeat(64)}`, run: 'r', step: 's' }));
      return {
        target: { account: world.account, user },
        remove: () => world.deleteUser(user),
        meddle: () => tag(world, user, investigationTag, 'cleared by olga'),
      };
    },
  },
  'watch-new-use': {
    async prepare({ world }) {
      const fresh = await world.makeKey(user);
      return {
        target: { account: world.account, user, consumer: 'runner' },
        params: { mint: 'mint-step' },
        made: { 'mint-step': { accessKeyId: fresh.accessKeyId } },
        inventory: { consumers: [consumer('runner', 'ci-runner/7')], stores: [] },
        happen: () => useKey(world, fresh, 'ci-runner/7'),
        timing: { ...timing, giveUpMs: 3_000 },
        secrets: [fresh.secretAccessKey],
      };
    },
  },
  'watch-old-quiet': {
    async prepare({ world, leaked }) {
      return {
        target: { account: world.account, user, accessKeyId: leaked.accessKeyId },
        params: { quietMs: 200 },
        timing: { ...timing, giveUpMs: 5_000 },
      };
    },
  },
};

export function consumer(id: string, userAgent?: string): NonNullable<World['inventory']>['consumers'][number] {
  return {
    id,
    name: id,
    owner: 'platform',
    contact: 'platform@example.org',
    store: 'ci',
    overlap: true,
    rereads: 2,
    criticality: 'production',
    networks: [],
    seenAs: userAgent === undefined ? {} : { userAgent },
  };
}

/** A world in which AWS can be made to refuse in words of the test's choice. */
export interface AwsWorld extends World {
  /** Every call that changes something, or every one at all, is refused with that error before any effect. */
  refuse(which: 'changing' | 'all', code: string, status: number): Promise<void>;
}

/** Actions that have a conformance run, and how to make a world for each. */
export const harnesses: readonly { readonly name: string; readonly options: SuiteOptions; readonly open: () => Promise<AwsWorld> }[] =
  Object.entries(cases).map(([name, each]) => ({
    name: `aws/${name}`,
    options: { timeout: 60_000, concurrent: true, ...each.options },
    open: () => open(name, each),
  }));

/** Calls whose reply can be lost: what the manifest's actions may change. */
const changingCalls = [...new Set(manifest.actions.flatMap((action) => action.permissions))]
  .filter((name) => name.startsWith('iam:') && !/^iam:(Get|List)/.test(name))
  .map((name) => name.slice('iam:'.length));

async function open(name: string, each: Case): Promise<AwsWorld> {
  const world = await practice();
  try {
    const leaked = await world.makeUser(user, listing);
    // Neighbours: another user with the same kinds of things, which nothing may touch.
    const neighbour = await world.makeUser('bystander', listing);
    await world.policy('bystander', holdPolicy, holdDocument('fedcba9876543210fedcba98'));
    await world.policy('bystander', cutOffPolicy, cutOffDocument('fedcba9876543210fedcba98', new Date().toISOString()));
    const weak = await world.makeUser('powerless', '');
    const prepared = await each.prepare({ world, leaked });
    const connection = await world.connect();
    const known = new Set((await world.control.world()).users.flatMap((row) => row.keys.map((key) => key.id)));
    const calls: WorldCall[] = [];
    const counted = new Map<string, number>();
    let heard = 0;
    const gather = async () => {
      const entries = await world.control.mutations(heard);
      const counters = await world.control.counters();
      const fresh = new Map<string, number>();
      for (const entry of entries) {
        heard = Math.max(heard, entry.seq);
        const permission = `${entry.service}:${entry.action}`;
        fresh.set(permission, (fresh.get(permission) ?? 0) + 1);
        calls.push({ permission, changed: entry.effect === 'changed' });
      }
      for (const [permission, { calls: total }] of Object.entries(counters)) {
        const more = total - (counted.get(permission) ?? 0) - (fresh.get(permission) ?? 0);
        counted.set(permission, total);
        for (let i = 0; i < more; i++) calls.push({ permission, changed: false });
      }
    };
    await gather();
    calls.length = 0;
    const action = (of: Awaited<ReturnType<Practice['connect']>>) => of.actions[name] as Action;
    return {
      timing,
      ...prepared,
      action: action(connection),
      secrets: [world.sim.admin.secretAccessKey, leaked.secretAccessKey, neighbour.secretAccessKey, ...(prepared.secrets ?? [])],
      snapshot: async () => picture(await world.control.world(), known),
      async calls() {
        await gather();
        return [...calls];
      },
      async trouble({ kind, count }) {
        const times = count === undefined ? {} : { count };
        if (kind !== 'lost-reply') {
          await world.control.inject({ kind: kind === 'throttled' ? 'throttle' : kind === 'broken' ? 'error-500' : 'down', ...times });
          return;
        }
        for (const changing of changingCalls) {
          await world.control.inject({ kind: 'lose-reply-after-effect', service: 'iam', action: changing, ...times });
        }
      },
      async refuse(which, code, status) {
        if (which === 'all') await world.control.inject({ kind: 'refuse', code, status });
        else
          for (const changing of changingCalls)
            await world.control.inject({ kind: 'refuse', service: 'iam', action: changing, code, status });
      },
      calm: () => world.control.clearFaults(),
      async powerless() {
        await world.alive(weak);
        return action(await world.connect(weak));
      },
      close: () => world.close(),
    };
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** The account without what moves by itself: its clock, when keys were last used, and the random ids of keys that were made since. */
function picture(state: Awaited<ReturnType<Practice['control']['world']>>, known: ReadonlySet<string>): unknown {
  const { now: _, users, ...rest } = state;
  return {
    ...rest,
    users: users.map((row) => ({
      ...row,
      keys: row.keys.map((key) => (known.has(key.id) ? { id: key.id, status: key.status } : { id: 'a new key', status: key.status })),
    })),
  };
}
