// Fails when a page that is made from code is not the page that is committed, and names it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { orphans, pages } from './generate.ts';

const made = await pages();
const stale: string[] = orphans(made, fileURLToPath(new URL('../', import.meta.url))).map((path) => `${path}: nothing makes it any more`);
for (const [path, text] of Object.entries(made)) {
  let committed: string | undefined;
  try {
    committed = readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');
  } catch {
    committed = undefined;
  }
  if (committed !== text) stale.push(`${path}: ${committed === undefined ? 'missing' : 'not what the code says'}`);
}
for (const line of stale) process.stderr.write(`  ${line}\n`);
if (stale.length > 0) process.stderr.write('  what to do: npm run gen, and commit what it wrote\n');
process.exit(stale.length > 0 ? 1 : 0);
