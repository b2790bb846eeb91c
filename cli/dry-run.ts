import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Exposure, InventoryFinding, ProviderFinding } from '../domain/assessment.ts';
import { hashOf, sha256Of } from '../domain/canonical.ts';
import type { Configuration } from '../domain/configuration.ts';
import { type CredentialRef, incidentId } from '../domain/credential.ts';
import { fault } from '../domain/errors.ts';
import { yes } from '../domain/observation.ts';
import type { DoneStep, Plan } from '../domain/plan.ts';
import { parsePolicy } from '../domain/policy.schema.ts';
import type { Verdict } from '../domain/policy.ts';
import { OriginPlace, Proof, ReportFormat, type ReportRecord } from '../domain/report.ts';
import { loadInventory, lookUp } from '../inventory/index.ts';
import { assessmentOf, situationOf } from '../planning/facts.ts';
import { planRound } from '../planning/plan.ts';
import { judgeSituation } from '../planning/policy.ts';
import type { Connection } from '../providers/contract.ts';
import { manifests } from '../providers/manifests.ts';
import { timingOf } from '../providers/timing.ts';
import type { AccountEntry } from './accounts.ts';
import { readTextFile } from './engine.ts';

/** What would be done about a credential, in rounds: each round but the first supposes that every step before it was done and that the sweep found nothing more. */
export interface DryRun {
  readonly credential: CredentialRef;
  readonly finding: ProviderFinding;
  readonly verdict: Verdict;
  readonly inventory: InventoryFinding;
  readonly rounds: readonly Plan[];
}

export interface DryRunOptions {
  readonly credential: CredentialRef;
  readonly entry: AccountEntry;
  readonly connection: Connection;
  /** Where it is supposed to have leaked, proven. */
  readonly exposure: Exposure;
  /** Its policy and inventory are used; without one the default policy and an empty inventory. */
  readonly configuration: Configuration | undefined;
  readonly signal: AbortSignal;
}

const mostRounds = 5;

/**
 * Looks at a real account, with reads only, and plans as the judge would: no server, no worker and no record. The plan differs from a real one in its ids and in that nobody has signed anything;
 * what the account does not let this principal see is unknown in it, as it would be there.
 */
export async function dryRun(options: DryRunOptions): Promise<DryRun> {
  const { credential, entry, connection, configuration, exposure } = options;
  const manifest = manifests[entry.provider];
  if (!manifest) throw fault('provider.unsupported', { provider: entry.provider });
  const report = reportOf(credential, entry.account);
  const inventory: InventoryFinding = {
    ...lookUp(inventoryOf(configuration), { reports: [report] }),
    exposure,
  };
  const timing = timingOf(entry.settings, manifest);
  const { finding } = await connection.look({
    credential,
    depth: 'full',
    known: [],
    ours: [],
    inventory,
    signal: options.signal,
    heartbeat: () => undefined,
    sleep: async (ms) => await new Promise((go) => setTimeout(go, ms)),
    timing,
  });
  // What the engine stands on is spared. Where the account cannot say what that is, nothing here may say that it is not.
  const own = (await connection.self?.())?.map(({ id }) => id) ?? [];
  const ownTargets = [...new Set([...(configuration?.self ?? []), ...own])];
  return { credential, inventory, ...planned({ ...options, finding, inventory, report, ownTargets }) };
}

/** The rounds over a finding that is there already. Pure but for the clock. */
export function planned(
  options: Pick<DryRunOptions, 'credential' | 'entry' | 'configuration' | 'exposure'> & {
    readonly finding: ProviderFinding;
    readonly inventory: InventoryFinding;
    readonly report?: ReportRecord;
    readonly ownTargets: readonly string[];
  },
): Pick<DryRun, 'finding' | 'verdict' | 'rounds'> {
  const { credential, entry, configuration, inventory } = options;
  const report = options.report ?? reportOf(credential, entry.account);
  const { policy, hash: policyHash } = policyOf(configuration);
  const incident = incidentId(credential);
  const rounds: Plan[] = [];
  const done: DoneStep[] = [];
  const known: string[] = [];
  let finding = options.finding;
  let first: Verdict | undefined;
  for (let round = 1; round <= mostRounds; round++) {
    const assessment = assessmentOf({
      reports: [report],
      reportHashes: [hashOf(report)],
      inventory,
      finding,
      swept: finding.swept,
      known: [...known],
      done,
    });
    const verdict = judgeSituation(
      policy,
      situationOf({
        assessment,
        inventory,
        done,
        ownTargets: options.ownTargets,
        // What would be done is asked; whether this account may be acted on at all is told apart.
        accounts: [
          { provider: entry.provider, account: entry.account, mode: 'act' },
          ...(configuration?.accounts ?? [])
            .filter((each) => each.provider !== entry.provider || each.account !== entry.account)
            .map(({ provider, account, mode }) => ({ provider, account, mode })),
        ],
      }),
      policyHash,
    );
    first ??= verdict;
    const plan = planRound({
      engine: configuration?.engine ?? 'eng_none',
      incident,
      run: 'dry-run',
      round,
      now: new Date().toISOString(),
      assessment,
      assessmentHash: hashOf(assessment),
      verdict,
      verdictHash: hashOf(verdict),
      inventory,
      done,
      manifests,
    });
    rounds.push(plan);
    if (plan.steps.length === 0) break;
    const laterMs = Date.parse(finding.providerTime) + 60_000;
    const later = new Date(laterMs).toISOString();
    known.push(...finding.graph.nodes.map((node) => node.id));
    done.push(
      ...plan.steps.map(
        (step): DoneStep => ({
          round,
          step,
          state: 'done',
          effectiveAt: later,
          ...(manifests[step.provider]?.actions.find((each) => `${step.provider}/${each.name}` === step.action)?.mints
            ? { made: { of: step.id } }
            : {}),
        }),
      ),
    );
    finding = {
      ...finding,
      providerTime: new Date(laterMs + 1000).toISOString(),
      swept: yes(later, 'engine', 'supposed: the sweep found nothing more'),
    };
  }
  return { finding: options.finding, verdict: first as Verdict, rounds };
}

/** A report as if somebody had shown the secret: of a mere claim nothing would be done. */
function reportOf(credential: CredentialRef, account: string): ReportRecord {
  const at = new Date().toISOString();
  return {
    report: {
      v: 1,
      id: `rpt_${'0'.repeat(26)}`,
      format: ReportFormat.MANUAL,
      credential,
      account,
      origin: { where: OriginPlace.UNKNOWN },
      reporter: 'dry run',
      seenAt: at,
      claims: {},
    },
    receivedAt: at,
    proof: Proof.POSSESSION,
  };
}

function policyOf(configuration: Configuration | undefined) {
  const file =
    configuration && existsSync(configuration.policy)
      ? configuration.policy
      : fileURLToPath(new URL('../policies/default.yaml', import.meta.url));
  const text = readFileSync(file, 'utf8');
  return { policy: parsePolicy(text, file), hash: sha256Of(new TextEncoder().encode(text)) };
}

function inventoryOf(configuration: Configuration | undefined) {
  return configuration && existsSync(configuration.inventory)
    ? loadInventory(readTextFile(configuration.inventory), configuration.inventory)
    : loadInventory('v: 1', 'no inventory');
}
