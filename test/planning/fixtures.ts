import type { Assessment, Consumer, InventoryFinding, ProviderFinding, Store } from '../../domain/assessment.ts';
import { hashOf } from '../../domain/canonical.ts';
import type { CredentialNode, GraphEdge, GraphNode } from '../../domain/credential.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import type { DoneStep, Plan, PlanStep } from '../../domain/plan.ts';
import type { GateRule, Verdict } from '../../domain/policy.ts';
import { freshNodes } from '../../planning/facts.ts';
import type { PlanInput } from '../../planning/input.ts';
import { manifest as awsManifest } from '../../providers/aws/manifest.ts';
import { manifest as vaultManifest } from '../../providers/vault/manifest.ts';

export const account = '111122223333';
export const user = 'ci-deployer';
export const arn = `arn:aws:iam::${account}:user/${user}`;
export const leakedKey = 'AKIAQLEAKEDKEY000001';
export const attackerKey = 'AKIAQATTACKER0000002';
export const start = Date.parse('2026-11-24T12:00:00.000Z');
export const at = (seconds: number): string => new Date(start + seconds * 1000).toISOString();
export const manifests = { aws: awsManifest, vault: vaultManifest };

const provenance = { source: 'cloudtrail', at: at(0), confidence: 'certain', evidence: 'test' } as const;

export const gateRule: GateRule = {
  roles: ['responder'],
  quorum: 1,
  deadlineMs: 900_000,
  reminderMs: [300_000],
  escalateTo: ['security-lead'],
  onSilence: 'harmless',
};

export const a = {
  keyNode(id: string, over: Partial<CredentialNode> = {}): GraphNode {
    return {
      id: `aws.access-key:${id}`,
      type: 'credential',
      title: `aws.access-key ${id}`,
      credential: {
        kind: 'aws.access-key',
        locator: { accessKeyId: id },
        principal: arn,
        issuedAt: at(-86_400),
        status: 'Active',
        live: yes(at(0), 'administrator', 'listed as Active'),
        ...over,
      },
      provenance,
    };
  },
  sessionNode(id: string, over: Partial<CredentialNode> = {}): GraphNode {
    return {
      id: `aws.session:${id}`,
      type: 'credential',
      title: `aws.session ${id}`,
      credential: {
        kind: 'aws.session',
        locator: { accessKeyId: id },
        principal: arn,
        derivedVia: 'GetSessionToken',
        issuedAt: at(1),
        expiresAt: at(129_601),
        live: yes(at(1), 'log', 'seen in the log'),
        ...over,
      },
      provenance,
    };
  },
  edge(from: string, to: string, kind: GraphEdge['kind'] = 'derives'): GraphEdge {
    return { from, to, kind, provenance };
  },
  consumer(id: string, over: Partial<Consumer> = {}): Consumer {
    return {
      id,
      name: id,
      owner: 'team-ci',
      contact: 'ci@example.test',
      store: 'ci',
      overlap: true,
      rereads: 2,
      criticality: 'production',
      networks: [],
      seenAs: { userAgent: id },
      ...over,
    };
  },
  store(id = 'ci', over: Partial<Store> = {}): Store {
    return {
      id,
      provider: 'vault',
      account: 'main',
      path: `kv/${id}/deployer`,
      fields: { accessKeyId: 'id', secretAccessKey: 'secret' },
      principal: arn,
      ...over,
    };
  },
  inventory(over: Partial<InventoryFinding> = {}): InventoryFinding {
    return {
      consumers: [a.consumer('build'), a.consumer('deploy')],
      stores: [a.store()],
      owner: 'olga',
      exposure: 'internal',
      protectedTargets: [],
      ...over,
    };
  },
  finding(nodes: readonly GraphNode[], over: Partial<ProviderFinding> = {}, edges: readonly GraphEdge[] = []): ProviderFinding {
    const root = nodes.find((each) => each.id === `aws.access-key:${leakedKey}`)?.credential;
    return {
      provider: 'aws',
      account,
      providerTime: at(10),
      ours: yes(at(0), 'administrator', 'configured'),
      canary: false,
      live: root?.live ?? unknown(at(0), 'administrator', 'not looked'),
      possession: yes(at(0), 'probe', 'accepted'),
      principal: arn,
      privilege: 'ordinary',
      graph: { nodes, edges },
      descendants: [],
      misuse: unknown(at(0), 'log', 'not read yet'),
      sessions: { maxLifeSeconds: 129_600 },
      logs: [],
      secretsRead: [],
      swept: yes(at(10), 'log', 'passed'),
      requestIds: [],
      seen: [],
      ...over,
    };
  },
  assessment(finding: ProviderFinding, over: Partial<Assessment> = {}): Assessment {
    return {
      credential: { kind: 'aws.access-key', locator: { accessKeyId: leakedKey } },
      depth: 'full',
      reports: [],
      sightings: 1,
      proof: 'possession',
      reporters: ['scanner'],
      exposure: 'public',
      exposedSince: at(-60),
      finding,
      fresh: [],
      swept: finding.swept,
      ...over,
    };
  },
  verdict(over: Partial<Verdict> = {}): Verdict {
    return {
      policy: hashOf('policy'),
      rule: 'test',
      mode: 'act',
      reason: 'because',
      gates: { outage: gateRule, irreversible: { ...gateRule, onSilence: 'hold' } },
      barred: ['scanner', 'olga'],
      protected: [],
      planValidMs: 86_400_000,
      ...over,
    };
  },
  input(assessment: Assessment, over: Partial<PlanInput> = {}): PlanInput {
    const verdict = over.verdict ?? a.verdict();
    return {
      engine: 'eng_test',
      incident: 'leak/abc',
      run: 'run-1',
      round: 1,
      now: at(11),
      assessment,
      assessmentHash: hashOf(assessment),
      verdict,
      verdictHash: hashOf(verdict),
      inventory: a.inventory(),
      done: [],
      manifests,
      ...over,
    };
  },
};

interface Key {
  active: boolean;
  readonly issuedAt: number;
  changedAt: number;
  readonly by?: string;
}
interface Session {
  readonly via: string;
  readonly issuedAt: number;
  readonly from: string;
  /** Whose permissions it has, where that is a role. */
  readonly role?: string;
}

/** A world just rich enough to carry plans out in: keys with a quota, sessions, the two policies, one store. It counts what nobody may do. */
export class World {
  now = 0;
  readonly keys = new Map<string, Key>([[leakedKey, { active: true, issuedAt: -86_400, changedAt: -86_400 }]]);
  readonly sessions = new Map<string, Session>();
  readonly done: DoneStep[] = [];
  readonly moved = new Set<string>();
  known: readonly string[] = [];
  round = 0;
  #minted = 0;

  /** What a look would give, and the round's input. */
  look(over: {
    readonly verdict: Verdict;
    readonly assessment?: Partial<Assessment>;
    readonly inventory?: InventoryFinding;
    readonly swept?: Observation;
    readonly hidden?: readonly string[];
  }): PlanInput {
    this.round++;
    this.now += 10;
    const hidden = new Set(over.hidden ?? []);
    const seen = at(this.now);
    const nodes: GraphNode[] = [];
    const edges: GraphEdge[] = [];
    for (const [id, key] of this.keys) {
      if (hidden.has(id)) continue;
      nodes.push(
        a.keyNode(id, {
          issuedAt: at(key.issuedAt),
          status: key.active ? 'Active' : 'Inactive',
          live: key.active ? yes(seen, 'administrator', 'Active') : no(seen, 'administrator', 'Inactive'),
        }),
      );
      if (key.by) edges.push(a.edge(`aws.access-key:${key.by}`, `aws.access-key:${id}`));
    }
    if (!this.keys.has(leakedKey))
      nodes.push(a.keyNode(leakedKey, { status: 'absent', live: no(seen, 'administrator', 'no longer listed') }));
    for (const [id, session] of this.sessions) {
      if (hidden.has(id)) continue;
      nodes.push(
        a.sessionNode(id, {
          derivedVia: session.via,
          issuedAt: at(session.issuedAt),
          ...(session.role ? { principal: session.role } : {}),
          expiresAt: at(session.issuedAt + (session.role ? 3_600 : 129_600)),
          live: yes(at(session.issuedAt), 'log', 'minted'),
        }),
      );
      edges.push(a.edge(`aws.access-key:${session.from}`, `aws.session:${id}`));
    }
    const finding = a.finding(
      nodes,
      {
        providerTime: seen,
        slots: { used: this.keys.size, limit: 2 },
        ...(over.swept ? { swept: over.swept } : {}),
      },
      edges,
    );
    const made = this.done.flatMap((each) => (each.made ? [each.made] : []));
    const assessment = a.assessment(finding, { fresh: freshNodes(finding, this.known, made), ...over.assessment });
    this.known = [...new Set([...this.known, ...nodes.map((node) => node.id)])];
    return a.input(assessment, {
      round: this.round,
      now: seen,
      verdict: over.verdict,
      done: [...this.done],
      ...(over.inventory ? { inventory: over.inventory } : {}),
    });
  }

  /** Carries a plan out in the order of its needs. Gates named in `refuse` are refused, and what needs their steps is skipped. */
  carryOut(plan: Plan, refuse: readonly string[] = []): void {
    const left = [...plan.steps];
    const state = new Map<string, DoneStep['state']>();
    while (left.length > 0) {
      const index = left.findIndex((step) => step.needs.every((need) => state.has(need)));
      if (index < 0) throw new Error(`the plan cannot be carried out: ${left.map((each) => each.id).join(', ')}`);
      const [step] = left.splice(index, 1) as [PlanStep];
      const refused = step.gate !== undefined && refuse.includes(step.gate);
      if (refused || step.needs.some((need) => state.get(need) !== 'done')) {
        state.set(step.id, 'skipped');
        this.done.push({ round: plan.round, step, state: 'skipped', ...(refused ? { refusedBy: 'rita' } : {}) });
        continue;
      }
      const result = this.#apply(plan.round, step);
      state.set(step.id, result.state);
      this.done.push(result);
    }
  }

  #apply(round: number, step: PlanStep): DoneStep {
    this.now += 1;
    const effectiveAt = at(this.now + 4);
    const base = { round, step, state: 'done', effectiveAt } as const;
    const id = step.target.accessKeyId ?? '';
    const key = this.keys.get(id);
    switch (step.action) {
      case 'aws/disable-key':
        if (key) Object.assign(key, { active: false, changedAt: this.now });
        return base;
      case 'aws/delete-key':
        this.keys.delete(id);
        return base;
      case 'aws/mint-key': {
        // The quota of IAM: the third key is refused.
        if (this.keys.size >= 2) return { round, step, state: 'failed' };
        const accessKeyId = `AKIAQOURS${String(++this.#minted).padStart(11, '0')}`;
        this.keys.set(accessKeyId, { active: true, issuedAt: this.now, changedAt: this.now });
        return { ...base, made: { accessKeyId, sealed: hashOf(accessKeyId), keyId: 'seal-1' } };
      }
      case 'aws/cut-off-role': {
        const stamp = at(this.now + 6);
        return {
          ...base,
          residual: { what: `cut-off on ${step.target.role}`, target: step.hold ?? '', stamp, until: at(this.now + 3606) },
        };
      }
      case 'aws/cut-off-sessions':
        return { ...base, residual: { what: `cut-off on ${user}`, target: arn, until: at(this.now + 129_600) } };
      case 'vault/stage-secret':
        return { ...base, made: { stagedPath: `${step.target.path}--staged/${step.id}`, version: '1' } };
      case 'aws/watch-new-use':
        this.moved.add(step.target.consumer ?? '');
        return base;
      default:
        return base;
    }
  }
}
