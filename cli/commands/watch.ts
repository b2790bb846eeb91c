import type { IncidentStatus } from '../../domain/messages.ts';
import { IncidentState, isEnded } from '../../domain/states.ts';
import { type CommandDefinition, text } from '../command.ts';
import { withClient } from '../engine.ts';
import { changes, drawTree } from '../tree.ts';

const goals = [...Object.values(IncidentState), 'contained', 'rotated', 'decision'] as const;

export const command: CommandDefinition = {
  name: 'watch',
  summary: 'Watch an incident until it ends',
  description:
    'Draws the steps as they move; one line for each change where stdout is no terminal; one JSON status a line with --json. Survives a server that is restarted. Ends with the incident: 0 when closed or dismissed, 6 when rolled back. With --until it ends as soon as that is so: 8 for a decision, 7 for stuck.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--until <what>', summary: 'end when this is so', choices: goals },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4, 6, 7, 8],
  examples: ['tourniquet watch 3f9a1c20', 'tourniquet watch 3f9a1c20 --until contained', 'tourniquet watch 3f9a1c20 --json | jq .state'],
  run: (call) =>
    withClient(call, async (client) => {
      call.heed();
      const goal = text(call, 'until');
      const id = await client.resolveId(call.arguments[0] ?? '');
      const over = new AbortController();
      const signal = AbortSignal.any([call.signal, over.signal]);
      let last: IncidentStatus | undefined;
      async function* statuses(): AsyncGenerator<IncidentStatus> {
        for await (const status of client.incident(id).watch({ signal })) {
          last = status;
          yield status;
          if (goal !== undefined && reached(status, goal)) return over.abort();
        }
      }
      if (call.terminal.live) await drawTree(call.terminal, statuses());
      else {
        let before: IncidentStatus | undefined;
        for await (const status of statuses()) {
          if (call.terminal.json) call.terminal.line(status, '');
          else for (const line of changes(call.terminal, before, status)) call.terminal.line(undefined, line);
          before = status;
        }
      }
      if (call.signal.aborted) return Number(call.signal.reason);
      return last === undefined ? 0 : exitOf(last, goal);
    }),
};

function reached(status: IncidentStatus, goal: string): boolean {
  if (goal === 'contained' || goal === 'rotated') return status[goal] === 'yes';
  if (goal === 'decision') return status.gates.some((gate) => gate.state === 'open');
  return status.state === goal;
}

function exitOf(status: IncidentStatus, goal: string | undefined): number {
  if (goal !== undefined && reached(status, goal)) return goal === 'decision' ? 8 : goal === 'stuck' ? 7 : goal === 'rolled-back' ? 6 : 0;
  if (status.state === 'rolled-back') return 6;
  // An end that is not the one waited for is no success.
  return goal !== undefined && isEnded(status.state) ? 1 : 0;
}
