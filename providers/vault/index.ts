import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { identify } from './identify.ts';
import { manifest } from './manifest.ts';

/** OpenBao and Vault, as a store of credentials. */
export const provider: Provider = { manifest, identify, connect };
