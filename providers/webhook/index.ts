import type { Provider } from '../contract.ts';
import { connect } from './connect.ts';
import { identify } from './identify.ts';
import { manifest } from './manifest.ts';

/** Any system that a team runs an endpoint for; see docs/webhook.md. */
export const provider: Provider = { manifest, identify, connect: (config) => connect(config) };
