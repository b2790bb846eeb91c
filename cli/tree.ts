import { Listr, type ListrTask } from 'listr2';
import type { IncidentStatus, StepStatus } from '../domain/messages.ts';
import { isEnded } from '../domain/states.ts';
import type { Terminal } from './terminal.ts';
import { gateLines, shortId, stepLine, when } from './words.ts';

/** Draws an incident as a tree of tasks for as long as statuses come: one branch for a round, one leaf for a step. Ends with the stream. */
export async function drawTree(terminal: Terminal, statuses: AsyncIterable<IncidentStatus>): Promise<IncidentStatus | undefined> {
  const feed = new Feed();
  const reading = (async () => {
    try {
      for await (const status of statuses) feed.put(status);
    } finally {
      feed.end();
    }
  })();
  // A failure of the reading is this function's; it must not be an unhandled one meanwhile.
  reading.catch(() => {});
  await feed.until((status) => status !== undefined);
  const root: ListrTask = {
    title: 'incident',
    task: async (_, task) => {
      const retitle = (status: IncidentStatus) => {
        task.title = `${shortId(status.id)}  ${status.state}, contained: ${status.contained}, rotated: ${status.rotated}${openGates(terminal, status)}`;
      };
      if (feed.last !== undefined) retitle(feed.last);
      feed.each(retitle);
      for (let round = 1; ; ) {
        const status = await feed.until((now) => now === undefined || now.round >= round || isEnded(now.state));
        if (feed.ended && (feed.last?.round ?? 0) < round) return;
        if (status === undefined) return;
        const shown =
          stepsOf(status, round).length > 0
            ? status
            : await feed.until((now) => stepsOf(now, round).length > 0 || (now?.round ?? 0) > round);
        const steps = stepsOf(shown ?? feed.last, round);
        if (steps.length > 0) await drawRound(terminal, feed, round, steps, task);
        round += 1;
      }
    },
  };
  const listr = new Listr([root], {
    exitOnError: false,
    concurrent: true,
    rendererOptions: { collapseSubtasks: false, collapseErrors: false, showErrorMessage: false },
  });
  await listr.run().catch(() => {});
  await reading;
  return feed.last;
}

type Wrapper = Parameters<ListrTask['task']>[1];

async function drawRound(terminal: Terminal, feed: Feed, round: number, steps: readonly StepStatus[], parent: Wrapper): Promise<void> {
  await parent
    .newListr(
      steps.map((first) => ({
        title: stepLine(terminal, first),
        task: async (_: unknown, task: Wrapper) => {
          const find = (status: IncidentStatus | undefined) => stepsOf(status, round).find((step) => step.id === first.id);
          feed.each((status) => {
            const step = find(status);
            if (step !== undefined) task.title = stepLine(terminal, step);
          });
          const over = (step: StepStatus | undefined) =>
            step !== undefined && ['done', 'failed', 'undone', 'skipped', 'stuck'].includes(step.state);
          const status = await feed.until(
            (now) => over(find(now)) || (now?.round ?? 0) > round || (now !== undefined && isEnded(now.state)),
          );
          const step = find(status ?? feed.last);
          if (step !== undefined) task.title = stepLine(terminal, step);
          if (step?.state === 'failed' || step?.state === 'stuck') throw new Error(step.failure?.words ?? step.state);
          if (step?.state === 'skipped') task.skip(task.title);
        },
      })),
      { concurrent: true, exitOnError: false },
    )
    .run({})
    .catch(() => {});
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
  each(heed: (status: IncidentStatus) => void): void {
    this.#listeners.add(() => {
      if (this.last !== undefined) heed(this.last);
    });
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
