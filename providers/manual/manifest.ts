import type { ActionManifest, ProviderManifest } from '../../domain/manifest.ts';

const byPerson = (name: string, title: string, phase: ActionManifest['phase'], byHand: string): ActionManifest => ({
  name,
  title,
  phase,
  // The engine itself changes nothing, and so has nothing to take back. What the person did, a person undoes.
  reversibility: 'reversible',
  scope: 'none',
  permissions: [],
  byHand,
  source: 'providers/manual/README.md',
});

/**
 * What no provider can do: a person does it, and signs that it is done. Each action waits at a gate of reason `manual`, and the approval of that gate is the
 * attestation. Nothing here reaches any system.
 */
export const manifest: ProviderManifest = {
  name: 'manual',
  title: 'By hand',
  // Whatever is no other provider's comes here, as `manual.<what the reporter called it>`.
  kinds: [],
  actions: [
    byPerson('contain', 'Make the credential useless', 'contain', 'Turn {credential} off at the system that accepts it.'),
    byPerson(
      'replace',
      'Replace the credential',
      'distribute',
      'Make a new one, store it where its users look for it, and see them use it.',
    ),
    byPerson('deliver', 'Put the new credential into a store', 'distribute', 'Copy the new credential into {store} without showing it.'),
    byPerson('restart', 'Restart a consumer so that it reads the new credential', 'distribute', 'Restart {consumer}.'),
    byPerson('verify-dead', 'See that the credential is refused', 'verify', 'Try {credential} once and see it refused.'),
    byPerson(
      'sweep',
      'Read the logs for what was done with it',
      'verify',
      'Read the logs of the system that accepts {credential}: what was made, read and left.',
    ),
    byPerson('tell-owner', 'Tell whoever owns the credential', 'contain', 'Tell the owner of {credential}. Send no secret.'),
    byPerson('by-hand', 'Do by hand what the engine may not or cannot do', 'contain', 'Do by hand: {of}.'),
  ],
  propagationMs: 0,
  logs: [],
  links: [],
};

/** What a person is told to do with a credential of some kind: whole sentences, without a secret. */
export interface ManualWords {
  /** How its system is called. */
  readonly system: string;
  readonly contain: string;
  readonly replace: string;
  readonly verifyDead: string;
  /** What outlives the credential, or what its removal takes along. */
  readonly beware: string;
}

interface Template extends ManualWords {
  /** Words in a kind's name; each is compared with whole parts of the name (`manual.slack-bot-token` has `slack`, `bot` and `token`). */
  readonly marks: readonly string[];
}

// First match counts; more exact marks stand before general ones.
const templates: readonly Template[] = [
  {
    marks: ['vault', 'openbao', 'hashicorp'],
    system: 'Vault / OpenBao',
    contain:
      'Look the token up by its accessor or in the audit log, and disable its entity if it has one: that stops all its tokens and can be undone.',
    replace: 'Let its user log in again, or make a new token with the same policies, and see it in the audit log.',
    verifyDead:
      'Revoke it by its accessor, then look it up with an administrator’s token: "bad token" means gone. A revocation of anything is answered with success.',
    beware: 'Orphan tokens it made, tokens of other log-ins and everything it has read live on.',
  },
  {
    marks: ['slack', 'slackwebhook'],
    system: 'Slack',
    contain:
      'Call auth.revoke with the token, or remove the app’s installation under the workspace’s app settings. A webhook is removed in the app’s settings.',
    replace: 'Install the app anew for new tokens, store them, and see the app post.',
    verifyDead: 'Call auth.test once with the old token: `token_revoked`, `account_inactive` or `invalid_auth` means dead.',
    beware: 'Removing an app takes its bot and user tokens and its webhooks along. What was read from channels stays read.',
  },
  {
    marks: ['npm', 'npmtoken', 'npmjs'],
    system: 'npm',
    contain: 'Revoke the token (`npm token list`, then `npm token revoke ID`) as its owner or as an administrator of the organisation.',
    replace: 'Make a granular token with the fewest packages and the shortest life that do, or move the pipeline to trusted publishing.',
    verifyDead: 'Run `npm whoami` once with the old token: 401 means dead.',
    beware:
      'Look at what was published since the leak: versions, maintainers, and install scripts. A published version cannot be called back.',
  },
  {
    marks: ['github'],
    system: 'GitHub',
    contain:
      'Revoke the token in its owner’s settings, or hand it to GitHub’s revocation of leaked credentials, which needs no log-in and says yes to anything.',
    replace: 'Make a fine-grained token with an end date, or a GitHub App’s installation token, and see its users on it.',
    verifyDead: 'Call the API once with the old token: 401 means dead.',
    beware:
      'Deploy keys, SSH keys, webhooks, runners and workflow secrets added with it live on. Revoking an app’s authorisation takes all its tokens of that user.',
  },
  {
    marks: ['gitlab'],
    system: 'GitLab',
    contain:
      'Revoke the token by its id as its owner or as an administrator. Do not rotate it with itself: a second try revokes the new one.',
    replace: 'Make a project or group token with the fewest scopes and an end date, and see its users on it.',
    verifyDead: 'Look the token up by its id as an administrator, or call the API once with it: 401 means dead.',
    beware: 'Deploy tokens, runners, pipeline triggers and further tokens made with it live on.',
  },
  {
    marks: ['stripe'],
    system: 'Stripe',
    contain:
      'Roll the key in the dashboard with immediate expiry. With a live key this stops payments until the new one is in place: ask who takes them first.',
    replace: 'Put the new key, restricted where it can be, into the store of the payment service, and see a payment go through.',
    verifyDead: 'Call GET /v1/balance once with the old key: 401 means dead.',
    beware: 'Webhook signing secrets are separate and stay. Look at payouts, refunds and new endpoints since the leak.',
  },
  {
    marks: ['gcp', 'google', 'googlecloud'],
    system: 'Google Cloud',
    contain: 'Disable the service account’s key (`gcloud iam service-accounts keys disable`), which can be undone.',
    replace: 'Move its users to workload identity, or make a new key, store it, and see them use it.',
    verifyDead: 'Ask for an access token once with the old key: `invalid_grant` means dead.',
    beware: 'Access tokens made from it live on for up to an hour and longer where extended. Enabling an account again revives them.',
  },
  {
    marks: ['azure', 'entra', 'microsoft'],
    system: 'Microsoft Entra',
    contain: 'Remove the secret from the application by its key id.',
    replace: 'Add a new secret first where its users can hold both, or use a federated credential.',
    verifyDead: 'Ask for a token once with the old secret: `invalid_client` means dead.',
    beware: 'Tokens issued with it live on until they expire, up to a day.',
  },
  {
    marks: ['private', 'privatekey', 'ssh', 'rsa', 'pem'],
    system: 'whatever trusts the key',
    contain:
      'Find where the public half is trusted (authorized_keys, deploy keys, certificates) and take it out of each. A certificate is revoked at its issuer.',
    replace: 'Make a new pair where it is used, so that the private half never travels, and have the public half trusted.',
    verifyDead: 'Try to log in once with the old key at each place that trusted it, and see it refused.',
    beware: 'Open sessions stay open. Nobody can list all the places that trust a key: name those you could not look at.',
  },
  {
    marks: ['postgres', 'postgresql', 'mysql', 'mongodb', 'redis', 'jdbc', 'sqlserver', 'database'],
    system: 'the database',
    contain: 'Forbid the role to log in and end its open sessions.',
    replace:
      'Make a second role with the same rights, move its users, then drop the first; or change the password where an outage is agreed.',
    verifyDead: 'Try to log in once with the old password and see it refused; list the sessions of the role and see none.',
    beware: 'An open session outlives a changed password.',
  },
];

const generic: ManualWords = {
  system: 'the system that accepts it',
  contain: 'Turn the credential off at the system that accepts it, together with everything made with it.',
  replace: 'Make a new one, store it where its users look for it, and see them use it.',
  verifyDead: 'Try the old one once and see it refused, or have the system’s administrator show that it is gone.',
  beware: 'Sessions, tokens and keys made with it may live on, and what was read with it stays read.',
};

/** The words for a kind, e.g. `manual.slack-bot-token`; general ones for a kind that nothing is known of. */
export function wordsFor(kind: string): ManualWords {
  const parts = new Set(kind.toLowerCase().split(/[^a-z0-9]+/));
  const { system, contain, replace, verifyDead, beware } =
    templates.find((template) => template.marks.some((mark) => parts.has(mark))) ?? generic;
  return { system, contain, replace, verifyDead, beware };
}

/** The systems that {@link wordsFor} has words for. */
export const knownSystems: readonly string[] = templates.map((template) => template.system);
