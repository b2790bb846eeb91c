import {
  DeleteServiceSpecificCredentialCommand,
  DeleteSigningCertificateCommand,
  DeleteSSHPublicKeyCommand,
  GetLoginProfileCommand,
  ListMFADevicesCommand,
  ListServiceSpecificCredentialsCommand,
  ListSigningCertificatesCommand,
  ListSSHPublicKeysCommand,
  UpdateServiceSpecificCredentialCommand,
  UpdateSigningCertificateCommand,
  UpdateSSHPublicKeyCommand,
} from '@aws-sdk/client-iam';
import { codeOf, fault } from '../../domain/errors.ts';
import { userExists } from './account.ts';
import type { Calls } from './api.ts';
import { isGone } from './errors.ts';

/** A credential of a user beside its access keys, as an administrator sees it. */
export interface Row {
  readonly id: string;
  readonly status: 'Active' | 'Inactive';
  /** ISO 8601. */
  readonly createdAt: string;
  /** ISO 8601; absent where it ends by nothing. */
  readonly expiresAt?: string;
  /** What else tells it apart: the service that it is for. */
  readonly service?: string;
}

/** A class of credentials that have an id and a status of their own. */
export interface CredentialClass {
  readonly kind: 'aws.service-specific-credential' | 'aws.signing-certificate' | 'aws.ssh-key';
  /** The member of locator and target that names one. */
  readonly member: 'serviceSpecificCredentialId' | 'certificateId' | 'sshPublicKeyId';
  /** What one is called in a sentence. */
  readonly noun: string;
  readonly actions: { readonly disable: string; readonly remove: string };
  /** A user's; undefined where there is no such user. */
  read(calls: Calls, user: string): Promise<readonly Row[] | undefined>;
  /** False where it or its user is gone. The user's name is always sent: without it AWS takes the caller's own. */
  setStatus(calls: Calls, user: string, id: string, status: Row['status']): Promise<boolean>;
  remove(calls: Calls, user: string, id: string): Promise<boolean>;
}

/** What is neither of the two words is taken for the one under which a credential is accepted. */
const statusOf = (text: string | undefined): Row['status'] => (text === 'Inactive' ? 'Inactive' : 'Active');
const timeOf = (date: Date | undefined): string => date?.toISOString() ?? '';

/** A list of a user's things, every page of it; undefined where there is no such user, as these calls name a user and nothing else. */
async function listed<T>(
  ask: (marker: string | undefined) => Promise<{ readonly items: readonly T[]; readonly next: string | undefined }>,
): Promise<readonly T[] | undefined> {
  const all: T[] = [];
  let marker: string | undefined;
  try {
    do {
      const page = await ask(marker);
      all.push(...page.items);
      if (page.next !== undefined && page.next === marker) throw fault('provider.uncertain', { said: 'a page that leads to itself' });
      marker = page.next;
    } while (marker !== undefined);
    return all;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

const paged = (marker: string | undefined) => (marker === undefined ? {} : { Marker: marker });
const nextOf = (answer: { IsTruncated?: boolean | undefined; Marker?: string | undefined }) =>
  answer.IsTruncated ? answer.Marker : undefined;

/** Passwords of CodeCommit and Keyspaces, long-lived API keys of Bedrock and its like. */
export const serviceCredentials: CredentialClass = {
  kind: 'aws.service-specific-credential',
  member: 'serviceSpecificCredentialId',
  noun: 'service-specific credential',
  actions: { disable: 'disable-service-credential', remove: 'delete-service-credential' },
  read: (calls, user) =>
    listed(async (marker) => {
      const answer = await calls.read('iam:ListServiceSpecificCredentials', (aws, options) =>
        aws.iam().send(new ListServiceSpecificCredentialsCommand({ UserName: user, ...paged(marker) }), options),
      );
      const items = (answer.ServiceSpecificCredentials ?? []).map((each): Row => {
        const expires = (each as { ExpirationDate?: Date }).ExpirationDate;
        return {
          id: each.ServiceSpecificCredentialId ?? '',
          status: statusOf(each.Status),
          createdAt: timeOf(each.CreateDate),
          ...(expires ? { expiresAt: timeOf(expires) } : {}),
          ...(each.ServiceName ? { service: each.ServiceName } : {}),
        };
      });
      return { items, next: nextOf(answer) };
    }),
  setStatus: (calls, user, id, status) =>
    calls.writeIfThere('iam:UpdateServiceSpecificCredential', (iam) =>
      iam.send(new UpdateServiceSpecificCredentialCommand({ UserName: user, ServiceSpecificCredentialId: id, Status: status })),
    ),
  remove: (calls, user, id) =>
    calls.writeIfThere('iam:DeleteServiceSpecificCredential', (iam) =>
      iam.send(new DeleteServiceSpecificCredentialCommand({ UserName: user, ServiceSpecificCredentialId: id })),
    ),
};

export const signingCertificates: CredentialClass = {
  kind: 'aws.signing-certificate',
  member: 'certificateId',
  noun: 'signing certificate',
  actions: { disable: 'disable-signing-certificate', remove: 'delete-signing-certificate' },
  read: (calls, user) =>
    listed(async (marker) => {
      const answer = await calls.read('iam:ListSigningCertificates', (aws, options) =>
        aws.iam().send(new ListSigningCertificatesCommand({ UserName: user, ...paged(marker) }), options),
      );
      const items = (answer.Certificates ?? []).map((each) => ({
        id: each.CertificateId ?? '',
        status: statusOf(each.Status),
        createdAt: timeOf(each.UploadDate),
      }));
      return { items, next: nextOf(answer) };
    }),
  setStatus: (calls, user, id, status) =>
    calls.writeIfThere('iam:UpdateSigningCertificate', (iam) =>
      iam.send(new UpdateSigningCertificateCommand({ UserName: user, CertificateId: id, Status: status })),
    ),
  remove: (calls, user, id) =>
    calls.writeIfThere('iam:DeleteSigningCertificate', (iam) =>
      iam.send(new DeleteSigningCertificateCommand({ UserName: user, CertificateId: id })),
    ),
};

/** Keys for CodeCommit. */
export const sshKeys: CredentialClass = {
  kind: 'aws.ssh-key',
  member: 'sshPublicKeyId',
  noun: 'SSH key',
  actions: { disable: 'disable-ssh-key', remove: 'delete-ssh-key' },
  read: (calls, user) =>
    listed(async (marker) => {
      const answer = await calls.read('iam:ListSSHPublicKeys', (aws, options) =>
        aws.iam().send(new ListSSHPublicKeysCommand({ UserName: user, ...paged(marker) }), options),
      );
      const items = (answer.SSHPublicKeys ?? []).map((each) => ({
        id: each.SSHPublicKeyId ?? '',
        status: statusOf(each.Status),
        createdAt: timeOf(each.UploadDate),
      }));
      return { items, next: nextOf(answer) };
    }),
  setStatus: (calls, user, id, status) =>
    calls.writeIfThere('iam:UpdateSSHPublicKey', (iam) =>
      iam.send(new UpdateSSHPublicKeyCommand({ UserName: user, SSHPublicKeyId: id, Status: status })),
    ),
  remove: (calls, user, id) =>
    calls.writeIfThere('iam:DeleteSSHPublicKey', (iam) => iam.send(new DeleteSSHPublicKeyCommand({ UserName: user, SSHPublicKeyId: id }))),
};

export const classes: readonly CredentialClass[] = [serviceCredentials, signingCertificates, sshKeys];

/** A user's console password. */
export interface LoginProfile {
  /** ISO 8601. */
  readonly createdAt: string;
  readonly resetRequired: boolean;
}

/** A user's console password: `none`, or `no-user` where there is nobody to have one. */
export async function readLoginProfile(calls: Calls, user: string): Promise<LoginProfile | 'none' | 'no-user'> {
  const profile = await profileOf(calls, user);
  if (profile) return profile;
  // NoSuchEntity is said of a missing user and of a missing profile alike.
  return (await userExists(calls, user)) ? 'none' : 'no-user';
}

async function profileOf(calls: Calls, user: string): Promise<LoginProfile | undefined> {
  try {
    const { LoginProfile: profile } = await calls.read('iam:GetLoginProfile', (aws, options) =>
      aws.iam().send(new GetLoginProfileCommand({ UserName: user }), options),
    );
    return { createdAt: timeOf(profile?.CreateDate), resetRequired: profile?.PasswordResetRequired === true };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** All that a user can be let in by, beside its access keys. Nothing of it is touched where a key is turned off. */
export interface Held {
  /** By kind; a class that could not be read is not among them. */
  readonly rows: ReadonlyMap<CredentialClass['kind'], readonly Row[]>;
  readonly profile?: LoginProfile;
  /** Serial numbers. A device lets nobody in by itself; a new one keeps a thief's password good. */
  readonly devices?: readonly { readonly serial: string; readonly enabledAt: string }[];
  /** Classes that could not be read, each with why. */
  readonly unread: readonly string[];
}

/** Enumerates all of them, always: what is not looked at is said to be unread, and never taken for none. */
export async function readHeld(calls: Calls, user: string): Promise<Held> {
  const unread: string[] = [];
  const tried = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const code = codeOf(error);
      // What we may not read stays unread; only a provider that does not answer is worth another try of the whole look.
      if (code !== 'provider.denied' && code !== 'provider.unsupported') throw error;
      unread.push(`${what} of ${user}: ${code}`);
      return undefined;
    }
  };
  const rows = new Map<CredentialClass['kind'], readonly Row[]>();
  const [profile, devices] = await Promise.all([
    tried('login profile', () => profileOf(calls, user)),
    tried('multi-factor devices', () =>
      listed(async (marker) => {
        const answer = await calls.read('iam:ListMFADevices', (aws, options) =>
          aws.iam().send(new ListMFADevicesCommand({ UserName: user, ...paged(marker) }), options),
        );
        const items = (answer.MFADevices ?? []).map((each) => ({ serial: each.SerialNumber ?? '', enabledAt: timeOf(each.EnableDate) }));
        return { items, next: nextOf(answer) };
      }),
    ),
    ...classes.map(async (each) => {
      const found = await tried(`${each.noun}s`, () => each.read(calls, user));
      if (found) rows.set(each.kind, found);
    }),
  ]);
  return {
    rows,
    ...(profile ? { profile } : {}),
    ...(devices ? { devices } : {}),
    unread: unread.sort(),
  };
}
