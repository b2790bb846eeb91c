import type { ProviderFinding } from '../../domain/assessment.ts';
import { type CredentialRef, titleOf } from '../../domain/credential.ts';
import { fault } from '../../domain/errors.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import type { Observation } from '../../domain/observation.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import { Phase } from '../../domain/plan.ts';
import { type Call, type CommandDefinition, flag, text, texts } from '../command.ts';
import type { DryRun } from '../dry-run.ts';
import { settingIfAny, withClient } from '../engine.ts';
import { distance, gateLines, headLines, shortId, when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'plan',
  summary: 'Show the plan of an incident, or what would be done about a credential',
  description:
    'Shows every step, what it needs, whom it affects, and what cannot be undone. The last line is the hash that an approval signs. Ends with 8 where decisions are awaited or there is no plan yet. Without an id, and with --key-id or --kind, it is a dry run: it looks at the real account with reads only, needs no server, and shows round by round what would be done if that credential had leaked, proven. The account is the one in tourniquet.yaml; of AWS a profile is enough.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint', optional: true }],
  options: [
    { flags: '--by-hand', summary: 'show what a person would type for each step, and to take it back' },
    { flags: '--key-id <id>', summary: 'dry run: an AWS access key id, which is no secret' },
    { flags: '--kind <kind>', summary: 'dry run: the kind of another credential, with --locator' },
    { flags: '--locator <name=value>', summary: 'dry run: what names that credential; no secret', many: true },
    { flags: '--account <account>', summary: 'dry run: its account, where the credential does not say it' },
    { flags: '--exposed <place>', summary: 'dry run: where it would have leaked; public if not said', choices: ['public', 'internal'] },
    { flags: '--profile <name>', summary: 'dry run: an AWS profile to look with, instead of the account’s credentials' },
    { flags: '--region <region>', summary: 'dry run with a profile: a Region whose log is read', many: true },
    { flags: '--endpoint <url>', summary: 'dry run with a profile: where AWS answers, if not at AWS' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4, 8],
  examples: [
    'tourniquet plan 3f9a1c20',
    'tourniquet plan 3f9a1c20 --by-hand',
    'tourniquet plan --key-id AKIAY34FZKBOKMUTVV7A --profile audit --by-hand',
  ],
  run: (call) => {
    if (call.arguments[0] === undefined) return dryRunOf(call);
    const strange = (['keyId', 'kind', 'account', 'exposed', 'profile', 'endpoint'] as const).find(
      (name) => text(call, name) !== undefined,
    );
    if (strange !== undefined)
      throw fault('usage.invalid', { problem: 'an id of an incident is given, so nothing else names a credential' });
    return withClient(call, async (client) => {
      const status = await client.incident(await client.resolveId(call.arguments[0] ?? '')).status();
      const { plan, planHash } = status;
      if (plan === undefined || planHash === undefined) {
        call.terminal.answer({ plan: null, state: status.state }, [...headLines(call.terminal, status), '', 'There is no plan yet.']);
        return 8;
      }
      if (plan.incident !== status.id) throw fault('engine.undecodable', { incident: status.id, what: 'plan' });
      call.terminal.answer({ plan, planHash, gates: status.gates, ...countsOf(plan, status) }, planLines(call, status, plan));
      return countsOf(plan, status).approvalsNeeded > 0 ? 8 : 0;
    });
  },
};

/** What is looked at, and with what. */
async function dryRunOf(call: Call): Promise<number> {
  const { dryRun } = await import('../dry-run.ts');
  const { connectTo, entryOf, profileEntry } = await import('../accounts.ts');
  const configuration = settingIfAny(call);
  const { credential, provider, account } = await credentialOf(call);
  const profile = text(call, 'profile');
  const configured = configuration?.accounts.find(
    (each) => each.provider === provider && (account === undefined || each.account === account),
  );
  const regions = texts(call, 'region');
  const endpoint = text(call, 'endpoint');
  const settings = { ...configured?.settings, ...(regions.length > 0 ? { regions } : {}), ...(endpoint === undefined ? {} : { endpoint }) };
  const where = account ?? configured?.account;
  if (configured === undefined && provider !== 'aws')
    throw fault('usage.invalid', { problem: `no account of ${provider} is in tourniquet.yaml, and only AWS has profiles` });
  if (where === undefined) throw fault('usage.invalid', { option: '--account', problem: 'the credential does not say its account' });
  const entry =
    configured !== undefined && profile === undefined ? { ...entryOf(configured), settings } : profileEntry(where, profile, settings);
  const connection = await connectTo(entry);
  try {
    const run = await dryRun({
      credential,
      entry,
      connection,
      configuration,
      exposure: text(call, 'exposed') === 'internal' ? 'internal' : 'public',
      signal: call.signal,
    });
    const asked = run.rounds.flatMap((plan) => plan.gates);
    call.terminal.answer(
      { credential: run.credential, finding: factsOf(run.finding), verdict: run.verdict, rounds: run.rounds },
      dryRunLines(call, run, configured?.mode),
    );
    return asked.length > 0 ? 8 : 0;
  } finally {
    await connection.close();
  }
}

/** What the finding says, without its graph: that is megabytes in a busy account. */
const factsOf = ({ graph, ...facts }: ProviderFinding) => ({ ...facts, nodes: graph.nodes.length, edges: graph.edges.length });

async function credentialOf(
  call: Call,
): Promise<{ readonly credential: CredentialRef; readonly provider: string; readonly account?: string }> {
  const id = text(call, 'keyId');
  const kind = text(call, 'kind');
  const account = text(call, 'account');
  if (id !== undefined && kind !== undefined) throw fault('usage.invalid', { option: '--kind', problem: 'a key id says its kind itself' });
  if (id !== undefined) {
    const { identify } = await import('../../intake/index.ts');
    const identified = identify(id);
    if (identified?.provider !== 'aws')
      throw fault('usage.invalid', {
        option: '--key-id',
        problem: 'expected AKIA or ASIA and sixteen letters and digits, and never a secret',
      });
    if (identified.canary) call.terminal.say('This id is of an account known to hold canaries: a look at it may wake somebody.');
    const where = account ?? identified.account;
    return { credential: identified.credential, provider: 'aws', ...(where === undefined ? {} : { account: where }) };
  }
  if (kind === undefined) throw fault('usage.invalid', { problem: 'give the id of an incident, or --key-id or --kind for a dry run' });
  const { manifests } = await import('../../providers/manifests.ts');
  const manifest = Object.values(manifests).find((each) => each.kinds.some((one) => one.kind === kind));
  const declared = manifest?.kinds.find((one) => one.kind === kind);
  if (manifest === undefined || declared === undefined)
    throw fault('usage.invalid', {
      option: '--kind',
      problem: `expected one of ${Object.values(manifests)
        .flatMap((each) => each.kinds.map((one) => one.kind))
        .join(', ')}`,
    });
  const locator: Record<string, string> = {};
  for (const pair of texts(call, 'locator')) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    if (at < 1 || !declared.locator.includes(name))
      throw fault('usage.invalid', {
        option: '--locator',
        problem: `expected ${declared.locator.map((each) => `${each}=…`).join(' and ')}`,
      });
    locator[name] = pair.slice(at + 1);
  }
  if (Object.keys(locator).length === 0)
    throw fault('usage.invalid', { option: '--locator', problem: `expected ${declared.locator.map((each) => `${each}=…`).join(' and ')}` });
  return { credential: { kind, locator }, provider: manifest.name, ...(account === undefined ? {} : { account }) };
}

function dryRunLines(call: Call, run: DryRun, mode: 'observe' | 'propose' | 'act' | undefined): readonly string[] {
  const { terminal } = call;
  const { finding, rounds } = run;
  const says = (observation: Observation) =>
    `${observation.state}${observation.state === 'unknown' ? `: ${observation.why}` : `, ${observation.evidence}`}`;
  const lines = [
    `${terminal.paint('bold', titleOf(run.credential))}  a dry run: nothing was changed, and nothing in it binds anybody`,
    `  live: ${says(finding.live)}`,
    `  principal: ${finding.principal ?? 'unknown'}, ${finding.privilege}`,
    `  rule: ${run.verdict.rule}. ${run.verdict.reason}`,
    ...(mode === undefined || mode === 'act' ? [] : [`  The account is in mode ${mode}: a person would do this, not the engine.`]),
  ];
  for (const plan of rounds) {
    if (plan.steps.length === 0) {
      lines.push('', `Round ${plan.round}: nothing more.`, ...plan.notes.map((note) => `  ${note}`));
      continue;
    }
    lines.push(
      '',
      terminal.paint(
        'bold',
        `Round ${plan.round}, to ${plan.purpose}${plan.round === 1 ? '' : ', if all before it is done and the sweep finds nothing more'}`,
      ),
    );
    lines.push(...plan.steps.flatMap((step) => stepLines(call, step)));
    lines.push(...plan.gates.map((gate) => `  asks [${gate.id}]: ${gate.question} ${gate.rule.quorum} of ${gate.rule.roles.join(', ')}`));
    lines.push(
      ...plan.predicted.map(
        (outage) =>
          `  outage of ${outage.consumer}: ${outage.seconds === undefined ? 'until a person acts' : `about ${outage.seconds} s`}, because ${outage.because}`,
      ),
      ...plan.residuals.map(
        (residual) => `  will remain: ${residual.what}${residual.until === undefined ? '' : `, until ${when(residual.until)}`}`,
      ),
      ...plan.notes.map((note) => `  ${note}`),
    );
  }
  const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  const steps = rounds.flatMap((plan) => plan.steps);
  const final = steps.filter((step) => step.reversibility === 'irreversible').length;
  lines.push(
    '',
    `Dry run: ${steps.length} step${steps.length === 1 ? '' : 's'} in ${counted(rounds.filter((plan) => plan.steps.length > 0).length, 'round')}, ${final} cannot be undone.`,
  );
  return lines;
}

/** What the last line counts. */
export function countsOf(
  plan: Plan,
  status: Pick<IncidentStatus, 'gates'>,
): { readonly steps: number; readonly irreversible: number; readonly approvalsNeeded: number } {
  const missing = plan.gates.map((gate) => {
    const standing = status.gates.find((one) => one.id === gate.id);
    if (standing !== undefined && standing.state !== 'open' && standing.state !== 'pending') return 0;
    return Math.max(0, gate.rule.quorum - (standing?.approvals.length ?? 0));
  });
  return {
    steps: plan.steps.length,
    irreversible: plan.steps.filter((step) => step.reversibility === 'irreversible').length,
    approvalsNeeded: missing.reduce((sum, one) => sum + one, 0),
  };
}

const marks: Readonly<Record<Phase, string>> = { contain: '~', mint: '+', distribute: '~', verify: '?', revoke: '-', watch: '?' };

function planLines(call: Call, status: IncidentStatus, plan: Plan): readonly string[] {
  const { terminal } = call;
  const out: string[] = [
    ...headLines(terminal, status),
    '',
    `Round ${plan.round}, to ${plan.purpose}. Made ${when(plan.issuedAt)}, holds until ${when(plan.expiresAt)} (${distance(plan.expiresAt)}).`,
  ];
  for (const phase of Object.values(Phase)) {
    const steps = plan.steps.filter((step) => step.phase === phase);
    if (steps.length > 0) out.push('', `  ${terminal.paint('bold', phase)}`, ...steps.flatMap((step) => stepLines(call, step)));
  }
  if (plan.gates.length > 0) {
    out.push('', terminal.paint('bold', 'Asks'));
    for (const gate of plan.gates)
      out.push(
        ...gateLines(terminal, status.gates.find((one) => one.id === gate.id) ?? { ...gate, state: 'pending', approvals: [] }).map(
          (line) => `  ${line}`,
        ),
      );
  }
  if (plan.predicted.length > 0) {
    out.push(
      '',
      terminal.paint('bold', 'Predicted'),
      ...plan.predicted.map(
        (outage) =>
          `  ${outage.consumer}: ${outage.seconds === undefined ? 'an outage until a person acts' : `about ${outage.seconds} s`}, because ${outage.because}`,
      ),
    );
  }
  if (plan.residuals.length > 0) {
    out.push(
      '',
      terminal.paint('bold', 'Will remain'),
      ...plan.residuals.map((residual) => `  ${residual.what} on ${residual.target}, until ${when(residual.until)}`),
    );
  }
  if (plan.notes.length > 0) out.push('', ...plan.notes);
  const open = status.gates.find((gate) => gate.state === 'open');
  if (open !== undefined)
    out.push('', `Next: tourniquet approve ${shortId(status.id)} --gate ${open.id} --plan HASH --reason WORDS --as PERSON`);
  const { steps, irreversible, approvalsNeeded } = countsOf(plan, status);
  out.push(
    '',
    `Plan: ${steps} step${steps === 1 ? '' : 's'}, ${irreversible} cannot be undone, ${approvalsNeeded} approval${approvalsNeeded === 1 ? '' : 's'} needed. plan ${status.planHash ?? ''}`,
  );
  return out;
}

function stepLines(call: Call, step: PlanStep): readonly string[] {
  const { terminal } = call;
  const final = step.reversibility === 'irreversible';
  const colour = final ? 'red' : step.phase === 'mint' ? 'green' : step.phase === 'verify' || step.phase === 'watch' ? 'cyan' : 'yellow';
  const target = Object.entries(step.target)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return [
    `  ${terminal.paint(colour, `${final ? '!' : marks[step.phase]} ${step.id}`)}  ${step.title}${final ? terminal.paint('red', '  cannot be undone') : ''}${step.gate === undefined ? '' : `  [${step.gate}]`}`,
    `      ${step.action} on ${target}`,
    ...(step.needs.length > 0 ? [`      after ${step.needs.join(', ')}`] : []),
    ...(step.affects.length > 0 ? [`      affects ${step.affects.join(', ')}: ${step.impact}`] : []),
    ...(flag(call, 'byHand') ? step.byHand.split('\n').map((line) => `      $ ${line}`) : []),
    ...(flag(call, 'byHand') && step.byHandUndo !== undefined ? step.byHandUndo.split('\n').map((line) => `      undo $ ${line}`) : []),
  ];
}
