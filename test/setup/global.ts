import { workflowCode } from '../../workers/bundle.ts';

/** Bundles the workflows once for all test files; each then finds the bundle kept. */
export default async function setup(): Promise<void> {
  try {
    await workflowCode();
  } catch (error) {
    // The tests that need the bundle will fail by their own names; the others have something to say all the same.
    console.error('the workflows could not be bundled:', error);
  }
}
