import { randomBytes } from 'node:crypto';
import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUserPoliciesCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { AccountConfig, Drill } from '../contract.ts';
import { faultOf, nameOf } from './errors.ts';

/** Everything a drill makes is under this path, so that rights to make and remove can end there. */
export const drillPath = '/tourniquet-drill/';

/** Makes a user that may do nothing, with one key, under {@link drillPath}. Needs iam:CreateUser, CreateAccessKey, ListAccessKeys, ListUserPolicies, DeleteAccessKey, DeleteUserPolicy and DeleteUser there, and cloudtrail:LookupEvents. */
export function drill({ account, settings, credentials }: AccountConfig): Drill {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  if (!accessKeyId || !secretAccessKey)
    throw fault('provider.invalid', { account, because: 'the credentials for the drill hold no accessKeyId and secretAccessKey' });
  const endpoint = typeof settings.endpoint === 'string' ? settings.endpoint : undefined;
  const region = typeof settings.globalRegion === 'string' ? settings.globalRegion : 'us-east-1';
  const place = { region, ...(endpoint === undefined ? {} : { endpoint }) };
  const maker = {
    ...place,
    credentials: {
      accessKeyId: accessKeyId.reveal(),
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken ? { sessionToken: sessionToken.reveal() } : {}),
    },
  };
  const iam = new IAMClient(maker);
  const log = new CloudTrailClient(maker);
  const user = `tourniquet-drill-${randomBytes(4).toString('hex')}`;
  const of = { UserName: user };
  /** Whether a user may stand: its making was sent, whatever was answered. */
  let begun = false;
  let made: { readonly id: string; readonly secret: Secret } | undefined;

  const run = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw faultOf(error, call, true);
    }
  };
  const ifThere = async <T>(call: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (nameOf(error).startsWith('NoSuchEntity')) return undefined;
      throw faultOf(error, call, true);
    }
  };

  const listed = async () => await ifThere('iam:ListAccessKeys', () => iam.send(new ListAccessKeysCommand(of)));

  return {
    makes: [`the IAM user ${drillPath}${user}, which may do nothing`, 'one access key of it'],
    async begin() {
      const sts = new STSClient(maker);
      const who = await run('sts:GetCallerIdentity', () => sts.send(new GetCallerIdentityCommand({})));
      sts.destroy();
      if (who.Account !== account)
        throw fault('provider.invalid', {
          account,
          because: `the credentials for the drill are of account ${who.Account ?? 'unknown'}; nothing was made`,
        });
      begun = true;
      await run('iam:CreateUser', () => iam.send(new CreateUserCommand({ ...of, Path: drillPath })));
      const { AccessKey } = await run('iam:CreateAccessKey', () => iam.send(new CreateAccessKeyCommand(of)));
      if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey)
        throw fault('provider.uncertain', { call: 'iam:CreateAccessKey', said: 'no key' });
      made = { id: AccessKey.AccessKeyId, secret: new Secret(AccessKey.SecretAccessKey) };
      return {
        credential: { kind: 'aws.access-key', locator: { accessKeyId: made.id } },
        secret: made.secret,
        principal: `arn:aws:iam::${account}:user${drillPath}${user}`,
      };
    },
    async attempt() {
      if (made === undefined) return 'unknown';
      const thrown = new STSClient({
        ...place,
        maxAttempts: 1,
        credentials: { accessKeyId: made.id, secretAccessKey: made.secret.reveal() },
      });
      try {
        await thrown.send(new GetCallerIdentityCommand({}));
        return 'accepted';
      } catch (error) {
        return /^InvalidClientTokenId|^UnrecognizedClient/.test(nameOf(error)) ? 'refused' : 'unknown';
      } finally {
        thrown.destroy();
      }
    },
    async isLogged() {
      const { Events = [] } = await run('cloudtrail:LookupEvents', () =>
        log.send(new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: 'ResourceName', AttributeValue: user }], MaxResults: 50 })),
      );
      return Events.some((each) => each.EventName === 'CreateAccessKey');
    },
    async end() {
      const removed: string[] = [];
      if (!begun) return removed;
      // A user that was just made may not be found yet: that it is not found once is no sign that it is not there.
      let keys: Awaited<ReturnType<typeof listed>>;
      for (let tries = 0; tries < 10; tries++) {
        keys = await listed();
        if (keys !== undefined) break;
        await new Promise((go) => setTimeout(go, 500));
      }
      if (keys === undefined) {
        begun = false;
        return removed;
      }
      for (const { AccessKeyId = '' } of keys.AccessKeyMetadata ?? []) {
        await ifThere('iam:DeleteAccessKey', () => iam.send(new DeleteAccessKeyCommand({ ...of, AccessKeyId })));
        removed.push(`access key ${AccessKeyId}`);
      }
      const policies = await ifThere('iam:ListUserPolicies', () => iam.send(new ListUserPoliciesCommand(of)));
      for (const PolicyName of policies?.PolicyNames ?? []) {
        await ifThere('iam:DeleteUserPolicy', () => iam.send(new DeleteUserPolicyCommand({ ...of, PolicyName })));
        removed.push(`policy ${PolicyName}`);
      }
      await ifThere('iam:DeleteUser', () => iam.send(new DeleteUserCommand(of)));
      removed.push(`user ${user}`);
      begun = false;
      return removed;
    },
  };
}
