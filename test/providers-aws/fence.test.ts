import { DeleteUserPolicyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, GetCallerIdentityCommand, GetFederationTokenCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { describe, expect, it } from 'vitest';
import { gatesOf } from '../../providers/aws/fence.ts';
import { fenceDocument, fencePolicy, isFence } from '../../providers/aws/policies.ts';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, refusalOf, until } from './practice.ts';
import { stepOf } from './steps.ts';

const user = 'ci-deployer';
/** The declared consumer, a thief, a job in the declared VPC, and AWS at work for the user. */
const [consumer, thief, job, service] = ['127.0.0.11', '127.0.0.66', '127.0.0.12', '127.0.0.13'];
const params = { networks: ['198.51.100.0/24', '2001:db8:7::/48'], vpcs: ['vpc-0a1b2c3d4e5f60718'] };

async function town() {
  const world = await practice();
  const leaked = await world.makeUser(user, everything);
  await world.control.setOrigin(consumer, { ip: '198.51.100.7' });
  await world.control.setOrigin(thief, { ip: '203.0.113.66' });
  await world.control.setOrigin(job, { vpc: 'vpc-0a1b2c3d4e5f60718', vpce: 'vpce-1a2b3c4d' });
  await world.control.setOrigin(service, { via: 'athena.amazonaws.com' });
  await world.alive(leaked);
  const connection = await world.connect();
  return { world, leaked, connection, target: { account: world.account, user } };
}

const lists = (world: Practice, address: string, pair: Pair) =>
  outcomeOf(() => world.from(address, pair).secrets.send(new ListSecretsCommand({})));

describe('a fence', () => {
  it('leaves declared networks, VPCs and AWS at work for the user in, and the thief out, sessions included', async () => {
    const { world, leaked, connection, target } = await town();
    try {
      await until(
        'the key is let through',
        () => lists(world, thief, leaked),
        (said) => said === 'ok',
      );
      const taken = world.from(thief, leaked);
      const token = pairOf((await taken.sts.send(new GetSessionTokenCommand({}))).Credentials);
      const federated = pairOf((await taken.sts.send(new GetFederationTokenCommand({ Name: 'thief', Policy: everything }))).Credentials);
      const step = stepOf(connection, 'fence-principal', target, { params: { ...params, networks: [...params.networks, '10.0.0.0/8'] } });
      const before = await step.capture();
      // A private network among the declared ones keeps nothing open, and the record says so.
      expect(await step.apply(before)).toMatchObject({
        outcome: 'changed',
        facts: { open: [...params.networks, ...params.vpcs], passedOver: ['10.0.0.0/8'] },
      });
      expect((await step.probe(before)).observation.state).toBe('yes');
      for (const pair of [leaked, token, federated]) expect(await lists(world, thief, pair)).toBe('AccessDeniedException');
      for (const address of [consumer, job, service]) expect(await lists(world, address, leaked)).toBe('ok');
      // What no policy can deny: it proves nothing, and the session that it gives is out as well.
      expect(await outcomeOf(() => taken.sts.send(new GetCallerIdentityCommand({})))).toBe('ok');
      const late = pairOf((await taken.sts.send(new GetSessionTokenCommand({}))).Credentials);
      expect(await lists(world, thief, late)).toBe('AccessDeniedException');
      const role = `arn:aws:iam::${world.account}:role/any`;
      const assume = () => taken.sts.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'thief' }));
      expect(await outcomeOf(assume)).toBe('AccessDenied');
      // Its undo does not wake what was collected beneath it.
      expect((await step.revert(before)).residual?.until).toBeDefined();
      await until(
        'the consumer is let through from anywhere',
        () => lists(world, thief, leaked),
        (said) => said === 'ok',
      );
      expect(await lists(world, thief, late)).toBe('AccessDeniedException');
    } finally {
      await world.close();
    }
  });

  it.each<[string, Record<string, unknown>]>([
    ['nothing', {}],
    ['empty lists', { networks: [], vpcs: [] }],
    ['the whole internet', { networks: ['0.0.0.0/0'] }],
    ['the whole internet, by IPv6', { networks: ['198.51.100.0/24', '::/0'] }],
    ['the old internet in the clothes of the new', { networks: ['::ffff:0:0/96'] }],
    ['half of the internet', { networks: ['128.0.0.0/1'] }],
    ['wider than anybody’s network', { networks: ['12.0.0.0/7'] }],
    ['wider than any provider’s network', { networks: ['2001::/16'] }],
    ['an address without its width', { networks: ['198.51.100.7'] }],
    ['a width that is none', { networks: ['198.51.100.0/33'] }],
    ['a name', { networks: ['office.example.org/24'] }],
    ['a pattern for a VPC', { networks: ['198.51.100.0/24'], vpcs: ['vpc-*'] }],
    ['private networks alone, of which AWS sees none', { networks: ['10.0.0.0/8', '192.168.7.0/24', 'fd00::/8'] }],
    ['more networks than a user has room for', { networks: Array.from({ length: 120 }, (_, at) => `198.51.${at}.0/24`) }],
  ])('of %s is refused, and nothing is written', async (_what, odd) => {
    const { world, connection, target } = await town();
    try {
      const step = stepOf(connection, 'fence-principal', target, { params: odd });
      const before = await step.capture();
      expect(await refusalOf(() => step.apply(before))).toBe('provider.invalid');
      const row = (await world.control.world()).users.find((each) => each.name === user);
      expect(Object.keys(row?.policies.inline ?? {})).toEqual(['base']);
    } finally {
      await world.close();
    }
  });

  it('passes private networks over, which keep nothing open', () => {
    expect(gatesOf(['10.0.0.0/8', '198.51.100.0/24'], []).networks).toEqual(['198.51.100.0/24']);
  });

  it('that stands for another incident serves where it lets no more in, and is a conflict where it lets more in', async () => {
    const { world, connection, target } = await town();
    try {
      const step = stepOf(connection, 'fence-principal', target, { params });
      const before = await step.capture();
      const other = (networks: string[]) => world.policy(user, fencePolicy, fenceDocument('f'.repeat(24), gatesOf(networks, [])));
      await other(['198.51.100.0/24']);
      expect(await step.apply(before)).toMatchObject({ outcome: 'already', facts: { standing: true } });
      await other(['198.51.100.0/24', '203.0.113.0/24']);
      expect(await refusalOf(() => step.apply(before))).toBe('provider.conflict');
      expect((await step.probe(before)).observation.state).toBe('no');
    } finally {
      await world.close();
    }
  });

  it('that somebody has opened, or mangled, is no fence', async () => {
    const { world, connection, target } = await town();
    try {
      const step = stepOf(connection, 'fence-principal', target, { params });
      const before = await step.capture();
      await step.apply(before);
      const document = (await world.control.world()).users.find((each) => each.name === user)?.policies.inline[fencePolicy] ?? '';
      expect(isFence(document)).toBe(true);
      await world.policy(user, fencePolicy, document.replace('198.51.100.0/24', '0.0.0.0/0'));
      expect((await step.probe(before)).observation.state).toBe('no');
      await world.policy(user, fencePolicy, document.replace('"BoolIfExists"', '"StringEquals":{"aws:PrincipalTag/x":"y"},"BoolIfExists"'));
      expect((await step.probe(before)).observation.state).toBe('no');
      expect(await refusalOf(() => step.revert(before))).toBe('provider.conflict');
      await world.admin.iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: fencePolicy }));
      expect((await step.apply(before)).outcome).toBe('changed');
    } finally {
      await world.close();
    }
  });

  it('is lifted only once the leaked key is off and sessions are cut off', async () => {
    const { world, leaked, connection, target } = await town();
    try {
      const step = stepOf(connection, 'fence-principal', target, { params });
      const before = await step.capture();
      await step.apply(before);
      const lift = stepOf(connection, 'lift-fence', target, { params: { keys: [leaked.accessKeyId] } });
      const standing = await lift.capture();
      expect(await refusalOf(() => lift.apply(standing))).toBe('provider.conflict');
      await world.admin.iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: leaked.accessKeyId, Status: 'Inactive' }));
      expect(await refusalOf(() => lift.apply(standing))).toBe('provider.conflict');
      const cut = stepOf(connection, 'cut-off-sessions', target, { params: { keys: [leaked.accessKeyId] } });
      await cut.apply(await cut.capture());
      expect((await lift.apply(standing)).outcome).toBe('changed');
      expect((await lift.probe(standing)).observation.state).toBe('yes');
    } finally {
      await world.close();
    }
  });
});
