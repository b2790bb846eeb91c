import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { identify } from './identify.ts';
import { manifest } from './manifest.ts';

/** Google Cloud: service accounts and their keys, access tokens, API keys and HMAC keys of Cloud Storage. */
export const provider: Provider = { manifest, identify, connect };
