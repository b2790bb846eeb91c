// Makes dist/: the JavaScript and types of every room that ships, what is no TypeScript beside them, and the workflow bundle. Node refuses
// TypeScript below node_modules, so a package of sources would not run.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { withoutCredentials, withPathFirst } from './environment.mjs';
import { root } from './servers.mjs';

const dist = join(root, 'dist');
const bin = join(root, 'node_modules', '.bin');
const node = existsSync(join(bin, 'node')) ? join(bin, 'node') : process.execPath;
const env = withPathFirst(withoutCredentials(), bin);

function run(what, ...args) {
  console.log(what);
  if (spawnSync(node, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0) return;
  console.error(`build failed: ${what}`);
  process.exit(1);
}

if (!existsSync(join(root, 'node_modules', 'typescript'))) {
  console.error('build failed: the dependencies are not installed; run node scripts/bootstrap.mjs first');
  process.exit(1);
}

rmSync(dist, { recursive: true, force: true });
run('compiling', join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json');

console.log('copying what is no TypeScript');
const assets = ['.mjs', '.yaml', '.yml', '.json', '.css', '.html', '.txt', '.cel', '.pem', '.hcl'];
const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8'));
for (const room of [...include, 'scripts']) if (existsSync(join(root, room))) copyAssets(room);
// Beside dist/scripts/*.mjs, so that types resolve from the compiled files as they do from the sources.
function copyAssets(folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) copyAssets(path);
    else if (assets.includes(extname(entry.name)) || entry.name.endsWith('.d.mts')) {
      mkdirSync(dirname(join(dist, path)), { recursive: true });
      copyFileSync(join(root, path), join(dist, path));
    }
  }
}
// A module reads `../package.json` for the version, from its source and from here alike.
const { name, version, license, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ name, version, license, type, private: true }, null, 2)}\n`);

// From the sources and not from dist: so an auditor with the sources gets the bundle, and the hash, that the package carries.
run('bundling the workflows', '--import', 'tsx', join(root, 'scripts', 'bundle.ts'), join(dist, 'workflow-bundle.cjs'));
const cli = join(dist, 'cli', 'main.js');
if (existsSync(cli)) chmodSync(cli, 0o755);
console.log('built: dist');
