import { dirname, resolve } from 'node:path';
import { type CommandDefinition, text } from '../command.ts';
import { findStack } from '../stack-file.ts';

export const command: CommandDefinition = {
  name: 'down',
  summary: 'End the practice stack that runs here',
  description:
    'Ends what `tourniquet up` started, and only that: each process is ended only if it is the very one that was started. The file of a stack that was killed is recognised and cleared.',
  arguments: [],
  options: [{ flags: '--directory <folder>', summary: 'where the stack lies; by default .tourniquet here or above' }],
  exits: [],
  examples: ['tourniquet down'],
  async run(call) {
    const { stopStack } = await import('../../lab/stack.ts');
    const named = text(call, 'directory');
    const found = findStack(call.cwd);
    const directory =
      named !== undefined ? resolve(call.cwd, named) : found !== undefined ? dirname(found.path) : resolve(call.cwd, '.tourniquet');
    const stopped = await stopStack(directory, (words) => call.terminal.say(words));
    call.terminal.answer(
      stopped,
      stopped.stale
        ? 'The stack had been killed; what it had left is ended, and its file is cleared.'
        : `Ended: ${stopped.ended.join(', ') || 'nothing was left to end'}.`,
    );
    return 0;
  },
};
