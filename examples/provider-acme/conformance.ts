// `npm run conformance` of this package: every action against every claim. Ends with `N passed, N failed`.
import { judgeAll, uncovered } from 'tourniquet-engine/testing';
import { harnesses } from './harnesses.ts';
import { manifest } from './manifest.ts';

const verdicts = await judgeAll(harnesses);
for (const { action, claim, state, why } of verdicts)
  console.log(`${state.padEnd(11)} ${action} · ${claim}${why === undefined ? '' : `: ${why}`}`);
const missing = uncovered([manifest], harnesses).actions;
for (const name of missing) console.log(`missing     ${name} has no harness`);
const failed = verdicts.filter((each) => each.state === 'red').length + missing.length;
console.log(`${verdicts.filter((each) => each.state === 'green').length} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
