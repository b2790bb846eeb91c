import type { Assessment, Consumer, ProviderFinding, Store } from '../../domain/assessment.ts';
import { type CredentialNode, type GraphEdge, type GraphNode, nodeId } from '../../domain/credential.ts';
import type { ActionManifest, KindManifest, ProviderManifest, Way } from '../../domain/manifest.ts';
import { yes } from '../../domain/observation.ts';
import type { DoneStep, Plan } from '../../domain/plan.ts';
import type { PlanInput } from '../../planning/input.ts';
import { manifest as vaultManifest } from '../../providers/vault/manifest.ts';
import { a, at } from './fixtures.ts';

/** Systems that nobody runs, of the shapes that real ones have: the planner has no file for any of them. */

const action = (name: string, over: Partial<ActionManifest> = {}): ActionManifest => ({
  name,
  title: `${name.replaceAll('-', ' ')} {id}`,
  phase: 'contain',
  reversibility: 'reversible',
  scope: 'credential',
  permissions: [],
  byHand: `cli ${name} {id}`,
  source: 'made up',
  ...over,
});
const final = { phase: 'revoke', reversibility: 'irreversible', irreversibleBecause: 'the system forgets it' } as const;
const watch = { phase: 'verify', scope: 'none', watches: true } as const;

const system = (name: string, kinds: readonly KindManifest[], actions: readonly ActionManifest[]): ProviderManifest => ({
  name,
  title: name,
  kinds,
  actions,
  propagationMs: 5000,
  logs: [{ source: 'log', usualLagMs: 10_000, reachDays: 30, blind: [] }],
  links: [],
});

const onKey = (name: string): Way => ({ action: name, target: { account: '{account}', email: '{email}', id: '{id}' }, subject: '{id}' });
const onAccount = (name: string): Way => ({ action: name, target: { account: '{account}', email: '{principal}' }, subject: '{principal}' });
const owner = { pattern: '(?<name>[a-z0-9-]+@(?<account>[a-z0-9-]+)\\.cloud\\.test)', id: '{name}' } as const;
const hour = 3600;

/** Keys of an account that can be disabled, tokens of an hour that nothing shows and only the account's disabling stops. */
export const cloud = system(
  'cloud',
  [
    {
      kind: 'cloud.account-key',
      title: 'key of an account',
      locator: ['email', 'id'],
      mints: [{ kind: 'cloud.token', via: 'exchange', logged: 'never', maxLife: hour, killedBy: ['disable-account'] }],
      overlap: 10,
      principal: owner,
      stoppedBy: ['disable-account'],
      ways: {
        disable: onKey('disable-key'),
        remove: onKey('delete-key'),
        deny: onAccount('disable-account'),
        liftDeny: onAccount('enable-account'),
        mint: onAccount('upload-key'),
        watchNewUse: { ...onAccount('watch-new-use'), target: { account: '{account}', email: '{principal}', consumer: '{consumer}' } },
        watchOldQuiet: onKey('watch-old-quiet'),
      },
    },
    {
      kind: 'cloud.token',
      title: 'access token',
      locator: ['sha256'],
      mints: [],
      overlap: 'unlimited',
      principal: owner,
      stoppedBy: ['disable-account'],
    },
  ],
  [
    action('disable-key'),
    action('delete-key', final),
    action('disable-account', { scope: 'principal' }),
    action('enable-account', { scope: 'principal', lifts: 'disable-account' }),
    action('upload-key', { phase: 'mint', scope: 'none', mints: true }),
    action('watch-new-use', watch),
    action('watch-old-quiet', watch),
  ],
);

/** Tokens that can only be revoked for good, and deploy keys that die with the token they were made with, or outlive it. */
export const forge = system(
  'forge',
  [
    {
      kind: 'forge.token',
      title: 'personal token',
      locator: ['hashed'],
      mints: [
        { kind: 'forge.deploy-key', via: 'personal token', logged: 'always', maxLife: 'unlimited', killedBy: ['revoke-token'] },
        { kind: 'forge.deploy-key', via: 'app', logged: 'always', maxLife: 'unlimited', killedBy: ['delete-deploy-key'] },
      ],
      overlap: 'unlimited',
      ways: { remove: { action: 'revoke-token', target: { account: '{account}', hashed: '{hashed}' }, subject: '{hashed}' } },
    },
    {
      kind: 'forge.deploy-key',
      title: 'deploy key',
      locator: ['repository', 'id'],
      mints: [],
      overlap: 'unlimited',
      ways: {
        remove: {
          action: 'delete-deploy-key',
          target: { account: '{account}', repository: '{repository}', id: '{id}' },
          subject: '{repository}#{id}',
        },
      },
    },
  ],
  [action('revoke-token', final), action('delete-deploy-key', final)],
);

/** Tokens of an entity that can be disabled, which are revoked by accessor. */
export const safe = system(
  'safe',
  [
    {
      kind: 'safe.token',
      title: 'service token',
      locator: ['accessor'],
      mints: [
        { kind: 'safe.token', via: 'create-orphan', logged: 'always', maxLife: 'unlimited', killedBy: ['revoke-token', 'disable-entity'] },
        { kind: 'safe.batch', via: 'create-batch', logged: 'always', maxLife: hour, killedBy: ['revoke-token'] },
      ],
      overlap: 'unlimited',
      principal: { pattern: 'entity/(?<name>[a-z0-9-]+)', id: 'entity/{name}' },
      stoppedBy: ['disable-entity'],
      ways: {
        remove: { action: 'revoke-token', target: { account: '{account}', accessor: '{accessor}' }, subject: '{accessor}' },
        deny: { action: 'disable-entity', target: { account: '{account}', entity: '{principal}' }, subject: '{principal}' },
        liftDeny: { action: 'enable-entity', target: { account: '{account}', entity: '{principal}' }, subject: '{principal}' },
      },
    },
    { kind: 'safe.batch', title: 'batch token', locator: ['hmac'], mints: [], overlap: 'unlimited' },
  ],
  [
    action('revoke-token', final),
    action('disable-entity', { scope: 'principal' }),
    action('enable-entity', { scope: 'principal', lifts: 'disable-entity' }),
  ],
);

export const systems = { cloud, forge, safe, vault: vaultManifest };

const provenance = { source: 'log', at: at(0), confidence: 'certain', evidence: 'test' } as const;

/** A node of a credential that lives. */
export const node = (kind: string, locator: Record<string, string>, over: Partial<CredentialNode> = {}): GraphNode => ({
  id: nodeId({ kind, locator }),
  type: 'credential',
  title: kind,
  credential: { kind, locator, issuedAt: at(-86_400), live: yes(at(0), 'administrator', 'listed'), ...over },
  provenance,
});

/** The input of a round about the first of the nodes. */
export function about(
  provider: keyof typeof systems,
  nodes: readonly [GraphNode, ...GraphNode[]],
  over: {
    readonly edges?: readonly GraphEdge[];
    readonly finding?: Partial<ProviderFinding>;
    readonly assessment?: Partial<Assessment>;
    readonly stores?: readonly Store[];
    readonly consumers?: readonly Consumer[];
    readonly input?: Partial<PlanInput>;
  } = {},
): PlanInput {
  const root = nodes[0].credential;
  if (!root) throw new TypeError('the first node is a credential');
  const { principal: _, ...bare } = a.finding(nodes, { provider, account: 'here', live: root.live, slots: undefined as never }, over.edges);
  const { slots: __, ...finding } = { ...bare, ...(root.principal ? { principal: root.principal } : {}), ...over.finding };
  return a.input(
    a.assessment(over.finding?.slots ? { ...finding, slots: over.finding.slots } : finding, {
      credential: { kind: root.kind, locator: root.locator },
      ...over.assessment,
    }),
    {
      inventory: a.inventory({ stores: over.stores ?? [], consumers: over.consumers ?? [] }),
      manifests: systems,
      ...over.input,
    },
  );
}

/** Every step of a plan as done at that second; those whose ids are refused were refused, or nobody answered. */
export const carriedOut = (plan: Plan, second: number, not: Readonly<Record<string, 'refused' | 'skipped'>> = {}): DoneStep[] =>
  plan.steps.map((step) => {
    const how = not[step.action];
    if (how) return { round: plan.round, step, state: 'skipped', ...(how === 'refused' ? { refusedBy: 'rita' } : {}) };
    return {
      round: plan.round,
      step,
      state: 'done',
      effectiveAt: at(second),
      ...(step.phase === 'mint' ? { made: { email: 'ci@here.cloud.test', id: 'ours', sealed: 'sha256:x', keyId: 'seal' } } : {}),
    };
  });
