/** What whoever writes a provider needs: the contract, the nouns it speaks in, and the faults it may throw. */
export type { Consumer, LogReach, ProviderFinding, Store } from '../domain/assessment.ts';
export { canonicalJson, type Hash, hashOf } from '../domain/canonical.ts';
export {
  type CredentialNode,
  type CredentialRef,
  fingerprintOf,
  type Graph,
  type GraphEdge,
  type GraphNode,
  incidentId,
  mergeGraphs,
  nodeId,
  type Provenance,
  type Residual,
} from '../domain/credential.ts';
export { codeOf, type ErrorCode, Fault, fault, isFault } from '../domain/errors.ts';
export { Outcome } from '../domain/execution.ts';
export { readManifest } from '../domain/manifest.schema.ts';
export {
  type ActionManifest,
  actionOf,
  type Identified,
  type KindManifest,
  type Mints,
  type Part,
  type ProviderManifest,
  type Way,
  type Ways,
} from '../domain/manifest.ts';
export { no, type Observation, ObservationSource, unknown, yes } from '../domain/observation.ts';
export { stepKey, type Target } from '../domain/plan.ts';
export { Secret } from '../domain/secret.ts';
export type { OwnThing } from '../domain/self.ts';
export type {
  AccountConfig,
  Action,
  Applied,
  Connection,
  Look,
  Looked,
  Probed,
  Provider,
  Reverted,
  Sealing,
  StepContext,
} from './contract.ts';
