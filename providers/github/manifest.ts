import type { ProviderManifest } from '../../domain/manifest.ts';

const day = 86_400;
const readLog = 'organization_administration:read';
const readKeys = 'administration:read';
const readTokens = 'organization_personal_access_tokens:read';
const readRepositories = 'metadata:read';
const readSecrets = ['secrets:read', 'environments:read'];
const writeSecrets = ['secrets:write', 'environments:write'];

/**
 * Tokens of GitHub, and what hangs on them. Permissions are those of a GitHub App, as its settings name them, `name:level`. Calls that ask for none stand in no list:
 * the revocation itself, which is for nobody in particular, the trying of a token, and what an App does with its own signature.
 */
export const manifest: ProviderManifest = {
  name: 'github',
  title: 'GitHub',
  kinds: [
    {
      kind: 'github.token',
      title: 'token of a user: classic or fine-grained personal access token, OAuth token, App user token, refresh token',
      locator: ['sha256'],
      identified:
        'Offline by prefix: ghp_, github_pat_, gho_, ghu_, ghr_; a classic one also by its checksum. Named by the base64 of its SHA-256, the hashed_token of the audit log. Whose it is: by the log, by the list of the organization’s fine-grained tokens, else by asking with it.',
      mints: [
        // Safe reading: the documentation says it of deleting a personal access token, and revocation is taken for as much.
        {
          kind: 'github.deploy-key',
          via: 'POST /repos/{owner}/{repo}/keys',
          logged: 'sometimes',
          maxLife: 'unlimited',
          killedBy: ['revoke-token', 'delete-deploy-key'],
        },
        { kind: 'github.ssh-key', via: 'POST /user/keys', logged: 'sometimes', maxLife: 'unlimited', killedBy: [] },
        { kind: 'github.webhook-secret', via: 'POST /repos/{owner}/{repo}/hooks', logged: 'sometimes', maxLife: 'unlimited', killedBy: [] },
        { kind: 'github.installation', via: 'installing an App', logged: 'sometimes', maxLife: 'unlimited', killedBy: [] },
        // A refresh token makes an App user token and a refresh token in its place.
        { kind: 'github.token', via: 'POST /login/oauth/access_token', logged: 'sometimes', maxLife: 180 * day, killedBy: [] },
      ],
      overlap: 'unlimited',
      survives: [
        'SSH keys that were added with it: their owner deletes them',
        'webhooks, App installations, collaborators and runners that were added with it',
        'deploy keys that an App user token made; those that a personal or OAuth token made die with it, whoever uses them',
        'what was pushed, and the secrets of Actions that a changed workflow could read',
      ],
      holderNotices: 'GitHub mails the owner when a token is revoked as leaked; every call with it is answered 401',
      limits: [
        'revocation: 60 requests an hour of an address, 1000 tokens each, and only of callers who do not say who they are',
        'there is no call that makes a personal access token: its owner makes the new one',
        'no revocation can be undone, and there is no turning off',
      ],
      principal: { pattern: '^(?:github\\.com/)?(?<name>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:\\[bot\\])?)$', id: 'user/{principal}' },
      ways: {
        remove: { action: 'revoke-token', target: { account: '{account}', sha256: '{sha256}' }, subject: '{sha256}' },
      },
    },
    {
      kind: 'github.installation-token',
      title: 'token of an App’s installation',
      locator: ['sha256'],
      identified:
        'Offline by its prefix ghs_; the form since April 2026, ghs_<App>_<JSON web token>, names the App. Named by the base64 of its SHA-256. Whose it is: by the log.',
      mints: [
        {
          kind: 'github.deploy-key',
          via: 'POST /repos/{owner}/{repo}/keys, by an App',
          logged: 'sometimes',
          maxLife: 'unlimited',
          killedBy: ['delete-deploy-key'],
        },
        { kind: 'github.webhook-secret', via: 'POST /repos/{owner}/{repo}/hooks', logged: 'sometimes', maxLife: 'unlimited', killedBy: [] },
      ],
      overlap: 'unlimited',
      survives: [
        'the App’s private key, which makes the next one: it is replaced in the App’s settings',
        'deploy keys that were made with it',
      ],
      holderNotices: 'every call with it is answered 401, under a suspension 403',
      limits: ['it lives an hour'],
      principal: { pattern: '^installation/(?<name>[1-9][0-9]*)$', id: 'installation/{principal}' },
      stoppedBy: ['suspend-installation'],
      ways: {
        remove: { action: 'revoke-token', target: { account: '{account}', sha256: '{sha256}' }, subject: '{sha256}' },
        deny: {
          action: 'suspend-installation',
          target: { account: '{account}', installationId: '{principal}' },
          subject: 'installation {principal}',
        },
        liftDeny: {
          action: 'unsuspend-installation',
          target: { account: '{account}', installationId: '{principal}' },
          subject: 'installation {principal}',
        },
      },
    },
    {
      kind: 'github.deploy-key',
      title: 'deploy key of a repository',
      locator: ['repository', 'key'],
      identified: 'By its number in the list of the repository; the private half names nothing.',
      mints: [],
      overlap: 'unlimited',
      survives: ['what was pushed with it'],
      holderNotices: 'its fetches and pushes are refused',
      limits: ['it cannot be changed: a new one is another key'],
      ways: {
        remove: {
          action: 'delete-deploy-key',
          target: { account: '{account}', repository: '{repository}', key: '{key}' },
          subject: 'deploy key {key} of {repository}',
        },
      },
    },
    {
      kind: 'github.webhook-secret',
      title: 'secret of a webhook',
      locator: ['repository', 'hookId'],
      identified: 'By the webhook’s number. Whoever has it can make deliveries that look like GitHub’s; it opens nothing at GitHub.',
      mints: [],
      overlap: 1,
      survives: [],
      holderNotices: 'a receiver that has the old one refuses every delivery',
      limits: ['both ends change at the same moment, or deliveries are lost: it is done by hand'],
    },
  ],
  actions: [
    {
      name: 'revoke-token',
      title: 'revoke the token {sha256}',
      phase: 'contain',
      reversibility: 'irreversible',
      irreversibleBecause: 'GitHub makes no token anew, and the deploy keys that were made with it are deleted with it',
      scope: 'credential',
      part: 'contain',
      permissions: [readLog, readTokens, readKeys, readRepositories],
      byHand: `curl -X POST https://api.github.com/credentials/revoke -H 'content-type: application/json' -d @tokens.json (with {"credentials":["<the token>"]} in it, and without an authorization header), then GET /user with the token until it says 401`,
      source:
        'GitHub REST reference, "Revocation": 202 whatever is sent, 403 to whoever authenticates, 60 requests an hour; "Managing deploy keys" for what goes with it',
    },
    {
      name: 'suspend-installation',
      title: 'suspend installation {installationId}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      // It is the App's own signature that it takes, and no permission.
      permissions: [],
      byHand: 'PUT /app/installations/{installationId}/suspended, signed as the App',
      byHandUndo: 'DELETE /app/installations/{installationId}/suspended, signed as the App',
      source: 'GitHub REST reference, "Suspend an app installation"',
    },
    {
      name: 'unsuspend-installation',
      title: 'let installation {installationId} work again',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'suspend-installation',
      part: 'contain',
      // It is the App's own signature that it takes, and no permission.
      permissions: [],
      byHand: 'DELETE /app/installations/{installationId}/suspended, signed as the App',
      byHandUndo: 'PUT /app/installations/{installationId}/suspended, signed as the App',
      source: 'GitHub REST reference, "Unsuspend an app installation"',
    },
    {
      name: 'delete-deploy-key',
      title: 'delete deploy key {key} of {repository}',
      phase: 'contain',
      reversibility: 'irreversible',
      irreversibleBecause: 'its number, its history and when it was last used are gone; the same public key added again is another key',
      scope: 'credential',
      part: 'eradicate',
      permissions: [readKeys, 'administration:write'],
      byHand: 'gh repo deploy-key delete {key} --repo {repository}',
      source: 'GitHub REST reference, "Delete a deploy key"',
    },
    {
      name: 'stage-secret',
      title: 'write the new credential into {path}, under names that no workflow asks for',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'store',
      permissions: [...readSecrets, ...writeSecrets],
      byHand: 'gh secret set <a name of its own> --repo <owner/name> [--env <environment>] < new',
      byHandUndo: 'gh secret delete <that name> --repo <owner/name> [--env <environment>]; what the engine stages begins with TOURNIQUET_',
      source: 'GitHub REST reference, "Create or update a repository secret": a sealed box, and no value is ever read back',
    },
    {
      name: 'distribute-secret',
      title: 'put the new credential where the workflows of {path} get it',
      phase: 'distribute',
      reversibility: 'irreversible',
      irreversibleBecause:
        'GitHub gives no value of a secret back, so that what stood there cannot be put back; whoever has the old one can write it again',
      scope: 'store',
      permissions: [...readSecrets, ...writeSecrets],
      byHand: 'gh secret set <name> --repo <owner/name> [--env <environment>] < new',
      source: 'GitHub Docs, "Using secrets in GitHub Actions": a run gets its secrets when it starts',
    },
    {
      name: 'watch-readers',
      title: 'see every workflow of {path} start with the new credential',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      permissions: ['actions:read'],
      byHand: 'gh run list --repo <owner/name>: a run of each workflow that started after the write, and none from before under way',
      source: 'GitHub REST reference, "List workflow runs for a repository"',
    },
  ],
  reads: [readLog, readTokens, readKeys, readRepositories, 'members:read'],
  // Not documented. A revoked token has been seen refused within a second or two; the figure leaves room.
  propagationMs: 5_000,
  logs: [
    {
      source: 'github audit log',
      // Not documented either; events are said to be there within minutes.
      usualLagMs: 5 * 60_000,
      reachDays: 180,
      blind: [
        'reads: the log that can be asked holds what changed something',
        'fetches, clones and pushes: they are in the export only, and for seven days',
        'what a token did outside the organization',
        'organizations of a plan without an audit log by API',
      ],
    },
  ],
  links: [
    'https://docs.github.com/en/rest/credentials/revoke',
    'https://docs.github.com/en/rest/orgs/orgs#get-the-audit-log-for-an-organization',
    'https://docs.github.com/en/rest/deploy-keys/deploy-keys',
    'https://docs.github.com/en/rest/apps/apps',
  ],
};
