import { fault } from '../../domain/errors.ts';
import { type Found, findServer as find } from '../../scripts/servers.mjs';

/** The binary of a server: one that was configured, else on PATH, else installed by the bootstrap. Throws `stack.failed` where there is none. */
export function findServer(name: 'temporal' | 'bao'): Found {
  let found: Found | undefined;
  try {
    found = find(name);
  } catch (cause) {
    throw fault('stack.failed', { part: name }, cause);
  }
  if (!found) throw fault('stack.failed', { part: name, problem: 'no binary: run `npm start` or `npm test` once, which install it' });
  return found;
}
