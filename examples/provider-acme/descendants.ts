import {
  type GraphEdge,
  type GraphNode,
  type Look,
  type Looked,
  no,
  nodeId,
  type Provenance,
  unknown,
  yes,
} from 'tourniquet-engine/provider';
import type { Acme, Token } from './api.ts';
import { manifest } from './manifest.ts';

/** Looks at a token and at all that it has made, as far down as it goes, and changes nothing. What Acme keeps no log of is unknown. */
export async function look(acme: Acme, on: Look): Promise<Looked> {
  const id = on.credential.locator.id ?? '';
  const found = await acme.find(id);
  const listed = on.depth === 'full' ? await acme.list() : undefined;
  const { at, requestId } = listed ?? found;
  const evidence = `token list, request ${requestId}`;
  const provenance: Provenance = { source: 'token list', at, confidence: 'certain', evidence };
  const liveness = (token: Token | undefined) =>
    token?.status === 'active' ? yes(at, 'administrator', evidence) : no(at, 'administrator', evidence);
  const nodes: GraphNode[] = [
    {
      id: nodeId(on.credential),
      type: 'credential',
      title: `token ${id}`,
      credential: { ...on.credential, live: liveness(found.value), ...(found.value ? { status: found.value.status } : {}) },
      provenance,
    },
  ];
  const edges: GraphEdge[] = [];
  const standing: string[] = [];
  const below = (parent: string, above: string): void => {
    for (const token of listed?.value ?? []) {
      if (token.parent !== parent) continue;
      const credential = { kind: 'acme.token', locator: { id: token.id } };
      const node = nodeId(credential);
      if (nodes.some((each) => each.id === node)) continue;
      nodes.push({
        id: node,
        type: 'credential',
        title: `token ${token.id}`,
        credential: { ...credential, live: liveness(token), status: token.status, derivedVia: 'POST /tokens', issuedAt: token.createdAt },
        provenance,
      });
      edges.push({ from: above, to: node, kind: 'derives', provenance });
      if (token.status === 'active') standing.push(node);
      below(token.id, node);
    }
  };
  below(id, nodeId(on.credential));
  const noLog = unknown(at, 'log', 'Acme keeps no log of calls');
  return {
    finding: {
      provider: 'acme',
      account: acme.account,
      providerTime: at,
      ours: found.value
        ? yes(found.at, 'administrator', `request ${found.requestId}`)
        : unknown(found.at, 'administrator', 'there is no such token here'),
      canary: false,
      live: liveness(found.value),
      possession: unknown(at, 'administrator', 'no secret was tried'),
      privilege: 'unknown',
      graph: { nodes, edges },
      descendants: standing,
      misuse: noLog,
      // A token lives until somebody ends it, but it has a row of its own: no session outlives the look unseen.
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      // The list is Acme's own table and not a log: read after the containment, it has all that was made before.
      swept:
        on.containedAt === undefined
          ? yes(at, 'engine', 'nothing was contained before')
          : listed && Date.parse(at) > Date.parse(on.containedAt)
            ? yes(at, 'administrator', `${manifest.logs[0]?.source} of ${at}`)
            : unknown(at, 'administrator', 'the list was not read after the containment'),
      requestIds: listed ? [found.requestId, listed.requestId] : [found.requestId],
    },
    befores: {},
    evidence: found.value ? { token: found.value } : {},
  };
}
