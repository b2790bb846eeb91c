import { readFileSync } from 'node:fs';
import { readKey } from '../../audit/keys.ts';
import { createRecords } from '../../audit/records.ts';
import { signerFrom } from '../../audit/signing.ts';
import { openDirectoryStore } from '../../audit/store.ts';
import type { Trust } from '../../domain/trust.ts';

/*
 * One writer of several, as a process of its own: refusals by the hundred, each told on stdout once `write` has answered. Arguments: the folder of the store, the key file, the trust in
 * JSON, a name for the incident, and how many.
 */
const [directory = '', key = '', trustFile = '', incident = '', count = '0'] = process.argv.slice(2);
const trust = JSON.parse(readFileSync(trustFile, 'utf8')) as Trust;
const records = createRecords({
  store: openDirectoryStore(directory, new Uint8Array(32)),
  signer: signerFrom(readKey(key)),
  trust: () => trust,
  engine: trust.engine,
});
for (let n = 1; n <= Number(count); n++) {
  const hash = await records.write('refusal', {
    incident,
    run: 'r',
    round: n,
    standsOn: [],
    body: { code: 'engine.undecodable', attempted: `attempt ${n}`, words: 'for the test', by: incident },
  });
  process.stdout.write(`${hash}\n`);
  // Lets the others in, and the pipe be emptied.
  await new Promise((done) => setImmediate(done));
}
