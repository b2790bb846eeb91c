import { AsyncLocalStorage } from 'node:async_hooks';
import { AttachUserPolicyCommand, CreatePolicyCommand, CreateUserCommand } from '@aws-sdk/client-iam';
import { GetFederationTokenCommand } from '@aws-sdk/client-sts';
import { expect, it, vi } from 'vitest';
import { manifest } from '../../providers/aws/manifest.ts';
import type { Action, Connection } from '../../providers/contract.ts';
import { awsRoles, iamDocument, type PartPolicy, policiesOf } from '../../providers/permissions.ts';
import { listing, type Pair, type Practice, practice, until } from '../providers-aws/practice.ts';
import { lookAt } from '../providers-aws/steps.ts';
import { describeLeast, type Under, type Way } from './least.ts';

/** The account behind a world: the harness keeps it to itself, and here a responder has to be made in it. */
const account = vi.hoisted(() => ({ of: undefined as unknown as AsyncLocalStorage<{ practice?: Practice }> }));
account.of = new AsyncLocalStorage();
vi.mock('../providers-aws/practice.ts', async (original) => {
  const actual = await original<typeof import('../providers-aws/practice.ts')>();
  return {
    ...actual,
    practice: async (...options: Parameters<typeof actual.practice>) => {
      const made = await actual.practice(...options);
      const box = account.of?.getStore();
      if (box) box.practice = made;
      return made;
    },
  };
});
const { harnesses } = await import('../providers-aws/harnesses.ts');

const places = new WeakMap<object, Practice>();
const responders = new WeakMap<Action, Pair>();
const entries = harnesses.map((entry) => ({
  ...entry,
  open: async () => {
    const box: { practice?: Practice } = {};
    const world = await account.of.run(box, () => entry.open());
    if (box.practice) places.set(world, box.practice);
    return world;
  },
}));

/** A user of the engine's own to which exactly this policy is attached, as a managed one: inline ones are smaller. */
async function responder(place: Practice, UserName: string, policy: PartPolicy): Promise<Pair> {
  await place.admin.iam.send(new CreateUserCommand({ UserName }));
  if (policy.statements.length > 0) {
    const PolicyDocument = JSON.stringify(iamDocument(policy, place.account));
    const { Policy } = await place.admin.iam.send(new CreatePolicyCommand({ PolicyName: `tourniquet-${policy.part}`, PolicyDocument }));
    await place.admin.iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn: Policy?.Arn }));
  }
  const own = await place.makeKey(UserName);
  await place.alive(own);
  return own;
}

const under: Under = async (world, policy) => {
  const place = places.get(world) as Practice;
  const own = await responder(place, 'tourniquet-responder', policy);
  const action = (await place.connect(own)).actions[world.action.manifest.name] as Action;
  responders.set(action, own);
  return action;
};

/** Somebody deletes the target in the moment between our look at it and our write: only then does an action ask whether the user is there at all. */
const race: Way = {
  async between(world, action, apply) {
    const place = places.get(world) as Practice;
    const look = world.action.manifest.permissions.find((each) => /^iam:(List|GetLoginProfile)/.test(each))?.slice('iam:'.length) ?? '';
    const { id } = await place.control.inject({
      kind: 'hold',
      service: 'iam',
      action: look,
      accessKeyId: (responders.get(action) as Pair).accessKeyId,
      count: 1,
    });
    const applying = apply();
    applying.catch(() => undefined);
    await place.control.holding(id, 5_000);
    await world.remove?.();
    await place.control.release(id);
    await applying;
  },
};
const raced = manifest.actions
  .filter(({ permissions }) => permissions.includes('iam:GetUser') && !permissions.includes('iam:GetUserPolicy'))
  .map(({ name }): [string, readonly Way[]] => [name, [race]]);

// All of them are played by `npm run test:full`; one of each part tells whether the policies are still made right.
const sample = ['disable-key', 'deny-principal', 'mint-key', 'delete-key', 'watch-new-use'];
describeLeast(manifest, entries, under, {
  ...(process.env.TOURNIQUET_FULL === '1' ? {} : { only: sample }),
  // Without a word on how long sessions live, its undo makes sure of a cut-off first, and of the keys before that.
  ways: {
    ...Object.fromEntries(raced),
    'deny-principal': [{ without: ['maxLifeSeconds'] }],
    'fence-principal': [{ without: ['maxLifeSeconds'] }],
  },
});

it('a look under the generated policy `read`, and nothing else, sees what an administrator sees', async () => {
  const place = await practice();
  try {
    const leaked = await place.makeUser('ci', listing);
    await place.makeKey('ci');
    await place.alive(leaked);
    const fed = await place.as(leaked).sts.send(new GetFederationTokenCommand({ Name: 'thief' }));
    expect(fed.Credentials?.AccessKeyId).toMatch(/^ASIA/);
    const own = await responder(place, 'tourniquet-reader', policiesOf(manifest).find((each) => each.part === 'read') as PartPolicy);
    const found = async (connection: Connection) => {
      const { finding } = await connection.look(lookAt(leaked.accessKeyId, { depth: 'full' }));
      const states = Object.fromEntries((['ours', 'live', 'misuse', 'swept'] as const).map((name) => [name, finding[name].state]));
      return {
        ...states,
        principal: finding.principal,
        nodes: finding.graph.nodes.map((node) => node.id).sort(),
        privilege: finding.privilege,
      };
    };
    // The log shows the session a while after it was made.
    const ofAdministrator = await until(
      'the session is in the log',
      async () => found(await place.connect()),
      ({ nodes }) => nodes.some((node) => node.includes('ASIA')),
    );
    expect(await found(await place.connect(own))).toEqual(ofAdministrator);
  } finally {
    await place.close();
  }
}, 60_000);

it('the roles are trusted by one principal with an external id, hold one part each, and have no key', () => {
  const template = JSON.parse(awsRoles(manifest)) as {
    Parameters: Record<string, { NoEcho?: boolean }>;
    Resources: Record<
      string,
      {
        Type: string;
        Properties: {
          RoleName: string;
          AssumeRolePolicyDocument: { Statement: readonly { Action: string[]; Principal: unknown; Condition?: unknown }[] };
          Policies: readonly { PolicyDocument: { Statement: readonly { Sid: string; Action: string[] }[] } }[];
        };
      }
    >;
  };
  const parts = policiesOf(manifest);
  expect(Object.values(template.Resources).map((role) => role.Properties.RoleName)).toEqual(parts.map(({ part }) => `tourniquet-${part}`));
  for (const [at, { Type, Properties }] of Object.values(template.Resources).entries()) {
    expect(Type).toBe('AWS::IAM::Role');
    const [assume, ...rest] = Properties.AssumeRolePolicyDocument.Statement;
    expect(assume).toMatchObject({
      Action: ['sts:AssumeRole'],
      Principal: { AWS: { Ref: 'EngineArn' } },
      Condition: { StringEquals: { 'sts:ExternalId': { Ref: 'ExternalId' } } },
    });
    expect(rest.flatMap((each) => each.Action)).toEqual(['sts:SetSourceIdentity']);
    expect(Properties.Policies.flatMap((each) => each.PolicyDocument.Statement.flatMap((one) => one.Action))).toEqual(
      parts[at]?.statements.flatMap((each) => each.permissions),
    );
  }
  expect(template.Parameters.ExternalId?.NoEcho).toBe(true);
  expect(JSON.stringify(template)).not.toMatch(/AWS::IAM::AccessKey|ACCOUNT_ID/);
});
