import { z } from 'zod';
import { codeOf, fault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { AccountConfig, Action, Connection } from '../contract.ts';
import { GcpAccount, readAccount, readKeys } from './account.ts';
import { Api, type Own, reasonWord } from './api.ts';
import { deleteApiKey, restrictApiKey } from './api-key.ts';
import { deleteKey } from './delete-key.ts';
import { disableKey } from './disable-key.ts';
import { disableServiceAccount } from './disable-service-account.ts';
import { enableServiceAccount } from './enable-service-account.ts';
import { deactivateHmacKey, deleteHmacKey } from './hmac.ts';
import { activity, readLog } from './log.ts';
import { look } from './look.ts';
import { manifest } from './manifest.ts';
import { uploadKey } from './upload-key.ts';

const minute = 60_000;

/** What an account's `settings` may say to this provider. Further keys are other readers' (`timing`). */
const settingsSchema = z.object({
  /** One address at which all services answer, instead of Google's own. */
  endpoint: z.url({ protocol: /^https?$/ }).exactOptional(),
  /** The engine is whoever the machine is that it runs on (workload identity, metadata server, `GOOGLE_APPLICATION_CREDENTIALS`), and no key is stored. */
  ambient: z.boolean().default(false),
  /** The longest that a token of an account of this project can live. Twelve hours is what `constraints/iam.allowServiceAccountCredentialLifetimeExtension` can give; an hour where it lists no account. */
  maxTokenLifeSeconds: z.number().int().min(3_600).max(43_200).default(43_200),
  /** How long a change of an HMAC key's state takes; Google says up to three minutes. A simulator may take less, and so for the next two. */
  hmacPropagationMs: z
    .number()
    .int()
    .nonnegative()
    .default(3 * minute),
  /** Google's console says "up to five minutes" of new restrictions. */
  apiKeyPropagationMs: z
    .number()
    .int()
    .nonnegative()
    .default(5 * minute),
  /** How long after its deletion an API key is held to be neither dead nor alive. */
  apiKeyLingerMs: z
    .number()
    .int()
    .nonnegative()
    .default(30 * minute),
  /** How long a key that is made to replace a leaked one is valid. */
  uploadedKeyDays: z.number().int().min(1).max(3_650).default(365),
  requestTimeoutMs: z.number().int().positive().default(10_000),
});

/**
 * Connects with one project. The credentials are the members of a key file (`client_email`, `private_key`, `private_key_id`), or none where `ambient` is set. Sends nothing.
 * Throws `provider.invalid` where settings or credentials are not what they must be.
 */
export async function connect(config: AccountConfig): Promise<Connection> {
  const read = settingsSchema.safeParse(config.settings);
  if (!read.success) {
    const issue = read.error.issues[0];
    throw fault('provider.invalid', { account: config.account, setting: issue?.path.join('.') ?? '', because: issue?.message ?? '' });
  }
  if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(config.account))
    throw fault('provider.invalid', { account: config.account, because: 'an account is the id of a project, and never the wildcard' });
  const { endpoint, ambient, requestTimeoutMs, ...limits } = read.data;
  const { client_email: email, private_key: privateKey, private_key_id: privateKeyId } = config.credentials;
  let own: Own = { ambient: true };
  if (!ambient) {
    if (!email || !privateKey)
      throw fault('provider.invalid', { account: config.account, because: 'its credentials hold no client_email and private_key' });
    own = { key: { clientEmail: email.reveal(), privateKey, ...(privateKeyId ? { privateKeyId: privateKeyId.reveal() } : {}) } };
  }
  const account = new GcpAccount(config.account, new Api({ ...(endpoint ? { endpoint } : {}), requestTimeoutMs }, own), limits);
  const actions = [
    disableKey,
    deleteKey,
    disableServiceAccount,
    enableServiceAccount,
    uploadKey,
    deactivateHmacKey,
    deleteHmacKey,
    restrictApiKey,
    deleteApiKey,
  ].map((make) => make(account) as Action);
  return {
    provider: manifest.name,
    account: config.account,
    check: () => check(account),
    async self() {
      const own = await account.api.ownEmail();
      const { ownKeyId } = account.api;
      return [
        { id: own, what: 'the account the engine acts as' },
        { id: `serviceAccount:${own}`, what: 'that account, as a member of a policy' },
        ...(ownKeyId ? [{ id: ownKeyId, what: 'the engine’s own key' }] : []),
      ];
    },
    look: (on) => look(account, on),
    actions: Object.fromEntries(actions.map((action) => [action.manifest.name, action])),
    close: async () => undefined,
  };
}

type Checked = { readonly what: string; readonly observation: Observation; readonly remedy?: string };

/** Reachable, who we are there, whether the clocks agree, whether the reads that all else stands on are allowed, and whether mints by impersonation are logged at all. Changes nothing. */
async function check(account: GcpAccount): Promise<readonly Checked[]> {
  const calls = account.api.calls(reasonWord('check'), AbortSignal.timeout(30_000));
  const here = () => new Date().toISOString();
  const checked: Checked[] = [];
  let own: string;
  try {
    own = await account.api.ownEmail();
    await account.api.token(true);
    checked.push({ what: 'reachable', observation: yes(here(), 'administrator', `Google gives a token to ${own}`) });
  } catch (error) {
    const said = error instanceof Error && codeOf(error) !== 'engine.unexpected' ? error.message : 'no answer';
    return [
      {
        what: 'reachable',
        observation: no(here(), 'administrator', said),
        remedy: 'Check the endpoint and the credentials of the account.',
      },
    ];
  }
  const allowed = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
      checked.push({ what, observation: yes(here(), 'administrator', 'it is allowed') });
    } catch (error) {
      const code = codeOf(error);
      checked.push(
        code === 'provider.denied'
          ? { what, observation: no(here(), 'administrator', 'it is refused'), remedy: `Allow ${what}.` }
          : { what, observation: unknown(here(), 'administrator', `it was not answered: ${code}`) },
      );
    }
  };
  await allowed('iam.serviceAccounts.get', () => readAccount(account, calls, own));
  await allowed('iam.serviceAccountKeys.list', () => readKeys(account, calls, own));
  await allowed('logging.logEntries.list', () => readLog(account, calls, activity(account.project), Date.now() - minute, 1));
  await allowed('resourcemanager.projects.getIamPolicy', async () => {
    const policy = await calls.read<{ auditConfigs?: readonly { service?: string; auditLogConfigs?: readonly { logType?: string }[] }[] }>(
      'resourcemanager.projects.getIamPolicy',
      ({ request }) => request('cloudresourcemanager.googleapis.com', 'POST', `/v3/projects/${account.project}:getIamPolicy`, { body: {} }),
    );
    const logged = (policy.auditConfigs ?? []).some(
      (each) =>
        (each.service === 'allServices' || each.service === 'iam.googleapis.com') &&
        each.auditLogConfigs?.some((log) => log.logType === 'DATA_READ'),
    );
    checked.push(
      logged
        ? { what: 'Data Access logs of IAM', observation: yes(here(), 'administrator', 'who impersonates whom is logged') }
        : {
            what: 'Data Access logs of IAM',
            observation: no(
              here(),
              'administrator',
              'who impersonates whom is in no log, so that every account that could be impersonated counts as reached',
            ),
            remedy: 'Turn on DATA_READ for iam.googleapis.com in the audit configuration of the project.',
          },
    );
  });
  try {
    const skew = Math.abs(calls.now + 500 - Date.now());
    checked.push(
      skew <= 5_000
        ? { what: 'clock', observation: yes(here(), 'administrator', `the clocks differ by less than ${Math.ceil(skew / 1000) + 1} s`) }
        : {
            what: 'clock',
            observation: no(here(), 'administrator', `the clocks differ by ${Math.round(skew / 1000)} s`),
            remedy: 'Set the clock of this machine: Google refuses assertions that are not of now.',
          },
    );
  } catch {
    checked.push({ what: 'clock', observation: unknown(here(), 'administrator', 'no answer bore a date') });
  }
  return checked;
}
