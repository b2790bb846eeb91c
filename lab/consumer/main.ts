import { readFileSync } from 'node:fs';
import { startConsumer } from './consumer.ts';
import type { ConsumerConfig, ConsumerLine } from './messages.ts';

/** A consumer as a process of its own, which tells on stdout how it fares. It ends when it is told to, or when whoever started it has gone. */
const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('usage: main.ts CONFIG.json\n');
  process.exit(2);
}
const say = (line: ConsumerLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const consumer = await startConsumer(JSON.parse(readFileSync(path, 'utf8')) as ConsumerConfig, say);
say({ type: 'ready', at: Date.now(), pid: process.pid, accessKeyId: consumer.accessKeyId });
const seconds = setInterval(() => {
  say({ type: 'second', at: Date.now(), accessKeyId: consumer.accessKeyId, tally: consumer.tally() });
}, 1_000);

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  clearInterval(seconds);
  const tally = await consumer.stop();
  say({ type: 'total', at: Date.now(), accessKeyId: consumer.accessKeyId, tally });
  process.exit(0);
}
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
// Whoever started it is gone: nobody will ask it to stop, and a forgotten consumer would call for ever.
process.stdin.on('close', () => void stop()).resume();
