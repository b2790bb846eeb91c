import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loadInventory } from '../../inventory/index.ts';

it('the example on the inventory page is a good inventory', () => {
  const page = readFileSync(new URL('../../docs/inventory.md', import.meta.url), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  expect(loadInventory(example, 'docs/inventory.md').consumers).toHaveLength(1);
});
