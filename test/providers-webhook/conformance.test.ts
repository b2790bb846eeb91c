import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { manifest } from '../../providers/webhook/manifest.ts';
import { describeAction, expectAllRun } from '../conformance/index.ts';
import { place } from './bench.ts';
import { harnesses } from './harnesses.ts';

for (const { name, open, options } of harnesses) describeAction(name, open, options);

it('every action of the manifest has a conformance run', () => {
  expectAllRun(
    manifest,
    harnesses.map((each) => each.name),
  );
});

it('a connection has exactly the actions of the manifest', async () => {
  const at = await place();
  try {
    expect(Object.keys((await at.connect()).actions).sort()).toEqual(manifest.actions.map((action) => action.name).sort());
  } finally {
    await at.close();
  }
});

it('the README has a row for every action', () => {
  const page = readFileSync(new URL('../../providers/webhook/README.md', import.meta.url), 'utf8');
  for (const { name, permissions } of manifest.actions) {
    const row = new RegExp(`^\\| \`${name}\` +\\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
    expect([...row.matchAll(/`([a-zA-Z]+)`/g)].map(([, word]) => word).sort(), name).toEqual([...permissions].sort());
  }
});
