#!/usr/bin/env node
import { run } from './program.ts';

const controller = new AbortController();
let heeds = false;
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(name, () => {
    // A command that has something to put right is let come to its end, once; the second signal ends it whatever it is doing.
    if (!heeds || controller.signal.aborted) process.exit(128 + number);
    controller.abort(128 + number);
  });
}
// A reader that has gone, such as `head`, is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  cwd: process.cwd(),
  signal: controller.signal,
  heed: () => {
    heeds = true;
  },
});
process.exitCode = code;
// Idle connections must not keep a finished command alive.
setTimeout(() => process.exit(), 500).unref();
