import { readFileSync } from 'node:fs';
import { codeOf, fault, isFault } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { AccountConfig, Action, Connection } from '../contract.ts';
import { capabilitiesOf, type WebhookAccount } from './account.ts';
import { contain } from './contain.ts';
import { Endpoint, type Patience } from './endpoint.ts';
import { type Resolve, readUrl, systemResolve } from './guard.ts';
import { look } from './look.ts';
import { mint } from './mint.ts';
import { revoke } from './revoke.ts';
import { settingsSchema } from './settings.ts';
import { readSigningSecret } from './signing.ts';
import { watchNewUse, watchOldQuiet } from './watching.ts';

/**
 * Connects with one team's endpoint. The account's credentials are `secret`, the signing secret both sides share (`whsec_…`), and `previous`, an earlier one, while the two are exchanged. Sends nothing.
 * Throws `provider.invalid` where settings or credentials are not what they must be.
 */
export async function connect(config: AccountConfig, resolve: Resolve = systemResolve): Promise<Connection> {
  const settings = settingsSchema.safeParse(config.settings);
  if (!settings.success) {
    const issue = settings.error.issues[0];
    throw fault('provider.invalid', { account: config.account, setting: issue?.path.join('.') ?? '', because: issue?.message ?? '' });
  }
  const { secret, previous } = config.credentials;
  if (secret === undefined) throw fault('provider.invalid', { account: config.account, because: 'its credentials hold no secret' });
  const { url, timeoutMs, allowPrivate, signedAnswers, ca } = settings.data;
  const endpoint = new Endpoint({
    url: readUrl(url),
    account: config.account,
    secrets: [secret, ...(previous === undefined ? [] : [previous])].map(readSigningSecret),
    timeoutMs,
    allowPrivate,
    signedAnswers,
    ...(ca === undefined ? {} : { ca: certificates(ca) }),
    resolve,
  });
  const account: WebhookAccount = { account: config.account, endpoint, settings: settings.data };
  return {
    provider: 'webhook',
    account: config.account,
    check: () => checkEndpoint(account),
    // The shared secret opens nothing at the system itself, and has no id there that a plan could name.
    self: async () => [],
    look: (on) => look(account, on),
    actions: {
      contain: contain(account) as Action,
      revoke: revoke(account) as Action,
      mint: mint(account) as Action,
      'watch-new-use': watchNewUse(account) as Action,
      'watch-old-quiet': watchOldQuiet(account) as Action,
    },
    close: async () => undefined,
  };
}

function certificates(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw fault('provider.invalid', { setting: 'ca', because: 'the file cannot be read' });
  }
}

type Checks = Awaited<ReturnType<Connection['check']>>;

/** Asks for the capabilities alone, and holds them against the settings. */
async function checkEndpoint(account: WebhookAccount): Promise<Checks> {
  const { settings, endpoint } = account;
  const now = () => new Date().toISOString();
  const found: { what: string; observation: Observation; remedy?: string }[] = [];
  try {
    const began = Date.now();
    const { value, at, message } = await capabilitiesOf(account, atOnce(settings.timeoutMs));
    found.push({ what: 'reachable', observation: yes(at, 'administrator', `${endpoint.host} answers; message ${message}`) });
    const skew = Math.round((Date.parse(at) - began) / 1000);
    const near = Math.abs(skew) <= 60;
    found.push({
      what: 'clock',
      observation: (near ? yes : no)(now(), 'administrator', `${Math.abs(skew)} s from ours`),
      ...(near ? {} : { remedy: 'Set the endpoint’s clock: it refuses our requests, and we its answers, at five minutes.' }),
    });
    for (const what of ['reversible', 'mints'] as const) {
      const agrees = !settings[what] || value[what];
      found.push({
        what: `capability ${what}`,
        observation: (agrees ? yes : no)(at, 'administrator', `settings say ${settings[what]}, the endpoint ${value[what]}`),
        ...(agrees
          ? {}
          : { remedy: `Set ${what}: false for the account, and report its credentials as webhook-one-way:… where it cannot undo.` }),
      });
    }
    const long = (ttl: number | 'unlimited'): number => (ttl === 'unlimited' ? Number.POSITIVE_INFINITY : ttl);
    const bounded = long(settings.maxDerivedTtl) >= long(value.maxDerivedTtl);
    found.push({
      what: 'capability maxDerivedTtl',
      observation: (bounded ? yes : no)(at, 'administrator', `settings say ${settings.maxDerivedTtl}, the endpoint ${value.maxDerivedTtl}`),
      ...(bounded
        ? {}
        : { remedy: 'Raise maxDerivedTtl of the account: what a credential made outlives it for longer than the settings say.' }),
    });
    const signs = value.signsResponses && settings.signedAnswers;
    found.push({
      what: 'answers are signed',
      observation: signs
        ? yes(at, 'administrator', 'and an answer without a signature is refused')
        : no(at, 'administrator', 'an answer is believed for its TLS alone'),
      ...(signs
        ? {}
        : {
            remedy: value.signsResponses ? 'Set signedAnswers: true.' : 'Have the endpoint sign its answers, then set signedAnswers: true.',
          }),
    });
  } catch (error) {
    const remedy = isFault(error) ? error.entry.remedy : undefined;
    found.push({
      what: 'reachable',
      observation: unknown(now(), 'engine', isFault(error) ? error.message : codeOf(error)),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
  return found;
}

/** The patience of a look that nobody waits long for. */
function atOnce(timeoutMs: number): Patience {
  return {
    signal: AbortSignal.timeout(timeoutMs * 2),
    heartbeat: () => undefined,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 200, giveUpMs: timeoutMs },
  };
}
