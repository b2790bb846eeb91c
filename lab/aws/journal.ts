import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalLine } from './state.ts';

/**
 * An append-only file of JSON lines. A line is handed to the operating system before the reply it belongs to leaves, so a killed process
 * loses nothing; the power of the machine is not guarded against, which saves a disk flush on every call.
 */
export class Journal {
  readonly #path: string;
  #file: number | undefined;
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#path = join(directory, 'journal.ndjson');
  }

  /** Every whole line, in order. A last line that was cut short belongs to a call that was never answered, and is left out. */
  read(): JournalLine[] {
    if (!existsSync(this.#path)) return [];
    const text = readFileSync(this.#path);
    const lines: JournalLine[] = [];
    let start = 0;
    for (;;) {
      const end = text.indexOf(10, start);
      if (end < 0) return lines;
      try {
        lines.push(JSON.parse(text.toString('utf8', start, end)) as JournalLine);
      } catch {
        throw new Error(`the journal ${this.#path} is damaged at byte ${start}`);
      }
      start = end + 1;
    }
  }

  /** Writes a new file with these lines in the place of the old one, and opens it for appending. */
  restart(lines: Iterable<JournalLine>): void {
    const fresh = `${this.#path}.new`;
    rmSync(fresh, { force: true });
    const file = openSync(fresh, 'wx', 0o600);
    let batch: string[] = [];
    let size = 0;
    const flush = () => {
      writeWhole(file, batch.join(''));
      batch = [];
      size = 0;
    };
    for (const line of lines) {
      const text = `${JSON.stringify(line)}\n`;
      batch.push(text);
      size += text.length;
      if (size > 1 << 20) flush();
    }
    flush();
    fsyncSync(file);
    closeSync(file);
    renameSync(fresh, this.#path);
    this.#file = openSync(this.#path, 'a', 0o600);
  }

  append(line: JournalLine): void {
    if (this.#file === undefined) throw new Error('the journal is closed');
    try {
      writeWhole(this.#file, `${JSON.stringify(line)}\n`);
    } catch (error) {
      // Memory is now ahead of the file, and a line may be half there: nothing more is accepted, so that no later line hides the gap.
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
