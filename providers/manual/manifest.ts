import type { ActionManifest, KindManifest, ProviderManifest } from '../../domain/manifest.ts';

/**
 * What a person is told to do with a credential of one kind: whole sentences, without a secret and without a name of ours, so that a plan can carry them. Owner, deadline and escalation are none of this: they come
 * from the inventory and the policy.
 */
export interface Template {
  /** The kinds it is for, as reports name them; the first is the one that stands in the manifest. */
  readonly kinds: readonly string[];
  /** Words in the name of a kind that nobody has listed; each is compared with whole parts of it (`manual.slack-bot-token` has `slack`, `bot` and `token`). */
  readonly marks: readonly string[];
  /** How its system is called. */
  readonly system: string;
  /** How one is told, and mapped to its owner. */
  readonly identified: string;
  readonly contain: string;
  readonly replace: string;
  /** Where to look for what was done with it, and for what. */
  readonly sweep: string;
  /** How it is seen to be dead, and what is no proof of it. */
  readonly proof: string;
  /** What outlives its removal. */
  readonly survives: readonly string[];
  /** What its removal takes along, or breaks. */
  readonly takesAlong?: string;
  /** Whether its holder learns of it. */
  readonly holderNotices: string;
  /** Where the rules come from. */
  readonly source: string;
  /** What of it was recalled and not looked up again: to be tried before it is relied on. */
  readonly recalled?: string;
}

// First match counts where no kind fits; more exact marks stand before general ones.
export const templates: readonly Template[] = [
  {
    kinds: ['manual.npm-token'],
    marks: ['npm', 'npmtoken', 'npmjs'],
    system: 'npm',
    identified:
      'By the prefix npm_. Its owner is what `npm whoami` says with it, which uses it; without it, `npm token list` of each suspected owner shows its first and last characters.',
    contain:
      'Revoke the token with `npm token revoke ID` (the ID from `npm token list`) as its owner, or on the access-tokens page. There is no way to turn one off for a while. Where the owner cannot be reached, set the packages it may publish to "require two-factor authentication and disallow tokens".',
    replace:
      'Move the pipeline to trusted publishing, which has no long-lived token; else make a granular token for the fewest packages, with an end date and an address range, store it where the pipeline reads it, and see a publish or install go through.',
    sweep:
      'For every package the owner may publish, list versions and their times (`npm view PACKAGE time`), maintainers (`npm owner ls`) and distribution tags since the leak, and compare each new version with its tag in the repository, install scripts first. Look at the owner’s other tokens and at changes of e-mail address and two-factor settings.',
    proof:
      'Run `npm whoami` once with the old token: 401 means that it is not accepted. A token that is missing from a list of yours may be another owner’s.',
    survives: [
      'Published versions: they can be deprecated, and only the newest can be taken back within the first days.',
      'Other tokens of the owner, and maintainers that were added with it.',
    ],
    holderNotices: 'At the next call, with a 401. GitHub’s scanning may have npm revoke a public one by itself.',
    source: 'docs.npmjs.com: Revoking access tokens; Requiring 2FA for package publishing; Trusted publishing',
    recalled: 'How long a version can be unpublished, and what npm revokes by itself.',
  },
  {
    kinds: ['manual.slack-webhook', 'manual.slackwebhook'],
    marks: ['slackwebhook'],
    system: 'Slack, an incoming webhook',
    identified: 'By its address under hooks.slack.com/services: workspace and app ids are its first two parts, the third is the secret.',
    contain:
      'Remove the webhook in the settings of its app under "Incoming webhooks", or uninstall the app. Slack has no call that revokes one by its address, and no way to turn one off for a while.',
    replace:
      'Add a webhook to the same channel in the app’s settings, store its address where the sender reads it, and see a message arrive.',
    sweep:
      'Read the channel it posts to since the leak for messages that no sender of yours explains, and take those with links or requests away. It reads nothing.',
    proof: 'Post to the old address once, to a channel where that harms nobody: 404 or 403 means that it is gone.',
    survives: ['Messages that were posted with it, and whatever people did because of them.', 'The app’s tokens and its other webhooks.'],
    takesAlong: 'Uninstalling the app takes all its webhooks and tokens along.',
    holderNotices: 'At the next message, with an error.',
    source: 'docs.slack.dev: Sending messages using incoming webhooks',
    recalled: 'Which status a removed webhook answers with.',
  },
  {
    kinds: ['manual.slack-token'],
    marks: ['slack'],
    system: 'Slack',
    identified:
      'By its prefix: xoxb- bot, xoxp- user, xapp- app-level, xoxe- rotating or its refresh token. `auth.test` with it names workspace and user; that is a use.',
    contain:
      'Call `auth.revoke` with the token (with `test=1` it only says what it would do), or uninstall the app in the workspace. Neither can be undone, and there is no way to turn a token off for a while. Of a rotating one revoke the refresh token too.',
    replace:
      'Install the app anew for new tokens, with fewer scopes where that will do, store them, invite the bot into its channels again, and see it post.',
    sweep:
      'Look at the workspace’s access logs (`team.accessLogs`; the Audit Logs API on Enterprise Grid) since the leak: addresses and user agents that are not yours, files and channels read, exports; then new apps, webhooks, user groups, members and guests.',
    proof:
      'Call `auth.test` once with the old token and read `ok`, not the status, which is 200 for errors too: `token_revoked`, `account_inactive` or `invalid_auth` means dead. Do the same with its refresh token.',
    survives: [
      'A refresh token (xoxe-), which makes new ones.',
      'The app’s webhooks and its other tokens.',
      'Whatever was read from channels and files.',
    ],
    takesAlong: 'Revoking a bot token deactivates the bot and takes its channel memberships, which no undo brings back.',
    holderNotices: 'At the next call, by `ok: false`.',
    source: 'docs.slack.dev: auth.revoke, auth.test, Token rotation',
  },
  {
    kinds: ['manual.salesforce'],
    marks: ['salesforce', 'sfdc'],
    system: 'Salesforce',
    identified:
      'No prefix of its own to rely on: a session id begins with the organization’s id (00D…) and an exclamation mark; consumer keys begin with 3MVG. The login history names user and connected app.',
    contain:
      'Freeze the user, which can be undone and ends nothing by itself; then end its sessions under Session Management and revoke its tokens under Connected Apps OAuth Usage. Of a leaked consumer secret: block the connected app, which stops all its users.',
    replace:
      'Rotate the consumer secret or certificate of the connected app, or reset the user’s password and security token; prefer the JWT bearer flow with a key that never travels. Store it, and see the integration log in.',
    sweep:
      'Read Login History and, where it is licensed, Event Monitoring since the leak: log-ins, report and bulk exports, API query volume; then Setup Audit Trail for new users, permission sets, connected apps, named credentials, remote sites and Apex.',
    proof:
      'Call `/services/oauth2/userinfo` once with the old access token, and ask for a new one with the old refresh token: 401 or 403, and `invalid_grant`. A frozen user is no proof for a session that is open.',
    survives: [
      'Open sessions and access tokens until they time out or are revoked; freezing a user does not end them.',
      'Refresh tokens, as the connected app’s policy has it.',
      'Data that was exported.',
    ],
    takesAlong: 'Blocking a connected app stops every integration that logs in through it.',
    holderNotices: 'At the next call, with INVALID_SESSION_ID or invalid_grant.',
    source: 'help.salesforce.com: Freeze or Unfreeze User Accounts; Manage OAuth Access Policies; Setup Audit Trail',
    recalled: 'All of it: no organization was at hand to try it on.',
  },
  {
    kinds: ['manual.snowflake'],
    marks: ['snowflake'],
    system: 'Snowflake',
    identified:
      'No prefix of its own: a programmatic access token is a JWT, a key pair is told by its fingerprint (DESC USER), a password not at all. LOGIN_HISTORY names the user.',
    contain:
      'ALTER USER … SET DISABLED = TRUE, which can be undone with FALSE; then ALTER USER … ABORT ALL QUERIES, and end its sessions (SYSTEM$ABORT_SESSION): a disabled user’s running session is to be ended and not waited for.',
    replace:
      'Move the service to a key pair (RSA_PUBLIC_KEY_2 beside RSA_PUBLIC_KEY, so that both are accepted while it moves) or to workload identity; else make a programmatic access token with an end date and a network policy. Store it, and see it in LOGIN_HISTORY.',
    sweep:
      'Read ACCOUNT_USAGE since the leak, which lags by up to some hours: LOGIN_HISTORY, QUERY_HISTORY (COPY INTO an outside location, GET, large results), ACCESS_HISTORY; then new users, roles, grants, network policies, stages, shares, integrations and tasks.',
    proof:
      'Try to connect once with the old credential and see it refused, and see no session of the user in SESSIONS. Unset RSA_PUBLIC_KEY or drop the token by its name; look at DESC USER that it is gone.',
    survives: [
      'Sessions that are open, and queries that run.',
      'Further keys, tokens and passwords of the same user: each is a credential of its own.',
      'Stages, shares, tasks and integrations made with it.',
    ],
    takesAlong: 'Disabling the user stops all that log in as it.',
    holderNotices: 'At the next log-in; at once where its session is ended.',
    source: 'docs.snowflake.com: ALTER USER; Key-pair authentication and rotation; ACCOUNT_USAGE views',
    recalled: 'All of it: no account was at hand to try it on.',
  },
  {
    kinds: ['manual.gitlab-token'],
    marks: ['gitlab'],
    system: 'GitLab',
    identified:
      'By the prefix glpat-; the routable form has two dots. An administrator of a self-managed instance maps any token with `POST /api/v4/admin/token`; else `GET /personal_access_tokens/self` with it, which sets its last use.',
    contain:
      'Block the user it belongs to, which can be undone and stops the user’s other tokens too; or revoke it at once by its id (`DELETE /personal_access_tokens/:id` as an administrator). Do not rotate it: to rotate with a token that was rotated already revokes the new one.',
    replace:
      'Create a new token as an administrator, a project or group token with the fewest scopes and an end date; store it, and see it used. If the answer to that is lost, look the new one up by its name, revoke it by its id and create another. Never rotate to replace.',
    sweep:
      'Read the audit events of user, group and instance since the leak (how much is kept depends on the tier), and look for further tokens, deploy tokens and keys, runners, pipeline triggers, webhooks, CI variables that were read or changed, OAuth applications, impersonation tokens, and pushes to protected branches.',
    proof:
      'Look it up by its id as an administrator: `revoked: true`. Or call the API once with it: 401. A token that is missing from a list may only have expired: project and group tokens vanish from it.',
    survives: [
      'Deploy tokens and deploy keys.',
      'Runner tokens, pipeline triggers and CI_JOB_TOKENs of running jobs.',
      'OAuth applications and other tokens made with it.',
    ],
    takesAlong: 'Blocking the user stops its pipelines, schedules and other tokens.',
    holderNotices: 'At the next call, with a 401; GitLab mails about some revocations.',
    source: 'docs.gitlab.com: Personal access tokens API (automatic reuse detection), Admin token API',
  },
  {
    kinds: ['manual.entra-secret'],
    marks: ['azure', 'entra', 'microsoft', 'aad'],
    system: 'Microsoft Entra',
    identified:
      'A client secret has Q~ in its fourth to sixth character. The directory shows of it a key id, its first three characters (hint) and dates alone.',
    contain:
      'Disable the service principal: PATCH /servicePrincipals/{id} {"accountEnabled": false}, which can be undone, and which alone ends the long-lived tokens of continuous access evaluation. Removing the secret is not enough: tokens made with it live on.',
    replace:
      'Add a second secret (POST /applications/{id}/addPassword; it is shown once) or better a certificate or a federated credential, store it, see it in the sign-in log of service principals, and then remove the old one.',
    sweep:
      'Read ServicePrincipalSignInLogs and AuditLogs since the leak (30 days, 7 on the free tier) for: further secrets and certificates on the application and on the service principal, changed issuers of federated credentials, owners added, consents to applications, role assignments, guest users.',
    proof:
      'GET application and service principal, and see the key id in passwordCredentials of neither: a secret may hang on either. Then ask for a token once with the old secret: `invalid_client`. Neither says anything of a token that was issued before.',
    survives: [
      'Access tokens, 60 to 90 minutes.',
      'Tokens of a client with continuous access evaluation, up to 24 hours: the removal of a secret is none of the events that end one; disabling or deleting the service principal is.',
      'Further secrets, certificates and federated credentials of the same application.',
    ],
    takesAlong: 'Disabling the service principal stops all that run as it. Enabling it again revives tokens that have not expired.',
    holderNotices: 'At the next token request or, by continuous access evaluation, at the next call.',
    source: 'learn.microsoft.com: Continuous access evaluation for workload identities; servicePrincipal: removePassword',
    recalled: 'The usual life of an access token, and how long logs are kept.',
  },
  {
    kinds: ['manual.kubernetes-token'],
    marks: ['kubernetes', 'k8s', 'serviceaccount'],
    system: 'Kubernetes',
    identified:
      'A JWT whose subject is system:serviceaccount:NAMESPACE:NAME. It names pod, secret or node that it is bound to, its own id (jti) and its expiry; one of the old kind names its Secret and never expires. Decode it offline.',
    contain:
      'Save the RoleBindings and ClusterRoleBindings of the service account as YAML, then delete them: what the token may do is gone, and applying the files gives it back. Other pods of the same service account lose it too.',
    replace:
      'Pods get a new token by themselves when they are restarted; for an old-kind Secret, move its user to a bound token (TokenRequest) with an audience and a short life. See the new one in the audit log.',
    sweep:
      'Read the API server’s audit log since the leak, by user system:serviceaccount:…, and by authentication.kubernetes.io/credential-id where it is logged: tokens created (serviceaccounts/token), secrets of type service-account-token, certificate requests created or approved, bindings, cron jobs, webhook configurations, impersonation. Metadata level does not show how long a requested token lives.',
    proof:
      'Send the token in the body of a TokenReview as an administrator: `authenticated: false`. Wait ten seconds first, as API servers cache. Compare uids where something was deleted and made anew: the name alone proves nothing.',
    survives: [
      'An unbound token of TokenRequest, until it expires or the service account is deleted and made anew.',
      'Client certificates that were approved: they cannot be revoked at all.',
      'Cloud sessions that it was exchanged for.',
      'Bindings, secrets and workloads made with it.',
    ],
    takesAlong:
      'What kills it depends on what it is bound to: an old-kind one dies with its Secret, a pod-bound one with its pod, an unbound one only with the service account, and every pod of that with it.',
    holderNotices: 'At the next call, with a 401, or a 403 while only the bindings are gone.',
    source: 'kubernetes.io: Managing Service Accounts; TokenReview; KEP-1205',
    recalled: 'The ten seconds of the cache.',
  },
  {
    kinds: ['manual.anthropic-key'],
    marks: ['anthropic', 'claude'],
    system: 'Anthropic, a model API key',
    identified:
      'By the prefix sk-ant-: api keys and admin keys differ in what follows. The console lists keys by name, workspace and last characters; an admin key lists them by its API.',
    contain:
      'Set the key inactive in the console or by the Admin API (`status: inactive`), which can be undone. Of an admin key: remove it at once, as it can make, list and change others.',
    replace:
      'Make a key in the same workspace in the console, with a spend limit on the workspace, store it where its users read it, and see its usage begin.',
    sweep:
      'Look at usage and cost by key and workspace since the leak: volume, models and hours that are not yours. Of an admin key: new keys, members, invitations and workspaces. Prompts that were sent are not shown; files and batches that the workspace keeps can be read with it.',
    proof: 'Call GET /v1/models once with the old key: 401 means dead. A spend limit that is reached is no proof.',
    survives: [
      'Keys and members made with an admin key.',
      'Batches that were begun, and files of the workspace that were read.',
      'What was spent.',
    ],
    holderNotices: 'At the next call, with a 401.',
    source: 'docs.anthropic.com: Admin API, API keys; Workspaces',
    recalled: 'All of it: no organization was at hand to try it on.',
  },
  {
    kinds: ['manual.openai-key'],
    marks: ['openai', 'chatgpt'],
    system: 'OpenAI, a model API key',
    identified:
      'By the prefix: sk-proj- a project’s, sk-svcacct- a service account’s, sk-admin- an organization’s, sk- alone an old user’s. The dashboard lists keys by name, project and last characters.',
    contain:
      'Revoke the key in its project’s settings. There is no way to turn one off for a while. Where its users cannot lose it yet, set the project’s budget and rate limits to the least they need meanwhile: that bounds the cost and lets the thief on.',
    replace:
      'Make a service account’s key in the same project with the fewest permissions, store it where its users read it, and see its usage begin. Both keys are accepted meanwhile.',
    sweep:
      'Look at usage by key and project since the leak, and at the organization’s audit log where it is on: keys, service accounts, projects and invitations made. Files, vector stores, fine-tuned models, assistants and stored responses of the project can be read with it.',
    proof: 'Call GET /v1/models once with the old key: 401 with `invalid_api_key` means dead. A 429 for a spent budget is no proof.',
    survives: [
      'Files, batches and fine-tuning jobs begun with it.',
      'Keys and service accounts made with an admin key.',
      'What was spent.',
    ],
    holderNotices: 'At the next call, with a 401; a public one OpenAI may revoke by itself and mail about.',
    source: 'platform.openai.com: API key safety; Projects; Audit logs API',
    recalled: 'All of it: no organization was at hand to try it on.',
  },
  {
    kinds: ['manual.model-key', 'manual.huggingface-token'],
    marks: ['huggingface', 'cohere', 'mistral', 'groq', 'replicate', 'gemini', 'openrouter', 'perplexity', 'deepseek', 'llm'],
    system: 'a model API',
    identified: 'By its prefix where it has one; else by the account whose list of keys shows its name or last characters.',
    contain:
      'Turn the key off or revoke it in the account’s list of keys; where only its budget can be cut, cut it to nothing and say that it is not contained.',
    replace: 'Make a key with the fewest rights, a budget and an end date, store it where its users read it, and see its usage begin.',
    sweep:
      'Look at usage and cost by key since the leak, and for keys, members, models, datasets and spaces that were made, changed or read with it.',
    proof:
      'Make the smallest call that is free, such as listing models, once with the old key: 401 means dead. A 402 or 429 for a spent budget is no proof.',
    survives: [
      'Jobs begun with it, files and models read with it, and what was spent.',
      'Further keys made with it, where it may make some.',
    ],
    holderNotices: 'At the next call, with a 401.',
    source: 'the rules of the systems above, read for the general case',
    recalled: 'All of it: systems differ, and none was at hand.',
  },
  {
    kinds: ['manual.vault-token'],
    marks: ['vault', 'openbao', 'hashicorp'],
    system: 'Vault / OpenBao',
    identified:
      'By the prefix hvs., hvb. or hvr. (s., b. or r. of old). An administrator looks it up by its accessor; the audit log has its HMAC.',
    contain:
      'Look the token up by its accessor or in the audit log, and disable its entity if it has one: that stops all its tokens and can be undone.',
    replace: 'Let its user log in again, or make a new token with the same policies, and see it in the audit log.',
    sweep:
      'Read the audit log since the leak, by its HMAC and accessor: tokens created (orphans above all), secrets read, policies, roles and auth methods changed, audit devices turned off.',
    proof:
      'Revoke it by its accessor, then look it up with an administrator’s token: "bad token" means gone. A revocation of anything is answered with success.',
    survives: [
      'Orphan tokens it made, and tokens of other log-ins.',
      'Dynamic credentials whose lease is irrevocable.',
      'Everything it has read.',
    ],
    holderNotices: 'At the next call, with a 403.',
    source: 'openbao.org: Tokens',
  },
  {
    kinds: ['manual.github-token'],
    marks: ['github'],
    system: 'GitHub',
    identified:
      'By its prefix: ghp_, github_pat_, gho_, ghu_, ghs_, ghr_. The organization’s audit log names it by the base64 of its SHA-256.',
    contain:
      'Revoke the token in its owner’s settings, or hand it to GitHub’s revocation of leaked credentials, which needs no log-in and says yes to anything. Neither can be undone.',
    replace: 'Make a fine-grained token with an end date, or a GitHub App’s installation token, and see its users on it.',
    sweep:
      'Read the organization’s audit log by the token’s hash since the leak: repositories cloned, deploy and SSH keys, webhooks, runners, workflows, secrets, members and visibility changed.',
    proof: 'Call the API once with the old token: 401 means dead. The 202 of a revocation is no proof.',
    survives: ['Deploy keys, SSH keys, webhooks, runners and workflow secrets added with it.', 'What was cloned.'],
    takesAlong:
      'Deleting a token deletes deploy keys that were made with it. Revoking an app’s authorisation takes all its tokens of that user.',
    holderNotices: 'By mail, at once, and at the next call.',
    source: 'docs.github.com: Revoking leaked credentials',
  },
  {
    kinds: ['manual.stripe-key'],
    marks: ['stripe'],
    system: 'Stripe',
    identified: 'By the prefix sk_live_, rk_live_ (test: sk_test_). The dashboard lists keys by name and last characters.',
    contain:
      'Roll the key in the dashboard with immediate expiry. With a live key this stops payments until the new one is in place: ask who takes them first.',
    replace: 'Put the new key, restricted where it can be, into the store of the payment service, and see a payment go through.',
    sweep:
      'Read the dashboard’s request log by key since the leak: payouts, refunds, transfers, new bank accounts, endpoints and customers exported.',
    proof: 'Call GET /v1/balance once with the old key: 401 means dead.',
    survives: ['Webhook signing secrets, which are separate.', 'Payouts, refunds and endpoints made with it.'],
    takesAlong: 'Payments stop with it.',
    holderNotices: 'At the next call, with a 401.',
    source: 'docs.stripe.com: API keys; Rolling keys',
    recalled: 'All of it: no account was at hand to try it on.',
  },
  {
    kinds: ['manual.google-api-key'],
    marks: ['gcp', 'google', 'googlecloud'],
    system: 'Google Cloud',
    identified: 'An API key by AIza, an HMAC key by GOOG, a service account’s key by its JSON, which names the account and the key’s id.',
    contain:
      'Disable the service account’s key (`gcloud iam service-accounts keys disable`), which can be undone; delete an API key, which can be undone within 30 days.',
    replace: 'Move its users to workload identity, or make a new key, store it, and see them use it.',
    sweep:
      'Read the audit logs of its projects since the leak, by principalSubject and serviceAccountKeyName: keys, service accounts, bindings, instances made. Data access is logged only where it was turned on.',
    proof:
      'Ask for an access token once with the old key: `invalid_grant` means dead. An API key that was deleted may be accepted for up to half an hour.',
    survives: [
      'Access tokens made from it, for up to an hour and longer where extended.',
      'Tokens of service accounts that it impersonated.',
    ],
    takesAlong: 'Enabling an account again revives its tokens.',
    holderNotices: 'At the next token request.',
    source: 'cloud.google.com: Disable and enable service account keys; API keys',
  },
  {
    kinds: ['manual.private-key'],
    marks: ['private', 'privatekey', 'ssh', 'rsa', 'pem'],
    system: 'whatever trusts the key',
    identified: 'By its frame; its public half and fingerprint are made from it offline (`ssh-keygen -y`, `openssl pkey -pubout`).',
    contain:
      'Find where the public half is trusted (authorized_keys, deploy keys, certificates) and take it out of each. A certificate is revoked at its issuer.',
    replace: 'Make a new pair where it is used, so that the private half never travels, and have the public half trusted.',
    sweep:
      'Read the log-in logs of each place that trusted it since the leak, by the key’s fingerprint, and look for keys and accounts that were added there.',
    proof: 'Try to log in once with the old key at each place that trusted it, and see it refused.',
    survives: [
      'Sessions that are open.',
      'A certificate, for whoever does not look at revocations.',
      'What it signed and what was decrypted with it.',
    ],
    takesAlong: 'Nobody can list all the places that trust a key: name those you could not look at.',
    holderNotices: 'At the next log-in.',
    source: 'the manual pages of ssh-keygen and sshd; RFC 5280 on revocation',
  },
  {
    kinds: ['manual.database'],
    marks: ['postgres', 'postgresql', 'mysql', 'mongodb', 'redis', 'jdbc', 'sqlserver', 'database'],
    system: 'the database',
    identified: 'By the connection string around it: host, database and role.',
    contain: 'Forbid the role to log in (which can be undone) and end its open sessions.',
    replace:
      'Make a second role with the same rights, move its users, then drop the first; or change the password where an outage is agreed.',
    sweep: 'Read the database’s log since the leak, by role and address: dumps, large reads, roles, grants, functions and triggers made.',
    proof: 'Try to log in once with the old password and see it refused; list the sessions of the role and see none.',
    survives: [
      'An open session, which outlives a changed password.',
      'Roles, functions and triggers made with it, and copies of the data.',
    ],
    takesAlong: 'All that log in as the same role.',
    holderNotices: 'At the next log-in; at once where its session is ended.',
    source: 'postgresql.org: ALTER ROLE, pg_terminate_backend; the like of the others',
  },
];

/** The words for a kind that nobody has words for. */
export const general: Template = {
  kinds: [],
  marks: [],
  system: 'the system that accepts it',
  identified: 'Not at all: find out what accepts it first.',
  contain: 'Turn the credential off at the system that accepts it, together with everything made with it.',
  replace: 'Make a new one, store it where its users look for it, and see them use it.',
  sweep: 'Read that system’s logs since the leak: what was made, read, changed and left with it. Report each new credential found.',
  proof:
    'Try the old one once and see it refused, or have the system’s administrator show that it is gone. An answer of success to the removal is no proof.',
  survives: ['Sessions, tokens and keys made with it may live on, and what was read with it stays read.'],
  holderNotices: 'Not known.',
  source: 'what is true of nearly every system',
};

/** The words for a kind, e.g. `manual.slack-bot-token`; general ones for a kind that nothing is known of. */
export function templateFor(kind: string): Template {
  const parts = new Set(kind.toLowerCase().split(/[^a-z0-9]+/));
  const exact = templates.find((template) => template.kinds.includes(kind));
  return exact ?? templates.find((template) => template.marks.some((mark) => parts.has(mark))) ?? general;
}

/** Kinds for the manifest: nothing can be done about them here but in words, so that they have no `ways`. */
const manualKinds: readonly KindManifest[] = templates.map(({ kinds, system, identified, survives, holderNotices, takesAlong }) => ({
  kind: kinds[0] ?? 'manual',
  title: `A credential of ${system}, by hand`,
  // A secret that holds no identifier is named by its keyed fingerprint.
  locator: ['hmac'],
  identified,
  mints: [],
  overlap: 'unlimited',
  survives: [...survives],
  holderNotices,
  ...(takesAlong === undefined ? {} : { limits: [takesAlong] }),
}));

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
  kinds: manualKinds,
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
    byPerson(
      'see-new-use',
      'See that a consumer uses the new credential',
      'verify',
      'See {consumer} use the new credential, in the log of the system that accepts it.',
    ),
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
