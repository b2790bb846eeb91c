import { existsSync, readFileSync } from 'node:fs';
import type { TourniquetClient } from '../client/index.ts';
import { Exposure, type ProviderFinding } from '../domain/assessment.ts';
import type { Configuration } from '../domain/configuration.ts';
import type { CredentialRef } from '../domain/credential.ts';
import { isFault, registry } from '../domain/errors.ts';
import { no, type Observation, yes } from '../domain/observation.ts';
import { parsePolicy } from '../domain/policy.schema.ts';
import { KeyRole, type People, type Trust } from '../domain/trust.ts';
import { type Inventory, loadInventory, lookUp } from '../inventory/index.ts';
import type { Connection } from '../providers/contract.ts';
import { manifests } from '../providers/manifests.ts';
import { timingOf } from '../providers/timing.ts';
import { connectTo, entryOf } from './accounts.ts';
import { planned } from './dry-run.ts';

/** One line of a doctor. `breaks`: what does not work where it is not so. */
export interface Check {
  readonly what: string;
  readonly state: 'yes' | 'no' | 'unknown';
  readonly says: string;
  readonly breaks?: string;
  readonly next?: string;
}

const patienceMs = 60_000;
const wordsOf = (observation: Observation): string => (observation.state === 'unknown' ? observation.why : observation.evidence);

/** Every account that is configured and whose credentials lie here: reachable, who we are, and what a response would stumble over. Reads only. */
export async function accountChecks(configuration: Configuration, client: TourniquetClient | undefined): Promise<readonly Check[]> {
  const inventory = inventoryIfAny(configuration);
  const all = await Promise.all(
    configuration.accounts.map(async (entry): Promise<readonly Check[]> => {
      const name = `${entry.provider}/${entry.account}`;
      if (!existsSync(entry.credentials))
        return [
          {
            what: `${name} answers`,
            state: 'unknown',
            says: `its credentials do not lie here: ${entry.credentials}`,
            next: 'Run doctor where its worker runs.',
          },
        ];
      const checks: Check[] = [
        entry.mode === 'act'
          ? { what: `${name} may be acted on`, state: 'yes', says: 'mode act' }
          : {
              what: `${name} may be acted on`,
              state: 'unknown',
              says: `mode ${entry.mode}: ${entry.mode === 'observe' ? 'it is only looked at' : 'a person does what is planned'}`,
              breaks: 'a public leak waits for a person',
              next: 'Set mode: act in tourniquet.yaml when the drill has passed.',
            },
      ];
      let connection: Connection | undefined;
      try {
        connection = await connectTo(entryOf(entry));
        for (const { what, observation, remedy } of await connection.check())
          checks.push({
            what: `${name}: ${what}`,
            state: observation.state,
            says: wordsOf(observation),
            ...(observation.state === 'yes' ? {} : { breaks: 'whatever needs it is done by hand' }),
            ...(remedy === undefined ? {} : { next: remedy }),
          });
        const away = checks.some(({ what, state }) => what === `${name}: reachable` && state !== 'yes');
        if (connection.examine && !away) {
          const held = await heldIn(client, entry);
          const examined = await connection.examine({
            principals: principalsOf(inventory, entry),
            ...(held === undefined ? {} : { held }),
            signal: AbortSignal.timeout(patienceMs),
          });
          checks.push(
            ...examined.map(({ what, observation, breaks, remedy }) => ({
              what: `${name}: ${what}`,
              state: observation.state,
              says: wordsOf(observation),
              breaks,
              ...(remedy === undefined ? {} : { next: remedy }),
            })),
          );
        }
      } catch (error) {
        checks.push({
          what: `${name} answers`,
          state: 'no',
          says: isFault(error) ? error.message : 'it does not',
          breaks: 'nothing that leaks there can be acted on',
          next: isFault(error) ? registry[error.code].remedy : 'Check its entry in tourniquet.yaml.',
        });
      } finally {
        await connection?.close();
      }
      return checks;
    }),
  );
  return all.flat();
}

function inventoryIfAny({ inventory }: Configuration): Inventory | undefined {
  try {
    return loadInventory(readFileSync(inventory, 'utf8'), inventory);
  } catch {
    // That it cannot be read is told by a line of its own.
    return undefined;
  }
}

/** Principals of the account that the inventory names, once each. */
function principalsOf(inventory: Inventory | undefined, { account }: { readonly account: string }): readonly string[] {
  const named = (inventory?.stores ?? [])
    .map((store) => store.principal)
    .filter((each) => !/^arn:/.test(each) || each.includes(`:${account}:`));
  return [...new Set(named)];
}

/** Ids of principals that a running hold is of; undefined where the server could not be asked. */
async function heldIn(
  client: TourniquetClient | undefined,
  { provider, account }: { readonly provider: string; readonly account: string },
): Promise<readonly string[] | undefined> {
  if (client === undefined) return undefined;
  const prefix = `hold/${provider}/${account}/`;
  try {
    const held: string[] = [];
    for await (const { workflowId } of client.temporal.workflow.list({
      query: `WorkflowId STARTS_WITH "${prefix}" AND ExecutionStatus = "Running"`,
    }))
      held.push(workflowId.slice(prefix.length));
    return held;
  } catch {
    return undefined;
  }
}

/**
 * Whether those whom a gate asks could pass it now: people who hold one of its roles and have a key that is good now, without the owner of what leaked and without one more, who reported it. Where they could not, the
 * engine asks fewer, as a gate that nobody can pass protects nothing; that is a weaker answer than the policy says.
 */
export function quorumChecks(configuration: Configuration, people: People, trust: Trust, now: string): readonly Check[] {
  let policy: ReturnType<typeof parsePolicy>;
  try {
    policy = parsePolicy(readFileSync(configuration.policy, 'utf8'), configuration.policy);
  } catch {
    return [];
  }
  const keyed = new Set(
    trust.keys.flatMap((key) =>
      key.role === KeyRole.PERSON && key.person !== undefined && key.from <= now && now < key.until ? [key.person] : [],
    ),
  );
  const inventory = inventoryIfAny(configuration);
  const owners = [undefined, ...new Set((inventory?.owners ?? []).map((each) => each.owner))];
  const most = Math.max(...Object.values(policy.quorum.byPrivilege));
  return (['outage', 'irreversible'] as const).map((kind): Check => {
    const gate = policy.gates[kind];
    const asked = Math.min(Math.max(gate.quorum, kind === 'irreversible' ? most : 1), policy.quorum.most);
    const could = people.people
      .filter(({ id, roles }) => keyed.has(id) && roles.some((role) => gate.roles.includes(role)))
      .map(({ id }) => id);
    // Whoever reports is barred as well: in the worst case one of those who could answer.
    const left = Math.min(...owners.map((owner) => could.filter((id) => id !== owner).length - 1));
    const what = `the ${kind} gate can be passed now`;
    const says = `${asked} of ${gate.roles.join(', ')} are asked; ${could.length === 0 ? 'nobody has' : `${could.join(', ')} ${could.length === 1 ? 'has' : 'have'}`} a key that is good now; without the owner and whoever reports ${Math.max(0, left)} ${left === 1 ? 'is' : 'are'} left`;
    return left >= asked
      ? { what, state: 'yes', says }
      : {
          what,
          state: 'no',
          says,
          breaks: left <= 0 ? 'nobody could answer the question' : `it is passed by ${left} instead of ${asked}`,
          next: 'Give more people a role and a key: `tourniquet key new`, `tourniquet trust propose`.',
        };
  });
}

/** What would contain a key of the account that leaked in public, in about how many seconds, and who would fail: of each principal that the inventory has in a store. Nothing is asked of anybody for it. */
export function containments(configuration: Configuration): readonly string[] {
  const inventory = inventoryIfAny(configuration);
  return configuration.accounts.flatMap((entry) => {
    const manifest = manifests[entry.provider];
    if (entry.provider !== 'aws' || manifest === undefined) return [];
    const names = principalsOf(inventory, entry);
    if (inventory === undefined || names.length === 0)
      return [`A public key of ${entry.account}: unknown, as the inventory names no principal there.`];
    return names.map((principal) => {
      const arn = /^arn:/.test(principal) ? principal : `arn:aws:iam::${entry.account}:user/${principal}`;
      const credential: CredentialRef = { kind: 'aws.access-key', locator: { accessKeyId: 'AKIAXXXXXXXXXXXXXXXX' } };
      const known = { ...lookUp(inventory, { reports: [] }), exposure: Exposure.PUBLIC };
      const { rounds } = planned({
        credential,
        entry: entryOf(entry),
        configuration,
        exposure: Exposure.PUBLIC,
        finding: supposed(arn, entry),
        inventory: known,
        ownTargets: configuration.self ?? [],
      });
      const plan = rounds[0];
      const name = arn.slice(arn.lastIndexOf('/') + 1);
      if (!plan || plan.steps.every((step) => step.gate !== undefined || step.provider === 'manual'))
        return `A public key of ${name}: nothing would contain it unasked. ${plan?.gates[0]?.question ?? plan?.notes.join(' ') ?? ''}`.trim();
      const steps = plan.steps.filter((step) => step.provider !== 'manual' && step.phase === 'contain');
      const timing = timingOf(entry.settings, manifest);
      const depth = (id: string): number => 1 + Math.max(0, ...(steps.find((step) => step.id === id)?.needs ?? []).map(depth));
      const seconds = Math.ceil((Math.max(1, ...steps.map(({ id }) => depth(id))) * (timing.propagationMs + timing.marginMs)) / 1000);
      const hurt = [...new Set(steps.flatMap((step) => (step.impact === 'outage' ? step.affects : [])))];
      const acts = entry.mode === 'act' ? 'would be contained by' : `is in mode ${entry.mode}; in mode act it would be contained by`;
      return `A public key of ${name} ${acts} ${steps.map((step) => step.action).join(', ')} in about ${seconds} s; ${hurt.length === 0 ? 'nobody declared would fail' : `${hurt.join(', ')} would fail until replaced`}.`;
    });
  });
}

/** A key as if it lived and had made nothing. */
function supposed(principal: string, { provider, account }: { readonly provider: string; readonly account: string }): ProviderFinding {
  const at = new Date().toISOString();
  const so = yes(at, 'engine', 'supposed');
  return {
    provider,
    account,
    providerTime: at,
    ours: so,
    canary: false,
    live: so,
    possession: so,
    principal,
    privilege: 'unknown',
    graph: { nodes: [], edges: [] },
    descendants: [],
    misuse: no(at, 'engine', 'supposed'),
    sessions: { maxLifeSeconds: 129_600 },
    logs: [],
    secretsRead: [],
    seen: [],
    swept: so,
    requestIds: [],
  };
}
