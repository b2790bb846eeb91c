import {
  AddUserToGroupCommand,
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreateGroupCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteUserPolicyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { ProviderManifest } from '../../domain/manifest.ts';
import { manifest as aws } from '../../providers/aws/manifest.ts';
import { manifests } from '../../providers/manifests.ts';
import { administratorBy, partOf, policiesOf } from '../../providers/permissions.ts';
import { providerPages } from '../../scripts/gen-providers.ts';
import { everything, outcomeOf, type Pair, type Practice, practice } from '../providers-aws/practice.ts';

/**
 * What an attacker who has got hold of a policy would look for in it: written down here apart from the generator, which has a list of its own, so that what is missing in one is found by the other.
 */
const waysUp: Readonly<Record<string, (text: string) => readonly string[]>> = {
  aws(text) {
    const { Statement } = JSON.parse(text) as {
      Statement: readonly {
        Effect: string;
        Action: string | readonly string[];
        Resource: unknown;
        Condition?: Record<string, Record<string, unknown>>;
      }[];
    };
    return Statement.filter((statement) => statement.Effect === 'Allow').flatMap(({ Action, Condition, Resource }) =>
      [Action].flat().filter((action) => {
        if (/[*?]/.test(action)) return true;
        const [service, call = ''] = action.split(':');
        // A policy that is named, and is one of ours, can only be put on and taken off.
        const named = String(Condition?.ArnLike?.['iam:PolicyARN'] ?? Condition?.ArnEquals?.['iam:PolicyARN'] ?? '');
        if (/^(Attach|Detach)(User|Role)Policy$/.test(call)) return !/^arn:aws:iam::ACCOUNT_ID:policy\/tourniquet-[a-z*-]*$/.test(named);
        if (service === 'sts') return /^(AssumeRole|GetFederationToken|GetSessionToken)/.test(call);
        if (service === 'iam')
          return /^(Put|Attach|Detach|Create|Set|Add|Upload|Reset|Pass|Enable|Remove)|^(Update|Delete)(?!AccessKey$|ServiceSpecificCredential$|SigningCertificate$|SSHPublicKey$)/.test(
            call,
          );
        if (service === 'organizations') return /^(Create|Update|Delete|Detach|Enable|Disable|Leave|Remove|Register)/.test(call);
        return /^(Create|Update|Run|Put|Add|Invoke|Pass)/.test(call) && Resource === '*';
      }),
    );
  },
  vault(text) {
    return [...text.matchAll(/^path "([^"]+)" \{\n([\s\S]*?)^\}/gm)].flatMap(([, path = '', body = '']) => {
      const can = [...(/capabilities = \[(.*)\]/.exec(body)?.[1] ?? '').matchAll(/"([a-z]+)"/g)].map(([, word]) => word ?? '');
      const writes = can.some((word) => /^(create|update|patch)$/.test(word));
      const limited = /allowed_parameters = \{ "disabled" = \[\] \}/.test(body);
      if (/^(\*|\+)/.test(path)) return [path];
      if (/^identity\//.test(path)) return writes && !limited && !/lookup/.test(path) ? [path] : [];
      if (/^auth\/token\/(create|roles)/.test(path) || /^auth\/[^/]+\/(config|users|map|certs|groups)/.test(path))
        return writes ? [path] : [];
      if (/^auth\/[^/]+\/role\//.test(path)) return writes && !/secret-id-accessor\/(lookup|destroy)\/?$/.test(path) ? [path] : [];
      // Revoking, looking up and hashing are what containment needs of sys; whatever else is written there changes what others may.
      if (/^sys\//.test(path))
        return writes && !/^sys\/(leases\/(lookup|revoke)|capabilities-self|audit-hash|internal)/.test(path) ? [path] : [];
      return [];
    });
  },
  gcp(text) {
    const { includedPermissions } = parse(text) as { includedPermissions: readonly string[] };
    return includedPermissions.filter((each) =>
      /setIamPolicy|actAs|getAccessToken|getOpenIdToken|signBlob|signJwt|implicitDelegation|\*|^iam\.roles\.(create|update)|[kK]eys\.(create|upload)$|^iam\.serviceAccounts\.create|orgpolicy\.|^deploymentmanager|^cloudbuild/.test(
        each,
      ),
    );
  },
  github(text) {
    const { default_permissions: given } = JSON.parse(text) as { default_permissions: Readonly<Record<string, string>> };
    return Object.entries(given)
      .filter(
        ([name, level]) =>
          level !== 'read' && /administration|contents|workflows|members|secrets|actions|hooks|roles|runners|keys|environments/.test(name),
      )
      .map(([name, level]) => `${name}:${level}`);
  },
};

/** As `npm run gen` writes them; that they are committed so is a check of its own. */
const made = providerPages(manifests, '');
const files = (provider: string, part: string): readonly string[] =>
  Object.entries(made).flatMap(([path, text]) => (path.startsWith(`permissions/${provider}/${part}.`) ? [text] : []));

describe.each(Object.keys(manifests).filter((name) => name in waysUp))('the generated policies of %s', (provider) => {
  it.each(['contain', 'read'])('have no way up in `%s`', (part) => {
    for (const text of files(provider, part)) expect(waysUp[provider]?.(text)).toEqual([]);
  });

  it('have their ways up in the parts of which the docs say that they equal an administrator', () => {
    const manifest = manifests[provider] as ProviderManifest;
    const page = made[`docs/providers/${provider}.md`] ?? '';
    for (const policy of policiesOf(manifest)) {
      const dangerous = files(provider, policy.part).flatMap((text) => waysUp[provider]?.(text) ?? []);
      const row = page.split('\n').find((line) => line.startsWith(`| ${policy.part} | `)) ?? '';
      if (administratorBy(manifest, policy).length > 0) expect(row).toContain('**yes**');
      else expect(row).toMatch(/\| no \|$/);
      if (dangerous.length > 0 && ['read', 'contain'].includes(policy.part)) expect.unreachable();
    }
  });
});

describe('the finder of ways up', () => {
  it.each([
    ['aws', '{"Statement":[{"Effect":"Allow","Action":"iam:PutUserPolicy","Resource":"*"}]}'],
    ['aws', '{"Statement":[{"Effect":"Allow","Action":["iam:Update*"],"Resource":"*"}]}'],
    ['aws', '{"Statement":[{"Effect":"Allow","Action":["iam:AttachUserPolicy"],"Resource":"*"}]}'],
    [
      'aws',
      '{"Statement":[{"Effect":"Allow","Action":["iam:AttachUserPolicy"],"Resource":"*","Condition":{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::*:policy/*"}}}]}',
    ],
    ['aws', '{"Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Resource":"*"}]}'],
    ['vault', 'path "sys/policies/acl/*" {\n  capabilities = ["update"]\n}'],
    ['vault', 'path "identity/entity/id/*" {\n  capabilities = ["read", "update"]\n}'],
    ['vault', 'path "auth/token/create" {\n  capabilities = ["update"]\n}'],
    ['gcp', 'includedPermissions:\n- resourcemanager.projects.setIamPolicy\n'],
    ['gcp', 'includedPermissions:\n- iam.serviceAccountKeys.create\n'],
    ['github', '{"default_permissions":{"administration":"write"}}'],
  ])('finds one in a policy of %s that has one: %s', (provider, text) => {
    expect(waysUp[provider]?.(text)).not.toEqual([]);
  });

  it('lets pass what limits itself to policies of ours', () => {
    const text =
      '{"Statement":[{"Effect":"Allow","Action":["iam:AttachUserPolicy"],"Resource":"*","Condition":{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::ACCOUNT_ID:policy/tourniquet-*"}}}]}';
    expect(waysUp.aws?.(text)).toEqual([]);
  });
});

it('an action that writes a policy as text is in `grant`, whatever its phase', () => {
  for (const action of aws.actions)
    if (action.permissions.some((each) => /^iam:Put(User|Role)Policy$/.test(each))) expect(partOf(aws, action), action.name).toBe('grant');
});

describe('who holds exactly `contain` on the simulator', () => {
  let world: Practice;
  let own: Pair;
  beforeAll(async () => {
    world = await practice();
    own = await world.makeUser('contains', files('aws', 'contain')[0]?.replaceAll('ACCOUNT_ID', world.account));
    await world.makeUser('victim', everything);
    await world.admin.iam.send(new CreateGroupCommand({ GroupName: 'admins' }));
    await world.admin.iam.send(
      new CreateRoleCommand({
        RoleName: 'admin',
        AssumeRolePolicyDocument: JSON.stringify({
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${world.account}:root` }, Action: 'sts:AssumeRole' }],
        }),
      }),
    );
    await world.alive(own);
  });
  afterAll(() => world?.close());

  const attempts: Readonly<Record<string, (at: Practice, as: ReturnType<Practice['as']>) => Promise<unknown>>> = {
    'give itself a policy': (_at, as) =>
      as.iam.send(new PutUserPolicyCommand({ UserName: 'contains', PolicyName: 'up', PolicyDocument: everything })),
    'give a role a policy': (_at, as) =>
      as.iam.send(new PutRolePolicyCommand({ RoleName: 'admin', PolicyName: 'up', PolicyDocument: everything })),
    'take a policy off a user': (_at, as) => as.iam.send(new DeleteUserPolicyCommand({ UserName: 'victim', PolicyName: 'base' })),
    'attach the administrator’s policy to itself': (_at, as) =>
      as.iam.send(new AttachUserPolicyCommand({ UserName: 'contains', PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' })),
    'attach it to a role': (_at, as) =>
      as.iam.send(new AttachRolePolicyCommand({ RoleName: 'admin', PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' })),
    'write a managed policy': (_at, as) =>
      as.iam.send(new CreatePolicyCommand({ PolicyName: 'tourniquet-mine', PolicyDocument: everything })),
    'make itself a key of an administrator': (_at, as) => as.iam.send(new CreateAccessKeyCommand({ UserName: 'victim' })),
    'make a user': (_at, as) => as.iam.send(new CreateUserCommand({ UserName: 'another' })),
    'enter a group': (_at, as) => as.iam.send(new AddUserToGroupCommand({ UserName: 'contains', GroupName: 'admins' })),
    'have a role trust it': (_at, as) =>
      as.iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: 'admin', PolicyDocument: '{"Version":"2012-10-17","Statement":[]}' })),
    'assume a role': (at, as) =>
      as.sts.send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${at.account}:role/admin`, RoleSessionName: 'up' })),
  };

  it.each(Object.entries(attempts))('cannot %s', async (_what, attempt) => {
    expect(await outcomeOf(() => attempt(world, world.as(own)))).toMatch(/^AccessDenied/);
  });

  it('can turn a key off', async () => {
    const { accessKeyId } = await world.makeKey('victim');
    expect(
      await outcomeOf(() =>
        world.as(own).iam.send(new UpdateAccessKeyCommand({ UserName: 'victim', AccessKeyId: accessKeyId, Status: 'Inactive' })),
      ),
    ).toBe('ok');
  });
});
