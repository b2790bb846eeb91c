import { titleOf } from '../domain/credential.ts';
import type { GateStatus, IncidentStatus, StepStatus, TimelineEntry } from '../domain/messages.ts';
import type { Observation } from '../domain/observation.ts';
import { isEnded, stepGlyph } from '../domain/states.ts';
import type { Terminal } from './terminal.ts';

/** The short form of an incident's id: twelve digits of its fingerprint, which every command takes. */
export const shortId = (id: string): string => id.replace(/^leak\//, '').slice(0, 12);

/** An ISO time without its fraction, which is noise to a reader. */
export const when = (iso: string | undefined): string => (iso === undefined ? '–' : iso.replace(/\.\d+Z$/, 'Z'));

/** How long until (`in 14 min`) or since (`3 min ago`) a moment. */
export function distance(iso: string, now: number = Date.now()): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1000);
  const size = Math.abs(seconds);
  const words =
    size < 90
      ? `${size} s`
      : size < 5400
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} d`;
  return seconds >= 0 ? `in ${words}` : `${words} ago`;
}

export function observed(observation: Observation): string {
  const why = observation.state === 'unknown' ? observation.why : observation.evidence;
  return `${observation.state} (${observation.source}, ${when(observation.at)}: ${why})`;
}

/** A step on one line: glyph and word, so that no state is told by colour alone. */
export function stepLine(terminal: Terminal, step: StepStatus): string {
  const colour =
    step.state === 'done'
      ? 'green'
      : step.state === 'failed' || step.state === 'stuck'
        ? 'red'
        : step.state === 'waiting'
          ? 'yellow'
          : 'dim';
  const state = terminal.paint(colour, `${stepGlyph[step.state]} ${step.state.padEnd(8)}`);
  const failure = step.failure === undefined ? '' : `: ${step.failure.words} (${step.failure.code})`;
  const gate = step.gate !== undefined && (step.state === 'waiting' || step.state === 'pending') ? ` [${step.gate}]` : '';
  return `${state} ${step.id}  ${step.title}${step.reversibility === 'irreversible' ? ' (cannot be undone)' : ''}${gate}${failure}`;
}

/** What is asked of people at a gate. */
export function gateLines(terminal: Terminal, gate: GateStatus): readonly string[] {
  const missing = Math.max(0, gate.rule.quorum - gate.approvals.length);
  const open = gate.state === 'open';
  const deadline = gate.deadlineAt === undefined ? '' : `, by ${when(gate.deadlineAt)} (${distance(gate.deadlineAt)})`;
  return [
    `${terminal.paint(open ? 'yellow' : 'dim', `${open ? '⏸' : ' '} ${gate.id}`)}  ${gate.state}${deadline}`,
    `    ${gate.question}`,
    `    needs ${missing} more of ${gate.rule.roles.join(' or ')}${gate.approvals.length > 0 ? `, has ${gate.approvals.join(', ')}` : ''}; silence: ${gate.rule.onSilence}${gate.barred.length > 0 ? `; may not answer: ${gate.barred.join(', ')}` : ''}`,
  ];
}

export const timelineLine = (entry: TimelineEntry): string => `${when(entry.at)}  ${entry.who}: ${entry.what}`;

/** The head of an incident, on a few lines. */
export function headLines(terminal: Terminal, status: IncidentStatus): readonly string[] {
  const lines = [
    `${terminal.paint('bold', status.id)}`,
    `  credential  ${titleOf(status.credential)}${status.account === undefined ? '' : ` in account ${status.account}`}`,
    `  state       ${terminal.paint(status.state === 'stuck' ? 'red' : isEnded(status.state) ? 'green' : 'yellow', status.state)}, contained: ${status.contained}, rotated: ${status.rotated}, round ${status.round}, ${status.sightings} sighting${status.sightings === 1 ? '' : 's'}`,
    `  live        ${observed(status.live)}`,
  ];
  if (status.mode !== undefined) lines.push(`  policy      ${status.mode}${status.rule === undefined ? '' : `, by rule ${status.rule}`}`);
  lines.push(
    `  started     ${when(status.startedAt)}${status.containedAt === undefined ? '' : `, contained ${when(status.containedAt)}`}${status.rotatedAt === undefined ? '' : `, rotated ${when(status.rotatedAt)}`}`,
  );
  if (status.previousRun !== undefined) lines.push(`  before it   run ${status.previousRun}`);
  return lines;
}
