import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { provider } from '../../providers/gcp/index.ts';
import { manifest } from '../../providers/gcp/manifest.ts';
import { describeAction, expectAllRun } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';
import { practice } from './practice.ts';

for (const { name, open, options } of harnesses) describeAction(name, open, options);

it('every action of the manifest has a conformance run', () => {
  expectAllRun(
    manifest,
    harnesses.map((each) => each.name),
  );
});

it('a connection has exactly the actions of the manifest', async () => {
  const world = await practice();
  try {
    const connection = await world.connect();
    expect(Object.keys(connection.actions).sort()).toEqual(provider.manifest.actions.map((action) => action.name).sort());
  } finally {
    await world.close();
  }
});

it('the README has a row for every action, and its permissions as the manifest has them', () => {
  const page = readFileSync(new URL('../../providers/gcp/README.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` +\|(.*)\|$/gm)];
  for (const { name, permissions } of manifest.actions) {
    const [does, needs, ...more] = rows.filter(([, of]) => of === name).map(([, , words]) => words ?? '');
    expect(does !== undefined && needs !== undefined && more.length === 0, `${name}: one row under Actions, one under Permissions`).toBe(
      true,
    );
    expect([...(needs ?? '').matchAll(/`([^`]+)`/g)].map(([, word]) => word).sort(), `${name}: what it needs`).toEqual(
      [...permissions].sort(),
    );
  }
});
