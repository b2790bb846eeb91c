import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** A process by number and by the moment it was started: numbers are given out again, and a pair of both is not. */
export interface ProcessMark {
  readonly pid: number;
  /** As the system tells it, compared and never read. */
  readonly started: string;
}

/** The mark of a running process; undefined where there is none of that number, or none that the system tells us of. */
export function markOf(pid: number): ProcessMark | undefined {
  const started = startOf(pid);
  return started === undefined ? undefined : { pid, started };
}

function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name stands in brackets and may hold anything; fields are counted from behind it (proc(5): state is the third, the start the 22nd).
      const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
      // A dead process that nobody has asked about yet is still listed, and holds nothing any more.
      return rest[0] === 'Z' || rest[0] === 'X' ? undefined : rest[19];
    } catch {
      return undefined;
    }
  }
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Whether the process of that mark, and not a later one of the same number, is running. */
export function isRunning(mark: ProcessMark): boolean {
  return startOf(mark.pid) === mark.started;
}

/** Ends the process of that mark: SIGTERM, then SIGKILL after `patienceMs`. Does nothing to another of the same number. True where there was one to end. */
export async function end(mark: ProcessMark, patienceMs = 5_000): Promise<boolean> {
  if (!isRunning(mark)) return false;
  send(mark, 'SIGTERM');
  const until = Date.now() + patienceMs;
  while (isRunning(mark)) {
    if (Date.now() > until) {
      send(mark, 'SIGKILL');
      break;
    }
    await wait(25);
  }
  while (isRunning(mark)) await wait(10);
  return true;
}

function send(mark: ProcessMark, signal: NodeJS.Signals): void {
  try {
    process.kill(mark.pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
