import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDuration } from '../../domain/duration.ts';
import { fault } from '../../domain/errors.ts';
import { KeyRole } from '../../domain/trust.ts';
import { type Call, type CommandDefinition, text } from '../command.ts';
import { passphraseFor } from '../engine.ts';

export const command: CommandDefinition = {
  name: 'key new',
  summary: 'Make a key',
  description:
    'Makes a private key and writes it to a file that only you may read. The key of a person or of a root is encrypted by a passphrase, which is asked for. Prints the public half as the trust file lists it; it counts once the root has signed a trust file with it in.',
  arguments: [{ name: 'file', summary: 'where to write the key' }],
  options: [
    { flags: '--role <role>', summary: 'whose key it is; by default a person', choices: Object.values(KeyRole) },
    { flags: '--as <person>', summary: 'for a person: the id in people.yaml' },
    { flags: '--provider <provider>', summary: 'for a worker or sealing key: the provider' },
    { flags: '--account <account>', summary: 'for a worker or sealing key: the account' },
    { flags: '--valid <duration>', summary: 'how long it is good for; 365d where it is not said' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase' },
  ],
  exits: [4],
  examples: [
    'tourniquet key new alice.json --as alice',
    'tourniquet key new sealing.json --role sealing --provider aws --account 111122223333 --valid 30d',
  ],
  async run(call) {
    const path = resolve(call.cwd, call.arguments[0] ?? '');
    if (existsSync(path)) throw fault('file.exists', { file: path });
    const role = (text(call, 'role') as KeyRole | undefined) ?? KeyRole.PERSON;
    const person = text(call, 'as');
    const provider = text(call, 'provider');
    const account = text(call, 'account');
    const bound = role === KeyRole.WORKER || role === KeyRole.SEALING;
    if ((role === KeyRole.PERSON) !== (person !== undefined))
      throw fault('usage.invalid', { option: '--as', problem: 'goes with the key of a person, and only with it' });
    if (bound !== (provider !== undefined && account !== undefined))
      throw fault('usage.invalid', { option: '--provider and --account', problem: 'go with a worker or sealing key, and only with it' });
    const from = new Date();
    const until = new Date(from.getTime() + parseDuration(text(call, 'valid') ?? '365d'));
    const { newKey, trustedKeyOf, writeKey } = await import('../../audit/keys.ts');
    const secret = role === KeyRole.PERSON || role === KeyRole.ROOT ? await newPassphrase(call, path) : undefined;
    const key = newKey({
      role,
      from: from.toISOString(),
      until: until.toISOString(),
      ...(person === undefined ? {} : { person }),
      ...(provider === undefined ? {} : { provider }),
      ...(account === undefined ? {} : { account }),
    });
    writeKey(path, key, secret);
    call.terminal.say(`written to ${path}`);
    const open = trustedKeyOf(key);
    const { stringify } = await import('yaml');
    call.terminal.answer(open, stringify([open]).trimEnd());
    return 0;
  },
};

/** A new passphrase, typed twice where it is typed: a slip would lose the key. */
export async function newPassphrase(call: Call, what: string) {
  const first = await passphraseFor(call, what);
  const asked = text(call, 'passphraseFile') === undefined && call.environment.TOURNIQUET_PASSPHRASE_FILE === undefined;
  if (first.reveal().length < 8) throw fault('usage.invalid', { problem: 'a passphrase has eight characters or more' });
  if (asked && (await call.terminal.askSecret('The same again: ', 'give --passphrase-file FILE')).reveal() !== first.reveal()) {
    throw fault('usage.invalid', { problem: 'the two are not the same' });
  }
  return first;
}
