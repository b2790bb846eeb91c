import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fault } from '../../domain/errors.ts';
import { type CommandDefinition, text } from '../command.ts';
import { withClient } from '../engine.ts';
import { exportTo } from '../export.ts';
import { shortId } from '../words.ts';

export const command: CommandDefinition = {
  name: 'audit export',
  summary: 'Write the bundle of an incident',
  description:
    'Asks the judge for the bundle of the run as it stands, or fetches the one made at its end, and writes it: history, records, policy, trust, code, and the report in HTML and JSON, under the judge’s signature. A path that ends in .zip becomes one file, any other a folder. Needs the store and its key.',
  arguments: [{ name: 'id', summary: 'the id, or eight or more characters of the fingerprint' }],
  options: [
    { flags: '--out <path>', summary: 'where to write it; by default <fingerprint>.zip here' },
    { flags: '--run <run>', summary: 'which run, by default the latest' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4],
  examples: ['tourniquet audit export 3f9a1c20', 'tourniquet audit export 3f9a1c20 --out evidence/'],
  run: (call) =>
    withClient(call, async (client, setting) => {
      const id = await client.resolveId(call.arguments[0] ?? '');
      const out = resolve(call.cwd, text(call, 'out') ?? `${shortId(id)}.zip`);
      const folder = existsSync(out) && statSync(out).isDirectory();
      if (existsSync(out) && (!folder || out.endsWith('.zip'))) throw fault('file.exists', { file: out });
      call.terminal.say('waiting for the judge to make the bundle');
      const { bundle, events, files } = await exportTo(client, setting, { id, out, run: text(call, 'run') });
      call.terminal.answer({ incident: id, bundle, events, files, path: out }, [
        `${out}: ${files} files, ${events} events, ${bundle}`,
        `Next: tourniquet audit verify ${out} --trust FILE, with the trust file as it came to you by another way`,
      ]);
      return 0;
    }),
};
