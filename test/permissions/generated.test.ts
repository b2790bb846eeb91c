import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { spanOf } from '../../scripts/gen-providers.ts';
import { orphans } from '../../scripts/generate.ts';

it('a policy or page that no manifest stands behind any more is named, and so is never handed to anybody as current', () => {
  const root = mkdtempSync(join(tmpdir(), 'tourniquet-pages-'));
  try {
    for (const path of ['permissions/aws/contain.json', 'permissions/gone/read.json', 'docs/providers/gone.md', 'docs/policy.md']) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), '');
    }
    expect([...orphans({ 'permissions/aws/contain.json': '' }, root)].sort()).toEqual([
      'docs/providers/gone.md',
      'permissions/gone/read.json',
    ]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

it.each([
  [0, 'none'],
  [250, '250 ms'],
  [15_000, '15 s'],
  [90_000, '90 s'],
  [129_600_000, '36 h'],
  [7_776_000_000, '90 d'],
])('%i milliseconds are said as %s', (ms, words) => expect(spanOf(ms)).toBe(words));
