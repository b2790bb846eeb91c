import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { dataConverterFor } from './codec.ts';
import { parseHistory } from './history.ts';

// The whole of a replay's own process: input on stdin, one line of JSON on stdout. See replay.ts.

async function readInput(): Promise<{ code: string; history: string; workflowId: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

async function replay(): Promise<{ scheduled: unknown[]; error?: string }> {
  const { code, history, workflowId } = await readInput();
  const scheduled: { seq: number; type: string; args: readonly unknown[] }[] = [];
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
  try {
    await Worker.runReplayHistory(
      {
        workflowBundle: { code },
        dataConverter: dataConverterFor(),
        sinks: {
          audit: {
            scheduled: {
              fn: (_info: unknown, seq: number, type: string, args: string) => {
                scheduled.push({ seq, type, args: JSON.parse(args) });
              },
              callDuringReplay: true,
            },
          },
        },
      },
      parseHistory(new Uint8Array(Buffer.from(history, 'base64'))),
      workflowId,
    );
    return { scheduled };
  } catch (error) {
    return { scheduled, error: `the code does not fit the history: ${wordsOf(error)}` };
  }
}

/** An error of the sandbox is of another world's class, and has a message all the same. */
function wordsOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message).slice(0, 500) : 'unknown';
}

const outcome = await replay();
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
