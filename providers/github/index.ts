import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { identify } from './identify.ts';
import { manifest } from './manifest.ts';

/** GitHub: tokens of users and installations, and what hangs on them. */
export const provider: Provider = { manifest, identify, connect };
