import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One recorded history, as `index.json` beside it tells of it. */
export interface Golden {
  readonly name: string;
  readonly what: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly events: number;
}

const folder = fileURLToPath(new URL('golden/', import.meta.url));

/** The recorded histories: protobuf, plain payloads, made by `npm run golden`. */
export const golden = {
  folder,
  /** The code they were recorded with, and what there is. */
  index: (): { readonly code: string; readonly histories: readonly Golden[] } =>
    JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { code: string; histories: Golden[] },
  read: (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, `${name}.pb`))),
};
