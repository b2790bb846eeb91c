import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { manifest } from './manifest.ts';

/** Whatever no other provider handles: a person does it and signs for it. It recognises nothing by itself. */
export const provider: Provider = { manifest, identify: () => undefined, connect };
