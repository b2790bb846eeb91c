import type { Consumer, Store } from '../../domain/assessment.ts';
import { type CredentialRef, type Graph, type GraphEdge, type GraphNode, nodeId, type Provenance } from '../../domain/credential.ts';
import { type Observation, unknown, yes } from '../../domain/observation.ts';
import type { Calls } from './api.ts';
import type { LogEvent } from './log.ts';
import { type HangingKey, isOfApp, type Standing } from './standing.ts';

/** What of the log made a credential that is none of the token's own: the event, the kind, and by what it is told. */
const makings: readonly {
  readonly action: RegExp;
  readonly kind: string;
  readonly via: string;
  readonly locator: (event: LogEvent) => Readonly<Record<string, string>> | undefined;
}[] = [
  {
    // With a repository it is a deploy key, and those are listed.
    action: /^public_key\.create$/,
    kind: 'github.ssh-key',
    via: 'POST /user/keys',
    locator: ({ repository, fingerprint }) => (repository === undefined && fingerprint !== undefined ? { fingerprint } : undefined),
  },
  {
    action: /^hook\.create$/,
    kind: 'github.webhook-secret',
    via: 'POST /repos/{owner}/{repo}/hooks',
    locator: ({ repository, hookId }) => (repository !== undefined && hookId !== undefined ? { repository, hookId } : undefined),
  },
  {
    action: /^oauth_(authorization|access)\.create$/,
    kind: 'github.oauth-authorization',
    via: 'authorizing an application',
    locator: ({ id }) => ({ event: id }),
  },
  {
    action: /^integration_installation\.create$/,
    kind: 'github.installation',
    via: 'installing an App',
    locator: ({ id }) => ({ event: id }),
  },
  {
    action: /^personal_access_token\.(create|access_granted|request_created)$/,
    kind: 'github.personal-access-token',
    via: 'a request or grant of a token',
    locator: ({ id }) => ({ event: id }),
  },
];

/** Events that gave somebody a way in that is no credential: they go into the evidence, for a person to look at. */
export const givesAccess =
  /^(org\.(add_member|update_member|add_outside_collaborator|invite_member)|repo\.(add_member|access)|team\.(add_member|add_repository)|protected_branch\..*|(org|repo|enterprise)\.register_self_hosted_runner|environment\..*|(repo|org|environment)\.(create|update)_actions_secret|workflows\..*)$/;

/** How a deploy key was made, as the manifest calls it: what an App made does not go with the token. */
const keyVia = 'POST /repos/{owner}/{repo}/keys';
const appKeyVia = `${keyVia}, by an App`;

/** The node of a deploy key, and its edges: to the token, and to those who use it as the inventory declares. */
function keyNode(
  root: string,
  key: HangingKey,
  calls: Calls,
  dies: boolean,
  inventory: { readonly consumers: readonly Consumer[]; readonly stores: readonly Store[] },
): Graph {
  const credential: CredentialRef = { kind: 'github.deploy-key', locator: { repository: key.repository, key: key.keyId } };
  const id = nodeId(credential);
  const fate = dies ? 'it is deleted with the token' : 'it outlives the token';
  const provenance: Provenance = {
    source: key.certain ? 'audit log' : 'list of deploy keys',
    at: calls.at,
    confidence: key.certain ? 'certain' : 'suspected',
    evidence: key.certain
      ? `the log says that it was added with the token; ${fate}`
      : `${key.addedBy ?? 'the owner'} added it, and the log does not say with what; ${fate}, if it was the token`,
  };
  const node: GraphNode = {
    id,
    type: 'credential',
    title: `deploy key ${key.keyId} of ${key.repository} (${key.title})`,
    credential: {
      ...credential,
      derivedVia: dies ? keyVia : appKeyVia,
      ...(key.createdAt === undefined ? {} : { issuedAt: key.createdAt }),
      live: yes(calls.at, 'administrator', `it is in the list of ${key.repository}; request ${calls.lastRequest}`),
      status: dies ? 'dies with the token' : 'outlives the token',
      ...(key.lastUsed === undefined ? {} : { lastUsed: { at: key.lastUsed } }),
    },
    provenance,
  };
  const edges: GraphEdge[] = [{ from: root, to: id, kind: 'derives', provenance }];
  const nodes: GraphNode[] = [node];
  const names = new Set([id, `${key.repository}#${key.keyId}`]);
  const said: Provenance = { source: 'inventory', at: calls.at, confidence: 'certain', evidence: 'a store that holds this key' };
  for (const store of inventory.stores.filter((each) => names.has(each.principal))) {
    for (const consumer of inventory.consumers.filter((each) => each.store === store.id)) {
      nodes.push({ id: consumer.id, type: 'consumer', title: consumer.name, provenance: said });
      edges.push({ from: id, to: consumer.id, kind: 'used-by', provenance: said });
    }
  }
  return { nodes, edges };
}

/** All that was made with a token, as far as lists and log say, and what of it still stands. What nobody can say is unknown. */
export function graphOf(
  root: string,
  standing: Standing,
  keys: readonly HangingKey[],
  calls: Calls,
  inventory: { readonly consumers: readonly Consumer[]; readonly stores: readonly Store[] },
): Graph {
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const dies = !isOfApp(standing.accessType);
  for (const key of keys) {
    const part = keyNode(root, key, calls, dies, inventory);
    nodes.push(...part.nodes);
    edges.push(...part.edges);
  }
  const listed = new Set(keys.map((key) => key.fingerprint));
  for (const event of standing.log.events) {
    const making = makings.find((each) => each.action.test(event.action));
    const locator = making?.locator(event);
    if (making !== undefined && locator !== undefined) {
      add(
        { kind: making.kind, locator },
        making.via,
        event,
        unknown(calls.at, 'log', 'the log says that it was made, and nothing that can be read says whether it still stands'),
      );
      continue;
    }
    // A deploy key that the log knows and the list does not: gone where the list of its repository was read.
    if (
      event.action !== 'public_key.create' ||
      event.repository === undefined ||
      event.fingerprint === undefined ||
      listed.has(event.fingerprint)
    )
      continue;
    const live: Observation = standing.keys.read.has(event.repository)
      ? { state: 'no', at: calls.at, source: 'administrator', evidence: `${event.repository} has no such key any more` }
      : unknown(calls.at, 'administrator', `the deploy keys of ${event.repository} could not be read`);
    add(
      { kind: 'github.deploy-key', locator: { repository: event.repository, fingerprint: event.fingerprint } },
      'POST /repos/{owner}/{repo}/keys',
      event,
      live,
    );
  }
  return { nodes, edges };

  function add(credential: CredentialRef, via: string, event: LogEvent, live: Observation): void {
    const id = nodeId(credential);
    const provenance: Provenance = {
      source: 'audit log',
      at: event.at,
      confidence: 'certain',
      evidence: `${event.action} with the token; event ${event.id}`,
    };
    nodes.push({
      id,
      type: 'credential',
      title: `${credential.kind.replace('github.', '').replaceAll('-', ' ')} ${event.title ?? Object.values(credential.locator).join(' ')}`,
      credential: { ...credential, derivedVia: via, issuedAt: event.at, live },
      provenance,
    });
    edges.push({ from: root, to: id, kind: 'derives', provenance });
  }
}
