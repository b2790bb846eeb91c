import { DecisionVerdict } from '../../domain/decision.ts';

import type { CommandDefinition } from '../command.ts';
import { decide, decisionOptions } from '../decide.ts';

export const command: CommandDefinition = {
  name: 'reject',
  summary: 'Reject what a gate asks',
  description:
    'Signs a rejection of what the gate asks, and sends it. The steps behind the gate are not done, and are not planned again unasked.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--plan <hash>', summary: 'the hash of the plan you have read; by default the present one' },
    { flags: '--gate <gate>', summary: 'the gate, where more than one is open' },
    ...decisionOptions,
  ],
  exits: [3, 4, 5],
  examples: ['tourniquet reject 3f9a1c20 --gate g-outage --reason "the build is frozen until Monday" --as alice'],

  run: (call) => decide(call, DecisionVerdict.REJECT),
};
