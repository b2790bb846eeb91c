import { Listr, type ListrTask } from 'listr2';
import type { IncidentStatus, StepStatus } from '../domain/messages.ts';
import { isEnded } from '../domain/states.ts';
import type { Terminal } from './terminal.ts';
import { gateLines, shortId, stepLine, when } from './words.ts';

/**
 * Draws an incident for as long as statuses come: a tree for each round, its steps as leaves, one tree below the other; between rounds, what is waited
 * for. Ends with the stream, and throws what the stream throws.
 */
export async function drawTree(terminal: Terminal, statuses: AsyncIterable<IncidentStatus>): Promise<void> {
  const feed = new Feed();
  const reading = (async () => {
    try {
      for await (const status of statuses) feed.put(status);
    } finally {
      feed.end();
    }
  })();
  // A failure of the reading is thrown at the end; it must not be an unhandled one meanwhile.
  reading.catch(() => {});
  for (let round = 1; ; round += 1) {
    const there = (now: IncidentStatus | undefined) => now !== undefined && (stepsOf(now, round).length > 0 || now.round > round);
    if (!there(feed.last)) await drawn(waitingFor(terminal, feed, there));
    const steps = stepsOf(feed.last, round);
    if (steps.length > 0) await drawn(ofRound(terminal, feed, round, steps));
    if (feed.ended && !there(feed.last)) break;
  }
  await reading;
}

type Wrapper = Parameters<ListrTask['task']>[1];

async function drawn(task: ListrTask): Promise<void> {
  const listr = new Listr([task], {
    exitOnError: false,
    concurrent: true,
    // Signals are the command's; the library would end the process with a code of its own.
    registerSignalListeners: false,
    rendererOptions: { collapseSubtasks: false, collapseErrors: false, showErrorMessage: false },
  });
  await listr.run().catch(() => {});
}

const headOf = (terminal: Terminal, status: IncidentStatus | undefined): string =>
  status === undefined
    ? 'asking where it stands'
    : `${shortId(status.id)}  ${status.state}, contained: ${status.contained}, rotated: ${status.rotated}${openGates(terminal, status)}`;

/** One line that tells where the incident stands until the next round has steps, or the stream ends. */
function waitingFor(terminal: Terminal, feed: Feed, there: (now: IncidentStatus | undefined) => boolean): ListrTask {
  return {
    title: headOf(terminal, feed.last),
    task: async (_, task) => {
      const forget = feed.each((status) => {
        task.title = headOf(terminal, status);
      });
      await feed.until(there);
      forget();
    },
  };
}

function ofRound(terminal: Terminal, feed: Feed, round: number, steps: readonly StepStatus[]): ListrTask {
  return {
    title: headOf(terminal, feed.last),
    task: (_, task) => {
      feed.each((status) => {
        if (status.round === round) task.title = `round ${round}: ${headOf(terminal, status)}`;
      });
      return task.newListr(
        steps.map((first) => ({
          title: stepLine(terminal, first),
          task: (_none: unknown, leaf: Wrapper) => followStep(terminal, feed, round, first.id, leaf),
        })),
        { concurrent: true, exitOnError: false },
      );
    },
  };
}

async function followStep(terminal: Terminal, feed: Feed, round: number, id: string, leaf: Wrapper): Promise<void> {
  const find = (status: IncidentStatus | undefined) => stepsOf(status, round).find((step) => step.id === id);
  const retitle = (status: IncidentStatus | undefined) => {
    const step = find(status);
    if (step !== undefined) leaf.title = stepLine(terminal, step);
    return step;
  };
  const forget = feed.each(retitle);
  const over = (step: StepStatus | undefined) =>
    step !== undefined && ['done', 'failed', 'undone', 'skipped', 'stuck'].includes(step.state);
  await feed.until((now) => over(find(now)) || (now?.round ?? 0) > round || (now !== undefined && isEnded(now.state)));
  forget();
  const step = retitle(feed.last);
  if (step?.state === 'failed' || step?.state === 'stuck') throw new Error(step.failure?.words ?? step.state);
  if (step?.state === 'skipped') leaf.skip(leaf.title);
}

function stepsOf(status: IncidentStatus | undefined, round: number): readonly StepStatus[] {
  if (status === undefined) return [];
  return status.round === round ? status.steps : status.earlier.filter((step) => step.round === round);
}

function openGates(terminal: Terminal, status: IncidentStatus): string {
  const open = status.gates.filter((gate) => gate.state === 'open');
  return open.length === 0 ? '' : `\n${open.flatMap((gate) => gateLines(terminal, gate)).join('\n')}`;
}

/** The latest status, and whoever waits for one. */
class Feed {
  last: IncidentStatus | undefined;
  ended = false;
  readonly #listeners = new Set<() => void>();

  put(status: IncidentStatus): void {
    this.last = status;
    this.#wake();
  }
  end(): void {
    this.ended = true;
    this.#wake();
  }
  /** Tells of every status from now on, until the answer is called. */
  each(heed: (status: IncidentStatus) => void): () => void {
    const listener = () => {
      if (this.last !== undefined) heed(this.last);
    };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** The first status that fits, from now on; undefined where the stream ends before. */
  until(fits: (status: IncidentStatus | undefined) => boolean): Promise<IncidentStatus | undefined> {
    return new Promise((done) => {
      const look = () => {
        if (fits(this.last) && this.last !== undefined) return end(this.last);
        if (this.ended) end(undefined);
      };
      const end = (status: IncidentStatus | undefined) => {
        this.#listeners.delete(look);
        done(status);
      };
      this.#listeners.add(look);
      look();
    });
  }
  #wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** What is new between two statuses, as lines for a log: the timeline, steps that moved, questions that opened. */
export function changes(terminal: Terminal, before: IncidentStatus | undefined, now: IncidentStatus): readonly string[] {
  const lines: string[] = [];
  const stamp = (words: string) => lines.push(words);
  if (before?.state !== now.state || before.contained !== now.contained || before.rotated !== now.rotated) {
    stamp(`${when(now.timeline.at(-1)?.at ?? now.startedAt)}  state: ${now.state}, contained: ${now.contained}, rotated: ${now.rotated}`);
  }
  for (const entry of now.timeline.slice(before?.timeline.length ?? 0)) stamp(`${when(entry.at)}  ${entry.who}: ${entry.what}`);
  const past = new Map((before === undefined ? [] : [...before.steps, ...before.earlier]).map((step) => [step.id, step.state]));
  for (const step of [...now.earlier, ...now.steps]) {
    if (past.get(step.id) !== step.state && !(step.state === 'pending' && !past.has(step.id)))
      stamp(`${' '.repeat(20)}  ${stepLine(terminal, step)}`);
  }
  for (const gate of now.gates) {
    if (gate.state === 'open' && before?.gates.find((one) => one.id === gate.id && before.round === now.round)?.state !== 'open') {
      for (const line of gateLines(terminal, gate)) stamp(`${' '.repeat(20)}  ${line}`);
    }
  }
  return lines;
}
