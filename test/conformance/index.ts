/** The conformance suite for providers: `describeAction` holds an action to every claim of the contract. Needs vitest. */
export { type Claim, type ClaimName, claimNames, claims } from './claims.ts';
export { describeAction, expectAllRun, type SuiteOptions } from './suite.ts';
export { type Harness, type Stage, stageOf, type Trouble, type World, type WorldCall, waitFor } from './world.ts';
