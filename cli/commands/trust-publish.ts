import { fault } from '../../domain/errors.ts';
import { changesBetween } from '../../domain/trust-changes.ts';
import type { CommandDefinition } from '../command.ts';
import { settingOf } from '../engine.ts';
import { editionIn, placeOf } from '../trust.ts';
import { when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'trust publish',
  summary: 'Put a signed trust file in force',
  description:
    'Checks the file as every worker will, and then writes it: into trust-history beside trust.yaml, people.yaml, trust.yaml, and the store. Workers take it within a second. Without a file: puts the files in force back, where they have been replaced by others. Where workers have copies of their own of the files, copy them there too; a worker whose copy is late follows the store meanwhile.',
  arguments: [{ name: 'file', summary: 'the draft, signed by the root and two persons', optional: true }],
  options: [{ flags: '--keys <folder>', summary: 'the folder with the keys; the operator’s store key is needed' }],
  exits: [4],
  examples: ['tourniquet trust publish next.yaml', 'tourniquet trust publish'],
  async run(call) {
    const setting = settingOf(call);
    const place = await placeOf(setting);
    const { acceptedEditions, publishEdition, restoreFiles } = await import('../../audit/editions.ts');
    const [name] = call.arguments;
    if (name === undefined) {
      const inForce = acceptedEditions(place.names, place.root).at(-1);
      if (inForce === undefined)
        throw fault('trust.gap', { problem: 'nothing is in force by the store yet; the workers enter the first themselves' });
      restoreFiles(place, inForce);
      call.terminal.answer(
        { serial: inForce.trust.serial, changes: [] },
        `The files are those in force again: serial ${inForce.trust.serial}.`,
      );
      return 0;
    }
    const { edition } = await editionIn(call, name);
    const { before, published } = publishEdition(place, edition);
    const changes = changesBetween(before, published);
    call.terminal.answer({ serial: published.trust.serial, issuedAt: published.trust.issuedAt, changes }, [
      `Serial ${published.trust.serial} of ${when(published.trust.issuedAt)} is in force.`,
      ...changes.map((line) => `  ${line}`),
      'A worker whose own key is new reads it when it is started again.',
    ]);
    return 0;
  },
};
