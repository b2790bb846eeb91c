import type { KindManifest, Mints, ProviderManifest, Way } from '../../domain/manifest.ts';

const day = 86_400;

/** Asked before every change, so that no step touches what the engine itself stands on. The `default` policy gives it to everybody. */
const self = ['read auth/token/lookup-self'];
const readToken = ['update auth/token/lookup-accessor'];
const readEntity = ['read identity/entity/id/+'];
const readSecretId = ['update auth/+/role/+/secret-id-accessor/lookup'];
const readLease = ['update sys/leases/lookup'];
const sweep = ['list auth/token/accessors', 'sudo auth/token/accessors', ...readToken];

const onEntity = (action: string): Way => ({ action, target: { account: '{account}', entity: '{principal}' }, subject: '{principal}' });
const deny = { deny: onEntity('disable-entity'), liftDeny: onEntity('enable-entity') };

/** What a finding or an inventory calls an entity. Credentials behind which none stands (orphans, root tokens) stand for themselves, and cannot be denied. */
const principal = { pattern: '^entity:(?<name>[0-9a-f-]{36})$', id: 'entity:{name}' };

/**
 * How one credential comes of another: the words that a finding's nodes have for it. A child ends with its maker and has its entity; an orphan has neither, whichever path it was asked for at
 * (`create-orphan`, `no_parent`, a token role), so that they are told by what the server says of them and not by the path.
 */
export const via = {
  child: 'auth/token/create',
  orphan: 'auth/token/create-orphan',
  batchChild: 'auth/token/create, type batch',
  batchOrphan: 'auth/token/create-orphan, type batch',
  login: 'auth/<mount>/login',
  secretId: 'auth/<mount>/role/<role>/secret-id',
  lease: '<engine>/creds/<role>',
} as const;

// `always`, since the server answers nothing that it could not write to an audit device. Where it has none, or one was changed, a look says that it does not know, and no plan goes on without it.
const tokens: readonly Mints[] = [
  { kind: 'vault.token', via: via.child, logged: 'always', maxLife: 'unlimited', killedBy: ['revoke-token', 'disable-entity'] },
  // Neither its maker's end nor its maker's entity stops it: it is ended by its own accessor.
  { kind: 'vault.token', via: via.orphan, logged: 'always', maxLife: 'unlimited', killedBy: [] },
  { kind: 'vault.batch-token', via: via.batchChild, logged: 'always', maxLife: 32 * day, killedBy: ['revoke-token', 'disable-entity'] },
  { kind: 'vault.batch-token', via: via.batchOrphan, logged: 'always', maxLife: 32 * day, killedBy: [] },
  { kind: 'vault.approle-secret-id', via: via.secretId, logged: 'always', maxLife: 'unlimited', killedBy: [] },
];
// A lease is handed to the server's own queue when its token ends, and whether its origin lets go of it is seen nowhere but in the lease.
const leases: readonly Mints[] = [{ kind: 'vault.lease', via: via.lease, logged: 'always', maxLife: 32 * day, killedBy: [] }];

const kinds: readonly KindManifest[] = [
  {
    kind: 'vault.token',
    title: 'service token: a child, an orphan, a periodic or a use-limited one',
    locator: ['accessor'],
    identified:
      'By its prefix (`hvs.`, `s.`), offline, as its SHA-256. Its accessor is had by looking the sealed token up with our own token, or from whoever reports it. From then on it is the accessor that is asked about: a look-up by the token itself burns a use of it.',
    mints: [...tokens, ...leases],
    overlap: 'unlimited',
    survives: [
      'Orphan tokens that it made: until they are revoked, each by its accessor.',
      'Batch tokens that are orphans: until they expire.',
      'Leases that the server cannot end at their origin, which it then calls irrevocable: until somebody ends the account there.',
      'What it has read: the value at its origin, until that is changed.',
    ],
    holderNotices: 'Every call is refused with a 403 from the moment on; nothing tells it beforehand.',
    limits: [
      'A token whose entity is empty cannot be contained but by its end.',
      'A sweep looks every token up: as many calls as there are tokens.',
      'Revocation ends children first and the token last: until then it is accepted.',
    ],
    principal,
    stoppedBy: ['disable-entity'],
    ways: {
      remove: { action: 'revoke-token', target: { account: '{account}', accessor: '{accessor}' }, subject: '{accessor}' },
      ...deny,
    },
  },
  {
    kind: 'vault.batch-token',
    title: 'batch token, which nobody can revoke',
    locator: ['sha256'],
    identified:
      'By its prefix (`hvb.`, `b.`), offline, as its SHA-256. It has no accessor; the log has an HMAC of it, by which those that a leaked token made are named.',
    mints: leases,
    overlap: 'unlimited',
    survives: [
      'Itself, until it expires or its parent is revoked: its entity can be disabled until then, and enabling it before would wake it.',
    ],
    holderNotices: 'Every call is refused with a 403 while the entity is disabled.',
    principal,
    stoppedBy: ['disable-entity'],
    ways: deny,
  },
  {
    kind: 'vault.approle-secret-id',
    title: 'secret id of an AppRole',
    locator: ['mount', 'appRole', 'accessor'],
    identified:
      'By mount, role (`appRole`) and accessor, as whoever issued it knows them. It has no form of its own, so that none is recognised in a text.',
    mints: [
      // Not by the end of the secret id: what it was exchanged for lives on.
      { kind: 'vault.token', via: via.login, logged: 'always', maxLife: 'unlimited', killedBy: ['disable-entity'] },
      { kind: 'vault.batch-token', via: via.login, logged: 'always', maxLife: 32 * day, killedBy: ['disable-entity'] },
    ],
    overlap: 'unlimited',
    survives: ['Tokens that it was exchanged for, a periodic one for ever: until each is revoked by its accessor.'],
    holderNotices: 'The next log-in is refused with a 400; tokens it holds go on.',
    limits: ['The log-in path of a mount names no role: what is revoked by that prefix is every role’s, so that no action does it.'],
    principal,
    stoppedBy: ['disable-entity'],
    ways: {
      remove: {
        action: 'destroy-secret-id',
        target: { account: '{account}', mount: '{mount}', appRole: '{appRole}', accessor: '{accessor}' },
        subject: '{appRole}/{accessor}',
      },
      mint: { action: 'mint-secret-id', target: { account: '{account}', mount: '{mount}', appRole: '{appRole}' }, subject: '{appRole}' },
      ...deny,
    },
  },
  {
    kind: 'vault.lease',
    title: 'lease: an account that the server made elsewhere, such as at a database',
    locator: ['lease'],
    identified: 'By its lease id. The account’s own name tells it only at its origin.',
    mints: [],
    overlap: 'unlimited',
    survives: [
      'Sessions that are open at the origin, where the engine’s statements do not end them.',
      'Temporary credentials of AWS (STS): their lease’s end does nothing, and they live until they expire.',
      'The account at the origin, where the server could not end it and calls the lease irrevocable.',
    ],
    holderNotices: 'The next log-in at the origin is refused.',
    ways: { remove: { action: 'revoke-lease', target: { account: '{account}', lease: '{lease}' }, subject: '{lease}' } },
  },
];

/**
 * OpenBao and HashiCorp Vault: as the place that credentials are kept in and handed out from (KV version 2), and as an issuer of credentials of its own.
 *
 * A value in KV is no kind of its own: it is a credential of somebody else's, and leaks there.
 *
 * Permissions are `capability path`, as in an ACL policy. `{mount}` and `{path}` are the two parts of a store's path: `kv` and `ci/deployer`; `+` is one part of a path, whichever.
 */
export const manifest: ProviderManifest = {
  name: 'vault',
  title: 'OpenBao / Vault',
  kinds,
  actions: [
    {
      name: 'stage-secret',
      title: 'Write the new credential beside the live one, where no consumer looks',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'store',
      permissions: [
        'read {mount}/data/{path}--staged/*',
        'create {mount}/data/{path}--staged/*',
        'update {mount}/data/{path}--staged/*',
        'read {mount}/metadata/{path}--staged/*',
        'create {mount}/metadata/{path}--staged/*',
        'update {mount}/metadata/{path}--staged/*',
        'delete {mount}/metadata/{path}--staged/*',
      ],
      byHand: 'bao kv put -cas=0 {path}--staged/by-hand @new.json',
      byHandUndo:
        'bao kv list {path}--staged, then bao kv metadata delete {path}--staged/<the one whose custom metadata (bao kv metadata get) names this step>',
      source: 'https://openbao.org/api-docs/secret/kv/kv-v2/',
    },
    {
      name: 'distribute-secret',
      title: 'Put the new credential where consumers read it, if nobody has written there since',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'store',
      permissions: [
        'read {mount}/data/{path}',
        'create {mount}/data/{path}',
        'update {mount}/data/{path}',
        'read {mount}/metadata/{path}',
        'delete {mount}/metadata/{path}',
        'update {mount}/delete/{path}',
        'read {mount}/data/{path}--staged/*',
        'read {mount}/metadata/{path}--staged/*',
        'delete {mount}/metadata/{path}--staged/*',
      ],
      byHand: 'bao kv get -format=json {path} (note .data.metadata.version), then bao kv put -cas=<that version> {path} @whole.json',
      byHandUndo:
        'bao kv metadata get {path}; if nobody has written there since the engine did, bao kv rollback -version=<the one before the engine’s> {path}',
      source: 'https://openbao.org/api-docs/secret/kv/kv-v2/',
    },
    {
      name: 'watch-readers',
      title: 'Wait until the audit log shows that every consumer has read the new credential',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      // The audit log has no API to read it by: the worker reads the file that the account's settings name.
      permissions: [],
      byHand:
        'in the audit log, find the responses with operation read on the data path of {path} since the write, and their auth.display_name',
      source: 'https://openbao.org/docs/audit/',
    },
    {
      name: 'mint-secret-id',
      title: 'make a new secret id for role {appRole}',
      phase: 'mint',
      reversibility: 'reversible',
      scope: 'credential',
      mints: true,
      permissions: [
        'list auth/+/role/+/secret-id',
        ...readSecretId,
        'update auth/+/role/+/custom-secret-id',
        'update auth/+/role/+/secret-id-accessor/destroy',
      ],
      byHand: 'bao write -f auth/{mount}/role/{appRole}/secret-id, and put what it answers into the store without showing it',
      byHandUndo:
        'bao write auth/{mount}/role/{appRole}/secret-id-accessor/destroy secret_id_accessor=<the accessor of the one that was made>',
      source:
        'https://openbao.org/api-docs/auth/approle/#create-custom-approle-secret-id; a value that is there already is refused with a 500',
    },
    {
      name: 'disable-entity',
      title: 'disable entity {entity}: its tokens and log-ins are refused',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [...readEntity, 'update identity/entity/id/+', ...self],
      byHand: 'bao write identity/entity/id/{entity} disabled=true',
      byHandUndo: 'once the leaked tokens are revoked (they would work again): bao write identity/entity/id/{entity} disabled=false',
      source:
        'https://openbao.org/api-docs/secret/identity/entity/: "associated tokens cannot be used, but are not revoked"; orphans are not associated',
    },
    {
      name: 'enable-entity',
      title: 'enable entity {entity} again, whose leaked tokens are gone',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'disable-entity',
      part: 'contain',
      permissions: [...readEntity, 'update identity/entity/id/+', ...sweep, ...self],
      byHand: 'bao write identity/entity/id/{entity} disabled=false',
      byHandUndo: 'bao write identity/entity/id/{entity} disabled=true',
      source: 'measured on OpenBao 2.7.2: enabling an entity restores every token of it that was not revoked, batch tokens too',
    },
    {
      name: 'revoke-token',
      title: 'revoke the token of accessor {accessor}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'a revoked token, its children and its leases are gone, and none of them can be made again',
      scope: 'credential',
      permissions: [...readToken, 'update auth/token/revoke-accessor', ...self],
      byHand: 'bao token revoke -accessor {accessor}, then bao token lookup -accessor {accessor}: only "invalid accessor" means gone',
      source: 'https://openbao.org/api-docs/auth/token/#revoke-a-token-accessor; an accessor that is not known is answered with success',
    },
    {
      name: 'destroy-secret-id',
      title: 'destroy secret id {accessor} of role {appRole}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'the server keeps neither the secret id nor what was known of it',
      scope: 'credential',
      permissions: [...readSecretId, 'update auth/+/role/+/secret-id-accessor/destroy', 'list auth/+/role/+/secret-id', ...self],
      byHand:
        'bao write auth/{mount}/role/{appRole}/secret-id-accessor/destroy secret_id_accessor={accessor}, then bao list auth/{mount}/role/{appRole}/secret-id: it is gone when it is not listed',
      source:
        'https://openbao.org/api-docs/auth/approle/#destroy-approle-secret-id-accessor; tokens that it was exchanged for are another store’s',
    },
    {
      name: 'revoke-lease',
      title: 'end lease {lease} at its origin',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'the account at the origin is removed, and the server makes none of the same name again',
      scope: 'credential',
      permissions: [...readLease, 'update sys/leases/revoke', ...self],
      byHand:
        'bao lease revoke -sync {lease}, then bao write sys/leases/lookup lease_id={lease}: only "invalid lease" means gone. Never with -force or -prefix.',
      source:
        'https://openbao.org/api-docs/system/leases/#revoke-lease; without `sync` it is only queued, and a lease that is not known is answered with success',
    },
  ],
  // Looking, checking and knowing ourselves. `sudo` is what the server itself wants on these paths.
  reads: [
    ...self,
    'update auth/token/renew-self',
    'update auth/token/lookup',
    ...sweep,
    ...readEntity,
    'update identity/lookup/entity',
    ...readSecretId,
    'list auth/+/role/+/secret-id',
    'read auth/+/role/+/role-id',
    'read sys/auth',
    ...readLease,
    'read sys/policies/acl/+',
    'read sys/audit',
    'sudo sys/audit',
    'update sys/audit-hash/+',
    'read sys/internal/ui/mounts/*',
    'update sys/capabilities-self',
  ],
  // A write is readable when its reply comes; standbys forward to the active node.
  propagationMs: 0,
  logs: [
    {
      source: 'audit device (file)',
      usualLagMs: 0,
      reachDays: 0,
      blind: [
        'reads answered from a cache in front of the server (agent, proxy, operator)',
        'unauthenticated system paths: init, seal status, seal, unseal, leader, health',
        'whatever was rotated away before the watch began',
        'everything before the device was changed: its salt is another one since',
        'log-ins in the headers of a request (inline authentication), which make no token',
      ],
    },
  ],
  links: [
    'https://openbao.org/api-docs/secret/kv/kv-v2/',
    'https://openbao.org/docs/audit/',
    'https://openbao.org/docs/concepts/tokens/',
    'https://openbao.org/api-docs/auth/approle/',
    'https://openbao.org/docs/concepts/lease/',
  ],
};
