import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { manifest } from '../../providers/webhook/manifest.ts';
import { actionsIn, describeProvider } from '../conformance/index.ts';
import { place } from './bench.ts';
import { harnesses } from './harnesses.ts';

describeProvider(manifest, harnesses, async () => actionsIn(await place()));

it('the README has a row for every action', () => {
  const page = readFileSync(new URL('../../providers/webhook/README.md', import.meta.url), 'utf8');
  for (const { name, permissions } of manifest.actions) {
    const row = new RegExp(`^\\| \`${name}\` +\\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
    expect([...row.matchAll(/`([a-zA-Z]+)`/g)].map(([, word]) => word).sort(), name).toEqual([...permissions].sort());
  }
});
