import { type FileHandle, open, stat } from 'node:fs/promises';
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

/** What every line has. The server's own doings have no request id and no operation. */
const lineSchema = z.object({ time: z.string(), type: z.string(), request: z.object({ operation: z.string().optional() }).nullish() });

/** What a line about a read has beside it. */
const readSchema = z.object({
  auth: z.object({ display_name: z.string().optional(), metadata: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  request: z.object({
    id: z.string(),
    path: z.string(),
    namespace: z.object({ path: z.string().optional() }).nullish(),
    // A read that names a version carries it here.
    data: z.record(z.string(), z.unknown()).nullish(),
  }),
  response: z.object({ data: z.object({ data: z.unknown().optional() }).nullish() }).nullish(),
  error: z.string().optional(),
});

/** Follows an audit log from a mark on. `lost`: the file was replaced by a new one, and what stood between mark and end of the old one is not seen. */
export class AuditTail {
  readonly #path: string;
  #mark: Mark;
  #rest: Buffer = Buffer.alloc(0);
  readonly #seen: SeenRead[] = [];
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
    try {
      const file = await open(this.#path, 'r');
      try {
        await this.#readOn(file);
      } finally {
        await file.close();
      }
    } catch {
      // What had been seen before it failed is kept for the next call.
      return undefined;
    }
    return this.#seen.splice(0);
  }

  async #readOn(file: FileHandle): Promise<void> {
    const found = await file.stat();
    if (`${found.dev}:${found.ino}` !== this.#mark.file || found.size < this.#mark.offset) {
      this.lost ||= this.#mark.file !== '';
      this.#mark = { file: `${found.dev}:${found.ino}`, offset: 0 };
      this.#rest = Buffer.alloc(0);
    }
    const chunk = Buffer.alloc(64 * 1024);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, this.#mark.offset);
      if (bytesRead === 0) return;
      this.#mark = { ...this.#mark, offset: this.#mark.offset + bytesRead };
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(0x0a);
      this.#rest = Buffer.from(bytes.subarray(end + 1));
      if (end < 0) continue;
      for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) this.#take(line);
    }
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    const value = parsed(line);
    const entry = lineSchema.safeParse(value).data;
    if (entry === undefined || instantOf(entry.time) === undefined) {
      this.unreadable += 1;
      return;
    }
    // Nothing else is kept: a log of all the server's requests would fill the memory.
    if (entry.request?.operation !== 'read') return;
    const read = readSchema.safeParse(value).data;
    if (read === undefined) {
      this.unreadable += 1;
      return;
    }
    const { id, path, namespace, data } = read.request;
    if (entry.type === 'request') this.#asked.set(id, entry.time);
    if (entry.type !== 'response') return;
    const at = this.#asked.get(id);
    this.#asked.delete(id);
    // A refused or failed read, one that found nothing or a deleted version, and one of a version by number do not show that the new secret arrived.
    if (at === undefined || (read.error ?? '') !== '' || read.response?.data?.data == null || Object.hasOwn(data ?? {}, 'version')) return;
    const metadata = Object.values(read.auth?.metadata ?? {}).filter((value) => typeof value === 'string');
    const display = read.auth?.display_name;
    this.#seen.push({ id, path, namespace: namespace?.path ?? '', at, names: [...(display ? [display] : []), ...metadata] });
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
