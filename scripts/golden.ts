// `npm run golden`: replays every golden with the workflow code as it is, records those that are missing, and accepts the code where all fit.
// `npm run golden -- --record [scene…]` records all of this release, or those named, anew.
import { readHistory } from '../audit/history.ts';
import {
  entryOf,
  goldenNames,
  readGolden,
  readManifest,
  release,
  removeGolden,
  writeGolden,
  writeManifest,
} from '../test/replay/golden.ts';
import { record } from '../test/replay/record.ts';
import { misfits } from '../test/replay/replay.ts';
import { scenes } from '../test/replay/scenes.ts';
import { workflowCode } from '../workers/bundle.ts';
import { enterPracticeEnvironment } from './environment.mjs';

enterPracticeEnvironment();

const args = process.argv.slice(2);
const anew = args.includes('--record');
const named = args.filter((arg) => arg !== '--record');
const stranger = named.find((name) => !anew || !scenes.some((scene) => scene.name === name));
if (stranger !== undefined) fail(`${stranger} is no scene: they are ${scenes.map((scene) => scene.name).join(', ')}`);

const { code, hash } = await workflowCode();
const manifest = readManifest();
const there = goldenNames();
const sceneOf = (golden: string): string => golden.slice(0, golden.lastIndexOf('_'));
const ofNow = (scene: string): string => `${scene}_${release}`;
const toRecord = scenes.filter((scene) =>
  anew ? named.length === 0 || named.includes(scene.name) : !there.some((golden) => sceneOf(golden) === scene.name),
);
const replaced = new Set(toRecord.map((scene) => ofNow(scene.name)));
if (anew && named.length === 0) for (const golden of there) if (golden.endsWith(`_${release}`)) replaced.add(golden);

const kept = there.filter((golden) => !replaced.has(golden));
refuse(await misfits(code, new Map(kept.map((golden) => [golden, readGolden(golden)]))));
if (kept.length > 0) console.log(`${kept.length} histories replay`);

const recorded = toRecord.length > 0 ? await record(code, toRecord) : new Map<string, never>();
refuse(await misfits(code, recorded));

for (const golden of replaced) removeGolden(golden);
const goldens = Object.fromEntries(
  kept.map((golden) => {
    const entry = manifest.goldens[golden] ?? fail(`${golden} is not in the manifest: take it out, or record it`);
    return [golden, { ...entry, accepted: hash }];
  }),
);
for (const scene of toRecord) {
  const history = recorded.get(scene.name);
  if (!history) throw new TypeError(`${scene.name} was not recorded`);
  writeGolden(ofNow(scene.name), history);
  goldens[ofNow(scene.name)] = entryOf(history, scene.what, hash);
  console.log(`recorded ${ofNow(scene.name)}: ${readHistory(history).workflowType}, ${history.events?.length} events`);
}
writeManifest({ goldens });
console.log(`accepted ${hash}, over ${Object.keys(goldens).length} histories`);
process.exit(0);

function refuse(found: ReadonlyMap<string, string>): void {
  if (found.size === 0) return;
  for (const [name, why] of found) console.error(`${name} does not fit: ${why}`);
  fail(
    `${found.size} histories do not fit the workflow code. Guard the change with patched(); or, if no engine that was released can have such a run open, record anew: npm run golden -- --record`,
  );
}

function fail(words: string): never {
  console.error(words);
  process.exit(1);
}
