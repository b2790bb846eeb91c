import type { Consumer, LogReach, ProviderFinding, Watermark } from '../../domain/assessment.ts';
import { type CredentialRef, type Graph, type GraphNode, mergeGraphs, nodeId } from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import { type GithubToken, readGithubToken } from '../../domain/github-token.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Look, Looked } from '../contract.ts';
import { type GithubAccount, type Tried, tryToken } from './account.ts';
import { agentWord, type Calls } from './api.ts';
import { type DeployKey, readKeys } from './deploy-keys.ts';
import { givesAccess, graphOf } from './descendants.ts';
import type { LogEvent } from './log.ts';
import { manifest } from './manifest.ts';
import { beforeOf, hangingKeys, isOfApp, readStanding, type Standing } from './standing.ts';

const reachMs = (manifest.logs[0]?.reachDays ?? 0) * 86_400_000;
const blind = manifest.logs[0]?.blind ?? [];

/** Looks at a credential and all that hangs on it, and changes nothing. What the look itself would overwrite, a token's last use, is read first. */
export async function look(account: GithubAccount, on: Look): Promise<Looked> {
  const { kind } = on.credential;
  if (kind === 'github.token' || kind === 'github.installation-token') return await lookAtToken(account, on);
  if (kind === 'github.deploy-key') return await lookAtKey(account, on);
  return await lookAtNothing(account, on);
}

/** What every finding has, for a look that could not say any of it. */
function blank(account: GithubAccount, on: Look, at: string, why: string): ProviderFinding {
  const open = unknown(at, 'engine', why);
  return {
    provider: manifest.name,
    account: account.login,
    providerTime: at,
    ours: open,
    canary: false,
    live: open,
    possession: open,
    privilege: 'unknown',
    graph: { nodes: [rootNode(on.credential, open, at, 'report', why)], edges: [] },
    descendants: [],
    misuse: open,
    sessions: { maxLifeSeconds: 0 },
    logs: [],
    secretsRead: [],
    seen: [],
    swept: open,
    requestIds: [],
  };
}

function rootNode(
  credential: CredentialRef,
  live: Observation,
  at: string,
  source: string,
  evidence: string,
  more: object = {},
): GraphNode {
  const name = Object.values(credential.locator).join(' ');
  return {
    id: nodeId(credential),
    type: 'credential',
    title: `${credential.kind.replace('github.', '').replaceAll('-', ' ')} ${name}`,
    credential: { ...credential, ...more, live },
    provenance: { source, at, confidence: 'certain', evidence },
  };
}

async function lookAtNothing(account: GithubAccount, on: Look): Promise<Looked> {
  const calls = account.api.calls(agentWord('look'), on.signal, 'long');
  await calls.read('GET /orgs/{org}', { org: account.login });
  return {
    finding: { ...blank(account, on, calls.at, `nothing at GitHub can be asked of a ${on.credential.kind}`), requestIds: calls.requestIds },
    befores: {},
    evidence: {},
  };
}

async function lookAtKey(account: GithubAccount, on: Look): Promise<Looked> {
  const { repository = '', key: keyId = '' } = on.credential.locator;
  const calls = account.api.calls(agentWord('look'), on.signal, 'long');
  let keys: readonly DeployKey[] | undefined;
  let why = '';
  try {
    keys = await readKeys(account, calls, repository);
  } catch (error) {
    if (!['provider.gone', 'provider.denied'].includes(codeOf(error))) throw error;
    why = `the deploy keys of ${repository} may not be seen, or there is no such repository`;
  }
  const { at } = calls;
  const base = blank(account, on, at, why === '' ? 'it is not looked for' : why);
  if (keys === undefined) return { finding: { ...base, requestIds: calls.requestIds }, befores: {}, evidence: {} };
  const key = keys.find((each) => each.keyId === keyId);
  const request = `request ${calls.lastRequest}`;
  const live: Observation = key
    ? yes(at, 'administrator', `${repository} has the deploy key ${keyId}; ${request}`)
    : no(at, 'administrator', `${repository} has no deploy key ${keyId}; ${request}`);
  const finding: ProviderFinding = {
    ...base,
    ours: yes(at, 'administrator', `${repository} is ours to look at`),
    live,
    privilege: key === undefined ? 'unknown' : key.readOnly ? 'ordinary' : 'elevated',
    graph: {
      nodes: [
        rootNode(on.credential, live, at, 'list of deploy keys', key?.title ?? 'not in the list', {
          ...(key?.createdAt === undefined ? {} : { issuedAt: key.createdAt }),
          ...(key?.lastUsed === undefined ? {} : { lastUsed: { at: key.lastUsed } }),
        }),
      ],
      edges: [],
    },
    misuse: unknown(at, 'log', 'fetches and pushes are not in the log that can be asked'),
    swept: unknown(at, 'log', 'what a deploy key did is not in the log that can be asked'),
    requestIds: calls.requestIds,
  };
  const target = { account: account.login, repository, key: keyId };
  return { finding, befores: { [stepKey('github/delete-deploy-key', target)]: key ? { key } : {} }, evidence: key ? { key } : {} };
}

/** How long the log is known to be complete: its usual lag and the margin after a moment, by GitHub's clock. It promises no order, so that no call of ours would prove more. */
async function passed(account: GithubAccount, calls: Calls, on: Look): Promise<Watermark> {
  const moment = Date.parse(on.containedAt ?? '');
  const lagMs = on.timing.logLagMs + on.timing.marginMs;
  const until = performance.now() + on.timing.giveUpMs + lagMs;
  for (;;) {
    await calls.read('GET /orgs/{org}', { org: account.login });
    const left = moment + lagMs - calls.now;
    if (left <= 0) {
      const words = `the log is not further behind than ${on.timing.logLagMs} ms, and more than that has gone by since ${on.containedAt}`;
      return { ...yes(calls.at, 'log', words), until: on.containedAt as string, lagMs };
    }
    if (performance.now() > until) return unknown(calls.at, 'log', 'it was not waited for any longer');
    on.heartbeat({ waitingForLogMs: left });
    await on.sleep(Math.min(left, 5_000));
  }
}

async function lookAtToken(account: GithubAccount, on: Look): Promise<Looked> {
  const sha256 = on.credential.locator.sha256 ?? '';
  const full = on.depth === 'full';
  const calls = account.api.calls(agentWord('look'), on.signal, 'long');
  const water = full && on.containedAt !== undefined ? await passed(account, calls, on) : undefined;
  const since = on.since === undefined ? Number.NaN : Date.parse(on.since);
  // ORDER: last use before the probe. What the log knows of a token from before the leak says whose it is and what it made, so that it is read as far back as it goes.
  const standing = await readStanding(account, calls, sha256, () => on.heartbeat());
  const token = on.secret === undefined ? undefined : readGithubToken(on.secret.reveal());
  const matches = token?.sha256 === sha256;
  const tried =
    on.secret !== undefined && token !== undefined && matches && account.settings.activeProbe
      ? await tryToken(account, on.secret, token, on.signal)
      : undefined;
  const client =
    matches && on.secret !== undefined && token !== undefined
      ? await askClient(account, calls, on.secret.reveal().trim(), token)
      : undefined;

  const owner = standing.owner ?? tried?.login ?? client?.login;
  const scopes = tried?.scopes ?? client?.scopes ?? standing.scopes;
  const known: Standing = { ...standing, ...(owner === undefined ? {} : { owner }) };
  const hanging = await hangingKeys(account, calls, sha256, known);
  const isInstallation = on.credential.kind === 'github.installation-token';
  const accessType = standing.accessType ?? accessTypeOf(token);
  const installation = isInstallation ? await installationOf(account, calls, token, owner) : undefined;
  const principal = isInstallation ? installation : owner;
  const { at } = calls;

  const live = livenessOf(standing, tried, client, calls);
  const graph: Graph = mergeGraphs(
    {
      nodes: [
        rootNode(
          on.credential,
          live,
          at,
          'audit log',
          standing.log.events.length > 0 ? `${standing.log.events.length} events name it` : 'no event names it',
          {
            ...(principal === undefined ? {} : { principal }),
            ...(standing.listed?.lastUsedAt === undefined ? {} : { lastUsed: { at: standing.listed.lastUsedAt } }),
            ...expiry(standing, tried),
          },
        ),
        ...(principal === undefined
          ? []
          : [
              {
                id: principal,
                type: 'principal' as const,
                title: principal,
                provenance: {
                  source: standing.owner ? 'audit log' : 'probe',
                  at,
                  confidence: 'certain' as const,
                  evidence: 'it acts as this',
                },
              },
            ]),
      ],
      edges:
        principal === undefined
          ? []
          : [
              {
                from: nodeId(on.credential),
                to: principal,
                kind: 'acts-as',
                provenance: { source: standing.owner ? 'audit log' : 'probe', at, confidence: 'certain', evidence: 'it acts as this' },
              },
            ],
    },
    graphOf(nodeId(on.credential), { ...known, ...(accessType === undefined ? {} : { accessType }) }, hanging.keys, calls, on.inventory),
  );
  const descendants = graph.nodes
    .filter((node) => node.credential !== undefined && node.id !== nodeId(on.credential) && node.credential.live.state !== 'no')
    .map((node) => node.id);

  const consumers = consumersOf(on, principal);
  const events = standing.log.events.filter((event) => event.sha256 === sha256 && (Number.isNaN(since) || Date.parse(event.at) >= since));
  const strange = events.filter((event) => event.actor !== undefined && !consumers.some((consumer) => isSeenAs(consumer, event)));
  const gaps = [...standing.gaps, ...(hanging.why === undefined ? [] : [hanging.why])];
  const reach: LogReach = {
    source: manifest.logs[0]?.source ?? '',
    from: new Date(calls.now - reachMs).toISOString(),
    passed:
      standing.log.why !== undefined
        ? unknown(at, 'log', standing.log.why)
        : (water ?? unknown(at, 'log', 'nothing was contained that it should have passed')),
    blind,
  };
  const finding: ProviderFinding = {
    provider: manifest.name,
    account: account.login,
    providerTime: at,
    ours: await oursOf(account, calls, standing, owner),
    canary: false,
    live,
    possession: possessionOf(on, matches, tried, client, calls),
    ...(principal === undefined ? {} : { principal }),
    privilege: privilegeOf(scopes),
    graph,
    descendants,
    misuse: misuseOf(on, strange, consumers, standing, at),
    sessions: { maxLifeSeconds: 0 },
    logs: [reach],
    secretsRead: [],
    seen: seenOf(consumers, events, nodeId(on.credential)),
    swept: sweptOf(full, water, standing, at),
    requestIds: [...calls.requestIds, ...(tried?.requestIds ?? [])],
  };
  const before = beforeOf({ ...known, ...(accessType === undefined ? {} : { accessType }) }, hanging);
  const befores: Record<string, unknown> = { [stepKey('github/revoke-token', { account: account.login, sha256 })]: before };
  for (const { certain: _, ...key } of hanging.keys)
    befores[stepKey('github/delete-deploy-key', { account: account.login, repository: key.repository, key: key.keyId })] = { key };
  return {
    finding,
    befores,
    evidence: {
      token: { ...before, ...(scopes === undefined ? {} : { scopes }), ...(token === undefined || !matches ? {} : { form: token.form }) },
      events: standing.log.events.slice(0, 200),
      access: standing.log.events.filter((event) => givesAccess.test(event.action)).slice(0, 100),
      // The answer to one question of the people who are asked: what breaks with it.
      goesWithIt: isOfApp(accessType) ? [] : hanging.keys,
      ...(gaps.length > 0 ? { gaps } : {}),
      ...(tried === undefined ? {} : { probe: { answer: tried.answer, words: tried.words } }),
    },
  };
}

/** The audit log's word for a form, where only the token itself tells. */
const accessTypeOf = (token: GithubToken | undefined): string | undefined =>
  token?.form === 'installation' || token?.form === 'app-user' || token?.form === 'refresh' ? 'GitHub App token' : undefined;

interface Asked {
  readonly login?: string;
  readonly scopes?: readonly string[];
  readonly at: string;
  readonly request: string;
}

/**
 * Asks GitHub as the OAuth client that made a token after it. That does not use the token. Undefined where it is none of the client's or none at all, which is answered alike, and where no client is
 * configured.
 */
async function askClient(account: GithubAccount, calls: Calls, text: string, token: GithubToken): Promise<Asked | undefined> {
  const { client } = account.api.keys;
  if (client === undefined || (token.form !== 'oauth' && token.form !== 'app-user')) return undefined;
  try {
    const { data } = await calls.read(
      'POST /applications/{client_id}/token',
      { client_id: client.id, access_token: text },
      { kind: 'client' },
    );
    const { user, scopes } = data as { user?: { login?: unknown }; scopes?: unknown };
    return {
      at: calls.at,
      request: calls.lastRequest,
      ...(typeof user?.login === 'string' ? { login: user.login } : {}),
      ...(Array.isArray(scopes) ? { scopes: scopes.filter((each): each is string => typeof each === 'string') } : {}),
    };
  } catch (error) {
    if (['provider.gone', 'provider.denied', 'provider.invalid'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** Which installation a token is of: of the Apps whose keys we have, the one that the token names or the log's actor is. */
async function installationOf(
  account: GithubAccount,
  calls: Calls,
  token: GithubToken | undefined,
  actor: string | undefined,
): Promise<string | undefined> {
  for (const appId of Object.keys(account.api.keys.apps)) {
    const as = { kind: 'app', appId } as const;
    try {
      if (token?.appId !== undefined) {
        if (token.appId !== appId) continue;
      } else {
        const { data } = await calls.read('GET /app', {}, as);
        if (`${(data as { slug?: unknown }).slug}[bot]` !== actor) continue;
      }
      const { rows } = await calls.list(
        'GET /app/installations',
        {},
        (data) => (Array.isArray(data) ? (data as { id?: unknown; account?: { login?: unknown } }[]) : undefined),
        10,
        as,
      );
      const own = rows.find((row) => String(row.account?.login).toLowerCase() === account.login.toLowerCase());
      if (own?.id !== undefined) return `installation/${own.id}`;
    } catch (error) {
      if (!['provider.denied', 'provider.gone'].includes(codeOf(error))) throw error;
    }
  }
  return undefined;
}

function livenessOf(standing: Standing, tried: Tried | undefined, client: Asked | undefined, calls: Calls): Observation {
  const { at } = calls;
  const { end, listed, log } = standing;
  if (tried?.answer === 'refused') return no(tried.at, 'probe', tried.words);
  if (tried?.answer === 'accepted') return yes(tried.at, 'probe', tried.words);
  if (end !== undefined) return no(at, 'log', `${end.action} of it at ${end.at}; event ${end.id}`);
  if (client !== undefined)
    return yes(client.at, 'administrator', `the client that made it is told that it is valid; request ${client.request}`);
  if (listed !== undefined && !listed.expired)
    return yes(at, 'administrator', `token ${listed.tokenId} is in the organization’s list and has not expired`);
  if (listed?.expired) return no(at, 'administrator', `token ${listed.tokenId} has expired`);
  if (tried !== undefined) return unknown(tried.at, 'probe', tried.words);
  return unknown(at, 'log', log.why ?? 'neither list nor log says whether it is accepted, and it was not tried');
}

function possessionOf(on: Look, matches: boolean, tried: Tried | undefined, client: Asked | undefined, calls: Calls): Observation {
  if (on.secret === undefined) return unknown(calls.at, 'engine', 'no secret was sealed to us');
  if (!matches) return no(calls.at, 'engine', 'what was sealed is another text than the token that was reported');
  if (tried?.answer === 'accepted') return yes(tried.at, 'probe', tried.words);
  if (client !== undefined)
    return yes(client.at, 'administrator', `the client that made it is told that it is valid; request ${client.request}`);
  if (tried?.answer === 'refused') return unknown(tried.at, 'probe', `${tried.words}: it is not accepted, and may have been`);
  return unknown(
    tried?.at ?? calls.at,
    tried === undefined ? 'engine' : 'probe',
    tried?.words ?? 'the account’s settings do not allow it to be tried',
  );
}

/** Ours, if our log or list knows it, or if its owner is one of us. That somebody is no member proves nothing: an outside collaborator is none. */
async function oursOf(account: GithubAccount, calls: Calls, standing: Standing, owner: string | undefined): Promise<Observation> {
  if (standing.log.events.length > 0) return yes(calls.at, 'log', `the audit log of ${account.login} knows it`);
  if (standing.listed !== undefined) return yes(calls.at, 'administrator', `it is in the list of ${account.login}`);
  if (owner === undefined)
    return unknown(calls.at, 'log', standing.log.why ?? `the audit log of ${account.login} does not name it, and whose it is is not known`);
  try {
    await calls.read('GET /orgs/{org}/members/{username}', { org: account.login, username: owner });
    return yes(calls.at, 'administrator', `${owner} is a member of ${account.login}; request ${calls.lastRequest}`);
  } catch (error) {
    const code = codeOf(error);
    if (!['provider.gone', 'provider.denied', 'provider.uncertain'].includes(code)) throw error;
    return unknown(calls.at, 'administrator', `whether ${owner} is one of ${account.login} is not known: ${code}`);
  }
}

const expiry = (standing: Standing, tried: Tried | undefined): object => {
  const until = tried?.expiresAt ?? standing.listed?.expiresAt;
  return until === undefined ? {} : { expiresAt: until };
};

/** By scopes, which a classic or OAuth token has. A fine-grained one has permissions, which nothing tells without its list. */
function privilegeOf(scopes: readonly string[] | undefined): ProviderFinding['privilege'] {
  if (scopes === undefined) return 'unknown';
  if (scopes.some((scope) => /^(admin:(org|enterprise)|site_admin)$/.test(scope))) return 'administrator';
  return scopes.some((scope) => /^(repo|public_repo|workflow|delete_repo|(admin|write|manage_[a-z]+|delete):.*)$/.test(scope))
    ? 'elevated'
    : 'ordinary';
}

const isSeenAs = ({ seenAs: { userAgent, sourceAddress } }: Consumer, event: LogEvent): boolean =>
  (userAgent !== undefined || sourceAddress !== undefined) &&
  (userAgent === undefined || (event.userAgent ?? '').includes(userAgent)) &&
  (sourceAddress === undefined || event.address === sourceAddress);

/** Those whose store holds a credential of the principal; all that are declared, where no store names it. */
function consumersOf({ inventory }: Look, principal: string | undefined): readonly Consumer[] {
  const names = new Set([principal, principal === undefined ? undefined : `github.com/${principal}`]);
  const stores = new Set(inventory.stores.filter((store) => names.has(store.principal)).map((store) => store.id));
  const own = inventory.consumers.filter((consumer) => stores.has(consumer.store));
  return own.length > 0 ? own : inventory.consumers;
}

function misuseOf(on: Look, strange: readonly LogEvent[], consumers: readonly Consumer[], standing: Standing, at: string): Observation {
  const first = strange.at(-1);
  if (first === undefined)
    return unknown(
      at,
      'log',
      standing.log.why ?? 'no change was made with it that a consumer does not explain; what it read is not in the log',
    );
  const words = `${strange.length} changes are of no declared consumer, the first ${first.action} at ${first.at} from ${first.address ?? 'an address that the log does not show'}; event ${first.id}`;
  if (on.since === undefined) return unknown(at, 'log', `when it leaked is not known: ${words}`);
  if (consumers.length === 0) return unknown(at, 'log', `no consumer is declared: ${words}`);
  const unmarked = consumers.filter(({ seenAs }) => seenAs.userAgent === undefined && seenAs.sourceAddress === undefined);
  if (unmarked.length > 0)
    return unknown(at, 'log', `${unmarked.map(({ name }) => name).join(', ')} cannot be told apart in the log: ${words}`);
  return yes(at, 'log', words);
}

function seenOf(consumers: readonly Consumer[], events: readonly LogEvent[], node: string): ProviderFinding['seen'] {
  return consumers.flatMap((consumer) => {
    const last = events.find((event) => isSeenAs(consumer, event));
    return last === undefined ? [] : [{ consumer: consumer.id, credential: node, lastAt: last.at }];
  });
}

function sweptOf(full: boolean, water: Watermark | undefined, standing: Standing, at: string): Observation {
  if (!full) return unknown(at, 'log', 'it was a short look');
  if (standing.log.why !== undefined) return unknown(at, 'log', standing.log.why);
  if (water === undefined) return unknown(at, 'log', 'nothing has been contained yet that the log should have passed');
  if (water.state !== 'yes') return water;
  if (standing.keys.gaps.length > 0) return unknown(at, 'administrator', standing.keys.gaps.join('; '));
  return yes(at, 'log', water.evidence);
}
