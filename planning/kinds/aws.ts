import type { CredentialNode, CredentialRef } from '../../domain/credential.ts';
import type { KindKnowledge, Lever, Principal } from './kind.ts';

const ownArn = /^arn:aws[a-z-]*:iam::(\d{12}):(user|role)\/(?:[!-~]*\/)?([\w+=,.@-]{1,64})$/;

const onUser = (action: string, principal: Principal): Lever => ({
  action,
  target: { account: principal.account, user: principal.name },
  subject: principal.name,
  hold: principal.id,
});

const onRole = (action: string, principal: Principal): Lever => ({
  action,
  target: { account: principal.account, role: principal.name },
  subject: principal.name,
  hold: principal.id,
});

const onOne = (action: string, member: string, credential: CredentialNode, principal: Principal): Lever => {
  const id = credential.locator[member] ?? '';
  const named = member === 'user' ? {} : { [member]: id };
  return { action, target: { account: principal.account, user: principal.name, ...named }, subject: id };
};

/** What else a user may have, by its kind: the member of its locator that names it, and its levers. A console password, its login profile, has no status to be set. */
const classes: Readonly<Record<string, { readonly member: string; readonly disable: string | undefined; readonly remove: string }>> = {
  'aws.service-specific-credential': {
    member: 'serviceSpecificCredentialId',
    disable: 'disable-service-credential',
    remove: 'delete-service-credential',
  },
  'aws.signing-certificate': { member: 'certificateId', disable: 'disable-signing-certificate', remove: 'delete-signing-certificate' },
  'aws.ssh-key': { member: 'sshPublicKeyId', disable: 'disable-ssh-key', remove: 'delete-ssh-key' },
  'aws.login-profile': { member: 'user', disable: undefined, remove: 'delete-login-profile' },
};

/**
 * IAM users and their keys. Policies hit a whole user: AWS has no condition on an access key id, so only a key's status is about that key alone. Sessions of
 * GetSessionToken and GetFederationToken have the user's permissions looked up anew at each call, and so a deny on the user stops them; sessions of roles the
 * user assumed have the role's, and only what is put on the role does (AWS IAM User Guide, "Disabling permissions for temporary security credentials").
 */
export const aws = {
  provider: 'aws',
  actions: {
    disable: ['disable-key', 'disable-service-credential', 'disable-signing-certificate', 'disable-ssh-key'],
    remove: ['delete-key', 'delete-service-credential', 'delete-signing-certificate', 'delete-ssh-key', 'delete-login-profile'],
    deny: ['deny-principal'],
    liftDeny: ['lift-deny'],
    fence: ['fence-principal'],
    liftFence: ['lift-fence'],
    cutOff: ['cut-off-sessions', 'cut-off-role'],
    liftCutOff: ['lift-cut-off', 'lift-cut-off-role'],
    mint: ['mint-key'],
    watchNewUse: ['watch-new-use'],
    watchOldQuiet: ['watch-old-quiet'],
  },
  handles: () => true,
  // GetFederationToken and GetSessionToken last 36 hours at most (AWS STS API reference).
  longestChild: 129_600,
  principal(text: string | undefined, account: string): Principal | undefined {
    if (!text) return undefined;
    const arn = ownArn.exec(text);
    if (arn) return { id: text, account: arn[1] as string, name: arn[3] as string, kind: arn[2] as Principal['kind'] };
    if (!/^[\w+=,.@-]{1,64}$/.test(text)) return undefined;
    return { id: `arn:aws:iam::${account}:user/${text}`, account, name: text, kind: 'user' };
  },
  principalOf(_: CredentialRef, text: string | undefined, account: string): Principal | undefined {
    return this.principal(text, account);
  },
  standsAlone: (credential: CredentialNode) => credential.kind === 'aws.access-key' || Object.hasOwn(classes, credential.kind),
  isKey: (credential: CredentialNode) => credential.kind === 'aws.access-key',
  nameOf: (credential: CredentialRef) => credential.locator[classes[credential.kind]?.member ?? 'accessKeyId'] ?? '',
  madeBy: (credential: CredentialNode, made: Readonly<Record<string, string>>) =>
    made.accessKeyId !== undefined && made.accessKeyId === credential.locator.accessKeyId,
  stoppedBy(credential: CredentialNode): readonly string[] {
    // None of these has a time of issue that a cut-off could go by.
    if (credential.kind === 'aws.access-key' || Object.hasOwn(classes, credential.kind)) return ['deny-principal'];
    const via = credential.derivedVia;
    // A role's session, however it was come by, has the role's permissions; one of another account's role cannot be reached from here.
    if (/^AssumeRole|^GetScopedCredentials$/.test(via ?? '') && ownArn.exec(credential.principal ?? '')?.[2] === 'role')
      return ['cut-off-role'];
    // Whether credentials scoped down from a session carry its issue time or one of their own is not documented. A stamp later than their own covers both.
    if (via === 'GetSessionToken' || via === 'GetFederationToken' || via === 'GetScopedCredentials')
      return ['deny-principal', 'cut-off-sessions'];
    return [];
  },
  diesBy: () => [],
  // A login profile cannot be turned off, and is stopped with its user until somebody allows its removal.
  needsDeny: (credential: CredentialNode) => credential.kind === 'aws.access-key' || Object.hasOwn(classes, credential.kind),
  disable(credential: CredentialNode, principal: Principal): Lever | undefined {
    const { disable, member } = classes[credential.kind] ?? { disable: 'disable-key', member: 'accessKeyId' };
    return disable === undefined ? undefined : onOne(disable, member, credential, principal);
  },
  remove(credential: CredentialNode, principal: Principal): Lever {
    const { remove, member } = classes[credential.kind] ?? { remove: 'delete-key', member: 'accessKeyId' };
    return onOne(remove, member, credential, principal);
  },
  deny: (principal: Principal) => onUser('deny-principal', principal),
  liftDeny: (principal: Principal) => onUser('lift-deny', principal),
  fence: (principal: Principal) => onUser('fence-principal', principal),
  liftFence: (principal: Principal) => onUser('lift-fence', principal),
  // The narrower cut-off stands on when the deny goes.
  wakesFor: () => undefined,
  cutOff: (principal: Principal) => (principal.kind === 'role' ? onRole('cut-off-role', principal) : onUser('cut-off-sessions', principal)),
  liftCutOff: (principal: Principal) =>
    principal.kind === 'role' ? onRole('lift-cut-off-role', principal) : onUser('lift-cut-off', principal),
  mint: (principal: Principal, credential?: CredentialRef): Lever | undefined => {
    // Only an access key is replaced here; the other classes are by hand.
    if (credential && Object.hasOwn(classes, credential.kind)) return undefined;
    const { action, target, subject } = onUser('mint-key', principal);
    return { action, target, subject };
  },
  watchNewUse: (principal: Principal, consumer: string): Lever => ({
    action: 'watch-new-use',
    target: { account: principal.account, user: principal.name, consumer },
    subject: consumer,
  }),
  watchOldQuiet: (credential: CredentialNode, principal: Principal): Lever | undefined =>
    Object.hasOwn(classes, credential.kind) ? undefined : onOne('watch-old-quiet', 'accessKeyId', credential, principal),
} satisfies KindKnowledge;
