import { type Call, lowerFirst, type Need, type Operations } from './call.ts';
import { suffix, uuid } from './identifiers.ts';
import { failure } from './refusal.ts';
import type { SecretVersion, StoredSecret } from './state.ts';
import type { Answer } from './xml.ts';

const current = 'AWSCURRENT';
const previous = 'AWSPREVIOUS';
const day = 86_400_000;

const notFound = () => failure('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
const invalidParameter = (message: string) => failure('InvalidParameterException', message);
const invalidRequest = (message: string) => failure('InvalidRequestException', message);

/** Seconds since 1970, as the JSON services write dates. */
const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

/** A secret by name, ARN, or ARN without its suffix; one whose time has run out is gone. */
function lookUp(call: Call): StoredSecret | undefined {
  const id = call.optional('SecretId') ?? '';
  const { state } = call.world;
  let secret = state.secret(call.region, id);
  if (secret === undefined && id.startsWith('arn:')) {
    const whole = state.tables.secrets.get(id);
    secret = whole ?? state.secret(call.region, id.split(':').slice(6).join(':'));
    if (secret !== undefined && (secret.region !== call.region || (whole === undefined && !secret.arn.startsWith(`${id}-`))))
      return undefined;
  }
  return secret !== undefined && (secret.deletesAt === undefined || secret.deletesAt > call.now) ? secret : undefined;
}

function find(call: Call): StoredSecret {
  call.text('SecretId');
  const secret = lookUp(call);
  if (secret === undefined) throw notFound();
  return secret;
}

function usable(call: Call): StoredSecret {
  const secret = find(call);
  if (secret.deletesAt !== undefined)
    throw invalidRequest("You can't perform this operation on the secret because it was marked for deletion.");
  return secret;
}

const arnPrefix = (call: Call): string => `arn:aws:secretsmanager:${call.region}:${call.world.accountId}:secret:`;

const onSecret = (call: Call): Need => {
  const id = call.optional('SecretId') ?? '';
  const secret = lookUp(call);
  const keys: Record<string, string> = {};
  for (const [tag, value] of Object.entries(secret?.tags ?? {})) {
    keys[`aws:ResourceTag/${tag}`] = value;
    keys[`secretsmanager:ResourceTag/${tag}`] = value;
  }
  return { resource: secret?.arn ?? (id.startsWith('arn:') ? id : arnPrefix(call) + id), keys };
};

const holder = (secret: StoredSecret, stage: string): SecretVersion | undefined =>
  Object.values(secret.versions).find((v) => v.stages.includes(stage));

function take(secret: StoredSecret, stage: string): void {
  for (const version of Object.values(secret.versions)) version.stages = version.stages.filter((s) => s !== stage);
}

/** Moves a label. Where the current label leaves a version, that version becomes the previous one, as AWS does by itself. */
function move(secret: StoredSecret, stage: string, to: SecretVersion): void {
  const from = holder(secret, stage);
  if (from === to) return;
  take(secret, stage);
  to.stages = [...to.stages, stage];
  if (stage !== current || from === undefined) return;
  take(secret, previous);
  from.stages = [...from.stages, previous];
}

interface Value {
  readonly string?: string;
  readonly binary?: string;
}

function valueIn(call: Call): Value | undefined {
  const string = call.optional('SecretString');
  const binary = call.optional('SecretBinary');
  if (string !== undefined && binary !== undefined) throw invalidParameter("You can't specify both SecretString and SecretBinary.");
  if ((string ?? binary ?? '').length > 65_536) throw invalidParameter('The secret value is longer than 65536 bytes.');
  if (string !== undefined) return { string };
  return binary === undefined ? undefined : { binary };
}

const sameValue = (a: Value, b: Value): boolean => a.string === b.string && a.binary === b.binary;

function tokenOf(call: Call): string {
  const token = call.optional('ClientRequestToken') ?? uuid();
  if (token.length < 32 || token.length > 64) throw invalidParameter('ClientRequestToken must be 32-64 characters long.');
  return token;
}

const inUse = (token: string) =>
  failure(
    'ResourceExistsException',
    `A resource with the ID you requested already exists. The request token ${token} was used for another value.`,
  );

function described(secret: StoredSecret): Answer {
  return {
    ARN: secret.arn,
    Name: secret.name,
    Description: secret.description === '' ? undefined : secret.description,
    LastChangedDate: seconds(secret.changedAt),
    LastAccessedDate: seconds(secret.accessedAt === undefined ? undefined : Math.floor(secret.accessedAt / day) * day),
    DeletedDate: seconds(secret.deletesAt === undefined ? undefined : secret.deletionAskedAt),
    CreatedDate: seconds(secret.createdAt),
    Tags: Object.entries(secret.tags).map(([Key, Value]) => ({ Key, Value })),
  };
}

const stagesOf = (secret: StoredSecret): Answer =>
  Object.fromEntries(
    Object.values(secret.versions)
      .filter((v) => v.stages.length > 0)
      .map((v) => [v.id, v.stages]),
  );

const pageSize = 100;

interface Filter {
  readonly Key?: unknown;
  readonly Values?: unknown;
}

function fits(secret: StoredSecret, filter: Filter): boolean {
  const values = Array.isArray(filter.Values) ? filter.Values.map(String) : [];
  const texts: Record<string, string[]> = {
    name: [secret.name],
    description: [secret.description],
    'tag-key': Object.keys(secret.tags),
    'tag-value': Object.values(secret.tags),
  };
  const key = String(filter.Key);
  const have = key === 'all' ? Object.values(texts).flat() : (texts[key] ?? []);
  // A value fits by its beginning; with an exclamation mark in front it must not.
  return values.some((v) =>
    v.startsWith('!') ? !have.some((h) => h.startsWith(v.slice(1))) : have.some((h) => h.toLowerCase().startsWith(v.toLowerCase())),
  );
}

/** Secrets Manager. A version is written once: the same token with the same value is the same version, with another value it is refused. */
export const secretsmanager: Operations = {
  CreateSecret: {
    mutates: true,
    need: (call) => ({ resource: arnPrefix(call) + (call.optional('Name') ?? '') }),
    hidden: ['SecretString', 'SecretBinary'],
    run: (call) => {
      const name = call.text('Name');
      if (!/^[\w/+=.@-]{1,512}$/.test(name))
        throw failure(
          'ValidationException',
          'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!',
        );
      const token = tokenOf(call);
      const value = valueIn(call);
      const known = call.world.state.secret(call.region, name);
      if (known !== undefined && (known.deletesAt === undefined || known.deletesAt > call.now)) {
        if (known.deletesAt !== undefined)
          throw invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.");
        const version = known.versions[token];
        if (version !== undefined && value !== undefined && sameValue(version, value))
          return { ARN: known.arn, Name: known.name, VersionId: token };
        throw failure('ResourceExistsException', `The operation failed because the secret ${name} already exists.`);
      }
      if (known !== undefined) call.change.remove('secrets', known.arn);
      const secret: StoredSecret = {
        arn: `${arnPrefix(call)}${name}-${suffix(6, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')}`,
        name,
        region: call.region,
        description: call.optional('Description') ?? '',
        createdAt: call.now,
        tags: call.tags(),
        versions: value === undefined ? {} : { [token]: { ...value, id: token, stages: [current], createdAt: call.now } },
        changedAt: call.now,
      };
      call.change.put('secrets', secret);
      call.made = secret.arn;
      return { ARN: secret.arn, Name: name, VersionId: value === undefined ? undefined : token };
    },
  },
  PutSecretValue: {
    mutates: true,
    need: onSecret,
    hidden: ['SecretString', 'SecretBinary', 'RotationToken'],
    run: (call) => {
      const secret = usable(call);
      const token = tokenOf(call);
      const value = valueIn(call);
      if (value === undefined) throw invalidParameter('You must provide either SecretString or SecretBinary.');
      const known = Object.hasOwn(secret.versions, token) ? secret.versions[token] : undefined;
      if (known !== undefined) {
        if (!sameValue(known, value)) throw inUse(token);
        return { ARN: secret.arn, Name: secret.name, VersionId: token, VersionStages: known.stages };
      }
      const asked = call.texts('VersionStages');
      const stages = asked.length === 0 ? [current] : asked;
      const version: SecretVersion = { ...value, id: token, stages: [], createdAt: call.now };
      const first = Object.keys(secret.versions).length === 0;
      secret.versions = { ...secret.versions, [token]: version };
      for (const stage of first ? new Set([...stages, current]) : stages) move(secret, stage, version);
      secret.changedAt = call.now;
      call.change.put('secrets', secret);
      call.made = token;
      return { ARN: secret.arn, Name: secret.name, VersionId: token, VersionStages: version.stages };
    },
  },
  GetSecretValue: {
    mutates: false,
    need: onSecret,
    run: (call) => {
      const secret = usable(call);
      const id = call.optional('VersionId');
      const stage = call.optional('VersionStage');
      const version =
        id === undefined ? holder(secret, stage ?? current) : Object.hasOwn(secret.versions, id) ? secret.versions[id] : undefined;
      if (version === undefined) {
        throw failure(
          'ResourceNotFoundException',
          `Secrets Manager can't find the specified secret value for ${id === undefined ? `staging label: ${stage ?? current}` : `VersionId: ${id}`}`,
        );
      }
      if (stage !== undefined && !version.stages.includes(stage))
        throw invalidRequest('You provided a VersionStage that is not associated to the provided VersionId.');
      secret.accessedAt = call.now;
      version.lastAccessedAt = call.now;
      call.change.note('secrets', secret);
      return {
        ARN: secret.arn,
        Name: secret.name,
        VersionId: version.id,
        SecretString: version.string,
        SecretBinary: version.binary,
        VersionStages: version.stages,
        CreatedDate: seconds(version.createdAt),
      };
    },
  },
  ListSecrets: {
    mutates: false,
    need: () => ({ resource: '*' }),
    run: (call) => {
      const filters = call.list('Filters') as Filter[];
      const planned = call.flag('IncludePlannedDeletion');
      const size = call.integer('MaxResults', 1, 100, pageSize);
      const order = call.optional('SortOrder') === 'asc' ? 1 : -1;
      const all = [...call.world.state.tables.secrets.values()]
        .filter(
          (s) =>
            s.region === call.region &&
            (s.deletesAt === undefined || (planned && s.deletesAt > call.now)) &&
            filters.every((f) => fits(s, f)),
        )
        .sort((a, b) => order * (a.createdAt - b.createdAt));
      const token = call.optional('NextToken');
      const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString());
      if (!Number.isInteger(start) || start < 0) throw failure('InvalidNextTokenException', 'The NextToken value is invalid.');
      const more = start + size < all.length;
      return {
        SecretList: all.slice(start, start + size).map((s) => ({ ...described(s), SecretVersionsToStages: stagesOf(s) })),
        NextToken: more ? Buffer.from(String(start + size)).toString('base64url') : undefined,
      };
    },
  },
  DescribeSecret: {
    mutates: false,
    need: onSecret,
    run: (call) => {
      const secret = find(call);
      return { ...described(secret), RotationEnabled: false, VersionIdsToStages: stagesOf(secret) };
    },
  },
  ListSecretVersionIds: {
    mutates: false,
    need: onSecret,
    run: (call) => {
      const secret = find(call);
      const all = call.flag('IncludeDeprecated');
      const versions = Object.values(secret.versions).filter((v) => all || v.stages.length > 0);
      return {
        ARN: secret.arn,
        Name: secret.name,
        Versions: versions.map((v) => ({
          VersionId: v.id,
          VersionStages: v.stages,
          CreatedDate: seconds(v.createdAt),
          LastAccessedDate: seconds(v.lastAccessedAt),
        })),
      };
    },
  },
  UpdateSecretVersionStage: {
    mutates: true,
    need: onSecret,
    run: (call) => {
      const secret = usable(call);
      const stage = call.text('VersionStage');
      const to = call.optional('MoveToVersionId');
      const from = call.optional('RemoveFromVersionId');
      const version = (id: string | undefined, parameter: string): SecretVersion | undefined => {
        if (id === undefined) return undefined;
        const found = Object.hasOwn(secret.versions, id) ? secret.versions[id] : undefined;
        if (found === undefined)
          throw failure(
            'ResourceNotFoundException',
            `Secrets Manager can't find the specified secret value for ${lowerFirst(parameter)}: ${id}`,
          );
        return found;
      };
      const target = version(to, 'MoveToVersionId');
      version(from, 'RemoveFromVersionId');
      const held = holder(secret, stage);
      const answer = { ARN: secret.arn, Name: secret.name };
      if (target !== undefined && held === target && from === undefined) return answer;
      if (from !== undefined && held?.id !== from) {
        throw invalidParameter(`The version in RemoveFromVersionId does not hold the staging label ${stage}.`);
      }
      if (from === undefined && held !== undefined) {
        throw invalidParameter(
          `The staging label ${stage} is currently attached to version ${held.id}, so you must explicitly reference that version in RemoveFromVersionId.`,
        );
      }
      if (target === undefined) {
        if (from === undefined) throw invalidParameter('You must provide MoveToVersionId or RemoveFromVersionId.');
        if (stage === current)
          throw invalidParameter(`You can't remove the staging label ${current} without moving it to another version.`);
        take(secret, stage);
      } else move(secret, stage, target);
      secret.changedAt = call.now;
      call.change.put('secrets', secret);
      return answer;
    },
  },
  DeleteSecret: {
    mutates: true,
    need: onSecret,
    run: (call) => {
      const force = call.flag('ForceDeleteWithoutRecovery');
      const days = call.integer('RecoveryWindowInDays', 7, 30, 30);
      if (force && Object.hasOwn(call.input, 'RecoveryWindowInDays'))
        throw invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
      const secret = find(call);
      if (secret.deletesAt !== undefined)
        throw invalidRequest("You can't perform this operation on the secret because it was already scheduled for deletion.");
      const at = force ? call.now : call.now + days * day;
      if (force) call.change.remove('secrets', secret.arn);
      else {
        secret.deletesAt = at;
        secret.deletionAskedAt = call.now;
        call.change.put('secrets', secret);
      }
      return { ARN: secret.arn, Name: secret.name, DeletionDate: seconds(at) };
    },
  },
  RestoreSecret: {
    mutates: true,
    need: onSecret,
    run: (call) => {
      const secret = find(call);
      if (secret.deletesAt !== undefined) {
        delete secret.deletesAt;
        delete secret.deletionAskedAt;
        call.change.put('secrets', secret);
      }
      return { ARN: secret.arn, Name: secret.name };
    },
  },
};
