import {
  CreateLoginProfileCommand,
  CreateServiceSpecificCredentialCommand,
  CreateUserCommand,
  DeactivateMFADeviceCommand,
  DeleteLoginProfileCommand,
  DeleteServiceSpecificCredentialCommand,
  DeleteSigningCertificateCommand,
  DeleteSSHPublicKeyCommand,
  DeleteUserCommand,
  EnableMFADeviceCommand,
  GetLoginProfileCommand,
  GetSSHPublicKeyCommand,
  ListMFADevicesCommand,
  ListServiceSpecificCredentialsCommand,
  ListSigningCertificatesCommand,
  ListSSHPublicKeysCommand,
  ResetServiceSpecificCredentialCommand,
  UpdateLoginProfileCommand,
  UpdateServiceSpecificCredentialCommand,
  UpdateSigningCertificateCommand,
  UpdateSSHPublicKeyCommand,
  UploadSigningCertificateCommand,
  UploadSSHPublicKeyCommand,
} from '@aws-sdk/client-iam';
import { describe, expect, it } from 'vitest';
import { certificates, sshKey } from './uploads.ts';
import { outcome, practice } from './world.ts';

const UserName = 'u';

describe('each class of a user’s credentials has a life of its own:', () => {
  it('a signing certificate is uploaded, turned off and on, and deleted, two a user', async () => {
    await using lab = await practice();
    await lab.iam.send(new CreateUserCommand({ UserName }));
    await lab.iam.send(new CreateUserCommand({ UserName: 'v' }));
    const upload = (CertificateBody: string, name = UserName) =>
      lab.iam.send(new UploadSigningCertificateCommand({ UserName: name, CertificateBody }));
    const [one, two, three] = certificates;
    const CertificateId = (await upload(one)).Certificate?.CertificateId ?? '';
    expect(CertificateId).toMatch(/^[A-Z2-7]{24,128}$/);
    expect(await outcome(upload(one))).toBe('EntityAlreadyExistsException');
    expect(await outcome(upload(one, 'v'))).toBe('DuplicateCertificateException');
    expect(await outcome(upload('none'))).toBe('MalformedCertificateException');
    await upload(two);
    expect(await outcome(upload(three))).toBe('LimitExceededException');
    const set = (Status: 'Active' | 'Inactive', id = CertificateId) =>
      outcome(lab.iam.send(new UpdateSigningCertificateCommand({ UserName, CertificateId: id, Status })));
    const status = async () =>
      (await lab.iam.send(new ListSigningCertificatesCommand({ UserName }))).Certificates?.find(
        (each) => each.CertificateId === CertificateId,
      )?.Status;
    expect([await set('Inactive'), await set('Inactive'), await status()]).toEqual(['ok', 'ok', 'Inactive']);
    expect([await set('Active'), await status()]).toEqual(['ok', 'Active']);
    expect(await set('Active', 'A'.repeat(32))).toBe('NoSuchEntityException');
    expect(await outcome(lab.iam.send(new DeleteUserCommand({ UserName })))).toBe('DeleteConflictException');
    const remove = () => outcome(lab.iam.send(new DeleteSigningCertificateCommand({ UserName, CertificateId })));
    expect([await remove(), await remove(), await status()]).toEqual(['ok', 'NoSuchEntityException', undefined]);
  });

  it('an SSH key is uploaded, turned off and on, and deleted, five a user, and its user is always named', async () => {
    await using lab = await practice();
    await lab.iam.send(new CreateUserCommand({ UserName }));
    const upload = (SSHPublicKeyBody: string) => lab.iam.send(new UploadSSHPublicKeyCommand({ UserName, SSHPublicKeyBody }));
    const first = sshKey();
    const made = (await upload(`${first} somebody@somewhere`)).SSHPublicKey;
    const SSHPublicKeyId = made?.SSHPublicKeyId ?? '';
    expect(SSHPublicKeyId).toMatch(/^APKA/);
    expect(made?.Fingerprint).toMatch(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
    expect(await outcome(upload(first))).toBe('DuplicateSSHPublicKeyException');
    expect(await outcome(upload('ssh-ed25519 AAAA'))).toBe('InvalidPublicKeyException');
    for (let i = 0; i < 4; i++) await upload(sshKey());
    expect(await outcome(upload(sshKey()))).toBe('LimitExceededException');
    const one = await lab.iam.send(new GetSSHPublicKeyCommand({ UserName, SSHPublicKeyId, Encoding: 'SSH' }));
    expect(one.SSHPublicKey?.SSHPublicKeyBody).toBe(first);
    const set = (Status: 'Active' | 'Inactive') =>
      outcome(lab.iam.send(new UpdateSSHPublicKeyCommand({ UserName, SSHPublicKeyId, Status })));
    const listed = async () => (await lab.iam.send(new ListSSHPublicKeysCommand({ UserName }))).SSHPublicKeys?.map((each) => each.Status);
    expect([await set('Inactive'), (await listed())?.[0]]).toEqual(['ok', 'Inactive']);
    expect([await set('Active'), (await listed())?.[0]]).toEqual(['ok', 'Active']);
    const remove = () => outcome(lab.iam.send(new DeleteSSHPublicKeyCommand({ UserName, SSHPublicKeyId })));
    expect([await remove(), await remove(), await set('Active'), (await listed())?.length]).toEqual([
      'ok',
      'NoSuchEntityException',
      'NoSuchEntityException',
      4,
    ]);
  });

  it('a service’s credential is a password, or for Bedrock one key that may end by itself; all users’ can be listed at once', async () => {
    await using lab = await practice();
    for (const name of [UserName, 'v']) await lab.iam.send(new CreateUserCommand({ UserName: name }));
    const create = (ServiceName: string, name = UserName, CredentialAgeDays?: number) =>
      lab.iam.send(
        new CreateServiceSpecificCredentialCommand({
          UserName: name,
          ServiceName,
          ...(CredentialAgeDays === undefined ? {} : { CredentialAgeDays }),
        }),
      );
    const git = (await create('codecommit.amazonaws.com')).ServiceSpecificCredential;
    expect([git?.ServicePassword !== undefined, git?.ServiceCredentialSecret]).toEqual([true, undefined]);
    const bedrock = (await create('bedrock.amazonaws.com', 'v', 30)).ServiceSpecificCredential;
    expect([bedrock?.ServicePassword, bedrock?.ServiceCredentialSecret !== undefined]).toEqual([undefined, true]);
    expect(bedrock?.ExpirationDate).toBeInstanceOf(Date);
    expect(await outcome(create('codecommit.amazonaws.com', 'v', 30))).not.toBe('ok');
    const all = await lab.iam.send(new ListServiceSpecificCredentialsCommand({ AllUsers: true, ServiceName: 'bedrock.amazonaws.com' }));
    expect(all.ServiceSpecificCredentials?.map((each) => each.UserName)).toEqual(['v']);
    const both = new ListServiceSpecificCredentialsCommand({ AllUsers: true, UserName });
    expect(await outcome(lab.iam.send(both))).toBe('InvalidInputException');
    const own = { UserName, ServiceSpecificCredentialId: git?.ServiceSpecificCredentialId };
    expect(await outcome(lab.iam.send(new UpdateServiceSpecificCredentialCommand({ ...own, Status: 'Inactive' })))).toBe('ok');
    const stranger = { ...own, ServiceSpecificCredentialId: bedrock?.ServiceSpecificCredentialId };
    expect(await outcome(lab.iam.send(new UpdateServiceSpecificCredentialCommand({ ...stranger, Status: 'Inactive' })))).toBe(
      'NoSuchEntityException',
    );
    const reset = (await lab.iam.send(new ResetServiceSpecificCredentialCommand(own))).ServiceSpecificCredential;
    expect(reset?.ServicePassword).not.toBe(git?.ServicePassword);
    expect(await outcome(lab.iam.send(new DeleteServiceSpecificCredentialCommand(own)))).toBe('ok');
    expect(await outcome(lab.iam.send(new DeleteServiceSpecificCredentialCommand(own)))).toBe('NoSuchEntityException');
    // The secret stands in the answer, and neither in the account nor in its log.
    const kept = JSON.stringify([await lab.ctl.world(), await lab.ctl.events()]);
    for (const secret of [git?.ServicePassword, reset?.ServicePassword, bedrock?.ServiceCredentialSecret])
      expect(kept).not.toContain(secret);
  });

  it('a multi-factor device is enabled for one user alone, listed, and deactivated', async () => {
    await using lab = await practice();
    for (const name of [UserName, 'v']) await lab.iam.send(new CreateUserCommand({ UserName: name }));
    const SerialNumber = `arn:aws:iam::${lab.accountId}:mfa/phone`;
    const enable = (name: string, second = '222222') =>
      outcome(
        lab.iam.send(
          new EnableMFADeviceCommand({ UserName: name, SerialNumber, AuthenticationCode1: '111111', AuthenticationCode2: second }),
        ),
      );
    expect(await enable(UserName, '111111')).toBe('InvalidAuthenticationCodeException');
    expect([await enable(UserName), await enable(UserName), await enable('v')]).toEqual([
      'ok',
      'EntityAlreadyExistsException',
      'EntityAlreadyExistsException',
    ]);
    const listed = async () => (await lab.iam.send(new ListMFADevicesCommand({ UserName }))).MFADevices ?? [];
    expect((await listed()).map((each) => [each.SerialNumber, each.EnableDate instanceof Date])).toEqual([[SerialNumber, true]]);
    expect(await outcome(lab.iam.send(new DeleteUserCommand({ UserName })))).toBe('DeleteConflictException');
    const off = () => outcome(lab.iam.send(new DeactivateMFADeviceCommand({ UserName, SerialNumber })));
    expect([await off(), await off(), await listed()]).toEqual(['ok', 'NoSuchEntityException', []]);
  });

  it('a login profile is made and deleted and never turned off, and a fresh one holds still', async () => {
    await using lab = await practice();
    await lab.iam.send(new CreateUserCommand({ UserName }));
    await lab.iam.send(new CreateLoginProfileCommand({ UserName, Password: 'practice-Passw0rd' }));
    const remove = () => outcome(lab.iam.send(new DeleteLoginProfileCommand({ UserName })));
    expect(await remove()).toBe('EntityTemporarilyUnmodifiableException');
    expect(await outcome(lab.iam.send(new UpdateLoginProfileCommand({ UserName, PasswordResetRequired: true })))).toBe(
      'EntityTemporarilyUnmodifiableException',
    );
    await lab.ctl.advance(3000);
    expect([await remove(), await remove()]).toEqual(['ok', 'NoSuchEntityException']);
    expect(await outcome(lab.iam.send(new GetLoginProfileCommand({ UserName })))).toBe('NoSuchEntityException');
  });
});
