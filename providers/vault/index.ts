import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { identify } from './identify.ts';
import { manifest } from './manifest.ts';

/** OpenBao and Vault: a store of other systems' credentials, and an issuer of its own. */
export const provider: Provider = { manifest, identify, connect };
