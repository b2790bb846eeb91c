import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { dataConverterFor } from './codec.ts';
import { parseHistory } from './history.ts';

// The whole of a replay's own process: input on stdin, one line of JSON on stdout. See replay.ts.

function closeTheDoors(): void {
  const refuse = (): never => {
    throw new Error('a replay has no network');
  };
  net.Socket.prototype.connect = refuse;
  net.Server.prototype.listen = refuse;
  dgram.Socket.prototype.bind = refuse;
  dgram.Socket.prototype.send = refuse;
  Object.assign(dns, { lookup: refuse, resolve: refuse });
  Object.assign(dns.promises, { lookup: refuse, resolve: refuse });
  for (const name of ['fetch', 'WebSocket', 'EventSource']) Object.defineProperty(globalThis, name, { value: refuse });
}

async function readInput(): Promise<{ code: string; history: string; workflowId: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

async function replay(): Promise<{ scheduled: unknown[]; error?: string }> {
  const { code, history, workflowId } = await readInput();
  const scheduled: { seq: number; type: string; args: readonly unknown[] }[] = [];
  closeTheDoors();
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
    return { scheduled, error: `the code does not fit the history: ${error instanceof Error ? error.message.slice(0, 500) : 'unknown'}` };
  }
}

const outcome = await replay();
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
