import type { IncidentStatus } from '../../domain/messages.ts';
import { type Call, type CommandDefinition, flag } from '../command.ts';
import { withClient } from '../engine.ts';
import { gateLines, headLines, shortId, stepLine, timelineLine, when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'show',
  summary: 'Show where an incident stands',
  description:
    'Shows state, what is asked of people, the steps of every round, what remains and until when, refused decisions, and the timeline. Ends with 7 where the incident is stuck and a person is needed.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--all', summary: 'the whole timeline, and not only its end' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4, 7],
  examples: ['tourniquet show 3f9a1c20', 'tourniquet show 3f9a1c20 --json'],
  run: (call) =>
    withClient(call, async (client) => {
      const status = await client.incident(await client.resolveId(call.arguments[0] ?? '')).status();
      call.terminal.answer(status, lines(call, status));
      return status.state === 'stuck' || stuckIn(status).length > 0 ? 7 : 0;
    }),
};

const stuckIn = (status: IncidentStatus) => [...status.earlier, ...status.steps].filter((step) => step.state === 'stuck');

function lines(call: Call, status: IncidentStatus): readonly string[] {
  const { terminal } = call;
  const out = [...headLines(terminal, status)];
  const section = (title: string, content: readonly string[]) => {
    if (content.length > 0) out.push('', terminal.paint('bold', title), ...content.map((line) => `  ${line}`));
  };
  section(
    'Needs a decision',
    status.gates.filter((gate) => gate.state === 'open').flatMap((gate) => gateLines(terminal, gate)),
  );
  section(
    'Stuck: finish by hand',
    stuckIn(status).map((step) => `${step.id}  ${step.byHand ?? step.failure?.words ?? step.title}`),
  );
  section(
    'To do by hand',
    (status.plan?.steps ?? [])
      .filter((step) => step.provider === 'manual' && status.steps.find((each) => each.id === step.id)?.state !== 'done')
      .flatMap((step) => [`${step.id}  ${step.title}`, ...step.byHand.split('\n').map((line) => `    ${line}`)]),
  );
  section(
    `Steps of round ${status.round}`,
    status.steps.map((step) => stepLine(terminal, step)),
  );
  section(
    'Earlier steps',
    status.earlier.map((step) => stepLine(terminal, step)),
  );
  section(
    'Predicted',
    status.predicted.map(
      (outage) =>
        `${outage.consumer}: ${outage.seconds === undefined ? 'an outage until a person acts' : `${outage.seconds} s`}, because ${outage.because}`,
    ),
  );
  section(
    'Remains',
    status.residuals.map(
      (residual) =>
        `${residual.what} on ${residual.target}, ${residual.until === undefined ? `accepted by ${residual.acceptedBy ?? 'nobody'}` : `until ${when(residual.until)}`}`,
    ),
  );
  section(
    'Refused decisions',
    status.refused.map((ruling) => `${ruling.verdict} of ${ruling.gate} by ${ruling.by}: ${ruling.why} (${ruling.code ?? ''})`),
  );
  const timeline = flag(call, 'all') ? status.timeline : status.timeline.slice(-12);
  section(
    timeline.length < status.timeline.length ? `Timeline, its last ${timeline.length} of ${status.timeline.length}` : 'Timeline',
    timeline.map(timelineLine),
  );
  out.push('', `${status.records} records, head ${status.head}`);
  if (status.gates.some((gate) => gate.state === 'open')) out.push(`Next: tourniquet plan ${shortId(status.id)}`);
  return out;
}
