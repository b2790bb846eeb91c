// `npm run conformance`: every action of every provider against every claim of the contract, in the simulators and on the real servers; then planted defects against the claims. `npm run conformance -- aws` plays the providers
// named, `-- aws/disable-key` those actions. Fails where a claim is red, an action has no harness, or a defect falls to another claim than the one it was planted for. Ends with `N passed, N failed`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ProviderManifest } from '../domain/manifest.ts';
import { manifests } from '../providers/manifests.ts';
import { claimNames } from '../test/conformance/claims.ts';
import { mutants } from '../test/conformance/mutants.ts';
import {
  type Fall,
  type HarnessEntry,
  judgeAll,
  type ProviderMutant,
  playMutants,
  playProviderMutants,
  uncovered,
  type Verdict,
} from '../test/conformance/runner.ts';
import { enterPracticeEnvironment } from './environment.mjs';

enterPracticeEnvironment();

/** Providers whose actions call nothing: there is no world that could show a claim. What holds them is named. */
const withoutWorld: Readonly<Record<string, string>> = {
  manual: 'a person does it and signs for it; test/providers-manual/manual.test.ts holds it',
};

const root = fileURLToPath(new URL('../', import.meta.url));
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.some((each) => name === each || name.startsWith(`${each}/`));

interface Found {
  readonly entries: readonly HarnessEntry[];
  readonly planted: readonly ProviderMutant[];
  readonly manifests: readonly ProviderManifest[];
}

/** Every folder `test/providers-NAME` and `examples/provider-NAME` that has a `harnesses.ts`. Nothing else has to be told of a provider. */
async function discover(): Promise<Found> {
  const folders = ['test', 'examples'].flatMap((room) =>
    existsSync(join(root, room))
      ? readdirSync(join(root, room))
          .filter((name) => /^providers?-/.test(name))
          .map((name) => join(root, room, name))
      : [],
  );
  const load = async (folder: string, file: string): Promise<Record<string, unknown>> =>
    existsSync(join(folder, file)) ? ((await import(pathToFileURL(join(folder, file)).href)) as Record<string, unknown>) : {};
  const out = { entries: [] as HarnessEntry[], planted: [] as ProviderMutant[], manifests: Object.values(manifests) };
  for (const folder of folders.sort()) {
    const name = folder.replace(/^.*providers?-/, '');
    if (wanted.length > 0 && !wanted.some((each) => each === name || each.startsWith(`${name}/`))) continue;
    const { harnesses = [] } = (await load(folder, 'harnesses.ts')) as { harnesses?: readonly HarnessEntry[] };
    const { mutants: own = [] } = (await load(folder, 'mutants.ts')) as { mutants?: readonly ProviderMutant[] };
    const { manifest } = (await load(folder, 'manifest.ts')) as { manifest?: ProviderManifest };
    if (manifest) out.manifests.push(manifest);
    out.entries.push(...harnesses);
    out.planted.push(...own);
  }
  return out;
}

/** Kept from the start: a claim listens to the outputs, and what is said meanwhile would be lost in it. */
const write = process.stdout.write.bind(process.stdout);
const say = (line: string): void => void write(`${line}\n`);

let passed = 0;
let failed = 0;
const count = (good: boolean): void => {
  if (good) passed++;
  else failed++;
};

const marks: Readonly<Record<Verdict['state'], string>> = { green: 'green', red: 'RED', void: 'void', unsupported: 'not kept' };
function sayVerdict({ action, claim, state, why }: Verdict): void {
  if (state === 'green' || state === 'red') count(state === 'green');
  say(`${marks[state].padEnd(8)} ${action} · ${claim}${why === undefined ? '' : `: ${why}`}`);
}

function sayFall({ mutant, caughtBy, fellTo, wrong }: Fall): void {
  count(wrong === undefined);
  const also = fellTo.filter((claim) => claim !== caughtBy);
  say(
    wrong === undefined
      ? `caught   ${mutant} · ${caughtBy}${also.length === 0 ? '' : ` (and, as named, ${also.join(', ')})`}`
      : `ESCAPED  ${mutant} · planted for “${caughtBy}”: ${wrong}`,
  );
}

/** Provider × action × claim on one page. */
function sayTable(verdicts: readonly Verdict[]): void {
  const actions = [...new Set(verdicts.map((each) => each.action))];
  say(`\nclaims: ${claimNames.map((name, at) => `${at + 1} ${name}`).join(', ')}`);
  const width = Math.max(...actions.map((name) => name.length), 6);
  say(`${'action'.padEnd(width)}  ${claimNames.map((_, at) => String(at + 1).padStart(2)).join(' ')}`);
  const letters: Readonly<Record<Verdict['state'], string>> = { green: '✓', red: '✗', void: '·', unsupported: 'n' };
  for (const action of actions) {
    const cells = claimNames.map((claim) => {
      const verdict = verdicts.find((each) => each.action === action && each.claim === claim);
      return ` ${verdict ? letters[verdict.state] : '?'}`;
    });
    say(`${action.padEnd(width)}  ${cells.join(' ')}`);
  }
  say('✓ green  ✗ red  · void for an action of its kind  n not kept, with the reason above\n');
}

interface Played {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly ancestorTitles: readonly string[]; readonly title: string; readonly status: string }[];
  }[];
}

/**
 * The traps of the providers' reference: a naive script, which is the defect and has to leave somebody in, and beside it the engine, which has not. They are tests of a runner of their own; here each of them is
 * counted. A trap of which only the simulator's side is played (AWS: the engine's side stands in test/planning and test/engine) is one all the same.
 */
function playTraps(): void {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-traps-'));
  const file = join(folder, 'traps.json');
  try {
    spawnSync(
      process.execPath,
      [
        join(root, 'node_modules', 'vitest', 'vitest.mjs'),
        'run',
        'test/traps',
        'test/lab-aws/traps.test.ts',
        '--reporter=json',
        `--outputFile=${file}`,
      ],
      { cwd: root, stdio: ['ignore', 'ignore', 'ignore'] },
    );
    const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as Played;
    const seen = new Set<number>();
    for (const each of testResults) {
      if (each.assertionResults.length === 0) {
        count(false);
        say(`RED      ${each.name.slice(root.length)}: it could not be loaded`);
      }
      for (const { ancestorTitles, title, status } of each.assertionResults) {
        if (status !== 'passed' && status !== 'failed') continue;
        const words = [...ancestorTitles, title];
        const number = words.map((text) => /^(?:traps? )?(\d{1,2})(?::|\b.*:)/i.exec(text)?.[1]).find((text) => text !== undefined);
        if (number !== undefined) seen.add(Number(number));
        count(status === 'passed');
        say(`${status === 'passed' ? 'green   ' : 'RED     '} trap ${number ?? '–'} · ${words.join(' · ')}`);
      }
    }
    const missing = Array.from({ length: 25 }, (_, at) => at + 1).filter((number) => !seen.has(number));
    if (missing.length > 0) say(`traps that are not played by these files: ${missing.join(', ')}`);
  } catch {
    count(false);
    say('RED      traps: the runner left no report');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const found = await discover();
const entries = found.entries.filter((entry) => isWanted(entry.name));
const verdicts = await judgeAll(entries, { said: sayVerdict });
if (verdicts.length > 0) sayTable(verdicts);

const of = (manifest: ProviderManifest): boolean =>
  wanted.length === 0 || wanted.includes(manifest.name) || wanted.some((each) => each.startsWith(`${manifest.name}/`));
const { actions, harnesses } = uncovered(
  found.manifests.filter((manifest) => of(manifest) && !(manifest.name in withoutWorld)),
  entries,
);
for (const name of actions.filter(isWanted)) {
  count(false);
  say(`MISSING  ${name}: its manifest has it and no harness does; see CONTRIBUTING.md, “Add a provider”`);
}
for (const name of harnesses) {
  count(false);
  say(`UNKNOWN  ${name}: a harness of an action that no manifest has, or a second one`);
}
for (const [name, why] of Object.entries(withoutWorld)) if (isWanted(name)) say(`none     ${name}: ${why}`);

for (const fall of await playMutants()) sayFall(fall);
for (const claim of claimNames) {
  const alone = mutants.filter((mutant) => mutant.caughtBy === claim);
  if (alone.length >= 2) continue;
  count(false);
  say(`TOO FEW  ${claim}: ${alone.length} defects are planted for it, and two are owed`);
}
for (const fall of await playProviderMutants(
  found.planted.filter((mutant) => isWanted(mutant.of)),
  entries,
))
  sayFall(fall);

if (wanted.length === 0) playTraps();

if (passed === 0 && failed === 0) failed = 1;
say(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
