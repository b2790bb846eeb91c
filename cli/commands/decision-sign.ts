import { DecisionVerdict } from '../../domain/decision.ts';
import { fault } from '../../domain/errors.ts';
import { type CommandDefinition, text } from '../command.ts';
import { decisionOptions, signFor } from '../decide.ts';
import { withClient } from '../engine.ts';

export const command: CommandDefinition = {
  name: 'decision sign',
  summary: 'Sign a decision without sending it',
  description:
    'Prints the signed decision on stdout, and nothing else. It is what `temporal workflow signal --input-file` takes for the signals approve, reject and rollback, and `temporal workflow update execute --input-file` for decide, so that a plain Temporal client can hand it in.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--verdict <verdict>', summary: 'what is decided', choices: Object.values(DecisionVerdict) },
    { flags: '--gate <gate>', summary: 'the gate, where more than one is open' },
    { flags: '--plan <hash>', summary: 'the hash of the plan you have read; by default the present one' },
    { flags: '--until <time>', summary: 'for extend: the new deadline, ISO 8601, UTC' },
    ...decisionOptions,
  ],
  exits: [4, 5],
  examples: [
    'tourniquet decision sign 3f9a1c20 --verdict approve --gate g-outage --reason "consumers are ready" --as alice > approval.json',
    'temporal workflow signal --workflow-id leak/3f9a1c20… --name approve --input-file approval.json',
  ],
  run: (call) =>
    withClient(call, async (client, setting) => {
      const verdict = text(call, 'verdict') as DecisionVerdict | undefined;
      if (verdict === undefined)
        throw fault('usage.invalid', { missing: '--verdict', expected: Object.values(DecisionVerdict).join(', ') });
      const until = text(call, 'until');
      if ((verdict === 'extend') !== (until !== undefined))
        throw fault('usage.invalid', { option: '--until', problem: 'goes with --verdict extend, and only with it' });
      if (until !== undefined && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(until))
        throw fault('usage.invalid', { option: '--until', expected: 'ISO 8601, UTC' });
      const { signed } = await signFor(call, client, setting, verdict);
      call.terminal.answer(signed, JSON.stringify(signed));
      return 0;
    }),
};
