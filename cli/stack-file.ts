import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** What the practice stack leaves for whoever works with it, in `.tourniquet/stack.json`. The stack writes more; this is what commands need. */
export interface StackFile {
  readonly path: string;
  readonly configuration?: string;
  readonly keys?: string;
  readonly passphraseFile?: string;
  readonly temporal?: { readonly address?: string; readonly namespace?: string };
}

/** The stack file of this folder or the nearest one above; undefined where there is none that can be read. */
export function findStack(cwd: string): StackFile | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, '.tourniquet', 'stack.json');
    if (existsSync(path)) return read(path);
    if (dirname(folder) === folder) return undefined;
  }
}

/** The stack file in the folder of a configuration; undefined where there is none. */
export function stackBeside(configuration: string): StackFile | undefined {
  const path = join(dirname(configuration), 'stack.json');
  return existsSync(path) ? read(path) : undefined;
}

function read(path: string): StackFile | undefined {
  try {
    return { ...(JSON.parse(readFileSync(path, 'utf8')) as object), path };
  } catch {
    return undefined;
  }
}
