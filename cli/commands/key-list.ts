import type { TrustedKey } from '../../domain/trust.ts';
import type { CommandDefinition } from '../command.ts';
import { settingOf, trustOf } from '../engine.ts';
import { when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'key list',
  summary: 'List the keys that the trust file vouches for',
  description: 'Verifies the trust file against the root that tourniquet.yaml pins, and lists whose key is good for what, and how long.',
  arguments: [],
  options: [],
  exits: [4],
  examples: ['tourniquet key list', 'tourniquet key list --json'],
  async run(call) {
    const setting = settingOf(call);
    const trust = await trustOf(setting);
    const now = Date.now();
    const standing = (key: TrustedKey): string =>
      now < Date.parse(key.from) ? 'not yet' : now < Date.parse(key.until) ? 'valid' : 'expired';
    const whose = (key: TrustedKey): string => key.person ?? (key.provider === undefined ? '' : `${key.provider}/${key.account ?? ''}`);
    const row = (cells: readonly string[]) =>
      [8, 24, 26, 8, 20]
        .map((width, at) => (cells[at] ?? '').padEnd(width))
        .join('  ')
        .trimEnd();
    call.terminal.answer(
      trust.keys.map((key) => ({ ...key, standing: standing(key) })),
      [
        call.terminal.paint('dim', row(['ROLE', 'OF', 'ID', 'STANDING', 'UNTIL'])),
        ...trust.keys.map((key) => row([key.role, whose(key), key.id, standing(key), when(key.until)])),
      ],
    );
    return 0;
  },
};
