import * as workflows from '../../workflows/index.ts';
import * as interceptors from '../../workflows/interceptors.ts';

/** Temporal's own workflow library around the engine's own workflows, as a worker has them in its bundle. */
const globals = globalThis as unknown as { __TEMPORAL__: unknown };
globals.__TEMPORAL__ = { importWorkflows: () => workflows, importInterceptors: () => [interceptors] };

export { setActivator } from '@temporalio/workflow/lib/global-attributes.js';
export { activate, concludeActivation, initialize, initRuntime, tryUnblockConditions } from '@temporalio/workflow/lib/worker-interface.js';
export { failureConverter } from '../../workflows/failure-converter.ts';
export { payloadConverter } from '../../workflows/payload-converter.ts';
