import { createHash, X509Certificate } from 'node:crypto';
import { type Call, type Operations, page } from './call.ts';
import { onPrincipal, put, subject } from './iam-principals.ts';
import { suffix, uniqueId } from './identifiers.ts';
import { entityExists, limitExceeded, noSuchEntity, Refusal } from './refusal.ts';
import type { Upload, User } from './state.ts';
import type { Answer } from './xml.ts';

/** IAM User Guide, "IAM and AWS STS quotas". */
const certificateQuota = 2;
const sshKeyQuota = 5;

const onUser = onPrincipal('User');

/** One of a user's uploads; another user's counts as none. */
function uploadOf(of: 'signingCertificates' | 'sshKeys', user: User, id: string, what: string): Upload {
  const found = user[of]?.find((each) => each.id === id);
  if (found === undefined) throw noSuchEntity(`The ${what} with id ${id} cannot be found.`);
  return found;
}

function update(call: Call, user: User, upload: Upload): Answer {
  const status = call.oneOf('Status', ['Active', 'Inactive']);
  if (upload.status === status) return {};
  upload.status = status;
  put(call, 'User', user);
  return {};
}

function remove(call: Call, of: 'signingCertificates' | 'sshKeys', user: User, upload: Upload): Answer {
  user[of] = (user[of] ?? []).filter((each) => each !== upload);
  put(call, 'User', user);
  return {};
}

const certificateAnswer = (user: User, upload: Upload): Answer => ({
  UserName: user.name,
  CertificateId: upload.id,
  CertificateBody: upload.body,
  Status: upload.status,
  UploadDate: new Date(upload.createdAt),
});

const theCertificate = (call: Call, user: User) => uploadOf('signingCertificates', user, call.text('CertificateId'), 'Certificate');

/** X.509 certificates that sign requests of the oldest services. What is uploaded is the public half, and no secret. */
const signingCertificates: Operations = {
  UploadSigningCertificate: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const body = call.text('CertificateBody');
      let certificate: X509Certificate;
      try {
        certificate = new X509Certificate(body);
      } catch {
        throw new Refusal('MalformedCertificate', 400, 'Unable to parse certificate. Please ensure the certificate is in PEM format.');
      }
      if (Date.parse(certificate.validTo) < call.now) throw new Refusal('InvalidCertificate', 400, 'The certificate has expired.');
      const all = [...call.world.state.tables.users.values()].flatMap((each) => each.signingCertificates ?? []);
      if (user.signingCertificates?.some((each) => each.body === body)) throw entityExists('The Certificate already exists for this user.');
      if (all.some((each) => each.body === body))
        throw new Refusal('DuplicateCertificate', 409, 'The same certificate is associated with an IAM user in the account.');
      if ((user.signingCertificates ?? []).length >= certificateQuota)
        throw limitExceeded(`Cannot exceed quota for CertificatesPerUser: ${certificateQuota}`);
      const upload: Upload = {
        id: suffix(32, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'),
        body,
        status: 'Active',
        createdAt: call.now,
      };
      user.signingCertificates = [...(user.signingCertificates ?? []), upload];
      put(call, 'User', user);
      call.made = upload.id;
      return { Certificate: certificateAnswer(user, upload) };
    },
  },
  ListSigningCertificates: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const { items, tail } = page(call, user.signingCertificates ?? []);
      return { Certificates: items.map((each) => certificateAnswer(user, each)), ...tail };
    },
  },
  UpdateSigningCertificate: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      return update(call, user, theCertificate(call, user));
    },
  },
  DeleteSigningCertificate: {
    mutates: true,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      return remove(call, 'signingCertificates', user, theCertificate(call, user));
    },
  },
};

/** MD5 of the key's bytes in pairs, as IAM writes it. */
const fingerprint = (body: string): string =>
  (
    createHash('md5')
      .update(Buffer.from(body.split(' ')[1] ?? '', 'base64'))
      .digest('hex')
      .match(/../g) ?? []
  ).join(':');

const theKey = (call: Call, user: User) => uploadOf('sshKeys', user, call.text('SSHPublicKeyId'), 'Public Key');

/** SSH keys for CodeCommit; these calls name their user always, and take the caller for nobody. */
const sshKeys: Operations = {
  UploadSSHPublicKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      call.text('UserName');
      const user = subject(call);
      const body = call.text('SSHPublicKeyBody').trim();
      if (!/^ssh-rsa [A-Za-z0-9+/]{80,}={0,2}( .*)?$/.test(body))
        throw new Refusal('InvalidPublicKey', 400, 'The public key is invalid. It must be of type ssh-rsa.');
      const key = body.split(' ').slice(0, 2).join(' ');
      if (user.sshKeys?.some((each) => each.body === key))
        throw new Refusal('DuplicateSSHPublicKey', 400, 'The SSH public key is already associated with the specified IAM user.');
      if ((user.sshKeys ?? []).length >= sshKeyQuota) throw limitExceeded(`Cannot exceed quota for SSHPublicKeysPerUser: ${sshKeyQuota}`);
      const upload: Upload = { id: uniqueId('APKA'), body: key, status: 'Active', createdAt: call.now };
      user.sshKeys = [...(user.sshKeys ?? []), upload];
      put(call, 'User', user);
      call.made = upload.id;
      return {
        SSHPublicKey: {
          UserName: user.name,
          SSHPublicKeyId: upload.id,
          Fingerprint: fingerprint(key),
          SSHPublicKeyBody: key,
          Status: upload.status,
          UploadDate: new Date(upload.createdAt),
        },
      };
    },
  },
  GetSSHPublicKey: {
    mutates: false,
    need: onUser,
    run: (call) => {
      call.text('UserName');
      const user = subject(call);
      const upload = theKey(call, user);
      if (call.oneOf('Encoding', ['SSH', 'PEM']) === 'PEM')
        throw new Refusal('UnrecognizedPublicKeyEncoding', 400, 'The simulator keeps keys in the encoding SSH only.');
      return {
        SSHPublicKey: {
          UserName: user.name,
          SSHPublicKeyId: upload.id,
          Fingerprint: fingerprint(upload.body),
          SSHPublicKeyBody: upload.body,
          Status: upload.status,
          UploadDate: new Date(upload.createdAt),
        },
      };
    },
  },
  ListSSHPublicKeys: {
    mutates: false,
    need: onUser,
    run: (call) => {
      const user = subject(call);
      const { items, tail } = page(call, user.sshKeys ?? []);
      const SSHPublicKeys = items.map((each) => ({
        UserName: user.name,
        SSHPublicKeyId: each.id,
        Status: each.status,
        UploadDate: new Date(each.createdAt),
      }));
      return { SSHPublicKeys, ...tail };
    },
  },
  UpdateSSHPublicKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      call.text('UserName');
      const user = subject(call);
      return update(call, user, theKey(call, user));
    },
  },
  DeleteSSHPublicKey: {
    mutates: true,
    need: onUser,
    run: (call) => {
      call.text('UserName');
      const user = subject(call);
      return remove(call, 'sshKeys', user, theKey(call, user));
    },
  },
};

/** What a user has uploaded the public half of. */
export const uploadOperations: Operations = { ...signingCertificates, ...sshKeys };
