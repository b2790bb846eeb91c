import type { Hash } from '../domain/canonical.ts';

/** The workflow code of this release, and its hash: what an auditor's replay may run without being told that it may. */
export async function release(): Promise<{ readonly code: string; readonly hash: Hash }> {
  const { workflowCode } = await import('../workers/bundle.ts');
  return workflowCode();
}
