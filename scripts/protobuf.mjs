// Temporal's JSON converters compare classes across packages, so two copies of protobufjs under @temporalio break every exported history.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What is wrong with the copies of protobufjs that the @temporalio packages below `start` load; empty where all load one, of version 8. */
export function protobufCopies(start) {
  const scope = join(start, 'node_modules', '@temporalio');
  if (!existsSync(scope)) return [`${scope} is missing`];
  const copies = new Map();
  for (const name of readdirSync(scope)) {
    const folder = join(scope, name);
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (!('protobufjs' in dependencies)) continue;
    const found = copyFor(folder);
    copies.set(found, [...(copies.get(found) ?? []), `@temporalio/${name}`]);
  }
  if (copies.size === 0) return ['no @temporalio package asks for protobufjs: the check looks at the wrong place'];
  const problems = [];
  if (copies.size > 1) for (const [copy, users] of copies) problems.push(`${users.join(', ')} load ${copy}`);
  for (const copy of copies.keys()) {
    const { version } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8'));
    if (!version.startsWith('8.')) problems.push(`${copy} is protobufjs ${version}, not 8`);
  }
  return problems;
}

function copyFor(folder) {
  let at = dirname(createRequire(join(folder, 'package.json')).resolve('protobufjs'));
  while (!existsSync(join(at, 'package.json'))) at = dirname(at);
  return at;
}
