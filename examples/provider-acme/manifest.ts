import type { ProviderManifest } from 'tourniquet-engine/provider';

/** What can be done about Acme's API tokens, as pure data. The engine checks it, plans by it, and writes policies and pages from it. */
export const manifest: ProviderManifest = {
  name: 'acme',
  title: 'Acme',
  kinds: [
    {
      kind: 'acme.token',
      title: 'API token',
      locator: ['id'],
      identified: 'by `acme_` and the id in front of the dot, without the secret behind it; its owner by GET /tokens/{id}',
      // A token can make further ones, which Acme lists by their parent; deleting the parent leaves them alive.
      mints: [
        { kind: 'acme.token', via: 'POST /tokens', logged: 'always', maxLife: 'unlimited', killedBy: ['suspend-token', 'delete-token'] },
      ],
      overlap: 'unlimited',
      survives: ['tokens that it has made: each is suspended or deleted by its own id'],
      holderNotices: 'at its next call, which is answered with 401',
      ways: {
        disable: { action: 'suspend-token', target: { account: '{account}', id: '{id}' }, subject: '{id}' },
        remove: { action: 'delete-token', target: { account: '{account}', id: '{id}' }, subject: '{id}' },
      },
    },
  ],
  actions: [
    {
      name: 'suspend-token',
      title: 'suspend token {id}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['tokens.read', 'tokens.update'],
      byHand: 'acme tokens update {id} --status suspended',
      byHandUndo: 'acme tokens update {id} --status active',
      source: 'Acme API reference, PATCH /tokens/{id}',
    },
    {
      name: 'delete-token',
      title: 'delete token {id}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'Acme forgets a deleted token, and will not make the same one again',
      scope: 'credential',
      permissions: ['tokens.read', 'tokens.delete'],
      byHand: 'acme tokens delete {id}',
      source: 'Acme API reference, DELETE /tokens/{id}',
    },
  ],
  reads: ['tokens.read', 'tokens.list'],
  // Acme looks a token up at every call.
  propagationMs: 0,
  logs: [{ source: 'token list', usualLagMs: 0, reachDays: 0, blind: ['what was done with a token: Acme keeps no log of calls'] }],
  links: ['https://acme.example/api/tokens'],
};
