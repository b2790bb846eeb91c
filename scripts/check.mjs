// The checks that are no tests: format, types, lint, arrows, licences, protobuf, generated. `npm run check` runs all, `npm run check arrows types` those.
// Ends with `N passed, N failed`, one for each check.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { withoutCredentials, withPathFirst } from './environment.mjs';
import { refusedLicences } from './licences.mjs';
import { protobufCopies } from './protobuf.mjs';
import { root } from './servers.mjs';

const bin = join(root, 'node_modules', '.bin');
const env = { ...withPathFirst(withoutCredentials(), bin), TZ: 'UTC' };
const pinned = join(bin, 'node');
const node = existsSync(pinned) ? pinned : process.execPath;
const package_ = (...path) => join(root, 'node_modules', ...path);

function run(...args) {
  return spawnSync(node, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0;
}

/** Prints each problem on a line; true where there is none. */
function none(problems, remedy) {
  for (const problem of problems) console.error(`  ${problem}`);
  if (problems.length > 0) console.error(`  what to do: ${remedy}`);
  return problems.length === 0;
}

/** The folders the arrows are drawn between: those that hold TypeScript. */
const rooms = [
  ...['domain', 'planning', 'intake', 'inventory', 'providers', 'workflows', 'activities', 'workers', 'client', 'cli', 'audit', 'policies'],
  ...['lab', 'test', 'bench', 'scripts', 'api', 'console'],
].filter((room) => existsSync(join(root, room)));

const checks = {
  format: () => run(package_('@biomejs', 'biome', 'bin', 'biome'), 'format', '.'),
  types: () => run(package_('typescript', 'bin', 'tsc'), '--noEmit', '-p', '.'),
  lint: () => run(package_('@biomejs', 'biome', 'bin', 'biome'), 'lint', '--error-on-warnings', '--diagnostic-level=warn', '.'),
  arrows: () => run(join(root, 'scripts', 'arrows.mjs'), '-c', '.dependency-cruiser.mjs', '-T', 'err-long', ...rooms),
  licences: async () =>
    none(await refusedLicences(root), 'use another package; a permissive licence that is missing goes on the list in scripts/licences.mjs'),
  protobuf: () =>
    none(protobufCopies(root), 'keep protobufjs 8 a direct dependency, so that every @temporalio package finds the one copy at the top'),
  generated: () => run('--import', 'tsx', join(root, 'scripts', 'generated.ts')),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`);
  process.exit(2);
}
const failed = [];
const names = wanted.length > 0 ? wanted : Object.keys(checks);
for (const name of names) {
  const began = Date.now();
  console.log(`check ${name}`);
  const passed = await checks[name]();
  if (!passed) failed.push(name);
  console.log(`check ${name}: ${passed ? 'passed' : 'FAILED'} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}
if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`);
console.log(`${names.length - failed.length} passed, ${failed.length} failed`);
process.exit(failed.length > 0 ? 1 : 0);
