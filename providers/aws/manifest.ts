import type { KindManifest, ProviderManifest, Way } from '../../domain/manifest.ts';

const hour = 3_600;
const readKeys = ['iam:ListAccessKeys'];
const readUser = ['iam:GetUser'];
const readPolicy = ['iam:GetUserPolicy', 'iam:GetUser'];
const readRole = ['iam:GetRolePolicy', 'iam:GetRole'];
/** Asked once per connection, so that no step touches the principal the engine itself is; it needs no permission and no policy can deny it. */
const self = ['sts:GetCallerIdentity'];

/** What a person would type: the engine's own documents, in policies.ts, bear a mark of the step besides. */
const hold = `'{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'`;
const cutOff = `'{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"<a minute after the key was dead, in UTC>"}}}]}'`;

/** The same for a fence; `IfExists` and the negations deny what cannot be told. */
const fence = `'{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":[<networks of the consumers, as AWS sees them>]},"BoolIfExists":{"aws:ViaAWSService":"false","aws:PrincipalIsAWSService":"false"}}}]}'`;

const onUser = (action: string): Way => ({ action, target: { account: '{account}', user: '{principal}' }, subject: '{principal}' });
const onKey = (action: string): Way => ({
  action,
  target: { account: '{account}', user: '{principal}', accessKeyId: '{accessKeyId}' },
  subject: '{accessKeyId}',
});

const onOne = (action: string, member: string): Way => ({
  action,
  target: { account: '{account}', user: '{principal}', [member]: `{${member}}` },
  subject: `{${member}}`,
});

/** What a key of a user with rights over IAM can make besides keys; each is ended by itself, and the log shows the making. */
const made = (
  [
    ['aws.service-specific-credential', 'CreateServiceSpecificCredential', ['disable-service-credential', 'delete-service-credential']],
    ['aws.signing-certificate', 'UploadSigningCertificate', ['disable-signing-certificate', 'delete-signing-certificate']],
    ['aws.ssh-key', 'UploadSSHPublicKey', ['disable-ssh-key', 'delete-ssh-key']],
    ['aws.login-profile', 'CreateLoginProfile', ['delete-login-profile']],
    ['aws.login-profile', 'UpdateLoginProfile', ['delete-login-profile']],
  ] as const
).map(([kind, via, killedBy]) => ({ kind, via, logged: 'always', maxLife: 'unlimited', killedBy }) as const);

/** What is put on a user, and takes all that acts with its permissions along. */
const userWays = {
  deny: onUser('deny-principal'),
  liftDeny: onUser('lift-deny'),
  cutOff: onUser('cut-off-sessions'),
  liftCutOff: onUser('lift-cut-off'),
} satisfies KindManifest['ways'];

/** IAM User Guide, "IAM identifiers": a name is unique in its account, whatever its path. */
const user = {
  pattern: '^arn:aws[a-z-]*:iam::(?<account>\\d{12}):user/(?:[!-~]*/)?(?<name>[\\w+=,.@-]{1,64})$',
  id: 'arn:aws:iam::{account}:user/{name}',
};

/** Nothing is sent to anybody. What a holder sees is what its calls answer. */
const refusedCalls =
  'Its calls are refused from some seconds after; AWS tells nobody, and any caller may read its own status where it still may read IAM.';

export const manifest: ProviderManifest = {
  name: 'aws',
  title: 'Amazon Web Services',
  kinds: [
    {
      kind: 'aws.access-key',
      title: 'access key of an IAM user',
      locator: ['accessKeyId'],
      identified:
        'Offline by its id: `AKIA…`, in which the account number is written (ids whose fifth letter is I or J are older and do not say it). Its user by `GetAccessKeyLastUsed`; that AWS answers this for a deleted or a foreign key is not documented, and then nothing is concluded.',
      mints: [
        {
          kind: 'aws.session',
          via: 'GetSessionToken',
          logged: 'always',
          maxLife: 36 * hour,
          killedBy: ['deny-principal', 'cut-off-sessions'],
        },
        {
          kind: 'aws.session',
          via: 'GetFederationToken',
          logged: 'always',
          maxLife: 36 * hour,
          killedBy: ['deny-principal', 'cut-off-sessions'],
        },
        // A role's session has the role's permissions: nothing that is put on the user reaches it, and what is put on the role hits all who act as it.
        { kind: 'aws.session', via: 'AssumeRole', logged: 'always', maxLife: 12 * hour, killedBy: ['cut-off-role'] },
        { kind: 'aws.access-key', via: 'CreateAccessKey', logged: 'always', maxLife: 'unlimited', killedBy: ['disable-key', 'delete-key'] },
        ...made,
      ],
      overlap: 2,
      survives: [
        'Sessions of `GetSessionToken` and `GetFederationToken`, up to 36 hours: ended by a deny or a cut-off on the user, never by the key.',
        'Sessions of roles that it assumed, up to 12 hours, chained ones up to 1 hour each: ended by a cut-off on each role, in this account only.',
        'Console sessions that were made of a federation token, as long as that token: ended by a deny or a cut-off on the user.',
        'Other credentials of the same user, and users, roles and keys that it made: each of its own.',
        'Web identity tokens of `GetWebIdentityToken`, which others verify offline: until they expire.',
      ],
      holderNotices: refusedCalls,
      limits: [
        'Two keys a user, those that are off included; AWS raises it for nobody.',
        'A key that is off is accepted for some seconds yet, and a new one may not be for up to 15.',
        'There is no policy condition on an access key id: what is put on the user hits all that acts as it.',
        'All inline policies of a user together: 2048 characters without white space. A user whose own fill that up can be neither denied nor fenced before one is moved.',
      ],
      principal: user,
      // A fence stops whoever is outside it, and so not every holder: it is no full containment and stands in no `stoppedBy`.
      stoppedBy: ['deny-principal'],
      ways: {
        disable: onKey('disable-key'),
        remove: onKey('delete-key'),
        ...userWays,
        mint: onUser('mint-key'),
        watchNewUse: {
          action: 'watch-new-use',
          target: { account: '{account}', user: '{principal}', consumer: '{consumer}' },
          subject: '{consumer}',
        },
        watchOldQuiet: onKey('watch-old-quiet'),
      },
    },
    {
      kind: 'aws.session',
      title: 'temporary credentials of the security token service',
      locator: ['accessKeyId'],
      identified:
        'Offline by its id: `ASIA…`, with the account number in it. Whose it is, only the log says: the event whose answer holds that id. Older than the log is read, it stays without an owner.',
      mints: [
        { kind: 'aws.session', via: 'AssumeRole', logged: 'always', maxLife: 1 * hour, killedBy: ['cut-off-role'] },
        { kind: 'aws.session', via: 'GetScopedCredentials', logged: 'always', maxLife: 36 * hour, killedBy: ['deny-principal'] },
      ],
      overlap: 'unlimited',
      survives: [
        'It cannot be ended, only denied: whatever stops it has to stand until it expires.',
        'Sessions that it assumed: each has its role’s permissions and a life of its own.',
      ],
      holderNotices:
        'Its calls are refused from some seconds after a deny or a cut-off; `GetCallerIdentity` goes on answering. Others of the same role have to assume it anew.',
      limits: [
        'Whether credentials scoped down from a session bear its issue time or their own is not documented: a cut-off is stamped again after the sweep.',
        'Roles of services and of Identity Center cannot be cut off from here.',
      ],
      principal: user,
      stoppedBy: ['deny-principal', 'cut-off-sessions', 'cut-off-role'],
      ways: userWays,
    },
    {
      kind: 'aws.service-specific-credential',
      title: 'service-specific credential of an IAM user, long-lived API keys of Bedrock among them',
      locator: ['serviceSpecificCredentialId'],
      identified:
        'By its id `ACCA…` in the listing of its user, or of all users at once. A Bedrock API key (`ABSK…`) says its alias and account to whoever decodes it; that form is not documented and nothing rests on it.',
      mints: [],
      overlap: 2,
      survives: [
        'Every other credential of the user.',
        'Short-lived Bedrock API keys, up to 12 hours: they come of a session, and are stopped with it.',
      ],
      holderNotices: refusedCalls,
      limits: [
        'Two for each service of a user; a service is not limited by another.',
        'Bedrock API keys travel in a header and are in no log: the log shows who made one and what was called, never which key.',
      ],
      principal: user,
      stoppedBy: ['deny-principal'],
      ways: {
        disable: onOne('disable-service-credential', 'serviceSpecificCredentialId'),
        remove: onOne('delete-service-credential', 'serviceSpecificCredentialId'),
        deny: userWays.deny,
        liftDeny: userWays.liftDeny,
      },
    },
    {
      kind: 'aws.signing-certificate',
      title: 'X.509 signing certificate of an IAM user',
      locator: ['certificateId'],
      identified: 'By its id in the listing of its user; only the public half is ever known to AWS.',
      mints: [],
      overlap: 2,
      survives: ['Every other credential of the user.'],
      holderNotices: refusedCalls,
      limits: ['Two a user, those that are off included.'],
      principal: user,
      stoppedBy: ['deny-principal'],
      ways: {
        disable: onOne('disable-signing-certificate', 'certificateId'),
        remove: onOne('delete-signing-certificate', 'certificateId'),
        deny: userWays.deny,
        liftDeny: userWays.liftDeny,
      },
    },
    {
      kind: 'aws.ssh-key',
      title: 'SSH key of an IAM user, for CodeCommit',
      locator: ['sshPublicKeyId'],
      identified: 'By its id `APKA…` in the listing of its user, or by the MD5 fingerprint of its public half.',
      mints: [],
      overlap: 5,
      survives: ['Every other credential of the user.', 'What was pushed with it, and clones that were made.'],
      holderNotices: refusedCalls,
      limits: ['Five a user, those that are off included.'],
      principal: user,
      stoppedBy: ['deny-principal'],
      ways: {
        disable: onOne('disable-ssh-key', 'sshPublicKeyId'),
        remove: onOne('delete-ssh-key', 'sshPublicKeyId'),
        deny: userWays.deny,
        liftDeny: userWays.liftDeny,
      },
    },
    {
      kind: 'aws.login-profile',
      title: 'console password of an IAM user',
      locator: ['user'],
      identified: 'By the name of its user; a user has one or none. The password itself can be asked for nowhere.',
      // A console session is a session of its own, of which the log shows the sign-in and not the credentials: it stands in `survives`.
      mints: [],
      overlap: 1,
      survives: [
        'A console session that is open: it has temporary credentials of its own, which a deny or a cut-off on the user stops.',
        'Multi-factor devices that were added, and every other credential of the user.',
      ],
      holderNotices: 'The console refuses the next sign-in, and with a deny every page.',
      limits: [
        'There is no turning it off: what can be taken back is a deny on the user. A deleted password cannot be put back; the user gets a new one.',
        'A profile that was made a moment ago cannot be changed yet (`EntityTemporarilyUnmodifiable`): it is tried again.',
      ],
      principal: user,
      stoppedBy: ['deny-principal'],
      ways: {
        remove: { action: 'delete-login-profile', target: { account: '{account}', user: '{principal}' }, subject: '{principal}' },
        ...userWays,
      },
    },
  ],
  actions: [
    {
      name: 'disable-key',
      title: 'disable access key {accessKeyId} of {user}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: [...readKeys, ...readUser, 'iam:UpdateAccessKey', ...self],
      byHand: 'aws iam update-access-key --user-name {user} --access-key-id {accessKeyId} --status Inactive',
      byHandUndo: 'aws iam update-access-key --user-name {user} --access-key-id {accessKeyId} --status Active',
      source: 'IAM API reference, UpdateAccessKey: without UserName it acts on the key of the caller, so the name is always sent',
    },
    {
      name: 'fence-principal',
      title: 'deny {user} everything from outside the declared networks',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [...readPolicy, ...readKeys, 'iam:PutUserPolicy', 'iam:DeleteUserPolicy', ...self],
      byHand: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-fence --policy-document ${fence}`,
      byHandUndo:
        'only with the sessions cut off before it (cut-off-sessions): aws iam delete-user-policy --user-name {user} --policy-name tourniquet-fence',
      source: 'IAM User Guide, "AWS: Denies access to AWS based on the source IP" and "Global condition context keys"',
    },
    {
      name: 'lift-fence',
      title: 'let {user} in from everywhere again',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'fence-principal',
      permissions: [...readPolicy, ...readKeys, 'iam:DeleteUserPolicy', 'iam:PutUserPolicy', ...self],
      byHand: 'aws iam delete-user-policy --user-name {user} --policy-name tourniquet-fence',
      byHandUndo: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-fence --policy-document ${fence}`,
      source:
        'IAM API reference, DeleteUserPolicy; a session minted from outside while the fence stood lives on beneath it for up to 36 hours',
    },
    {
      name: 'deny-principal',
      title: 'deny {user} everything',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [...readPolicy, ...readKeys, 'iam:PutUserPolicy', 'iam:DeleteUserPolicy', ...self],
      byHand: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-hold --policy-document ${hold}`,
      byHandUndo:
        'only with the sessions cut off before it (cut-off-sessions): aws iam delete-user-policy --user-name {user} --policy-name tourniquet-hold',
      source: 'IAM User Guide, "Disabling permissions for temporary security credentials"',
    },
    {
      name: 'lift-deny',
      title: 'give {user} its permissions back',
      phase: 'distribute',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'deny-principal',
      permissions: [...readPolicy, ...readKeys, 'iam:DeleteUserPolicy', 'iam:PutUserPolicy', ...self],
      byHand: 'aws iam delete-user-policy --user-name {user} --policy-name tourniquet-hold',
      byHandUndo: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-hold --policy-document ${hold}`,
      source: 'IAM API reference, DeleteUserPolicy; a session minted before the deny lives on beneath it for up to 36 hours',
    },
    {
      name: 'cut-off-sessions',
      title: 'cut off the sessions of {user}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [...readPolicy, ...readKeys, 'iam:PutUserPolicy', 'iam:DeleteUserPolicy', ...self],
      byHand: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-cutoff --policy-document ${cutOff}`,
      byHandUndo: 'after 36 hours and not before: aws iam delete-user-policy --user-name {user} --policy-name tourniquet-cutoff',
      source: 'IAM User Guide, "Revoking IAM role temporary security credentials": the same statement, on a user',
    },
    {
      name: 'lift-cut-off',
      title: 'lift the cut-off from {user}',
      phase: 'watch',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'cut-off-sessions',
      permissions: [...readPolicy, 'iam:DeleteUserPolicy', 'iam:PutUserPolicy', ...self],
      byHand: 'aws iam delete-user-policy --user-name {user} --policy-name tourniquet-cutoff',
      byHandUndo: `aws iam put-user-policy --user-name {user} --policy-name tourniquet-cutoff --policy-document ${cutOff}`,
      source: 'STS API reference, GetFederationToken and GetSessionToken: DurationSeconds up to 129600',
    },
    {
      name: 'cut-off-role',
      title: 'cut off the sessions of role {role}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'principal',
      permissions: [...readRole, 'iam:PutRolePolicy', 'iam:DeleteRolePolicy', ...self],
      byHand: `aws iam put-role-policy --role-name {role} --policy-name tourniquet-cutoff --policy-document ${cutOff}`,
      byHandUndo:
        "once the role's MaxSessionDuration has passed and not before: aws iam delete-role-policy --role-name {role} --policy-name tourniquet-cutoff",
      source: 'IAM User Guide, "Revoking IAM role temporary security credentials"',
    },
    {
      name: 'lift-cut-off-role',
      title: 'lift the cut-off from role {role}',
      phase: 'watch',
      reversibility: 'reversible',
      scope: 'principal',
      lifts: 'cut-off-role',
      permissions: [...readRole, 'iam:DeleteRolePolicy', 'iam:PutRolePolicy', ...self],
      byHand: 'aws iam delete-role-policy --role-name {role} --policy-name tourniquet-cutoff',
      byHandUndo: `aws iam put-role-policy --role-name {role} --policy-name tourniquet-cutoff --policy-document ${cutOff}`,
      source: 'STS API reference, AssumeRole: DurationSeconds up to the MaxSessionDuration of the role',
    },
    {
      name: 'mint-key',
      title: 'make a new access key for {user}',
      phase: 'mint',
      reversibility: 'reversible',
      scope: 'credential',
      mints: true,
      permissions: [...readKeys, 'iam:CreateAccessKey', 'iam:UpdateAccessKey', 'iam:DeleteAccessKey', 'cloudtrail:LookupEvents', ...self],
      byHand: 'aws iam create-access-key --user-name {user}',
      byHandUndo: 'aws iam delete-access-key --user-name {user} --access-key-id <the id of the key that was made>',
      source: 'IAM API reference, CreateAccessKey: no idempotency token, the secret is shown once, two keys a user',
    },
    {
      name: 'delete-key',
      title: 'delete access key {accessKeyId} of {user}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'AWS keeps neither the key nor when it was last used, and will not make the same key again',
      scope: 'credential',
      permissions: [...readKeys, ...readUser, 'iam:GetAccessKeyLastUsed', 'iam:DeleteAccessKey', ...self],
      byHand: 'aws iam delete-access-key --user-name {user} --access-key-id {accessKeyId}',
      source: 'IAM API reference, DeleteAccessKey',
    },
    {
      name: 'disable-service-credential',
      title: 'disable service-specific credential {serviceSpecificCredentialId} of {user}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['iam:ListServiceSpecificCredentials', ...readUser, 'iam:UpdateServiceSpecificCredential', ...self],
      byHand:
        'aws iam update-service-specific-credential --user-name {user} --service-specific-credential-id {serviceSpecificCredentialId} --status Inactive',
      byHandUndo:
        'aws iam update-service-specific-credential --user-name {user} --service-specific-credential-id {serviceSpecificCredentialId} --status Active',
      source:
        'IAM API reference, UpdateServiceSpecificCredential: without UserName it acts on what the caller has, so the name is always sent',
    },
    {
      name: 'delete-service-credential',
      title: 'delete service-specific credential {serviceSpecificCredentialId} of {user}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'AWS shows its secret once and will not make the same again',
      scope: 'credential',
      permissions: ['iam:ListServiceSpecificCredentials', ...readUser, 'iam:DeleteServiceSpecificCredential', ...self],
      byHand:
        'aws iam delete-service-specific-credential --user-name {user} --service-specific-credential-id {serviceSpecificCredentialId}',
      source: 'IAM API reference, DeleteServiceSpecificCredential',
    },
    {
      name: 'disable-signing-certificate',
      title: 'disable signing certificate {certificateId} of {user}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['iam:ListSigningCertificates', ...readUser, 'iam:UpdateSigningCertificate', ...self],
      byHand: 'aws iam update-signing-certificate --user-name {user} --certificate-id {certificateId} --status Inactive',
      byHandUndo: 'aws iam update-signing-certificate --user-name {user} --certificate-id {certificateId} --status Active',
      source: 'IAM API reference, UpdateSigningCertificate: without UserName it acts on what the caller has, so the name is always sent',
    },
    {
      name: 'delete-signing-certificate',
      title: 'delete signing certificate {certificateId} of {user}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'its id is gone with it; the same certificate can be uploaded again only by whoever has it, under another id',
      scope: 'credential',
      permissions: ['iam:ListSigningCertificates', ...readUser, 'iam:DeleteSigningCertificate', ...self],
      byHand: 'aws iam delete-signing-certificate --user-name {user} --certificate-id {certificateId}',
      source: 'IAM API reference, DeleteSigningCertificate',
    },
    {
      name: 'disable-ssh-key',
      title: 'disable SSH key {sshPublicKeyId} of {user}',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['iam:ListSSHPublicKeys', ...readUser, 'iam:UpdateSSHPublicKey', ...self],
      byHand: 'aws iam update-ssh-public-key --user-name {user} --ssh-public-key-id {sshPublicKeyId} --status Inactive',
      byHandUndo: 'aws iam update-ssh-public-key --user-name {user} --ssh-public-key-id {sshPublicKeyId} --status Active',
      source: 'IAM API reference, UpdateSSHPublicKey: without UserName it acts on what the caller has, so the name is always sent',
    },
    {
      name: 'delete-ssh-key',
      title: 'delete SSH key {sshPublicKeyId} of {user}',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'its id, which is the user name of every clone, is gone with it',
      scope: 'credential',
      permissions: ['iam:ListSSHPublicKeys', ...readUser, 'iam:DeleteSSHPublicKey', ...self],
      byHand: 'aws iam delete-ssh-public-key --user-name {user} --ssh-public-key-id {sshPublicKeyId}',
      source: 'IAM API reference, DeleteSSHPublicKey',
    },
    {
      name: 'delete-login-profile',
      title: 'take the console password of {user} away',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'AWS gives a password back to nobody: the user gets another one',
      scope: 'credential',
      permissions: ['iam:GetLoginProfile', ...readUser, 'iam:DeleteLoginProfile', ...self],
      byHand: 'aws iam delete-login-profile --user-name {user}',
      source: 'IAM API reference, DeleteLoginProfile: it ends no session, and access keys go on working',
    },
    {
      name: 'tag-user',
      title: 'mark {user} as under investigation',
      phase: 'contain',
      reversibility: 'reversible',
      // It hits nothing: a tag stops nobody, unless a policy of the account's own speaks of it.
      scope: 'none',
      permissions: ['iam:ListUserTags', 'iam:TagUser', 'iam:UntagUser', ...self],
      byHand: 'aws iam tag-user --user-name {user} --tags Key=tourniquet:under-investigation,Value=<the incident>',
      byHandUndo:
        'aws iam untag-user --user-name {user} --tag-keys tourniquet:under-investigation, or, where the tag had a value before, tag-user with that value',
      source: 'IAM API reference, TagUser, UntagUser, ListUserTags; a tag of the same key is replaced',
    },
    {
      name: 'watch-new-use',
      title: 'see {consumer} use the new key of {user}',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      permissions: ['cloudtrail:LookupEvents', ...self],
      byHand: 'aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue=<the new key id>',
      source: 'CloudTrail API reference, LookupEvents',
    },
    {
      name: 'watch-old-quiet',
      title: 'see that access key {accessKeyId} of {user} has gone quiet',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      permissions: ['cloudtrail:LookupEvents', ...self],
      byHand: 'aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue={accessKeyId}',
      source: 'CloudTrail API reference, LookupEvents',
    },
  ],
  // What looking, checking and knowing itself read, and what the doctor asks of IAM's own simulator.
  reads: [
    'iam:GetAccessKeyLastUsed',
    'iam:ListAccessKeys',
    'iam:GetUser',
    'iam:ListUsers',
    'iam:ListUserPolicies',
    'iam:GetUserPolicy',
    'iam:ListAttachedUserPolicies',
    'iam:ListGroupsForUser',
    'iam:ListGroupPolicies',
    'iam:GetGroupPolicy',
    'iam:ListAttachedGroupPolicies',
    'iam:GetPolicy',
    'iam:GetPolicyVersion',
    'iam:ListServiceSpecificCredentials',
    'iam:ListSigningCertificates',
    'iam:ListSSHPublicKeys',
    'iam:GetLoginProfile',
    'iam:ListMFADevices',
    'iam:SimulatePrincipalPolicy',
    'cloudtrail:LookupEvents',
    ...self,
  ],
  // AWS says "a few minutes" for policies and names no figure for keys; 3 to 4 seconds have been measured for both, and up to 15 until a new key is known.
  propagationMs: 15_000,
  logs: [
    {
      source: 'cloudtrail',
      // CloudTrail User Guide: events are there "typically within an average of about 5 minutes", which is not guaranteed; up to 15 are reported.
      usualLagMs: 15 * 60_000,
      reachDays: 90,
      blind: [
        'data events, such as reads of S3 objects and invocations of Lambda functions',
        'calls that did not authenticate, such as those with a disabled key',
        'Regions that the account entry does not name',
      ],
    },
  ],
  links: [
    'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html',
    'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html',
    'https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html',
  ],
};
