import type { ProviderManifest, Way } from '../../domain/manifest.ts';

const hour = 3_600;
const readAccount = 'iam.serviceAccounts.get';
const readKeys = 'iam.serviceAccountKeys.list';
const readKey = 'iam.serviceAccountKeys.get';
/** Admin Activity: when an account was disabled, and by whom, stands in no answer of IAM's and only there. */
const readLog = 'logging.logEntries.list';

/** An e-mail address of an account, with the project where the address tells it; default accounts of Compute Engine and App Engine have theirs by number or in another place. */
const principal = {
  pattern:
    '(?:serviceAccount:)?(?<name>[a-z0-9.-]+@(?:(?<account>[a-z][a-z0-9-]{4,28}[a-z0-9])\\.iam|developer|appspot)\\.gserviceaccount\\.com)',
  id: 'serviceAccount:{principal}',
} as const;

const deny: Way = {
  action: 'disable-service-account',
  target: { account: '{account}', serviceAccount: '{principal}' },
  subject: '{principal}',
};
const liftDeny: Way = { ...deny, action: 'enable-service-account' };
const onKey = (action: string): Way => ({
  action,
  target: { account: '{account}', serviceAccount: '{principal}', keyId: '{privateKeyId}' },
  subject: '{privateKeyId}',
});
const onHmac = (action: string): Way => ({ action, target: { account: '{account}', accessId: '{accessId}' }, subject: '{accessId}' });
const onApiKey = (action: string): Way => ({ action, target: { account: '{account}', key: '{uid}' }, subject: '{uid}' });

const links = {
  keys: 'https://cloud.google.com/iam/docs/keys-create-delete',
  accounts: 'https://cloud.google.com/iam/docs/service-accounts-disable-enable',
  propagation: 'https://cloud.google.com/iam/docs/access-change-propagation',
  hmac: 'https://cloud.google.com/storage/docs/authentication/managing-hmackeys',
  apiKeys: 'https://cloud.google.com/docs/authentication/api-keys',
  audit: 'https://cloud.google.com/logging/docs/audit',
} as const;

export const manifest: ProviderManifest = {
  name: 'gcp',
  title: 'Google Cloud',
  kinds: [
    {
      kind: 'gcp.service-account-key',
      title: 'key of a service account',
      locator: ['clientEmail', 'privateKeyId'],
      identified: 'The key file names private_key_id, client_email and project_id; none of them is secret. Nothing is asked.',
      mints: [
        // The exchange at the token endpoint is in no audit log.
        { kind: 'gcp.access-token', via: 'jwt-bearer', logged: 'never', maxLife: hour, killedBy: ['disable-service-account'] },
        // Of another account: its tokens are its own, and end with it alone. In the log only where Data Access is on.
        {
          kind: 'gcp.access-token',
          via: 'GenerateAccessToken',
          logged: 'sometimes',
          maxLife: 12 * hour,
          killedBy: ['disable-service-account'],
        },
        { kind: 'gcp.id-token', via: 'GenerateIdToken', logged: 'sometimes', maxLife: hour, killedBy: [] },
        {
          kind: 'gcp.service-account-key',
          via: 'CreateServiceAccountKey',
          logged: 'always',
          maxLife: 'unlimited',
          killedBy: ['disable-key', 'delete-key'],
        },
        {
          kind: 'gcp.service-account-key',
          via: 'UploadServiceAccountKey',
          logged: 'always',
          maxLife: 'unlimited',
          killedBy: ['disable-key', 'delete-key'],
        },
        {
          kind: 'gcp.hmac-key',
          via: 'storage.hmacKeys.create',
          logged: 'always',
          maxLife: 'unlimited',
          killedBy: ['deactivate-hmac-key', 'delete-hmac-key'],
        },
        { kind: 'gcp.api-key', via: 'CreateKey', logged: 'always', maxLife: 'unlimited', killedBy: ['restrict-api-key', 'delete-api-key'] },
      ],
      overlap: 10,
      survives: [
        'access tokens that it was exchanged for, for up to an hour (twelve where the organisation allows it): ended by disable-service-account only',
        'tokens of accounts that it impersonated, which are those accounts’ own: each of them has to be disabled',
        'ID tokens, up to an hour: whoever checks them does so offline, and nothing ends them sooner',
        'HMAC keys and other keys made with it, until each is ended',
      ],
      holderNotices:
        'The next exchange fails with invalid_grant within seconds; calls with a token that it has already go on until that expires. Google tells nobody.',
      limits: [
        '10 keys for each account, disabled ones included',
        'changes of keys and accounts take seconds, of policies two to seven minutes and longer',
      ],
      principal,
      stoppedBy: ['disable-service-account'],
      ways: {
        disable: onKey('disable-key'),
        remove: onKey('delete-key'),
        deny,
        liftDeny,
        mint: { action: 'upload-key', target: { account: '{account}', serviceAccount: '{principal}' }, subject: '{principal}' },
      },
    },
    {
      kind: 'gcp.access-token',
      title: 'access token of a service account',
      locator: ['sha256'],
      identified: 'By its prefix ya29., and known by its SHA-256; whose it is only Google can say (tokeninfo), to whoever holds it.',
      mints: [
        {
          kind: 'gcp.access-token',
          via: 'GenerateAccessToken',
          logged: 'sometimes',
          maxLife: 12 * hour,
          killedBy: ['disable-service-account'],
        },
        {
          kind: 'gcp.service-account-key',
          via: 'CreateServiceAccountKey',
          logged: 'always',
          maxLife: 'unlimited',
          killedBy: ['disable-key', 'delete-key'],
        },
        {
          kind: 'gcp.hmac-key',
          via: 'storage.hmacKeys.create',
          logged: 'always',
          maxLife: 'unlimited',
          killedBy: ['deactivate-hmac-key', 'delete-hmac-key'],
        },
      ],
      overlap: 'unlimited',
      survives: [
        'it cannot be revoked: it lives to its end, up to an hour, or twelve where the organisation allows that',
        'enabling its account again before then revives it',
      ],
      holderNotices: 'Calls are refused with 401 once the account is disabled.',
      principal,
      stoppedBy: ['disable-service-account'],
      ways: { deny, liftDeny },
    },
    {
      kind: 'gcp.hmac-key',
      title: 'HMAC key of Cloud Storage',
      locator: ['accessId'],
      identified: 'By its access id, GOOG and 20 or 57 more characters; the account it acts as stands in its metadata.',
      mints: [],
      overlap: 10,
      survives: [
        'signed URLs made with it, until it is seen to be inactive',
        'it is not touched by anything that is done to keys of its account; whether disabling the account stops it is not documented, and not counted on',
      ],
      holderNotices: 'Requests are refused within three minutes.',
      limits: ['it has to be INACTIVE before it is deleted, and for three minutes at least', '10 for each account that are not deleted'],
      principal,
      ways: { disable: onHmac('deactivate-hmac-key'), remove: onHmac('delete-hmac-key') },
    },
    {
      kind: 'gcp.api-key',
      title: 'API key',
      locator: ['uid'],
      identified:
        'By its form, AIza and 35 characters, or AQ. for one that acts as a service account. Offline it is known by its SHA-256 alone; Google names it (lookupKey) to whoever holds it.',
      mints: [],
      overlap: 'unlimited',
      survives: [
        'itself: standard keys were seen to authenticate for 8 to 23 minutes after they were deleted, so that it is held to be unknown for 30',
      ],
      holderNotices: 'Calls are refused, after minutes. Google tells nobody.',
      limits: ['it can be undeleted for 30 days', 'which calls were made with a standard key is in no audit log'],
      ways: { disable: onApiKey('restrict-api-key'), remove: onApiKey('delete-api-key') },
    },
  ],
  actions: [
    {
      name: 'disable-key',
      title: 'disable key {keyId} of {serviceAccount}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: [readKey, 'iam.serviceAccountKeys.disable', 'iam.serviceAccountKeys.enable', readLog],
      byHand: 'gcloud iam service-accounts keys disable {keyId} --iam-account={serviceAccount} --project={account}',
      byHandUndo: 'gcloud iam service-accounts keys enable {keyId} --iam-account={serviceAccount} --project={account}',
      source: links.keys,
    },
    {
      name: 'delete-key',
      title: 'delete key {keyId} of {serviceAccount}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'Google keeps nothing of a key that was deleted.',
      scope: 'credential',
      permissions: [readKey, 'iam.serviceAccountKeys.delete'],
      byHand: 'gcloud iam service-accounts keys delete {keyId} --iam-account={serviceAccount} --project={account}',
      source: `${links.keys}: deleting does not revoke tokens that were issued for the key`,
    },
    {
      name: 'disable-service-account',
      title: 'disable {serviceAccount}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [readAccount, 'iam.serviceAccounts.disable', 'iam.serviceAccounts.enable', readLog],
      byHand: 'gcloud iam service-accounts disable {serviceAccount} --project={account}',
      byHandUndo:
        'not before the last token that can have been issued has expired, an hour after the disabling or twelve: gcloud iam service-accounts enable {serviceAccount} --project={account}',
      source: `${links.accounts}: existing access tokens are rejected, and accepted again once it is enabled`,
    },
    {
      name: 'enable-service-account',
      title: 'enable {serviceAccount} again',
      phase: 'watch',
      part: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'disable-service-account',
      permissions: [readAccount, readKeys, 'iam.serviceAccounts.enable', 'iam.serviceAccounts.disable', readLog],
      byHand:
        'not before the last token that can have been issued has expired, and with every leaked key off: gcloud iam service-accounts enable {serviceAccount} --project={account}',
      byHandUndo: 'gcloud iam service-accounts disable {serviceAccount} --project={account}',
      source: links.accounts,
    },
    {
      name: 'upload-key',
      title: 'make a new key for {serviceAccount}',
      phase: 'mint',
      reversibility: 'reversible',
      scope: 'none',
      mints: true,
      permissions: [readKeys, readKey, 'iam.serviceAccountKeys.create', 'iam.serviceAccountKeys.delete'],
      byHand:
        'openssl req -x509 -nodes -newkey rsa:2048 -days 365 -keyout new.pem -out new.crt -subj /CN=by-hand, then gcloud iam service-accounts keys upload new.crt --iam-account={serviceAccount} --project={account}',
      byHandUndo: 'gcloud iam service-accounts keys delete <the new key id> --iam-account={serviceAccount} --project={account}',
      source: 'https://cloud.google.com/iam/docs/keys-upload: the private half never leaves us, so that a lost answer loses nothing',
    },
    {
      name: 'deactivate-hmac-key',
      title: 'deactivate HMAC key {accessId}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['storage.hmacKeys.get', 'storage.hmacKeys.update', readLog],
      byHand: 'gcloud storage hmac update {accessId} --deactivate --project={account}',
      byHandUndo: 'gcloud storage hmac update {accessId} --activate --project={account}',
      source: `${links.hmac}: a change of state takes up to three minutes`,
    },
    {
      name: 'delete-hmac-key',
      title: 'delete HMAC key {accessId}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'An HMAC key that was deleted cannot be recovered.',
      scope: 'credential',
      permissions: ['storage.hmacKeys.get', 'storage.hmacKeys.delete'],
      byHand: 'three minutes or more after it was deactivated: gcloud storage hmac delete {accessId} --project={account}',
      source: `${links.hmac}: wait three minutes between deactivating and deleting`,
    },
    {
      name: 'restrict-api-key',
      title: 'close API key {key} to every address',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['apikeys.keys.get', 'apikeys.keys.update'],
      byHand:
        'gcloud services api-keys describe {key} --project={account} (keep its restrictions), then gcloud services api-keys update {key} --allowed-ips=127.0.0.1 --project={account}',
      byHandUndo:
        'gcloud services api-keys update {key} --project={account} with the restrictions that it had, or --clear-restrictions where it had none',
      source: `${links.apiKeys}: a key cannot be disabled, only restricted or deleted`,
    },
    {
      name: 'delete-api-key',
      title: 'delete API key {key}',
      phase: 'revoke',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['apikeys.keys.get', 'apikeys.keys.delete', 'apikeys.keys.undelete', readLog],
      byHand: 'gcloud services api-keys delete {key} --project={account}',
      byHandUndo: 'within 30 days: gcloud services api-keys undelete {key} --project={account}',
      source: `${links.apiKeys}; that it lingers was measured by Aikido in May 2026`,
    },
  ],
  reads: [
    readAccount,
    readKeys,
    readKey,
    'iam.serviceAccounts.list',
    'iam.serviceAccounts.getIamPolicy',
    'resourcemanager.projects.getIamPolicy',
    'storage.hmacKeys.get',
    'storage.hmacKeys.list',
    'apikeys.keys.lookup',
    'apikeys.keys.get',
    readLog,
    'logging.privateLogEntries.list',
  ],
  // Service-account keys were seen to be refused about five seconds after they were deleted; Google says "seconds" and names no figure, so that there is room.
  propagationMs: 15_000,
  logs: [
    {
      source: 'cloudaudit',
      // Google names no figure for how far Cloud Logging is behind; entries are usually there within seconds.
      usualLagMs: 2 * 60_000,
      reachDays: 400,
      blind: [
        'exchanges of a key for a token, which no log records',
        'GenerateAccessToken, GenerateIdToken, SignJwt, SignBlob and all reads, where Data Access logs are off, as they are unless somebody turned them on',
        'what HMAC keys and standard API keys did',
        'other projects than the account entry names',
        'roles that folders and the organisation give, and who is in which group',
      ],
    },
  ],
  links: Object.values(links),
};
