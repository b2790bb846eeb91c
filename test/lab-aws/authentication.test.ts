import { connect } from 'node:net';
import { LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  ListUsersCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { accountOf } from '../../lab/aws/identifiers.ts';
import { send, whoAmI } from './signer.ts';
import { everything, makeUser, outcome, pair, practice } from './world.ts';

const who = new GetCallerIdentityCommand({});
const list = new ListSecretsCommand({});
const code = (body: string) => /<Code>(.*?)<\/Code>/.exec(body)?.[1] ?? /"__type":"(.*?)"/.exec(body)?.[1] ?? 'ok';

describe('authentication', () => {
  it('tells a wrong secret from an unknown key, and answers an unknown key alike on every service', async () => {
    await using lab = await practice();
    const wrong = lab.as({ ...lab.admin, secretAccessKey: 'x'.repeat(40) });
    const unknown = lab.as({ accessKeyId: 'AKIAQQQQQQQQQQQQQQQQ', secretAccessKey: 'x' });
    expect(await outcome(wrong.sts.send(who))).toBe('SignatureDoesNotMatch');
    expect(await outcome(wrong.sm.send(list))).toBe('InvalidSignatureException');
    expect(await outcome(unknown.sts.send(who))).toBe('InvalidClientTokenId');
    expect(await outcome(unknown.iam.send(new ListUsersCommand({})))).toBe('InvalidClientTokenId');
    expect(await outcome(unknown.sm.send(list))).toBe('InvalidClientTokenId');
    expect(await outcome(unknown.trail.send(new LookupEventsCommand({})))).toBe('InvalidClientTokenId');
  });

  it('refuses what was changed after it was signed, or not signed at all', async () => {
    await using lab = await practice();
    const ask = async (raw: Partial<typeof whoAmI>) => code((await send(lab.endpoint, lab.admin, { ...whoAmI, ...raw })).body);
    expect(await ask({})).toBe('ok');
    expect(
      await ask({
        tamper: (r) => {
          r.body += '&X=1';
        },
      }),
    ).toBe('SignatureDoesNotMatch');
    expect(
      await ask({
        tamper: (r) => {
          r.query.X = '1';
        },
      }),
    ).toBe('SignatureDoesNotMatch');
    expect(
      await ask({
        tamper: (r) => {
          r.headers['x-amz-extra'] = '1';
        },
      }),
    ).toBe('SignatureDoesNotMatch');
    expect(await ask({ headers: { ...whoAmI.headers, 'x-amz-meta': 'a' }, unsigned: ['x-amz-meta'] })).toBe('SignatureDoesNotMatch');
    expect(await ask({ service: 'iam' })).toBe('SignatureDoesNotMatch');
    expect(await ask({ region: 'mars-north-1' })).toBe('SignatureDoesNotMatch');
    expect(await ask({ tamper: (r) => void delete r.headers.authorization })).toBe('MissingAuthenticationToken');
    expect(
      await ask({
        tamper: (r) => {
          r.headers.authorization = 'AWS4-HMAC-SHA256 nothing';
        },
      }),
    ).toBe('IncompleteSignature');
    expect(await ask({ headers: { ...whoAmI.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })).toBe('ok');
  });

  it('refuses a signature that is too old or too early by the machine clock', async () => {
    await using lab = await practice();
    const ask = async (at: number) => code((await send(lab.endpoint, lab.admin, { ...whoAmI, at })).body);
    expect(await ask(Date.now() - 4 * 60_000)).toBe('ok');
    expect(await ask(Date.now() - 6 * 60_000)).toBe('SignatureDoesNotMatch');
    expect(await ask(Date.now() + 6 * 60_000)).toBe('SignatureDoesNotMatch');
    expect(await ask(Date.now() + 24 * 3_600_000)).toBe('SignatureDoesNotMatch');
  });

  it('accepts a presigned request while it lasts', async () => {
    await using lab = await practice();
    const raw = { service: 'sts', method: 'GET', query: { Action: 'GetCallerIdentity', Version: '2011-06-15' }, presign: 600 };
    expect((await send(lab.endpoint, lab.admin, raw)).status).toBe(200);
    expect((await send(lab.endpoint, lab.admin, { ...raw, at: Date.now() - 9 * 60_000 })).status).toBe(200);
    expect(code((await send(lab.endpoint, lab.admin, { ...raw, at: Date.now() - 11 * 60_000 })).body)).toBe('SignatureDoesNotMatch');
    expect(
      code(
        (
          await send(lab.endpoint, lab.admin, {
            ...raw,
            tamper: (r) => {
              r.query['X-Amz-Expires'] = '9999';
            },
          })
        ).body,
      ),
    ).toBe('SignatureDoesNotMatch');
  });

  it('binds a session to its token', async () => {
    await using lab = await practice();
    const session = pair((await lab.sts.send(new GetSessionTokenCommand({}))).Credentials);
    expect(await outcome(lab.as(session).sm.send(list))).toBe('ok');
    expect(await outcome(lab.as({ accessKeyId: session.accessKeyId, secretAccessKey: session.secretAccessKey }).sm.send(list))).toBe(
      'InvalidClientTokenId',
    );
    expect(await outcome(lab.as({ ...session, sessionToken: `${session.sessionToken}x` }).sm.send(list))).toBe('InvalidClientTokenId');
    expect(await outcome(lab.as({ ...lab.admin, sessionToken: session.sessionToken ?? '' }).sm.send(list))).toBe('InvalidClientTokenId');
  });

  it('lets a session expire by the simulated clock, and stock clients go on after it has moved 36 hours', async () => {
    await using lab = await practice();
    const session = pair((await lab.sts.send(new GetSessionTokenCommand({ DurationSeconds: 129_600 }))).Credentials);
    const as = lab.as(session);
    expect(await outcome(as.sm.send(list))).toBe('ok');
    await lab.ctl.advance(129_601_000);
    expect(await outcome(as.sm.send(list))).toBe('ExpiredTokenException');
    expect(await outcome(as.sts.send(who))).toBe('ExpiredToken');
    // The SDK has now corrected its clock by our Date header, and signs by the simulated time.
    for (let i = 0; i < 3; i++) expect(await outcome(lab.sts.send(who))).toBe('ok');
    expect(await outcome(lab.as(lab.admin).sts.send(who))).toBe('ok');
  });

  it('makes keys whose account can be read offline', async () => {
    await using lab = await practice({ accountId: '001234567890' });
    const key = await makeUser(lab, 'offline');
    expect(accountOf(key.accessKeyId)).toBe('001234567890');
    expect('QRSTUVWXYZ234567').toContain(key.accessKeyId.charAt(4));
    expect(accountOf('AKIAISVKZZZZZZZZZZZZ')).toBeUndefined();
  });
});

describe('propagation', () => {
  it('leaves a disabled key alive, and a new one unknown, until it has passed', async () => {
    await using lab = await practice();
    const old = await makeUser(lab, 'slow');
    await lab.ctl.setTiming({ authenticationPropagationMs: 60_000, authorizationPropagationMs: 120_000 });
    await lab.ctl.advance(120_000);
    await lab.iam.send(new UpdateAccessKeyCommand({ UserName: 'slow', AccessKeyId: old.accessKeyId, Status: 'Inactive' }));
    const fresh = pair((await lab.iam.send(new CreateAccessKeyCommand({ UserName: 'slow' }))).AccessKey);
    expect(await outcome(lab.as(old).sts.send(who))).toBe('ok');
    expect(await outcome(lab.as(fresh).sts.send(who))).toBe('InvalidClientTokenId');
    await lab.ctl.advance(60_000);
    expect(await outcome(lab.as(old).sts.send(who))).toBe('InvalidClientTokenId');
    expect(await outcome(lab.as(fresh).sts.send(who))).toBe('ok');
    await lab.iam.send(new DeleteAccessKeyCommand({ UserName: 'slow', AccessKeyId: old.accessKeyId }));
    expect(await outcome(lab.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: old.accessKeyId })))).toBe('NoSuchEntityException');
  });

  it('delays authorisation apart from authentication', async () => {
    await using lab = await practice();
    await lab.ctl.setTiming({ authorizationPropagationMs: 60_000 });
    const key = await makeUser(lab, 'late');
    expect(await outcome(lab.as(key).sts.send(who))).toBe('ok');
    expect(await outcome(lab.as(key).iam.send(new ListUsersCommand({})))).toBe('AccessDenied');
    await lab.ctl.advance(60_000);
    expect(await outcome(lab.as(key).iam.send(new ListUsersCommand({})))).toBe('ok');
  });
});

describe('what sessions may not do', () => {
  it('keeps session-token and federation sessions out of IAM and most of STS', async () => {
    await using lab = await practice();
    const token = lab.as(pair((await lab.sts.send(new GetSessionTokenCommand({}))).Credentials));
    const fed = lab.as(pair((await lab.sts.send(new GetFederationTokenCommand({ Name: 'fed', Policy: everything }))).Credentials));
    for (const s of [token, fed]) {
      expect(await outcome(s.iam.send(new ListUsersCommand({})))).toBe('InvalidClientTokenId');
      expect(await outcome(s.sts.send(new GetSessionTokenCommand({})))).toBe('AccessDenied');
      expect(await outcome(s.sts.send(new GetFederationTokenCommand({ Name: 'more' })))).toBe('AccessDenied');
      expect(await outcome(s.sts.send(who))).toBe('ok');
      expect(await outcome(s.sm.send(list))).toBe('ok');
    }
  });

  it('gives a federation session without a policy nothing, and a console session IAM', async () => {
    await using lab = await practice();
    const bare = pair((await lab.sts.send(new GetFederationTokenCommand({ Name: 'bare' }))).Credentials);
    expect(await outcome(lab.as(bare).sm.send(list))).toBe('AccessDeniedException');
    const fed = pair((await lab.sts.send(new GetFederationTokenCommand({ Name: 'console', Policy: everything }))).Credentials);
    await lab.ctl.makeConsoleSession(fed.accessKeyId);
    expect(await outcome(lab.as(fed).iam.send(new CreateUserCommand({ UserName: 'by-console' })))).toBe('ok');
  });
});

describe('the server', () => {
  it('takes a client that leaves in the middle of a request for no defect, and goes on', async () => {
    const defects: unknown[] = [];
    await using lab = await practice({ onFault: (error) => defects.push(error) });
    const { hostname, port } = new URL(lab.endpoint);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf', () => socket.resetAndDestroy());
      });
      socket.on('close', () => resolve());
      socket.on('error', () => {});
    });
    expect(await outcome(lab.sts.send(who))).toBe('ok');
    expect(defects).toEqual([]);
  });
});
