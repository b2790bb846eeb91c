import type { IncidentStatus } from '../../domain/messages.ts';
import type { CommandDefinition } from '../command.ts';
import { withClient } from '../engine.ts';
import { shortId } from '../words.ts';

export const command: CommandDefinition = {
  name: 'finish',
  summary: 'Say that a stuck step has been finished by hand',
  description:
    'For a step whose undo is stuck, after you have done by hand what `tourniquet show` says is left. Your word ends nothing: the worker of its account looks, and what it sees is signed and kept. Where nothing of the step stands any more it counts as undone, and what waited for it is taken back. Otherwise nothing changes, and the command ends with 7. Without a step it names those that are stuck.',
  arguments: [
    { name: 'id', summary: 'the id, or eight or more characters of the fingerprint' },
    { name: 'step', summary: 'the step, as `tourniquet show` names it', optional: true },
  ],
  options: [{ flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' }],
  exits: [4, 7],
  examples: ['tourniquet list --stuck', 'tourniquet finish 3f9a1c20', 'tourniquet finish 3f9a1c20 r2-mint-key-deployer'],
  run: (call) =>
    withClient(call, async (client) => {
      const { terminal } = call;
      const id = await client.resolveId(call.arguments[0] ?? '');
      const incident = client.incident(id);
      const step = call.arguments[1];
      if (step === undefined) {
        const stuck = stuckIn(await incident.status());
        terminal.answer(
          stuck,
          stuck.length === 0
            ? 'No step is stuck.'
            : stuck.flatMap((each) => [
                `${terminal.paint('red', '‼')} ${each.id}  ${each.title}`,
                `    left by hand: ${each.byHand ?? each.title}`,
                `    then: tourniquet finish ${shortId(id)} ${each.id}`,
              ]),
        );
        return stuck.length === 0 ? 0 : 7;
      }
      const said = await incident.finish(step);
      terminal.answer(said, [
        said.finished
          ? `${terminal.paint('green', '✓')} ${step} is finished, and was seen to be: ${said.why}`
          : `${terminal.paint('red', '‼')} ${step} is not finished: ${said.why}`,
        ...(said.record === undefined ? [] : [`  record ${said.record}`]),
      ]);
      return said.finished ? 0 : 7;
    }),
};

const stuckIn = (status: IncidentStatus) => [...status.earlier, ...status.steps].filter((step) => step.state === 'stuck');
