import {
  CreateLoginProfileCommand,
  CreateServiceSpecificCredentialCommand,
  CreateUserCommand,
  DeleteUserCommand,
  EnableMFADeviceCommand,
  PutUserPolicyCommand,
  UpdateLoginProfileCommand,
  UploadSigningCertificateCommand,
  UploadSSHPublicKeyCommand,
} from '@aws-sdk/client-iam';
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../domain/credential.ts';
import { stepKey } from '../../domain/plan.ts';
import { certificates, sshKey } from '../lab-aws/uploads.ts';
import { certificate, practicePassword, serviceCredential, uploadedKey } from './harnesses.ts';
import { everything, practice, refusalOf, until } from './practice.ts';
import { lookAt, stepOf } from './steps.ts';

const user = 'ci-deployer';

describe('a look at a leaked key', () => {
  it('enumerates every class of credential that its user has, and brings what is wanted to turn each off', async () => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user);
      const ids = {
        serviceSpecificCredentialId: await serviceCredential(world, user),
        certificateId: await certificate(world, user, 0, 'Inactive'),
        sshPublicKeyId: await uploadedKey(world, user),
      };
      await world.admin.iam.send(new CreateLoginProfileCommand({ UserName: user, Password: practicePassword }));
      const SerialNumber = `arn:aws:iam::${world.account}:mfa/thief`;
      const codes = { AuthenticationCode1: '111111', AuthenticationCode2: '222222' };
      await world.admin.iam.send(new EnableMFADeviceCommand({ UserName: user, SerialNumber, ...codes }));
      const connection = await world.connect();
      const { finding, befores, evidence } = await connection.look(lookAt(leaked.accessKeyId));
      const of = (kind: string, locator: Record<string, string>) =>
        finding.graph.nodes.find((node) => node.id === nodeId({ kind, locator }))?.credential;
      const { serviceSpecificCredentialId, certificateId, sshPublicKeyId } = ids;
      expect(of('aws.service-specific-credential', { serviceSpecificCredentialId })).toMatchObject({
        status: 'Active',
        live: { state: 'yes' },
        principal: `arn:aws:iam::${world.account}:user/${user}`,
      });
      // Off, and for how long is not known by one look.
      expect(of('aws.signing-certificate', { certificateId })).toMatchObject({ status: 'Inactive', live: { state: 'unknown' } });
      expect(of('aws.ssh-key', { sshPublicKeyId })?.live.state).toBe('yes');
      expect(of('aws.login-profile', { user })?.live.state).toBe('yes');
      const { account } = world;
      expect(befores[stepKey('aws/disable-service-credential', { account, user, serviceSpecificCredentialId })]).toMatchObject({
        status: 'Active',
        service: 'bedrock.amazonaws.com',
      });
      expect(befores[stepKey('aws/disable-signing-certificate', { account, user, certificateId })]).toMatchObject({ status: 'Inactive' });
      expect(befores[stepKey('aws/disable-ssh-key', { account, user, sshPublicKeyId })]).toMatchObject({ status: 'Active' });
      expect(evidence.otherCredentials).toMatchObject({
        multiFactorDevices: [{ serial: SerialNumber, enabledAt: expect.stringMatching(/Z$/) }],
      });
      expect(JSON.stringify([finding, evidence])).not.toContain(practicePassword);
    } finally {
      await world.close();
    }
  });

  it('draws what the leak made of each class from the log, a user’s of its making among them, and suspects what nobody is seen to have made', async () => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user, everything);
      await world.alive(leaked);
      const thief = world.as(leaked).iam;
      const since = new Date(Date.now() - 1000).toISOString();
      await until(
        'the thief is let through',
        () => refusalOf(() => thief.send(new CreateUserCommand({ UserName: 'BedrockAPIKey-x1' }))),
        (said) => said === 'ok',
      );
      const bedrock = new CreateServiceSpecificCredentialCommand({ UserName: 'BedrockAPIKey-x1', ServiceName: 'bedrock.amazonaws.com' });
      const made = {
        key: (await thief.send(bedrock)).ServiceSpecificCredential?.ServiceSpecificCredentialId ?? '',
        certificate:
          (await thief.send(new UploadSigningCertificateCommand({ UserName: user, CertificateBody: certificates[0] }))).Certificate
            ?.CertificateId ?? '',
        ssh:
          (await thief.send(new UploadSSHPublicKeyCommand({ UserName: user, SSHPublicKeyBody: sshKey() }))).SSHPublicKey?.SSHPublicKeyId ??
          '',
      };
      await thief.send(new CreateLoginProfileCommand({ UserName: user, Password: practicePassword }));
      // By somebody else, in the same hour.
      const other = await serviceCredential(world, user);
      const connection = await world.connect();
      const containedAt = new Date().toISOString();
      const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', since, containedAt }));
      const root = `aws.access-key:${leaked.accessKeyId}`;
      const derived = (kind: string, id: string, via: string) => {
        const node = finding.graph.nodes.find((each) => each.id === `${kind}:${id}`);
        expect(node?.credential, `${kind} ${id}`).toMatchObject({ derivedVia: via, live: { state: 'yes' } });
        expect(finding.graph.edges.some((edge) => edge.kind === 'derives' && edge.from === root && edge.to === node?.id)).toBe(true);
        expect(finding.descendants).toContain(node?.id);
      };
      derived('aws.service-specific-credential', made.key, 'CreateServiceSpecificCredential');
      derived('aws.signing-certificate', made.certificate, 'UploadSigningCertificate');
      derived('aws.ssh-key', made.ssh, 'UploadSSHPublicKey');
      derived('aws.login-profile', user, 'CreateLoginProfile');
      const stray = finding.graph.nodes.find((node) => node.id === `aws.service-specific-credential:${other}`);
      expect(stray?.provenance.confidence).toBe('suspected');
      expect(finding.descendants).not.toContain(stray?.id);
      expect(finding.swept.state).toBe('yes');
    } finally {
      await world.close();
    }
  });

  it('counts a password that the leak has set as the leak’s, though the call answers nothing', async () => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user, everything);
      await world.makeUser('colleague', '');
      await world.admin.iam.send(new CreateLoginProfileCommand({ UserName: 'colleague', Password: practicePassword }));
      await world.control.advance(5_000);
      await world.alive(leaked);
      const set = new UpdateLoginProfileCommand({ UserName: 'colleague', Password: `${practicePassword}2` });
      await until(
        'the thief is let through',
        () => refusalOf(() => world.as(leaked).iam.send(set)),
        (said) => said === 'ok',
      );
      const connection = await world.connect();
      const { finding } = await until(
        'the log has it',
        () => connection.look(lookAt(leaked.accessKeyId, { depth: 'full' })),
        (looked) => looked.finding.descendants.length > 0,
      );
      expect(finding.descendants).toEqual(['aws.login-profile:colleague']);
    } finally {
      await world.close();
    }
  });

  it('has swept nothing where a class may not be read', async () => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user);
      const half = await world.makeUser('half-blind', everything);
      const deny = { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 'iam:ListSSHPublicKeys', Resource: '*' }] };
      await world.admin.iam.send(
        new PutUserPolicyCommand({ UserName: 'half-blind', PolicyName: 'blind', PolicyDocument: JSON.stringify(deny) }),
      );
      await world.alive(half);
      const connection = await world.connect(half);
      const containedAt = new Date().toISOString();
      const { finding, evidence } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full', containedAt }));
      expect(finding.swept).toMatchObject({ state: 'unknown', why: expect.stringContaining('SSH keys of ci-deployer: provider.denied') });
      expect(evidence.otherCredentials).toMatchObject({ unread: ['SSH keys of ci-deployer: provider.denied'] });
      // And the doctor had foretold it.
      const examined = await connection.examine?.({ principals: [user], signal: new AbortController().signal });
      expect(examined?.find(({ what }) => what === 'permissions that the actions need')?.observation).toMatchObject({
        state: 'no',
        evidence: expect.stringMatching(/^iam:ListSSHPublicKeys \([^)]*every look\)$/),
      });
    } finally {
      await world.close();
    }
  });
});

describe('an action on a class of credentials', () => {
  it('deletes nothing that is on, and says whether the user or the credential is gone', async () => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user);
      const id = await serviceCredential(world, user);
      const connection = await world.connect();
      const target = { account: world.account, user, serviceSpecificCredentialId: id };
      const remove = stepOf(connection, 'delete-service-credential', target);
      expect(await refusalOf(async () => remove.apply(await remove.capture()))).toBe('provider.conflict');
      const other = stepOf(connection, 'disable-service-credential', { ...target, serviceSpecificCredentialId: 'ACCAEXAMPLE0000000001' });
      expect(await other.apply(await other.capture())).toMatchObject({ outcome: 'absent', facts: { gone: 'service-specific credential' } });
      const nobody = stepOf(connection, 'disable-service-credential', { ...target, user: 'nobody' });
      expect(await nobody.apply(await nobody.capture())).toMatchObject({ outcome: 'absent', facts: { gone: 'user' } });
      const profile = stepOf(connection, 'delete-login-profile', { account: world.account, user: 'nobody' });
      expect(await profile.apply(await profile.capture())).toMatchObject({ outcome: 'absent', facts: { gone: 'user' } });
      const none = stepOf(connection, 'delete-login-profile', { account: world.account, user });
      expect(await none.apply(await none.capture())).toMatchObject({ outcome: 'absent', facts: { gone: 'login profile' } });
      expect(leaked.accessKeyId).toMatch(/^AKIA/);
    } finally {
      await world.close();
    }
  });

  it('takes no password away that was set after the capture, and waits where AWS says that a fresh one holds still', async () => {
    const world = await practice();
    try {
      await world.makeUser(user);
      const connection = await world.connect();
      const step = stepOf(connection, 'delete-login-profile', { account: world.account, user });
      const none = await step.capture();
      await world.admin.iam.send(new CreateLoginProfileCommand({ UserName: user, Password: practicePassword }));
      expect(await refusalOf(() => step.apply(none))).toBe('provider.conflict');
      const before = await step.capture();
      expect(await refusalOf(() => step.apply(before))).toBe('provider.unavailable');
      await world.control.advance(3_000);
      expect((await step.apply(before)).outcome).toBe('changed');
      expect((await step.probe(before)).observation.state).toBe('yes');
      expect((await step.apply(before)).outcome).toBe('absent');
      // What is left is no more in the way of anybody who takes the user apart.
      expect(await refusalOf(() => world.admin.iam.send(new DeleteUserCommand({ UserName: user })))).not.toBe('ok');
    } finally {
      await world.close();
    }
  });
});
