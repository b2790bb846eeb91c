import { open, stat } from 'node:fs/promises';
import { z } from 'zod';
import { instantOf } from './client.ts';

/** A place in a file that grows: bytes from the beginning, and which file it was. */
export interface Mark {
  readonly file: string;
  readonly offset: number;
}

/** The end of the file now; undefined where it cannot be read. */
export async function endOf(path: string): Promise<Mark | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? { file: `${found.dev}:${found.ino}`, offset: found.size } : undefined;
  } catch {
    return undefined;
  }
}

/** A successful read of a KV key, as the audit device saw it. `at` is the moment the request came in, as the server wrote it. */
export interface SeenRead {
  readonly id: string;
  readonly path: string;
  readonly namespace: string;
  readonly at: string;
  /** Display name and metadata values of the token. */
  readonly names: readonly string[];
}

const entrySchema = z.object({
  time: z.string(),
  type: z.enum(['request', 'response']),
  auth: z.object({ display_name: z.string().optional(), metadata: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  request: z.object({
    id: z.string(),
    operation: z.string().optional(),
    path: z.string().optional(),
    namespace: z.object({ path: z.string().optional() }).nullish(),
    // A read that names a version carries it here.
    data: z.record(z.string(), z.unknown()).nullish(),
  }),
  response: z.object({ data: z.unknown() }).nullish(),
  error: z.string().optional(),
});

/** Follows an audit log from a mark on. `lost`: the file was replaced by a new one, and what stood between mark and end of the old one is not seen. */
export class AuditTail {
  readonly #path: string;
  #mark: Mark;
  #rest: Buffer = Buffer.alloc(0);
  readonly #asked = new Map<string, string>();
  /** Lines that could not be understood. */
  unreadable = 0;
  lost = false;

  constructor(path: string, from: Mark) {
    this.#path = path;
    this.#mark = from;
  }

  /**
   * What has been read successfully since the last call, of current versions only. Undefined where the file cannot be read now.
   * A line still being written is left for the next call.
   */
  async next(): Promise<readonly SeenRead[] | undefined> {
    const seen: SeenRead[] = [];
    try {
      await using file = await open(this.#path, 'r');
      const found = await file.stat();
      if (`${found.dev}:${found.ino}` !== this.#mark.file || found.size < this.#mark.offset) {
        this.lost ||= this.#mark.offset > 0 || this.#mark.file !== '';
        this.#mark = { file: `${found.dev}:${found.ino}`, offset: 0 };
        this.#rest = Buffer.alloc(0);
      }
      const chunk = Buffer.alloc(64 * 1024);
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, this.#mark.offset);
        if (bytesRead === 0) return seen;
        this.#mark = { ...this.#mark, offset: this.#mark.offset + bytesRead };
        const bytes = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(0x0a);
        this.#rest = Buffer.from(bytes.subarray(end + 1));
        if (end < 0) continue;
        for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) this.#take(line, seen);
      }
    } catch {
      return undefined;
    }
  }

  #take(line: string, seen: SeenRead[]): void {
    if (line.trim() === '') return;
    const entry = parsed(line);
    if (entry === undefined || instantOf(entry.time) === undefined) {
      this.unreadable += 1;
      return;
    }
    const { id, operation, path } = entry.request;
    // Nothing else is kept: a log of all the server's requests would fill the memory.
    if (operation !== 'read' || path === undefined) return;
    if (entry.type === 'request') {
      this.#asked.set(id, entry.time);
      return;
    }
    const at = this.#asked.get(id);
    this.#asked.delete(id);
    // A refused or failed read, one that found nothing, and one of a version by number do not show that the new secret arrived.
    if (
      at === undefined ||
      (entry.error ?? '') !== '' ||
      entry.response?.data == null ||
      Object.hasOwn(entry.request.data ?? {}, 'version')
    )
      return;
    const metadata = Object.values(entry.auth?.metadata ?? {}).filter((value) => typeof value === 'string');
    const display = entry.auth?.display_name;
    seen.push({ id, path, namespace: entry.request.namespace?.path ?? '', at, names: [...(display ? [display] : []), ...metadata] });
  }
}

function parsed(line: string): z.output<typeof entrySchema> | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
