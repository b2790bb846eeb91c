import { fault, registry } from '../../domain/errors.ts';
import type { CommandDefinition } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

export const command: CommandDefinition = {
  name: 'help',
  summary: 'Explain a command, the exit codes, or an error code',
  description: 'Explains a command by its name, `exit-codes`, or an error by its code.',
  arguments: [{ name: 'topic', summary: 'a command, exit-codes, or an error code', optional: true, many: true }],
  options: [],
  exits: [],
  examples: ['tourniquet help approve', 'tourniquet help exit-codes', 'tourniquet help decision.stale'],
  async run(call) {
    const topic = call.arguments.join(' ');
    if (topic === 'exit-codes') {
      call.terminal.answer(
        exitCodes,
        exitCodes.map(({ code, meaning }) => `${String(code).padEnd(6)}  ${meaning}`),
      );
      return 0;
    }
    if (Object.hasOwn(registry, topic)) {
      const entry = registry[topic as keyof typeof registry];
      call.terminal.answer({ code: topic, ...entry }, [
        `${topic}: ${entry.title}`,
        `  do:    ${entry.remedy}`,
        `  exit:  ${entry.exit}${entry.retryable ? '; the same call may succeed later' : ''}`,
      ]);
      return 0;
    }
    const { definitions, helpOf } = await call.manual();
    const help = helpOf(call.arguments);
    if (help === undefined) throw fault('usage.invalid', { topic: topic.slice(0, 80), expected: 'a command, exit-codes or an error code' });
    const one = definitions.find((definition) => definition.name === topic);
    call.terminal.answer(one ?? definitions.map(({ name, summary }) => ({ name, summary })), help);
    return 0;
  },
};
