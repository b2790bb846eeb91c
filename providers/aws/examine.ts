import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { ListUserPoliciesCommand, ListUsersCommand, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { codeOf, isFault } from '../../domain/errors.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Examination, Examined } from '../contract.ts';
import { type AwsAccount, readKeys, roleNameIn, userExists, userNameIn } from './account.ts';
import { agentWord, type Calls } from './api.ts';
import { manifest } from './manifest.ts';

/** The names of the controls that this engine puts on users; see policies.ts. */
const ours = /^tourniquet-/;
/** So many users are looked through for controls that nobody claims. */
const mostUsers = 1000;
/** IAM User Guide, "IAM and AWS STS quotas": two access keys a user, which AWS raises for nobody. */
const places = 2;

/**
 * What a response would stumble over in this account. Permissions are asked of IAM's own simulator, which needs `iam:SimulatePrincipalPolicy` and does not know conditions of a request that is not made:
 * a policy that allows only under conditions may be told as missing.
 */
export async function examine(account: AwsAccount, on: Examination): Promise<readonly Examined[]> {
  const calls = account.api.calls(agentWord('doctor'), on.signal);
  const found: Examined[] = [];
  const at = () => new Date().toISOString();
  const attempt = async (what: string, breaks: string, look: () => Promise<Omit<Examined, 'what' | 'breaks'>>): Promise<void> => {
    try {
      found.push({ what, breaks, ...(await look()) });
    } catch (error) {
      const why = isFault(error) && error.code === 'provider.denied' ? `it may not be asked: ${error.message}` : codeOf(error);
      found.push({
        what,
        breaks,
        observation: unknown(at(), 'administrator', why),
        remedy: 'Allow the read that is named, or find it out by hand.',
      });
    }
  };
  const { arn } = await account.identity();
  const users = [...new Set(on.principals.flatMap((each) => userNameIn(each) ?? (/^[\w+=,.@-]{1,64}$/.test(each) ? [each] : [])))];

  await attempt(
    'permissions that the actions need',
    'an action whose permission is missing fails in the middle of a response',
    async () => {
      const missing = await missingPermissions(account, calls, arn, users[0]);
      return missing.size === 0
        ? { observation: yes(at(), 'administrator', `all ${permissionsOf().size} are allowed`) }
        : {
            observation: no(
              at(),
              'administrator',
              [...missing].map(([permission, actions]) => `${permission} (${actions.join(', ')})`).join('; '),
            ),
            remedy: `Allow ${[...missing.keys()].join(', ')}: permissions/aws/ has the policies.`,
          };
    },
  );

  for (const user of users) {
    const breaks = `the leak of a key of ${user} could not be acted on as planned`;
    await attempt(`${user} is there`, breaks, async () =>
      (await userExists(calls, user))
        ? { observation: yes(at(), 'administrator', `there is a user ${user}`) }
        : { observation: no(at(), 'administrator', `there is no user ${user}`), remedy: 'Put the inventory right.' },
    );
    await attempt(
      `${user} has a place for a new key`,
      `no new key of ${user} can be made before one is deleted, and its consumers wait for that`,
      async () => {
        const keys = await readKeys(calls, user);
        const count = keys?.length ?? 0;
        return count < places
          ? { observation: yes(at(), 'administrator', `${count} of ${places} taken`) }
          : {
              observation: no(
                at(),
                'administrator',
                `both taken: ${keys?.map(({ accessKeyId, status }) => `${accessKeyId} ${status}`).join(', ')}`,
              ),
              remedy: `Delete the key of ${user} that nobody uses.`,
            };
      },
    );
  }

  await attempt(
    'the engine is outside of what it would contain',
    'the engine would cut itself off with the leak, or refuse to act on it',
    async () => {
      const own = userNameIn(arn) ?? roleNameIn(arn) ?? arn;
      const inside = on.principals.some((each) => each === arn || each === own || (userNameIn(each) ?? roleNameIn(each)) === own);
      return inside
        ? {
            observation: no(at(), 'administrator', `it acts as ${arn}, whose credential the inventory has in a store`),
            remedy: 'Give the engine a user or role of its own that nothing else uses.',
          }
        : { observation: yes(at(), 'administrator', `it acts as ${own}, which the inventory has in no store`) };
    },
  );

  await attempt('no control stands that nobody claims', 'a user is denied or cut off, and no incident will ever lift it', async () => {
    const standing = await controlsOn(calls, users);
    if (standing.length === 0) return { observation: yes(at(), 'administrator', 'no user bears a control of this engine') };
    const held = on.held;
    if (held === undefined)
      return {
        observation: unknown(at(), 'administrator', `${standing.map(words).join('; ')}; whether a hold claims them could not be asked`),
      };
    const orphans = standing.filter(({ user }) => !held.some((each) => each === user || userNameIn(each) === user));
    return orphans.length === 0
      ? { observation: yes(at(), 'administrator', `${standing.length} stand, each claimed by a hold`) }
      : {
          observation: no(at(), 'administrator', orphans.map(words).join('; ')),
          remedy: `Find out whose they are before anything is lifted: \`tourniquet list --stuck\`; then ${orphans.map(({ user, policy }) => `aws iam delete-user-policy --user-name ${user} --policy-name ${policy}`).join('; ')}`,
        };
  });

  for (const region of account.log.regions) {
    await attempt(
      `the log of ${region}`,
      `what a leaked key did and made in ${region} is not seen, and no sweep of it counts`,
      async () => {
        const answer = await calls.read('cloudtrail:LookupEvents', (aws, options) =>
          aws.cloudtrail(region).send(new LookupEventsCommand({ MaxResults: 1 }), options),
        );
        const newest = answer.Events?.[0]?.EventTime;
        if (newest === undefined)
          return {
            observation: unknown(at(), 'log', 'it holds no event: whether it is written is not known'),
            remedy: 'Make a call there and look again.',
          };
        const behind = Date.now() - newest.getTime();
        const usual = manifest.logs[0]?.usualLagMs ?? 0;
        return behind <= usual
          ? { observation: yes(at(), 'log', `its newest event is ${Math.max(0, Math.round(behind / 1000))} s old`) }
          : {
              observation: no(
                at(),
                'log',
                `its newest event is ${Math.round(behind / 60_000)} minutes old, and it is usually no more than ${Math.round(usual / 60_000)} behind`,
              ),
              remedy: 'See whether a trail or the Region was turned off; a quiet Region looks the same.',
            };
      },
    );
  }
  return found;
}

const words = ({ user, policy }: { readonly user: string; readonly policy: string }): string => `${policy} on ${user}`;

/** Every permission that an action names, with the actions that need it, and what a look reads: a class of credentials that may not be read keeps the sweep from ever being done. */
function permissionsOf(): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>();
  for (const { name, permissions } of manifest.actions) {
    for (const permission of permissions) all.set(permission, [...(all.get(permission) ?? []), name]);
  }
  for (const permission of manifest.reads ?? []) all.set(permission, [...(all.get(permission) ?? []), 'every look']);
  return all;
}

async function missingPermissions(
  account: AwsAccount,
  calls: Calls,
  arn: string,
  user: string | undefined,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const role = roleNameIn(arn);
  const source = role === undefined ? arn : `arn:aws:iam::${account.accountId}:role/${role}`;
  const all = permissionsOf();
  // A policy that names users by a pattern says nothing of `*`: what is asked about must be like what is acted on.
  const resources: Readonly<Record<string, string>> = {
    user: account.userArn(user ?? 'tourniquet-doctor-asks'),
    role: `arn:aws:iam::${account.accountId}:role/tourniquet-doctor-asks`,
    any: '*',
  };
  const kindOf = (permission: string) =>
    !permission.startsWith('iam:')
      ? 'any'
      : /Role/.test(permission)
        ? 'role'
        : /^iam:(?:ListUsers|Simulate|GenerateCredential|GetAccount|GetPolicy|.*Group(?!sForUser))/.test(permission)
          ? 'any'
          : 'user';
  const missing = new Map<string, readonly string[]>();
  for (const [kind, resource] of Object.entries(resources)) {
    // GetCallerIdentity needs no permission and no policy can deny it.
    const actions = [...all.keys()].filter((each) => kindOf(each) === kind && each !== 'sts:GetCallerIdentity');
    if (actions.length === 0) continue;
    let marker: string | undefined;
    do {
      const answer = await calls.read('iam:SimulatePrincipalPolicy', (aws, options) =>
        aws.iam().send(
          new SimulatePrincipalPolicyCommand({
            PolicySourceArn: source,
            ActionNames: actions,
            ResourceArns: [resource],
            ...(marker === undefined ? {} : { Marker: marker }),
          }),
          options,
        ),
      );
      for (const { EvalActionName: name = '', EvalDecision: decision } of answer.EvaluationResults ?? [])
        if (decision !== 'allowed') missing.set(name, all.get(name) ?? []);
      marker = answer.IsTruncated ? answer.Marker : undefined;
    } while (marker !== undefined);
  }
  return missing;
}

/** Policies of ours on users: on the declared ones, and on the first {@link mostUsers} of the account. */
async function controlsOn(
  calls: Calls,
  declared: readonly string[],
): Promise<readonly { readonly user: string; readonly policy: string }[]> {
  const users = new Set(declared);
  let marker: string | undefined;
  do {
    const answer = await calls.read('iam:ListUsers', (aws, options) =>
      aws.iam().send(new ListUsersCommand({ MaxItems: 100, ...(marker === undefined ? {} : { Marker: marker }) }), options),
    );
    for (const { UserName } of answer.Users ?? []) if (UserName !== undefined) users.add(UserName);
    marker = answer.IsTruncated ? answer.Marker : undefined;
  } while (marker !== undefined && users.size < mostUsers);
  const found: { user: string; policy: string }[] = [];
  for (const user of users) {
    const names = await policiesOf(calls, user);
    found.push(...names.filter((name) => ours.test(name)).map((policy) => ({ user, policy })));
  }
  return found;
}

async function policiesOf(calls: Calls, user: string): Promise<readonly string[]> {
  try {
    return (
      (await calls.read('iam:ListUserPolicies', (aws, options) => aws.iam().send(new ListUserPoliciesCommand({ UserName: user }), options)))
        .PolicyNames ?? []
    );
  } catch (error) {
    // A declared user that is gone bears nothing; that it is gone is told apart.
    if (codeOf(error) === 'provider.gone') return [];
    throw error;
  }
}
