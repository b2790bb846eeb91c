import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fresh } from './settings.ts';

let folder: string;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tourniquet-settings-'));
  vi.useFakeTimers({ toFake: ['Date'] });
  said = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** Puts a file in place whole, and lets the time pass in which it is not looked at. */
function put(name: string, text: string): void {
  writeFileSync(join(folder, `${name}.new`), text);
  renameSync(join(folder, `${name}.new`), join(folder, name));
  later();
}
const later = () => vi.setSystemTime(Date.now() + 501);

it('a broken file leaves the last good content, is told of once for each state it is in, and heals', () => {
  const path = join(folder, 'a.json');
  const text = (value: unknown) => JSON.stringify(value);
  let parsed = 0;
  put('a.json', text({ n: 1 }));
  const content = fresh(path, () => {
    parsed++;
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  });
  expect(content()).toEqual({ n: 1 });

  put('a.json', '{ "n": ');
  for (let look = 0; look < 3; look++, later()) expect(content()).toEqual({ n: 1 });
  expect(said).toHaveLength(1);
  const before = parsed;
  content();
  content();
  content();
  expect(parsed, 'it is tried again more than twice a second').toBe(before + 1);

  put('a.json', '{ "n": 2, ');
  expect(content()).toEqual({ n: 1 });
  expect(said).toHaveLength(2);
  rmSync(path);
  later();
  expect(content()).toEqual({ n: 1 });
  expect(said).toHaveLength(3);

  put('a.json', text({ n: 3 }));
  expect(content()).toEqual({ n: 3 });
  later();
  expect(content()).toEqual({ n: 3 });
  expect(said).toHaveLength(3);
});

it('a file that was never good is an error each time it is asked for', () => {
  const path = join(folder, 'a.json');
  const content = fresh(path, () => JSON.parse(readFileSync(path, 'utf8')) as unknown);
  expect(content).toThrow();
  put('a.json', '{');
  expect(content).toThrow();
  put('a.json', '4');
  expect(content()).toBe(4);
  expect(said).toHaveLength(0);
});
