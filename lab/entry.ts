import { fileURLToPath } from 'node:url';

/**
 * How to run a module of ours as a process: the same node as this one. A source file needs nothing more, as the oldest node we take strips types by
 * itself; `file` is written with the suffix `.ts` and found as `.js` in a built package.
 */
export function entryOf(file: URL): { readonly command: string; readonly args: readonly string[] } {
  const path = fileURLToPath(file);
  const built = import.meta.url.endsWith('.js');
  return { command: process.execPath, args: ['--no-warnings', built ? path.replace(/\.ts$/, '.js') : path] };
}
