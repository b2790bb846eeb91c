import { resolve } from 'node:path';
import { type CommandDefinition, text } from '../command.ts';

export const command: CommandDefinition = {
  name: 'up',
  summary: 'Start the practice stack here, until Ctrl-C',
  description:
    'Starts a Temporal server, OpenBao, a simulated AWS account, the judge and the provider workers, each with only its own keys, on ports that are free. Addresses and lab-only credentials are in .tourniquet/stack.json. No real account is touched: the environment and the home profiles are left out of everything it starts. Ends on Ctrl-C, or by `tourniquet down` from elsewhere.',
  arguments: [],
  options: [{ flags: '--directory <folder>', summary: 'where everything lies; by default .tourniquet here' }],
  exits: [],
  examples: ['tourniquet up', 'tourniquet up --json | head -1'],
  async run(call) {
    call.heed();
    const { startStack } = await import('../../lab/stack.ts');
    const directory = resolve(call.cwd, text(call, 'directory') ?? '.tourniquet');
    const stack = await startStack({ directory, say: (words) => call.terminal.say(`  ${words}`), signal: call.signal });
    try {
      const { temporal, vault, aws, paths } = stack;
      call.terminal.line(
        {
          ready: true,
          stack: paths.stack,
          temporal,
          vault: { address: vault.address },
          aws: { endpoint: aws.endpoint, accountId: aws.accountId },
        },
        [
          'The practice stack is up.',
          `  Temporal   ${temporal.address}${temporal.ui === null ? '' : `, web UI ${temporal.ui}`}`,
          `  OpenBao    ${vault.address}`,
          `  AWS        ${aws.endpoint}, account ${aws.accountId} (simulated)`,
          `  file       ${paths.stack}`,
          'Next, elsewhere in this folder: tourniquet report --key-id … ; end it with Ctrl-C or tourniquet down',
        ].join('\n'),
      );
      if (!call.signal.aborted) await new Promise<void>((done) => call.signal.addEventListener('abort', () => done(), { once: true }));
    } finally {
      call.terminal.say('ending the stack');
      await stack.stop();
    }
    return 0;
  },
};
