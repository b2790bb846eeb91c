import { userArn } from './access.ts';
import { type Call, type Need, type Operations, page } from './call.ts';
import { boundaryAnswer } from './iam-policies.ts';
import { byName, find, managedArn, onAll, onPrincipal, pathOf, policiesOf, put, repolicy, subject } from './iam-principals.ts';
import { uploadOperations } from './iam-uploads.ts';
import { accessKeyId, accountOf, secretKey, suffix, uniqueId } from './identifiers.ts';
import { accessDenied, deleteConflict, entityExists, invalidInput, limitExceeded, noSuchEntity, Refusal, validation } from './refusal.ts';
import { type AccessKey, latest, noPolicies, type PolicySet, revise, type ServiceCredential, type User } from './state.ts';
import type { Answer } from './xml.ts';

const keyQuota = 2;
const serviceCredentialQuota = 2;
/** How long a fresh login profile cannot be changed, in milliseconds. */
const freshLoginProfileMs = 2000;

const onUser = onPrincipal('User');

function tagList(tags: Readonly<Record<string, string>>): Answer[] | undefined {
  const list = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  return list.length === 0 ? undefined : list;
}

/**
 * The tags of a request, for a user: letters, digits, spaces and `_.:/=+-@`, 128 of them in a key and 256 in a value, and no key that is AWS's own (IAM User Guide, "Tags for IAM resources").
 */
function userTags(call: Call): Record<string, string> {
  const tags = call.tags();
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(tags)) {
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key)) throw validation('A tag key has 1 to 128 of the allowed characters.');
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)) throw validation('A tag value has at most 256 of the allowed characters.');
    if (key.toLowerCase().startsWith('aws:')) throw invalidInput('Tag keys that begin with aws: are reserved.');
    if (seen.has(key.toLowerCase())) throw invalidInput('Duplicate tag keys found. Please note that Tag keys are case insensitive.');
    seen.add(key.toLowerCase());
  }
  return tags;
}

/** Keys of a user's tags are compared without regard to case, and keep it: a tag in another spelling replaces the first. */
function withoutTags(tags: Readonly<Record<string, string>>, keys: readonly string[]): Record<string, string> {
  const gone = keys.map((key) => key.toLowerCase());
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !gone.includes(key.toLowerCase())));
}

function described(call: Call, user: User, whole = true): Answer {
  return {
    Path: user.path,
    UserName: user.name,
    UserId: user.id,
    Arn: userArn(call.world.accountId, user),
    CreateDate: new Date(user.createdAt),
    // Lists of users leave boundary and tags out, as IAM's do.
    PermissionsBoundary: whole ? boundaryAnswer(user) : undefined,
    Tags: whole ? tagList(user.tags) : undefined,
  };
}

const users: Operations = {
  CreateUser: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const name = call.name('UserName', 64);
      const path = pathOf(call);
      const boundary = call.optional('PermissionsBoundary') === undefined ? undefined : managedArn(call, 'PermissionsBoundary');
      if (call.world.state.user(name) !== undefined) throw entityExists(`User with name ${name} already exists.`);
      const policies: PolicySet = boundary === undefined ? noPolicies : { ...noPolicies, boundary };
      const user: User = {
        id: uniqueId('AIDA'),
        name,
        path,
        createdAt: call.now,
        tags: userTags(call),
        policies: [{ at: call.now, value: policies }],
        serviceCredentials: [],
      };
      call.change.put('users', user);
      call.made = user.id;
      return { User: described(call, user) };
    },
  },
  GetUser: { mutates: false, need: onUser, run: (call) => ({ User: described(call, subject(call)) }) },
  ListUsers: {
    mutates: false,
    need: onAll('User'),
    run: (call) => {
      const prefix = call.optional('PathPrefix') ?? '/';
      const live = [...call.world.state.tables.users.values()].filter((u) => u.deletedAt === undefined && u.path.startsWith(prefix));
      const { items, tail } = page(call, live.sort(byName));
      return { Users: items.map((u) => described(call, u, false)), ...tail };
    },
  },
  DeleteUser: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = find(call, 'User', call.text('UserName'));
      const { inline, attached, groups } = policiesOf(user);
      const left: [boolean, string][] = [
        [call.world.state.keysOf(user).length > 0, 'must delete access keys first'],
        [user.loginProfile !== undefined, 'must delete login profile first'],
        [user.serviceCredentials.length > 0, 'must delete service specific credentials first'],
        [(user.signingCertificates ?? []).length > 0, 'must delete signing certificates first'],
        [(user.sshKeys ?? []).length > 0, 'must delete SSH public keys first'],
        [(user.mfaDevices ?? []).length > 0, 'must deactivate MFA devices first'],
        [Object.keys(inline).length > 0, 'must delete policies first'],
        [attached.length > 0, 'must detach all policies first'],
        [groups.length > 0, 'must remove users from group first'],
      ];
      const why = left.find(([present]) => present)?.[1];
      if (why !== undefined) throw deleteConflict(`Cannot delete entity, ${why}.`);
      user.deletedAt = call.now;
      call.change.put('users', user);
      return {};
    },
  },
  TagUser: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = find(call, 'User', call.text('UserName'));
      const given = userTags(call);
      const tags = { ...withoutTags(user.tags, Object.keys(given)), ...given };
      if (Object.keys(tags).length > 50) throw limitExceeded('Cannot exceed quota for TagsPerUser: 50');
      retag(call, user, tags);
      return {};
    },
  },
  UntagUser: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = find(call, 'User', call.text('UserName'));
      retag(call, user, withoutTags(user.tags, call.texts('TagKeys')));
      return {};
    },
  },
  ListUserTags: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const { items, tail } = page(call, Object.entries(find(call, 'User', call.text('UserName')).tags));
      return { Tags: items.map(([Key, Value]) => ({ Key, Value })), ...tail };
    },
  },
};

function retag(call: Call, user: User, tags: Record<string, string>): void {
  if (JSON.stringify(Object.entries(tags).sort()) === JSON.stringify(Object.entries(user.tags).sort())) return;
  user.tags = tags;
  put(call, 'User', user);
}

/** A live key of the user, or `NoSuchEntity`; another user's key counts as none. */
function keyOf(call: Call, user: User, id: string): AccessKey {
  const key = call.world.state.keysOf(user).find((k) => k.id === id);
  if (key === undefined) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`);
  return key;
}

function setStatus(call: Call, key: AccessKey, status: 'Active' | 'Inactive' | 'deleted'): void {
  revise(key.status, call.now, status);
  call.change.put('keys', key);
}

const keys: Operations = {
  CreateAccessKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      // Inactive keys count: they hold a slot until they are deleted.
      if (call.world.state.keysOf(user).length >= keyQuota) throw limitExceeded(`Cannot exceed quota for AccessKeysPerUser: ${keyQuota}`);
      const key: AccessKey = {
        id: accessKeyId('AKIA', call.world.accountId),
        secret: secretKey(),
        userId: user.id,
        createdAt: call.now,
        status: [{ at: call.now, value: 'Active' }],
      };
      call.change.put('keys', key);
      call.made = key.id;
      return {
        AccessKey: {
          UserName: user.name,
          AccessKeyId: key.id,
          Status: 'Active',
          SecretAccessKey: key.secret,
          CreateDate: new Date(key.createdAt),
        },
      };
    },
  },
  UpdateAccessKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const key = keyOf(call, subject(call), call.text('AccessKeyId'));
      const status = call.oneOf('Status', ['Active', 'Inactive']);
      if (latest(key.status) !== status) setStatus(call, key, status);
      return {};
    },
  },
  DeleteAccessKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      setStatus(call, keyOf(call, subject(call), call.text('AccessKeyId')), 'deleted');
      return {};
    },
  },
  ListAccessKeys: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const { items, tail } = page(call, call.world.state.keysOf(user));
      const AccessKeyMetadata = items.map((k) => ({
        UserName: user.name,
        AccessKeyId: k.id,
        Status: latest(k.status),
        CreateDate: new Date(k.createdAt),
      }));
      return { AccessKeyMetadata, ...tail };
    },
  },
  GetAccessKeyLastUsed: {
    mutates: false,
    need: (call) => {
      const user = call.world.state.tables.users.get(call.world.state.tables.keys.get(call.optional('AccessKeyId') ?? '')?.userId ?? '');
      return { resource: user === undefined ? '*' : userArn(call.world.accountId, user) };
    },
    run: (call) => {
      const id = call.text('AccessKeyId');
      const key = call.world.state.tables.keys.get(id);
      const user = key === undefined ? undefined : call.world.state.tables.users.get(key.userId);
      if (key === undefined || user === undefined || latest(key.status) === 'deleted') {
        // What AWS really says is not known for certain; both codes have been seen. A key of another account is refused, a key of this one,
        // deleted or never there, is not found, and a client has to take either for "cannot tell whose it is".
        const account = accountOf(id);
        if (account !== undefined && account !== call.world.accountId) {
          throw accessDenied(
            `User: ${call.caller.arn} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key ${id}`,
          );
        }
        throw noSuchEntity(`The Access Key with id ${id} cannot be found.`);
      }
      const used = key.lastUsed;
      return {
        UserName: user.name,
        AccessKeyLastUsed: {
          LastUsedDate: used === undefined ? undefined : new Date(used.at),
          ServiceName: used?.service ?? 'N/A',
          Region: used?.region ?? 'N/A',
        },
      };
    },
  },
};

function profileOf(user: User): NonNullable<User['loginProfile']> {
  if (user.loginProfile === undefined) throw noSuchEntity(`Login Profile for User ${user.name} cannot be found.`);
  return user.loginProfile;
}

function settledProfile(call: Call, user: User): NonNullable<User['loginProfile']> {
  const profile = profileOf(user);
  if (call.now < profile.createdAt + freshLoginProfileMs) {
    throw new Refusal(
      'EntityTemporarilyUnmodifiable',
      409,
      `Login Profile for User ${user.name} cannot be modified while login profile is being created.`,
    );
  }
  return profile;
}

const profileAnswer = (user: User): Answer => {
  const profile = profileOf(user);
  return {
    LoginProfile: { UserName: user.name, CreateDate: new Date(profile.createdAt), PasswordResetRequired: profile.passwordResetRequired },
  };
};

/** The console password. It can be made, changed and deleted, and never switched off. The password itself is not kept: nothing here takes it. */
const loginProfiles: Operations = {
  CreateLoginProfile: {
    mutates: true,
    need: onUser,
    hidden: ['Password'],
    run: (call) => {
      const user = subject(call);
      if (call.text('Password').length < 8) throw new Refusal('PasswordPolicyViolation', 400, 'Password should have a minimum length of 8');
      if (user.loginProfile !== undefined) throw entityExists(`Login Profile for user ${user.name} already exists.`);
      user.loginProfile = { createdAt: call.now, passwordResetRequired: call.flag('PasswordResetRequired') };
      put(call, 'User', user);
      return profileAnswer(user);
    },
  },
  GetLoginProfile: { mutates: false, need: onUser, run: (call) => profileAnswer(subject(call)) },
  UpdateLoginProfile: {
    mutates: true,
    need: onUser,
    hidden: ['Password'],
    run: (call) => {
      const user = find(call, 'User', call.text('UserName'));
      settledProfile(call, user).passwordResetRequired = call.flag('PasswordResetRequired');
      put(call, 'User', user);
      return {};
    },
  },
  DeleteLoginProfile: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      settledProfile(call, user);
      delete user.loginProfile;
      put(call, 'User', user);
      return {};
    },
  },
};

const services = ['codecommit.amazonaws.com', 'cassandra.amazonaws.com', 'bedrock.amazonaws.com'];
/** Services whose credential is one API key instead of a name and a password (IAM API reference, ServiceSpecificCredential). */
const byApiKey = ['bedrock.amazonaws.com'];

function serviceCredentialOf(call: Call, user: User): ServiceCredential {
  const id = call.text('ServiceSpecificCredentialId');
  const credential = user.serviceCredentials.find((c) => c.id === id);
  if (credential === undefined) throw noSuchEntity(`The service specific credential ${id} cannot be found.`);
  return credential;
}

const metadata = (user: User, c: ServiceCredential): Answer => ({
  UserName: user.name,
  Status: c.status,
  ...(byApiKey.includes(c.service) ? { ServiceCredentialAlias: c.userName } : { ServiceUserName: c.userName }),
  CreateDate: new Date(c.createdAt),
  ExpirationDate: c.expiresAt === undefined ? undefined : new Date(c.expiresAt),
  ServiceSpecificCredentialId: c.id,
  ServiceName: c.service,
});

/** The one answer that shows the secret. */
const shown = (user: User, c: ServiceCredential): Answer => ({
  ...metadata(user, c),
  ...(byApiKey.includes(c.service) ? { ServiceCredentialSecret: c.secret } : { ServicePassword: c.secret }),
});

const serviceCredentials: Operations = {
  CreateServiceSpecificCredential: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const service = call.text('ServiceName');
      if (!services.includes(service)) throw noSuchEntity(`No such service ${service} is supported for Service Specific Credentials`);
      if (user.serviceCredentials.filter((c) => c.service === service).length >= serviceCredentialQuota) {
        throw limitExceeded(`Cannot exceed quota for ServiceSpecificCredentialsPerUser: ${serviceCredentialQuota}`);
      }
      const days = call.integer('CredentialAgeDays', 1, 36_600, 0);
      if (days > 0 && !byApiKey.includes(service))
        throw new Refusal('NotSupportedService', 404, `${service} has no credentials that expire.`);
      const credential: ServiceCredential = {
        id: uniqueId('ACCA'),
        service,
        ...(days > 0 ? { expiresAt: call.now + days * 86_400_000 } : {}),
        userName: `${user.name}-at-${call.world.accountId}${user.serviceCredentials.length === 0 ? '' : `+${suffix(4)}`}`,
        secret: secretKey(),
        status: 'Active',
        createdAt: call.now,
      };
      user.serviceCredentials = [...user.serviceCredentials, credential];
      put(call, 'User', user);
      call.made = credential.id;
      return { ServiceSpecificCredential: shown(user, credential) };
    },
  },
  ListServiceSpecificCredentials: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const everybody = call.flag('AllUsers');
      if (everybody && call.optional('UserName') !== undefined) throw invalidInput('AllUsers and UserName exclude each other.');
      const users = everybody
        ? [...call.world.state.tables.users.values()].filter((each) => each.deletedAt === undefined).sort(byName)
        : [subject(call)];
      const service = call.optional('ServiceName');
      const all = users.flatMap((user) => user.serviceCredentials.map((c) => [user, c] as const));
      const { items, tail } = page(
        call,
        all.filter(([, c]) => service === undefined || c.service === service),
      );
      return { ServiceSpecificCredentials: items.map(([user, c]) => metadata(user, c)), ...tail };
    },
  },
  UpdateServiceSpecificCredential: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const credential = serviceCredentialOf(call, user);
      const status = call.oneOf('Status', ['Active', 'Inactive']);
      if (credential.status === status) return {};
      credential.status = status;
      put(call, 'User', user);
      return {};
    },
  },
  ResetServiceSpecificCredential: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const credential = serviceCredentialOf(call, user);
      credential.secret = secretKey();
      put(call, 'User', user);
      return { ServiceSpecificCredential: shown(user, credential) };
    },
  },
  DeleteServiceSpecificCredential: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const credential = serviceCredentialOf(call, user);
      user.serviceCredentials = user.serviceCredentials.filter((c) => c !== credential);
      put(call, 'User', user);
      return {};
    },
  },
};

/** IAM User Guide, "IAM and AWS STS quotas". */
const deviceQuota = 8;

/**
 * Multi-factor devices. Only that there is one counts here: codes are taken for good where they have six digits and differ, nobody is asked for one, and no session says that it was made with one.
 */
const devices: Operations = {
  EnableMFADevice: {
    mutates: true,
    need: onUser,
    hidden: ['AuthenticationCode1', 'AuthenticationCode2'],
    run: (call) => {
      const user = find(call, 'User', call.text('UserName'));
      const serial = call.text('SerialNumber');
      const codes = [call.text('AuthenticationCode1'), call.text('AuthenticationCode2')];
      if (!/^[\w+=/:,.@-]{9,256}$/.test(serial)) throw validation('SerialNumber is not valid.');
      if (!codes.every((code) => /^\d{6}$/.test(code)) || codes[0] === codes[1])
        throw new Refusal('InvalidAuthenticationCode', 403, 'Authentication code for device is not valid');
      const taken = [...call.world.state.tables.users.values()].some(
        (each) => each.deletedAt === undefined && each.mfaDevices?.some((device) => device.serial === serial),
      );
      if (taken) throw entityExists('MFADevice is already in use.');
      if ((user.mfaDevices ?? []).length >= deviceQuota) throw limitExceeded(`Cannot exceed quota for MFADevicesPerUser: ${deviceQuota}`);
      user.mfaDevices = [...(user.mfaDevices ?? []), { serial, enabledAt: call.now }];
      put(call, 'User', user);
      return {};
    },
  },
  DeactivateMFADevice: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const serial = call.text('SerialNumber');
      if (!user.mfaDevices?.some((device) => device.serial === serial)) throw noSuchEntity(`MFA Device invalid for user.`);
      user.mfaDevices = user.mfaDevices.filter((device) => device.serial !== serial);
      put(call, 'User', user);
      return {};
    },
  },
  ListMFADevices: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const { items, tail } = page(call, user.mfaDevices ?? []);
      const MFADevices = items.map(({ serial, enabledAt }) => ({
        UserName: user.name,
        SerialNumber: serial,
        EnableDate: new Date(enabledAt),
      }));
      return { MFADevices, ...tail };
    },
  },
};

const onGroup = (call: Call): Need => onPrincipal('Group')(call);

const groups: Operations = {
  CreateGroup: {
    mutates: true,
    need: onGroup,
    run: (call) => {
      const name = call.name('GroupName');
      if (call.world.state.group(name) !== undefined) throw entityExists(`Group with name ${name} already exists.`);
      const group = {
        id: uniqueId('AGPA'),
        name,
        path: pathOf(call),
        createdAt: call.now,
        policies: [{ at: call.now, value: noPolicies }],
      };
      call.change.put('groups', group);
      call.made = group.id;
      return { Group: groupAnswer(call, name) };
    },
  },
  GetGroup: {
    mutates: false,
    need: onGroup,
    run: (call) => {
      const group = find(call, 'Group', call.text('GroupName'));
      const { items, tail } = page(call, membersOf(call, group.name));
      return { Group: groupAnswer(call, group.name), Users: items.map((u) => described(call, u, false)), ...tail };
    },
  },
  ListGroups: {
    mutates: false,
    need: onAll('Group'),
    run: (call) => {
      const live = [...call.world.state.tables.groups.values()].filter((g) => g.deletedAt === undefined).sort(byName);
      const { items, tail } = page(call, live);
      return { Groups: items.map((g) => groupAnswer(call, g.name)), ...tail };
    },
  },
  DeleteGroup: {
    mutates: true,
    need: onGroup,
    run: (call) => {
      const group = find(call, 'Group', call.text('GroupName'));
      const { inline, attached } = policiesOf(group);
      if (membersOf(call, group.name).length > 0) throw deleteConflict('Cannot delete entity, must remove users from group first.');
      if (Object.keys(inline).length + attached.length > 0) throw deleteConflict('Cannot delete entity, must delete policies first.');
      group.deletedAt = call.now;
      call.change.put('groups', group);
      return {};
    },
  },
  AddUserToGroup: {
    mutates: true,
    need: onGroup,
    run: (call) => {
      const group = find(call, 'Group', call.text('GroupName'));
      const user = find(call, 'User', call.text('UserName'));
      const { groups: own } = policiesOf(user);
      if (own.includes(group.name)) return {};
      if (own.length >= 10) throw limitExceeded('Cannot exceed quota for GroupsPerUser: 10');
      repolicy(call, 'User', user, { groups: [...own, group.name] });
      return {};
    },
  },
  RemoveUserFromGroup: {
    mutates: true,
    need: onGroup,
    run: (call) => {
      const group = find(call, 'Group', call.text('GroupName'));
      const user = find(call, 'User', call.text('UserName'));
      const { groups: own } = policiesOf(user);
      if (!own.includes(group.name)) throw noSuchEntity(`User ${user.name} is not in group ${group.name}.`);
      repolicy(call, 'User', user, { groups: own.filter((g) => g !== group.name) });
      return {};
    },
  },
  ListGroupsForUser: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const { items, tail } = page(call, policiesOf(find(call, 'User', call.text('UserName'))).groups);
      return { Groups: items.map((name) => groupAnswer(call, name)), ...tail };
    },
  },
};

function membersOf(call: Call, group: string): User[] {
  return [...call.world.state.tables.users.values()]
    .filter((u) => u.deletedAt === undefined && policiesOf(u).groups.includes(group))
    .sort(byName);
}

function groupAnswer(call: Call, name: string): Answer {
  const group = call.world.state.groupAsOf(name);
  if (group === undefined) throw validation(`Group ${name} is gone.`);
  return {
    Path: group.path,
    GroupName: group.name,
    GroupId: group.id,
    Arn: `arn:aws:iam::${call.world.accountId}:group${group.path}${group.name}`,
    CreateDate: new Date(group.createdAt),
  };
}

/** Users with every class of credential a user can have, and groups. */
export const userOperations: Operations = {
  ...users,
  ...keys,
  ...loginProfiles,
  ...serviceCredentials,
  ...groups,
  ...uploadOperations,
  ...devices,
};
