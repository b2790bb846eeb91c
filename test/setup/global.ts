import { workflowCode } from '../../workers/bundle.ts';

/** Bundles the workflows once for all test files; each then finds the bundle kept. */
export default async function setup(): Promise<void> {
  await workflowCode();
}
