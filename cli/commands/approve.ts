import { DecisionVerdict } from '../../domain/decision.ts';
import { fault } from '../../domain/errors.ts';
import { type CommandDefinition, text } from '../command.ts';
import { decide, decisionOptions } from '../decide.ts';

export const command: CommandDefinition = {
  name: 'approve',
  summary: 'Approve what a gate asks',
  description:
    'Signs an approval of exactly the plan whose hash is given, and sends it. A plan that has changed since is refused as stale. Ends with 8 where the approval counts and more are needed.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--plan <hash>', summary: 'the hash of the plan you have read, from the last line of `tourniquet plan`' },
    { flags: '--gate <gate>', summary: 'the gate, where more than one is open' },
    ...decisionOptions,
  ],
  exits: [3, 4, 5, 8],
  examples: ['tourniquet approve 3f9a1c20 --gate g-outage --plan sha256:… --reason "consumers are ready" --as alice'],
  async run(call) {
    // Who has not read the plan cannot approve it: the hash has to be typed, and is never filled in.
    if (text(call, 'plan') === undefined)
      throw fault('usage.invalid', { missing: '--plan', problem: 'the hash of the plan that you approve' });
    return decide(call, DecisionVerdict.APPROVE);
  },
};
