#!/usr/bin/env node
import { run } from './program.ts';

const controller = new AbortController();
let signalled = 0;
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(name, () => {
    // The second one ends it whatever it is doing; until then a command may come to its own end.
    if (signalled !== 0) process.exit(128 + number);
    signalled = number;
    controller.abort();
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
});
// The exit code of a command that ended because of a signal tells which.
process.exitCode = signalled !== 0 && code === 0 ? 128 + signalled : code;
// Idle connections must not keep a finished command alive.
setTimeout(() => process.exit(), 500).unref();
