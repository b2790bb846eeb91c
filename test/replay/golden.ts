import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type History, readHistory } from '../../audit/history.ts';
import { historyFromJsonValue, historyToJsonValue } from '../../audit/history-json.ts';
import type { Hash } from '../../domain/canonical.ts';

/** What `manifest.json` says of one golden. */
export interface GoldenEntry {
  readonly what: string;
  readonly workflow: string;
  readonly workflowId: string;
  readonly events: number;
  /** The code that recorded it. */
  readonly recorded: Hash;
  /** The code that it was last replayed with before that code was accepted. */
  readonly accepted: Hash;
}

/** Every golden by its name, which says behaviour and release: `gate-rejected_0.1.0`. */
export interface Manifest {
  readonly goldens: Readonly<Record<string, GoldenEntry>>;
}

const folder = fileURLToPath(new URL('golden/', import.meta.url));
const ending = '.json.gz';
const manifestPath = join(folder, 'manifest.json');
const pathOf = (name: string): string => join(folder, `${name}${ending}`);

/** The release whose goldens are recorded now. Those of earlier releases stay as they were. */
export const release: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;

export function readManifest(): Manifest {
  try {
    return JSON.parse(readFileSync(manifestPath, 'utf8')) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { goldens: {} };
    throw error;
  }
}

export function writeManifest(manifest: Manifest): void {
  const goldens = Object.fromEntries(Object.entries(manifest.goldens).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(manifestPath, `${JSON.stringify({ goldens }, null, 2)}\n`);
}

/** The names of the goldens that lie there, whatever the manifest says. */
export function goldenNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
}

/** The JSON that the other Temporal tools read and write, as a value. */
export function readGoldenJson(name: string): unknown {
  return JSON.parse(gunzipSync(readFileSync(pathOf(name))).toString('utf8'));
}

export function readGolden(name: string): History {
  return historyFromJsonValue(readGoldenJson(name));
}

export function writeGolden(name: string, history: History): void {
  writeFileSync(pathOf(name), gzipSync(JSON.stringify(historyToJsonValue(history)), { level: 9 }));
}

export function removeGolden(name: string): void {
  rmSync(pathOf(name), { force: true });
}

/** What the manifest says of a history that was recorded with that code and replays with it. */
export function entryOf(history: History, what: string, code: Hash): GoldenEntry {
  const { workflowType, workflowId, events } = readHistory(history);
  return { what, workflow: workflowType, workflowId, events, recorded: code, accepted: code };
}
