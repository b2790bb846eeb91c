/** All benches, one after the other, each in a process of its own: `npm run bench`. Figures for docs/performance.md come from here and from nowhere else. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

for (const name of ['planner', 'containment', 'engine', 'crowd']) {
  console.log(`\n## ${name}\n`);
  const ran = spawnSync(process.execPath, ['--import', 'tsx', fileURLToPath(new URL(`./${name}.ts`, import.meta.url))], {
    stdio: 'inherit',
  });
  if (ran.status !== 0) process.exitCode = 1;
}
