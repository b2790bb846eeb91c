import { fault } from '../../domain/errors.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import type { Plan, PlanStep } from '../../domain/plan.ts';
import { Phase } from '../../domain/plan.ts';
import { type Call, type CommandDefinition, flag } from '../command.ts';
import { withClient } from '../engine.ts';
import { distance, gateLines, headLines, shortId, when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'plan',
  summary: 'Show the plan of an incident, and what it asks',
  description:
    'Shows every step, what it needs, whom it affects, and what cannot be undone. The last line is the hash that an approval signs. Ends with 8 where decisions are awaited or there is no plan yet.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--by-hand', summary: 'show what a person would type for each step' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4, 8],
  examples: ['tourniquet plan 3f9a1c20', 'tourniquet plan 3f9a1c20 --by-hand'],
  run: (call) =>
    withClient(call, async (client) => {
      const status = await client.incident(await client.resolveId(call.arguments[0] ?? '')).status();
      const { plan, planHash } = status;
      if (plan === undefined || planHash === undefined) {
        call.terminal.answer({ plan: null, state: status.state }, [...headLines(call.terminal, status), '', 'There is no plan yet.']);
        return 8;
      }
      if (plan.incident !== status.id) throw fault('engine.undecodable', { incident: status.id, what: 'plan' });
      call.terminal.answer({ plan, planHash, gates: status.gates, ...countsOf(plan, status) }, planLines(call, status, plan));
      return countsOf(plan, status).approvalsNeeded > 0 ? 8 : 0;
    }),
};

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
  ];
}
