import { join, resolve } from 'node:path';
import { hashOf } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { KeyRole } from '../../domain/trust.ts';
import { changesBetween, wantsOf } from '../../domain/trust-changes.ts';
import { mayCountersign } from '../../domain/trust-succession.ts';
import { type CommandDefinition, text } from '../command.ts';
import { passphraseFor, personOf } from '../engine.ts';
import { editionIn, settingIfAny, standingOf, standsOn } from '../trust.ts';

export const command: CommandDefinition = {
  name: 'trust sign',
  summary: 'Sign a draft of the trust file, as the root or as the second person',
  description:
    'Shows what the draft changes and signs it with the key given: the root’s, on the offline machine, which needs nothing else of the engine there; or that of a person who has the role security-lead or approver in the trust in force and is not the one who proposes it. The signature is written into the draft. Read `trust show FILE` first: what is signed is all that stands in it.',
  arguments: [{ name: 'file', summary: 'the draft' }],
  options: [
    { flags: '--key <file>', summary: 'the private key; by default people/PERSON.json among the keys' },
    { flags: '--as <person>', summary: 'for a person: the id in people.yaml' },
    {
      flags: '--after <file>',
      summary: 'the edition before it, to show what changes where the engine is not here; the draft names its hash',
    },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of the key' },
  ],
  exits: [4],
  examples: [
    'tourniquet trust sign next.yaml --key /media/root/root.json --after trust-history/3.yaml',
    'tourniquet trust sign next.yaml --as bob',
  ],
  async run(call) {
    const { file, edition } = await editionIn(call, call.arguments[0] ?? '');
    const setting = settingIfAny(call);
    const named = text(call, 'key');
    if (named === undefined && setting === undefined)
      throw fault('usage.invalid', { missing: '--key', problem: 'no tourniquet.yaml is here, so say where the key is' });
    const path = named !== undefined ? resolve(call.cwd, named) : join(setting?.keys ?? '', 'people', `${await personOf(call)}.json`);
    const { describeKey, readKey } = await import('../../audit/keys.ts');
    const key = describeKey(path);
    if (key.role !== KeyRole.ROOT && key.role !== KeyRole.PERSON)
      throw fault('key.missing', { file: path, why: `it is the key of a ${key.role}`, wanted: 'the root’s, or a person’s' });
    if (setting !== undefined && key.role === KeyRole.ROOT && key.public !== setting.configuration.root)
      throw fault('trust.bad-signature', { file: path, why: 'it is another root than the one that tourniquet.yaml pins' });

    const after = text(call, 'after');
    const given = after !== undefined ? (await editionIn(call, after)).edition : setting && (await standingOf(setting)).inForce;
    const before = standsOn(edition, given);
    if (after !== undefined && before === undefined) throw fault('trust.forked', { file, why: `it does not follow from ${after}` });
    if (given !== undefined && before === undefined && key.role === KeyRole.PERSON)
      throw fault('trust.not-next', { file, why: `it does not follow from serial ${given.trust.serial}, which is in force` });
    if (
      before !== undefined &&
      key.role === KeyRole.PERSON &&
      key.person !== edition.trust.proposedBy &&
      !mayCountersign(before, key.person ?? '')
    )
      throw fault('trust.uncountersigned', { why: `${key.person ?? ''} may not be the second person under serial ${before.trust.serial}` });
    const changes = before && changesBetween(before, edition);
    const wants = wantsOf(edition, new Date().toISOString());
    call.terminal.say(
      [
        `Serial ${edition.trust.serial} of ${edition.trust.engine}, proposed by ${edition.trust.proposedBy ?? 'nobody'}, ${hashOf(edition.trust)}`,
        ...(changes ?? ['What it changes cannot be shown: give the edition before it with --after.']).map((line) => `  ${line}`),
        ...wants.map((want) => call.terminal.paint('red', `But ${want}.`)),
      ].join('\n'),
    );
    const { editionText, replaceFile, signEdition } = await import('../../audit/editions.ts');
    const owner = key.person === undefined ? 'the root key' : `the key of ${key.person}`;
    const signed = signEdition(edition, readKey(path, key.needsPassphrase ? await passphraseFor(call, owner, setting?.stack) : undefined));
    replaceFile(file, editionText(signed));
    const told = {
      file,
      serial: edition.trust.serial,
      hash: hashOf(edition.trust),
      by: key.id,
      root: signed.signatures.length === 1,
      persons: signed.countersignatures.length,
    };
    call.terminal.answer(
      { ...told, ...(changes ? { changes } : {}), wants },
      `Signed as ${owner.replace(/^the key of /, '').replace(/^the root key$/, 'the root')}. It has ${told.root ? 'the root’s signature' : 'no signature of the root'} and ${told.persons} of a person.`,
    );
    return 0;
  },
};
