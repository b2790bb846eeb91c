import { type Hash, hashOf } from './canonical.ts';
import type { Observation } from './observation.ts';

/** Kinds are dotted: system, then what it is. A kind no provider handles is `manual.<what the reporter called it>`. */
export type CredentialKind = string;

/** Which credential, never the credential. The locator holds non-secret identifiers only, e.g. `{ accessKeyId: 'AKIA…' }`. */
export interface CredentialRef {
  readonly kind: CredentialKind;
  readonly locator: Readonly<Record<string, string>>;
}

/** SHA-256 of kind and canonical locator, as 64 digits: the identity of a credential and the end of its incident's id. */
export function fingerprintOf(credential: CredentialRef): string {
  return hashOf({ kind: credential.kind, locator: credential.locator }).slice('sha256:'.length);
}

/** `leak/<fingerprint>`: one incident per credential, whatever reports it. */
export function incidentId(credential: CredentialRef): string {
  return `leak/${fingerprintOf(credential)}`;
}

/** How one node hangs on another in the graph. `unlocks`: the holder can read the store; `issues`: an engine root mints dynamic credentials. */
export const EdgeKind = {
  DERIVES: 'derives',
  UNLOCKS: 'unlocks',
  STORED_IN: 'stored-in',
  USED_BY: 'used-by',
  ACTS_AS: 'acts-as',
  ISSUES: 'issues',
  OWNED_BY: 'owned-by',
} as const;
export type EdgeKind = (typeof EdgeKind)[keyof typeof EdgeKind];

export interface Provenance {
  /** Who says so: `cloudtrail`, `iam`, `inventory.yaml`, … */
  readonly source: string;
  readonly at: string;
  readonly confidence: 'certain' | 'likely' | 'suspected';
  readonly evidence: string;
}

/** A node of the graph is a credential, a principal, a store, a consumer or an owner. Ids are readable: `aws.access-key:AKIA…`. */
export interface GraphNode {
  readonly id: string;
  readonly type: 'credential' | 'principal' | 'store' | 'consumer' | 'owner';
  readonly title: string;
  readonly credential?: CredentialNode;
  readonly provenance: Provenance;
}

/** A credential with all that is known of it. `live`: accepted by its system, as far as anybody saw. Times are ISO, UTC, by the provider's clock. */
export interface CredentialNode extends CredentialRef {
  readonly principal?: string;
  readonly derivedVia?: string;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  readonly live: Observation;
  /** The provider's own status word, e.g. `Active`. */
  readonly status?: string;
  readonly lastUsed?: { readonly at: string; readonly service?: string; readonly region?: string };
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly kind: EdgeKind;
  readonly provenance: Provenance;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** The id of a credential's node. */
export function nodeId(credential: CredentialRef): string {
  const values = Object.keys(credential.locator)
    .sort()
    .map((key) => credential.locator[key]);
  return `${credential.kind}:${values.join('/')}`;
}

/** One graph out of several: later nodes and edges replace earlier ones of the same identity. Order of first appearance is kept. */
export function mergeGraphs(...graphs: readonly Graph[]): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  for (const graph of graphs) {
    for (const node of graph.nodes) nodes.set(node.id, node);
    for (const edge of graph.edges) edges.set(`${edge.from}|${edge.kind}|${edge.to}`, edge);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** A short name for people: kind and the last eight characters of the locator. */
export function titleOf(credential: CredentialRef): string {
  const value = Object.values(credential.locator)[0] ?? '';
  return `${credential.kind} ${value.length > 24 ? `…${value.slice(-12)}` : value}`;
}

/** Names the record in which a node's evidence stands. */
export interface Residual {
  readonly what: string;
  readonly target: string;
  /** ISO, UTC; undefined only for what a person accepted by name. */
  readonly until?: string;
  /** For a cut-off: the moment before which what was issued is refused, ISO, by the provider's clock. */
  readonly stamp?: string;
  readonly acceptedBy?: string;
  readonly record?: Hash;
}
