import type { Provider } from 'tourniquet-engine/provider';
import { connect } from './connect.ts';
import { manifest } from './manifest.ts';

/** What the engine loads. */
export const provider: Provider = {
  manifest,
  identify(text) {
    const id = /^acme_([a-z0-9]{4,40})\.[A-Za-z0-9]+$/.exec(text.trim())?.[1];
    return id === undefined ? undefined : { credential: { kind: 'acme.token', locator: { id } }, provider: 'acme' };
  },
  connect,
};
