import { PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { CreateSecretCommand, GetSecretValueCommand, ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest';
import type { GateStatus, IncidentStatus } from '../../domain/messages.ts';
import type { Plan } from '../../domain/plan.ts';
import type { PlanInput } from '../../planning/input.ts';
import { brokenRules, RuleName } from '../../planning/rules.ts';
import { type Place, startUndoEngine, type UndoEngine } from '../undo/engine.ts';
import { until } from '../until.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

/** Keys for whose incidents the planner forgets rule 13, and what it planned for them. */
const planner = vi.hoisted(() => ({ forgets: new Set<string>(), planned: [] as { plan: unknown; input: unknown }[] }));

vi.mock('../../planning/plan.ts', async (original) => {
  const real = await original<typeof import('../../planning/plan.ts')>();
  return {
    ...real,
    planRound(input: PlanInput): Plan {
      const plan = real.planRound(input);
      if (!planner.forgets.has(input.assessment.credential.locator.accessKeyId ?? '')) return plan;
      const wrong: Plan = {
        ...plan,
        gates: plan.gates.filter(({ id }) => id !== 'g-readable-store'),
        steps: plan.steps.map(({ gate, ...step }) => (gate === undefined || gate === 'g-readable-store' ? step : { ...step, gate })),
      };
      planner.planned.push({ plan: wrong, input });
      return wrong;
    },
  };
});

const secretOf = (name: string) => `ci/token-of-${name}`;

// What the house knows: the user of `asked` can read its store, and whoever holds a certain secret can read the store of each of the others.
vi.mock('../../inventory/index.ts', async (original) => {
  const real = await original<typeof import('../../inventory/index.ts')>();
  return {
    ...real,
    loadInventory(text: string, file: string) {
      const inventory = real.loadInventory(text, file);
      const readableBy = ({ id, principal }: { id: string; principal: string }) => (id === 'asked' ? [principal] : [secretOf(id)]);
      return { ...inventory, stores: inventory.stores.map((store) => ({ ...store, readableBy: readableBy(store) })) };
    },
  };
});

let engine: UndoEngine;
let endpoint: string;
beforeAll(async () => {
  engine = await startUndoEngine({ places: { asked: 'internal', honest: 'public', mutant: 'public' }, wrap: (connection) => connection });
  const address = await engine.iam.config.endpoint?.();
  endpoint = `${address?.protocol}//${address?.hostname}:${address?.port}`;
});
afterAll(async () => {
  await engine?.close();
});

/** The tokens of the stores that lay in secrets. */
const stolen: string[] = [];

/** Somebody with the leaked key, who takes with it a token of the store that lies in a secret, and then looks into the store for whatever is put there. */
class Thief {
  readonly place: Place;
  readonly #secrets: SecretsManagerClient;
  token: string | undefined;
  constructor(place: Place) {
    this.place = place;
    this.#secrets = new SecretsManagerClient({ endpoint, region: 'us-east-1', credentials: place.leaked, maxAttempts: 1 });
  }
  /** Reads the secret again and again until the key is refused: at least once after the leak is known to have begun. */
  async plunder(): Promise<void> {
    const end = Date.now() + 30_000;
    for (;;) {
      try {
        const { SecretString } = await this.#secrets.send(new GetSecretValueCommand({ SecretId: secretOf(this.place.name) }));
        this.token = SecretString;
      } catch (error) {
        if (this.token !== undefined && error instanceof Error && /UnrecognizedClient|InvalidClientTokenId|AccessDenied/.test(error.name))
          return;
        if (Date.now() > end) throw error;
      }
      await new Promise((done) => setTimeout(done, 60));
    }
  }
  /** What lies in the store and is none of the keys it was after, as far as the token opens it. */
  async loot(): Promise<string | undefined> {
    const { status, body } = await engine.bao.call('GET', `kv/data/${this.place.below}`, undefined, this.token);
    if (status !== 200) return undefined;
    const { id, secret } = body.data.data;
    if (id === this.place.leaked.accessKeyId) return undefined;
    const fresh = new SecretsManagerClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: id, secretAccessKey: secret },
      maxAttempts: 1,
    });
    try {
      await fresh.send(new ListSecretsCommand({}));
      return id;
    } catch {
      return undefined;
    } finally {
      fresh.destroy();
    }
  }
}

/** Puts the token into the secret and gives the user what the story needs; then the thief is at work, and the leak is reported. */
async function rob(name: string): Promise<{ readonly thief: Thief; readonly id: string }> {
  const place = engine.place(name);
  const thief = new Thief(place);
  await engine.iam.send(
    new PutUserPolicyCommand({
      UserName: place.user,
      PolicyName: 'deploy',
      PolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }],
      }),
    }),
  );
  const { body } = await engine.bao.call('POST', 'auth/token/create', { policies: ['reader'], display_name: `copy-of-${name}` });
  const owner = new SecretsManagerClient({ endpoint, region: 'us-east-1', credentials: place.leaked, maxAttempts: 1 });
  await until('the secret is there', async () => {
    try {
      return await owner.send(new CreateSecretCommand({ Name: secretOf(name), SecretString: body.auth.client_token }));
    } catch (error) {
      return error instanceof Error && error.name === 'ResourceExistsException' ? true : undefined;
    }
  });
  owner.destroy();
  stolen.push(body.auth.client_token);
  const plundering = thief.plunder();
  await until('the thief has a token', async () => thief.token);
  const id = await engine.report(place);
  await plundering;
  return { thief, id };
}

const minted = (status: IncidentStatus) =>
  [...status.earlier, ...status.steps].filter(({ action, state }) => action === 'aws/mint-key' && state === 'done');
const readable = (status: IncidentStatus): GateStatus | undefined =>
  status.gates.find(({ id, state }) => id === 'g-readable-store' && state === 'open');
const keysOf = async (place: Place) => Object.keys(await engine.picture(place)).filter((each) => each.startsWith('key '));

describe('a leaked key that can read the store its replacement would go to: nothing goes there unasked', () => {
  it('where people are asked first, the question says that the leaked key reads the store, and nothing is made before the answer', async () => {
    const place = engine.place('asked');
    const before = await keysOf(place);
    const id = await engine.report(place);
    const gate = await until('the question is open', async () => readable(await engine.status(id)));
    expect(gate.question).toContain(place.path);
    expect(gate.question).toMatch(/whoever holds aws\.access-key .* can read/i);
    expect(gate.rule.onSilence).toBe('hold');
    await engine.decide(id, 'approve', 'ada', 'g-outage').catch(() => undefined);
    expect(minted(await engine.status(id))).toEqual([]);
    expect(await keysOf(place)).toEqual(before);
    await engine.end(id);
  });

  it('where the key is off at once, what it has read still opens the store, and that is asked about too; once somebody has seen to it, it goes on', async () => {
    const { thief, id } = await rob('honest');
    const { place } = thief;
    const gate = await until('the question is open', async () => readable(await engine.status(id)), 60_000);
    const status = await engine.status(id);
    expect(status.contained).toBe('yes');
    expect(gate.question).toContain(secretOf('honest'));
    expect(gate.question).toContain(place.path);
    expect(minted(status)).toEqual([]);
    expect(await thief.loot()).toBeUndefined();
    expect(await keysOf(place)).toHaveLength(1);

    // Whoever answers has taken the token back first; the engine cannot know of it, which is why it asks.
    await engine.bao.call('POST', 'auth/token/revoke', { token: thief.token });
    await engine.decide(id, 'approve', 'ada', 'g-readable-store');
    await until('the new key is in the store', async () => {
      const { body } = await engine.bao.call('GET', `kv/data/${place.below}`);
      return body.data.data.id !== place.leaked.accessKeyId;
    });
    expect(await thief.loot()).toBeUndefined();
    await engine.end(id);
  });

  it('a planner that forgets it hands the thief a new key that works; the rules name it', async () => {
    const place = engine.place('mutant');
    planner.forgets.add(place.leaked.accessKeyId);
    const { thief, id } = await rob('mutant');
    const stolen = await until('the thief reads the new key out of the store', () => thief.loot(), 60_000);
    expect(stolen).not.toBe(place.leaked.accessKeyId);
    const broken = planner.planned.flatMap(({ plan, input }) => brokenRules(plan as Plan, input as PlanInput).map(({ rule }) => rule));
    expect(broken).toContain(RuleName.NO_LEAKY_STORE);
    await engine.end(id);
  });
});

test('and after all of it no secret stands anywhere, nor the tokens that were stolen', async () => {
  expect(stolen.length).toBeGreaterThanOrEqual(2);
  const hunted = await engine.hunt(Object.fromEntries(stolen.map((token, at) => [`stolen token ${at + 1}`, token])));
  console.log(`secrets hunted for in ${hunted.looked} places`);
  expect(hunted).toMatchObject({ findings: [], unlooked: [] });
});
