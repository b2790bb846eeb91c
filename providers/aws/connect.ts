import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { z } from 'zod';
import { codeOf, fault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { OwnThing } from '../../domain/self.ts';
import type { AccountConfig, Action, Connection } from '../contract.ts';
import { AwsAccount, readKeys, roleNameIn, userNameIn } from './account.ts';
import { Api, agentWord } from './api.ts';
import { cutOffRole } from './cut-off-role.ts';
import { cutOffSessions } from './cut-off-sessions.ts';
import { deleteKey } from './delete-key.ts';
import { deleteLoginProfile } from './delete-login-profile.ts';
import { deleteServiceCredential } from './delete-service-credential.ts';
import { deleteSigningCertificate } from './delete-signing-certificate.ts';
import { deleteSshKey } from './delete-ssh-key.ts';
import { denyPrincipal } from './deny-principal.ts';
import { disableKey } from './disable-key.ts';
import { disableServiceCredential } from './disable-service-credential.ts';
import { disableSigningCertificate } from './disable-signing-certificate.ts';
import { disableSshKey } from './disable-ssh-key.ts';
import { examine } from './examine.ts';
import { fencePrincipal } from './fence-principal.ts';
import { liftCutOff } from './lift-cut-off.ts';
import { liftCutOffRole } from './lift-cut-off-role.ts';
import { liftDeny } from './lift-deny.ts';
import { liftFence } from './lift-fence.ts';
import { Log } from './log.ts';
import { look } from './look.ts';
import { manifest } from './manifest.ts';
import { mintKey } from './mint-key.ts';
import { tagUser } from './tag-user.ts';
import { watchNewUse } from './watch-new-use.ts';
import { watchOldQuiet } from './watch-old-quiet.ts';
import { readTime } from './watching.ts';

const region = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d+$/);

/** What an account's `settings` may say to this provider. Further keys are other readers' (`timing`). */
const settingsSchema = z.object({
  /** Where the services answer instead of at AWS; one address for all of them. */
  endpoint: z.url({ protocol: /^https?$/ }).exactOptional(),
  /** All Regions that are enabled in the account: a sweep sees no further. */
  regions: z.array(region).min(1).exactOptional(),
  region: region.exactOptional(),
  /** The Region of the global services; another one only in China and GovCloud. */
  globalRegion: region.default('us-east-1'),
  /** How many look-ups a second CloudTrail allows the account in each Region. AWS gives two, and raises it for nobody; a simulator may give more. */
  lookUpsPerSecond: z.number().positive().default(2),
  canaries: z.array(z.string().regex(/^\d{12}$/)).default([]),
  signatureRetryMs: z.number().int().nonnegative().default(5_000),
  connectTimeoutMs: z.number().int().positive().default(3_000),
  requestTimeoutMs: z.number().int().positive().default(10_000),
});

/**
 * Connects with one account. The credentials are `accessKeyId` and `secretAccessKey`, and `sessionToken` where they are temporary. Sends nothing.
 * Throws `provider.invalid` where settings or credentials are not what they must be.
 */
export async function connect(config: AccountConfig): Promise<Connection> {
  const read = settingsSchema.safeParse(config.settings);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw fault('provider.invalid', { account: config.account, setting: issue?.path.join('.') ?? '', because: issue?.message ?? '' });
  }
  if (!/^\d{12}$/.test(config.account))
    throw fault('provider.invalid', { account: config.account, because: 'an account has twelve digits' });
  const { accessKeyId, secretAccessKey, sessionToken } = config.credentials;
  if (!accessKeyId || !secretAccessKey) {
    throw fault('provider.invalid', { account: config.account, because: 'its credentials hold no accessKeyId and secretAccessKey' });
  }
  const { endpoint, globalRegion, connectTimeoutMs, requestTimeoutMs, canaries, signatureRetryMs, lookUpsPerSecond } = read.data;
  const regions = read.data.regions ?? (read.data.region ? [read.data.region] : [globalRegion]);
  const own = { accessKeyId: accessKeyId.reveal(), secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  const api = new Api({ ...(endpoint ? { endpoint } : {}), globalRegion, connectTimeoutMs, requestTimeoutMs }, own);
  const account = new AwsAccount(config.account, api, new Log(regions, globalRegion, own.accessKeyId, lookUpsPerSecond));
  const actions = [
    disableKey,
    fencePrincipal,
    liftFence,
    denyPrincipal,
    liftDeny,
    cutOffSessions,
    liftCutOff,
    cutOffRole,
    liftCutOffRole,
    mintKey,
    deleteKey,
    disableServiceCredential,
    deleteServiceCredential,
    disableSigningCertificate,
    deleteSigningCertificate,
    disableSshKey,
    deleteSshKey,
    deleteLoginProfile,
    tagUser,
    watchNewUse,
    watchOldQuiet,
  ].map((make) => make(account) as Action);
  return {
    provider: manifest.name,
    account: config.account,
    check: () => check(account),
    examine: (on) => examine(account, on),
    self: () => selfOf(account),
    look: (on) => look(account, { canaries, signatureRetryMs }, on),
    actions: Object.fromEntries(actions.map((action) => [action.manifest.name, action])),
    close: async () => api.close(),
  };
}

/** Our own key, and the user or role that it makes us, by every name that a target or a principal could have them under. */
async function selfOf(account: AwsAccount): Promise<readonly OwnThing[]> {
  const { arn } = await account.identity();
  const user = userNameIn(arn);
  const role = roleNameIn(arn);
  const own = [{ id: account.api.ownAccessKeyId, what: 'the engine’s own key' }];
  if (user)
    own.push(
      { id: arn, what: 'the user the engine acts as' },
      { id: account.userArn(user), what: 'that user, without its path' },
      { id: user, what: 'its name' },
    );
  if (role)
    own.push(
      { id: arn, what: 'the session the engine acts in' },
      { id: `arn:aws:iam::${account.accountId}:role/${role}`, what: 'the role the engine acts as' },
      { id: role, what: 'its name' },
    );
  return own.filter((each, at) => own.findIndex((other) => other.id === each.id) === at);
}

type Checked = { readonly what: string; readonly observation: Observation; readonly remedy?: string };

/** Reachable, who we are there, whether it is the account named, whether clocks agree, and whether the two reads that all else stands on are allowed. */
async function check(account: AwsAccount): Promise<readonly Checked[]> {
  const signal = AbortSignal.timeout(30_000);
  const calls = account.api.calls(agentWord('check'), signal);
  const here = () => new Date().toISOString();
  const checked: Checked[] = [];
  try {
    const { arn, account: number } = await account.identity();
    checked.push({ what: 'reachable', observation: yes(here(), 'administrator', `it answers as ${arn}`) });
    checked.push(
      number === account.accountId
        ? { what: 'account', observation: yes(here(), 'administrator', `the account is ${number}`) }
        : {
            what: 'account',
            observation: no(here(), 'administrator', `the credentials are of account ${number}, not ${account.accountId}`),
            remedy: 'Give this account its own credentials.',
          },
    );
    const skew = Math.abs(Date.parse(await readTime(calls)) - Date.now());
    checked.push(
      skew <= 5_000
        ? { what: 'clock', observation: yes(here(), 'administrator', `the clocks differ by less than ${Math.ceil(skew / 1000) + 1} s`) }
        : {
            what: 'clock',
            observation: no(here(), 'administrator', `the clocks differ by ${Math.round(skew / 1000)} s`),
            remedy: 'Set the clock of this machine: AWS refuses signatures more than five minutes off.',
          },
    );
    const user = userNameIn(arn);
    checked.push(
      user === undefined
        ? { what: 'iam:ListAccessKeys', observation: unknown(here(), 'administrator', 'a role has no keys of its own to try it on') }
        : await allowed('iam:ListAccessKeys', () => readKeys(calls, user)),
    );
    for (const name of account.log.regions) {
      checked.push(
        await allowed(`cloudtrail:LookupEvents in ${name}`, () =>
          calls.read('cloudtrail:LookupEvents', (aws, options) =>
            aws.cloudtrail(name).send(new LookupEventsCommand({ MaxResults: 1 }), options),
          ),
        ),
      );
    }
  } catch (error) {
    checked.push({
      what: 'reachable',
      observation: no(
        here(),
        'administrator',
        error instanceof Error && codeOf(error) !== 'engine.unexpected' ? error.message : 'no answer',
      ),
      remedy: 'Check the endpoint and the credentials of the account.',
    });
  }
  return checked;
}

async function allowed(what: string, run: () => Promise<unknown>): Promise<Checked> {
  const at = new Date().toISOString();
  try {
    await run();
    return { what, observation: yes(at, 'administrator', 'it is allowed') };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'provider.denied')
      return { what, observation: no(at, 'administrator', 'it is refused'), remedy: `Allow ${what.split(' ')[0]}.` };
    return { what, observation: unknown(at, 'administrator', `it was not answered: ${code}`) };
  }
}
