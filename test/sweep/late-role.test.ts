import { setTimeout as wait } from 'node:timers/promises';
import { CreateRoleCommand, GetRolePolicyCommand, ListRolePoliciesCommand, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest';
import type { IncidentStatus } from '../../client/index.ts';
import { region } from '../../lab/world/cast.ts';
import { huntAfter } from '../canary/hunt.ts';
import { pairsOf } from '../canary/pairs.ts';
import { type Deployed, isWatching, startWorld, until, type World } from '../engine/world.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly issuedBy: string;
}

/** What the engine is told of the log, and what the log really does where nothing is late. */
const configuredLagMs = 5_000;
const usualLagMs = 300;
/** Longer than the whole first containment takes, and within what the engine was told to expect. */
const lateMs = 15 * usualLagMs;
const hour = 3_600_000;

const began = Date.now();
let world: World;
/** Every session that a thief made here. */
const made: Session[] = [];

beforeAll(async () => {
  world = await startWorld({ late: 'public', behind: 'public' }, { logLagMs: configuredLagMs, giveUpMs: 7_000, lookUpsPerSecond: 20 });
  await world.stack.control.setTiming({ logLagMs: usualLagMs });
});
afterAll(async () => {
  await world?.stop();
});

const listing = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['secretsmanager:ListSecrets', 'sts:AssumeRole'], Resource: '*' }],
});

/** A role that the one named may assume, known everywhere by the time this answers. */
async function makeRole(name: string, trusted: string): Promise<string> {
  const { Role } = await world.iam.send(
    new CreateRoleCommand({
      RoleName: name,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: trusted }, Action: 'sts:AssumeRole' }],
      }),
    }),
  );
  await world.iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'work', PolicyDocument: listing }));
  const { now, wall } = await world.stack.control.clock();
  const { authorizationPropagationMs } = await world.stack.control.timing();
  const known = now + authorizationPropagationMs;
  await until('the role is known', async () => (await world.stack.control.clock()).now > known + 50);
  expect(wall).toBeGreaterThan(0);
  return Role?.Arn ?? '';
}

async function assume(
  by: { accessKeyId: string; secretAccessKey: string; sessionToken?: string },
  RoleArn: string,
  at = region,
): Promise<Session> {
  const sts = new STSClient({ endpoint: world.stack.aws.endpoint, region: at, credentials: by, maxAttempts: 1 });
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'thief' }));
  sts.destroy();
  const session: Session = {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
    issuedBy: by.accessKeyId,
  };
  made.push(session);
  return session;
}

/** `ok`, or the name of the refusal. */
async function tryOut(session: Session): Promise<string> {
  const secrets = new SecretsManagerClient({ endpoint: world.stack.aws.endpoint, region, credentials: session, maxAttempts: 1 });
  try {
    await secrets.send(new ListSecretsCommand({}));
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown';
  } finally {
    secrets.destroy();
  }
}

const policiesOn = async (RoleName: string) => (await world.iam.send(new ListRolePoliciesCommand({ RoleName }))).PolicyNames ?? [];

/** The stolen session's own event as the provider has it: when it happened, and how late it is shown. */
async function eventOf(session: Session) {
  const regions = await Promise.all([region, 'eu-west-1'].map((each) => world.stack.control.events(each, 100_000)));
  const event = regions.flat().find(({ name, record }) => name === 'AssumeRole' && record.includes(session.accessKeyId));
  if (!event) throw new Error('the provider has no such event');
  return event;
}

describe('a role assumed one second before containment and logged late is found and killed before the incident closes', () => {
  let deployed: Deployed;
  let id: string;
  let watching: IncidentStatus;
  const sessions: Session[] = [];
  /** When it was called contained though the thief's sessions had not been stopped. */
  const early: string[] = [];

  beforeAll(async () => {
    deployed = world.deployed('late');
    const outer = await makeRole('late-outer', deployed.arn);
    const inner = await makeRole('late-inner', outer);
    await world.stack.control.delayEvents({ action: 'AssumeRole', ms: lateMs });
    const first = await assume(deployed.pair, outer);
    const second = await assume(first, inner, 'eu-west-1');
    sessions.push(first, second);
    expect(await Promise.all(sessions.map(tryOut))).toEqual(['ok', 'ok']);
    // The thief goes on assuming it until the key is refused, so that the last time is just before the containment, however long a report takes to be acted on.
    const looting = (async () => {
      for (;;) {
        try {
          sessions.push(await assume(deployed.pair, outer));
        } catch {
          return;
        }
        await wait(300);
      }
    })();
    id = await world.leak(deployed);
    await looting;
    await world.stack.control.clearDelays();
    watching = await world.follow(
      id,
      (status) => {
        const cut = [...status.earlier, ...status.steps].some(({ action, state }) => action === 'aws/cut-off-role' && state === 'done');
        if (status.contained === 'yes' && !cut) early.push(`round ${status.round}`);
        return isWatching(status);
      },
      { answer: () => true, timeoutMs: 100_000 },
    );
  });

  it('its sessions worked, were made until the key was refused, and are logged after that', async () => {
    const disabled = (await world.changes(deployed.user)).find(({ action }) => action === 'UpdateAccessKey');
    const events = await Promise.all(sessions.map(eventOf));
    const last = events.at(-1);
    expect(events.every((event) => event.lateMs === lateMs)).toBe(true);
    expect(events[0]?.at).toBeLessThan(disabled?.at ?? 0);
    expect((last?.at ?? 0) + lateMs + usualLagMs).toBeGreaterThan(disabled?.at ?? 0);
    const gap = (last?.at ?? 0) - (disabled?.at ?? 0);
    console.log(
      `${sessions.length} sessions, the last assumed ${Math.abs(gap)} ms ${gap < 0 ? 'before' : 'after'} the API had turned the key off, and logged ${lateMs + usualLagMs} ms later`,
    );
    // What the first look could not see, as the log did not have it yet.
    const chain = await world.client.incident(id, watching.run).chain();
    const findings = (await world.records(chain, 'finding')).map(({ body }) => body);
    const nodes = (at: number) => findings[at]?.graph.nodes.map((node) => node.credential?.locator.accessKeyId) ?? [];
    expect(nodes(0)).not.toContain(sessions.at(-1)?.accessKeyId);
    for (const { accessKeyId } of sessions) expect(nodes(findings.length - 1)).toContain(accessKeyId);
  });

  it('each is refused by a cut-off of its role, and contained is said only after that', async () => {
    expect(new Set(await Promise.all(sessions.map(tryOut)))).toEqual(new Set(['AccessDeniedException']));
    const cuts = watching.earlier.filter(({ action }) => action === 'aws/cut-off-role');
    expect(cuts.map(({ title, state }) => [title, state])).toEqual(
      expect.arrayContaining([
        ['cut off the sessions of role late-outer', 'done'],
        ['cut off the sessions of role late-inner', 'done'],
      ]),
    );
    for (const role of ['late-outer', 'late-inner']) {
      expect(await policiesOn(role)).toContain('tourniquet-cutoff');
      const { PolicyDocument } = await world.iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: 'tourniquet-cutoff' }));
      expect(decodeURIComponent(PolicyDocument ?? '')).toContain('aws:TokenIssueTime');
    }
    const effective = cuts.map(({ effectiveAt }) => Date.parse(effectiveAt ?? ''));
    expect(Date.parse(watching.containedAt ?? '')).toBeGreaterThanOrEqual(Math.max(...effective));
    expect(early).toEqual([]);
  });

  it('every log of the sweep that counted had passed the last containment, by a watermark of its own', async () => {
    const chain = await world.client.incident(id, watching.run).chain();
    const last = (await world.records(chain, 'finding')).at(-1)?.body;
    expect(last?.swept.state).toBe('yes');
    for (const { passed } of last?.logs ?? []) {
      expect(passed.state).toBe('yes');
      expect(passed.lagMs).toBeGreaterThanOrEqual(configuredLagMs);
      expect(Date.parse(passed.until ?? '')).toBeGreaterThanOrEqual(Date.parse(watching.containedAt ?? '') - 1_000);
    }
  });

  it('the cut-off of a role stands until the last session of it has expired, and goes hours before the one of the user', async () => {
    const residuals = watching.residuals.filter(({ target }) => target.includes(':role/'));
    expect(residuals).toHaveLength(2);
    for (const { until: date } of residuals) {
      expect(Date.parse(date ?? '') - Date.now()).toBeGreaterThan(0.9 * hour);
      expect(Date.parse(date ?? '') - Date.now()).toBeLessThan(1.1 * hour);
    }
    await world.stack.control.advance(hour + 60_000);
    const rest = await world.follow(id, ({ residuals: left }) => left.every(({ target }) => target.includes(':user/')), {
      answer: () => true,
      timeoutMs: 60_000,
    });
    expect(rest.state).toBe('watching');
    expect(rest.residuals).toHaveLength(1);
    for (const role of ['late-outer', 'late-inner']) expect(await policiesOn(role)).toEqual(['work']);
    expect(Object.keys((await world.picture(deployed.user)).policies)).toContain('tourniquet-cutoff');
    expect(new Set(await Promise.all(sessions.map(tryOut)))).toEqual(new Set(['ExpiredTokenException']));

    await world.stack.control.advance(36 * hour);
    const result = await world.client.incident(id, watching.run).result({ signal: AbortSignal.timeout(60_000) });
    expect(result).toMatchObject({ state: 'closed', contained: 'yes', residuals: [] });
  });
});

describe('where the log is further behind than anybody waits for', () => {
  it('the incident is neither contained nor closed, but unknown, until the log has caught up; then the role is found and killed', async () => {
    const deployed = world.deployed('behind');
    const role = await makeRole('behind-role', deployed.arn);
    await world.stack.control.setLogBehind('eu-west-1', hour);
    const session = await assume(deployed.pair, role, 'eu-west-1');
    expect(await tryOut(session)).toBe('ok');
    const id = await world.leak(deployed);
    const unknown = await world.follow(id, ({ contained, earlier, round }) => {
      expect(contained).not.toBe('yes');
      return contained === 'unknown' && round >= 3 && earlier.some(({ action }) => action === 'aws/cut-off-sessions');
    });
    expect(unknown.rotated).toBe('no');
    expect(unknown.plan?.notes.join(' ')).toContain('eu-west-1');
    const chain = await world.client.incident(id, unknown.run).chain();
    const swept = (await world.records(chain, 'finding')).at(-1)?.body;
    expect(Object.fromEntries(swept?.logs.map(({ region: of = '', passed }) => [of, passed.state]) ?? [])).toMatchObject({
      'us-east-1': 'yes',
      'eu-west-1': 'unknown',
    });
    expect(await tryOut(session)).toBe('ok');
    expect(unknown.steps.concat(unknown.earlier).map(({ action }) => action)).not.toContain('aws/mint-key');

    await world.stack.control.clearDelays();
    const contained = await world.follow(id, (status) => status.contained === 'yes', { answer: () => true, timeoutMs: 60_000 });
    expect(contained.earlier.map(({ action }) => action)).toContain('aws/cut-off-role');
    expect(await tryOut(session)).toBe('AccessDeniedException');
  });
});

test('and after all of it no secret stands anywhere, nor one of a session', async () => {
  const { stack, client, store } = world;
  const more: Record<string, string> = { ...(await pairsOf(world, ['late', 'behind'])) };
  for (const { accessKeyId, secretAccessKey, sessionToken } of made) {
    more[`the secret of the session ${accessKeyId}`] = secretAccessKey;
    more[`the token of the session ${accessKeyId}`] = sessionToken;
  }
  const { findings } = await huntAfter({ stack, client, store, since: began }, more);
  expect(findings).toEqual([]);
});
