import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/traps.md'), 'utf8');
const rows = [...page.matchAll(/^\| (\d+) \|(.*)\|([^|]*)\|$/gm)].map(([, number, words = '', where = '']) => ({
  number: Number(number),
  words,
  where: where.trim(),
}));

test('the page has each of the 25 traps once', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 25 }, (_, at) => at + 1));
});

test.each(rows)('trap $number is played where the page says, or the page says that it is not', ({ number, words, where }) => {
  if (where === '') {
    expect(words).toMatch(/\*(not played|in part):/);
    return;
  }
  expect(existsSync(join(root, where)), where).toBe(true);
  const text = readFileSync(join(root, where), 'utf8');
  expect(text, `${where} speaks of trap ${number}`).toMatch(
    new RegExp(`describe\\('(trap )?${number}:|\\b(trap|trap number) ${number}\\b|^\\s*${number}[: ]`, 'm'),
  );
});
