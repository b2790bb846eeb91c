/** The conformance suite for providers: `describeProvider` holds a provider to every claim of the contract, `describeAction` one action. Needs vitest. */
export { type Claim, type ClaimName, claimNames, claims } from './claims.ts';
/** The suite without a test runner: what `npm run conformance` prints, for a provider of one's own. */
export {
  type Fall,
  type HarnessEntry,
  judge,
  judgeAll,
  type ProviderMutant,
  playMutants,
  playProviderMutants,
  type RunOptions,
  uncovered,
  type Verdict,
} from './runner.ts';
/** The tools of the undo harness: blows that fall between engine and provider, and pictures of a world that tell what differs. They need nothing. */
export {
  type Blow,
  type Difference,
  differences,
  type Happening,
  inWords,
  type Picture,
  type Stop,
  type Strikes,
  type Struck,
  struck,
} from './strikes.ts';
export { actionsIn, describeAction, describeProvider, expectAllRun, type NamedHarness, type SuiteOptions } from './suite.ts';
/**
 * The undo harness: `describeUndo` fails every step of a plan before its effect, after it and in its undo, and compares the world with the one before; `describeUndoOf` does so for one action in the
 * world of its conformance run. Needs vitest.
 */
export {
  describeUndo,
  describeUndoOf,
  expectAllUndone,
  playUndoRow,
  type UndoOptions,
  type UndoRow,
  type UndoStep,
  type UndoWorld,
  undoRowsOf,
} from './undo.ts';
export { type Harness, type Stage, stageOf, type Trouble, type World, type WorldCall, waitFor } from './world.ts';
