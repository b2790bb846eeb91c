// Writes the workflow bundle of this release to the path given, and prints its hash.
import { writeFileSync } from 'node:fs';
import { bundleNow } from '../workers/bundle.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('say where to write the bundle');
const { code, hash } = await bundleNow();
writeFileSync(path, code);
process.stdout.write(`workflow bundle ${hash}\n`);
