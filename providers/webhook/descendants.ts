import type { CredentialNode, GraphEdge, GraphNode, Provenance } from '../../domain/credential.ts';
import { nodeId } from '../../domain/credential.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { WebhookAccount } from './account.ts';
import type { Patience } from './endpoint.ts';
import { Kind } from './identify.ts';
import { descendantsSchema, type Named, Operation, State } from './wire.ts';

/** What can be ended by nothing that is done to itself. */
export const derivedKind = 'webhook.derived';

/** What a credential has made, as its endpoint tells it. */
export interface Progeny {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Ids of nodes that are accepted, or of which that is not known. */
  readonly standing: readonly string[];
  /** Whether there are no others: `unknown` where the endpoint cannot say. */
  readonly whole: Observation;
  readonly message: string;
}

/**
 * Asks what the credential has made. A list that is not complete is shown and proves nothing. `reversible`: whether a containment can be taken back here, which makes out of which kind those are that can be ended by their
 * own id.
 */
export async function descendantsOf(
  account: WebhookAccount,
  root: Named,
  rootNode: string,
  reversible: boolean,
  patience: Patience,
): Promise<Progeny> {
  const { value, at, message } = await account.endpoint.ask(Operation.LIST_DESCENDANTS, { credential: root }, descendantsSchema, patience);
  const provenance: Provenance = {
    source: 'endpoint',
    at: value.asOf,
    confidence: value.complete ? 'certain' : 'likely',
    evidence: `listDescendants, message ${message}`,
  };
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const standing: string[] = [];
  for (const each of value.descendants) {
    const kind = each.controllable ? (reversible ? Kind.CREDENTIAL : Kind.ONE_WAY) : derivedKind;
    const live = livenessOf(each.state, at, `the endpoint says ${each.state}; message ${message}`);
    const credential: CredentialNode = {
      kind,
      locator: { system: root.system, id: each.id },
      derivedVia: each.via,
      live,
      status: each.state,
      ...(each.issuedAt === undefined ? {} : { issuedAt: each.issuedAt }),
      ...(each.expiresAt === undefined ? {} : { expiresAt: each.expiresAt }),
    };
    const id = nodeId(credential);
    nodes.push({ id, type: 'credential', title: `${each.id} of ${root.system}`, credential, provenance });
    edges.push({ from: rootNode, to: id, kind: 'derives', provenance });
    if (live.state !== 'no') standing.push(id);
  }
  const whole = value.complete
    ? yes(at, 'administrator', `the endpoint lists all that it made; message ${message}`)
    : unknown(at, 'administrator', 'the endpoint cannot say that it lists all');
  return { nodes, edges, standing, whole, message };
}

/** Whether a credential is accepted, by the endpoint's word for how it stands. */
export function livenessOf(state: State, at: string, words: string): Observation {
  if (state === State.ACTIVE) return yes(at, 'administrator', words);
  if (state === State.UNKNOWN || state === State.PENDING) return unknown(at, 'administrator', words);
  if (state === State.ABSENT) return unknown(at, 'administrator', `${words}: a wrong id looks the same as one that is gone`);
  return no(at, 'administrator', words);
}
