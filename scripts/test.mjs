// Runs the tests in the practice environment and ends with the line `N passed, N failed`, counted from the runner's own report.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { practiceEnvironment, withPathFirst } from './environment.mjs';
import { findPackage, installPackage, root } from './servers.mjs';

const args = process.argv.slice(2);
const full = args.includes('--full');
const folder = mkdtempSync(join(tmpdir(), 'tourniquet-test-'));
const report = join(folder, 'report.json');
const bin = join(root, 'node_modules', '.bin');
const env = withPathFirst(practiceEnvironment(process.env, { home: join(folder, 'home') }), bin);
const pinned = join(bin, 'node');
// One test has a stranger's implementation check our signatures. It is fetched here, where the package client still finds its configuration; without it that test is not run, and says so.
if (findPackage('securesystemslib').missing) {
  await installPackage('securesystemslib', (line) => console.log(line)).catch((error) => console.log(`not installed: ${error.message}`));
}
const ran = spawnSync(
  existsSync(pinned) ? pinned : process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...args.filter((arg) => arg !== '--full'),
  ],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...env, TZ: 'UTC', ...(full ? { TOURNIQUET_FULL: '1' } : {}) } },
);
let passed = 0;
let failed = 0;
let skipped = 0;
try {
  const result = JSON.parse(readFileSync(report, 'utf8'));
  passed = result.numPassedTests;
  skipped = result.numPendingTests + (result.numTodoTests ?? 0);
  // A file that could not be loaded has no tests to fail, and is counted as one failure.
  const unloaded = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  ).length;
  failed = result.numFailedTests + unloaded;
} catch {
  console.error('the runner left no report');
  failed = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (ran.status !== 0 && failed === 0) failed = 1;
if (passed === 0 && failed === 0) failed = 1;
if (skipped > 0) console.log(`not run: ${skipped}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
