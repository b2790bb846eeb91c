import { DecisionVerdict } from '../../domain/decision.ts';

import type { CommandDefinition } from '../command.ts';
import { decide, decisionOptions } from '../decide.ts';

export const command: CommandDefinition = {
  name: 'rollback',
  summary: 'Take back what an incident has done',
  description:
    'Signs a rollback of the incident, and sends it. What has been done is undone in reverse order; what cannot be undone stays, and is named. Look at the steps with `tourniquet show` first.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--plan <hash>', summary: 'the hash of the plan you have read; by default the present one' },

    ...decisionOptions,
  ],
  exits: [3, 4, 5],
  examples: ['tourniquet rollback 3f9a1c20 --reason "the build is frozen until Monday" --as alice'],

  run: (call) => decide(call, DecisionVerdict.ROLLBACK),
};
