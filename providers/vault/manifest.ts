import type { ProviderManifest } from '../../domain/manifest.ts';

/**
 * OpenBao and HashiCorp Vault as the place that credentials are kept in and handed out from (KV version 2).
 *
 * `kinds` is empty on purpose. A Vault token is recognised offline (see `identify.ts`), but there is no action on tokens yet, so a report of one is the
 * `manual` provider's: listing the kind here would say that something is done about it.
 *
 * Permissions are `capability path`, as in an ACL policy. `{mount}` and `{path}` are the two parts of a store's path: `kv` and `ci/deployer`.
 */
export const manifest: ProviderManifest = {
  name: 'vault',
  title: 'OpenBao / Vault (KV version 2, as a store of credentials)',
  kinds: [],
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
      ],
    },
  ],
  links: ['https://openbao.org/api-docs/secret/kv/kv-v2/', 'https://openbao.org/docs/audit/'],
};
