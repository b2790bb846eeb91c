import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  DeleteUserPolicyCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListUserPoliciesCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { region, responder } from '../../lab/world/cast.ts';
import { startWorld, type World } from '../engine/world.ts';
import { until } from '../until.ts';
import { tourniquet } from './harness.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

interface Line {
  readonly what: string;
  readonly state: 'yes' | 'no' | 'unknown';
  readonly says: string;
  readonly breaks?: string;
  readonly next?: string;
}
interface Told {
  readonly code: number;
  readonly checks: readonly Line[];
  readonly containments: readonly string[];
}

let world: World;
let iam: IAMClient;
beforeAll(async () => {
  world = await startWorld({});
  const { aws } = world.stack;
  iam = new IAMClient({ region, endpoint: aws.endpoint, credentials: aws });
});
afterAll(() => world?.stop());

async function doctor(): Promise<Told> {
  const ran = await tourniquet(['doctor', '--json'], { cwd: world.stack.paths.directory });
  return { code: ran.code, ...(JSON.parse(ran.out) as Omit<Told, 'code'>) };
}
const faults = (told: Told): readonly Line[] => told.checks.filter(({ state }) => state === 'no');

test('a healthy house: exit 0, nothing is at fault, and the last lines say what would contain a public key, in about how many seconds, and who would fail', async () => {
  // A worker says what it stands on shortly after it has begun.
  const told = await until('the house is in order', async () => {
    const now = await doctor();
    return now.code === 0 ? now : undefined;
  });
  expect(faults(told)).toEqual([]);
  expect(told.containments.length).toBeGreaterThan(0);
  for (const line of told.containments)
    expect(line).toMatch(/^A public key of \S+ would be contained by aws\/\S+.* in about \d+ s; .+ would fail until replaced\.$/);
});

/** A file with a change in it, until it is taken back. */
function edited(name: string, change: (text: string) => string): () => void {
  const file = join(world.stack.paths.directory, name);
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after === before) throw new Error(`${name}: nothing was changed`);
  writeFileSync(file, after);
  return () => writeFileSync(file, before);
}

/** The engine's own user without one permission, until it is given back. */
async function without(permission: string): Promise<() => unknown> {
  const { PolicyNames: [PolicyName = ''] = [] } = await iam.send(new ListUserPoliciesCommand({ UserName: responder }));
  const { PolicyDocument = '' } = await iam.send(new GetUserPolicyCommand({ UserName: responder, PolicyName }));
  const document = decodeURIComponent(PolicyDocument);
  const put = (text: string) => iam.send(new PutUserPolicyCommand({ UserName: responder, PolicyName, PolicyDocument: text }));
  const less = document.replace(`"${permission}",`, '');
  if (less === document) throw new Error(`${permission} stands in no policy of ${responder}`);
  await put(less);
  return () => put(document);
}

const user = 'ci-deployer';
/** Twelve faults, each planted alone: what the line is about, what it says, and what it has a person do. */
const planted: Readonly<
  Record<
    string,
    { plant(): Promise<() => unknown>; readonly what: RegExp; readonly says: RegExp; readonly next: RegExp; readonly state?: Line['state'] }
  >
> = {
  'a permission that an action needs is missing': {
    plant: () => without('iam:UpdateAccessKey'),
    what: /permissions that the actions need/,
    says: /iam:UpdateAccessKey \(.*disable-key/,
    next: /Allow iam:UpdateAccessKey/,
  },
  'both places for a key are taken': {
    async plant() {
      const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
      return () => iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: AccessKey?.AccessKeyId }));
    },
    what: /ci-deployer has a place for a new key/,
    says: /both taken: AKIA\w+ Active, AKIA\w+ Active/,
    next: /Delete the key of ci-deployer/,
  },
  'a control stands that no hold claims': {
    async plant() {
      const of = { UserName: user, PolicyName: 'tourniquet-hold' };
      const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] });
      await iam.send(new PutUserPolicyCommand({ ...of, PolicyDocument }));
      return () => iam.send(new DeleteUserPolicyCommand(of));
    },
    what: /no control stands that nobody claims/,
    says: /tourniquet-hold on ci-deployer/,
    next: /delete-user-policy --user-name ci-deployer --policy-name tourniquet-hold/,
  },
  'the log of a Region may not be read': {
    plant: () => without('cloudtrail:LookupEvents'),
    what: /LookupEvents in us-east-1/,
    says: /it is refused/,
    next: /Allow cloudtrail:LookupEvents/,
  },
  'the engine acts as somebody whom it would contain': {
    plant: async () =>
      edited('inventory.yaml', (text) =>
        text.replace(/principal: \S*ci-deployer\b\S*/, `principal: arn:aws:iam::${world.stack.aws.accountId}:user/${responder}`),
      ),
    what: /the engine is outside of what it would contain/,
    says: /whose credential the inventory has in a store/,
    next: /a user or role of its own/,
  },
  'the inventory names a user who is not there': {
    plant: async () => edited('inventory.yaml', (text) => text.replace(/user\/ci-deployer\b(?!-)/, 'user/nobody-here')),
    what: /nobody-here is there/,
    says: /there is no user nobody-here/,
    next: /Put the inventory right/,
  },
  'an account is only observed': {
    plant: async () => edited('tourniquet.yaml', (text) => text.replace('mode: act', 'mode: observe')),
    what: /aws\/\d+ may be acted on/,
    says: /it is only looked at/,
    next: /mode: act/,
    state: 'unknown',
  },
  'the credentials are of another account': {
    plant: async () => edited('tourniquet.yaml', (text) => text.replace(/account: "?\d{12}"?/, 'account: "999999999999"')),
    what: /aws\/999999999999: account/,
    says: /not 999999999999/,
    next: /its own credentials/,
  },
  'too few people could pass a gate': {
    plant: async () =>
      edited('policy.yaml', (text) => text.replace(/most: \d+/, 'most: 9').replace(/administrator: \d+/, 'administrator: 9')),
    what: /the irreversible gate can be passed now/,
    says: /9 of .* are asked/,
    next: /Give more people a role and a key/,
  },
  'others may read the credentials of an account': {
    async plant() {
      const file = join(world.stack.paths.accounts, 'aws.json');
      chmodSync(file, 0o644);
      return () => chmodSync(file, 0o600);
    },
    what: /secret files are private/,
    says: /aws\.json/,
    next: /chmod 600/,
  },
  'a path of the store may not be written': {
    plant: async () => edited('tourniquet.yaml', (text) => text.replace('secret/ci/deployer\n', 'secret/other/place\n')),
    what: /permissions on secret\/other\/place/,
    says: /missing: .*secret\/data\/other\/place/,
    next: /what is missing/,
  },
  'the audit log of the store is not where it is said to be': {
    plant: async () => edited('tourniquet.yaml', (text) => text.replace(/auditLog: (\S+)/, 'auditLog: /nowhere/audit.log')),
    what: /vault\/lab: audit log/,
    says: /cannot be read/,
    next: /auditLog/,
  },
};

test('twelve faults are planted', () => {
  expect(Object.keys(planted)).toHaveLength(12);
});

test.each(Object.entries(planted))(
  'planted: %s: found, named, and said in words what to do',
  async (_name, { plant, what, says, next, state = 'no' }) => {
    const mend = await plant();
    try {
      const line = await until('the doctor tells of it', async () => {
        const told = await doctor();
        return told.checks.find((each) => what.test(each.what) && each.state === state && says.test(each.says));
      });
      expect(line.next).toMatch(next);
      if (!/secret files/.test(line.what)) expect(line.breaks, 'what does not work without it').toMatch(/\w/);
      if (state === 'no') expect((await doctor()).code).toBe(1);
    } finally {
      await mend();
    }
  },
);
