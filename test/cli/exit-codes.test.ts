import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCases } from './exit-cases.ts';
import { madeEngine, tourniquet } from './harness.ts';

let engine: Awaited<ReturnType<typeof madeEngine>>;
beforeAll(async () => {
  engine = await madeEngine();
}, 30_000);
afterAll(() => engine?.remove());

describe.each(Object.entries(exitCases))('%s', (_, cases) => {
  test.each(cases.map((one) => [one.argv.join(' '), one] as const))(
    'tourniquet %s',
    async (_words, { argv, exit, code, stdin }) => {
      const plain = await tourniquet(argv, { cwd: engine.folder, ...(stdin === undefined ? {} : { stdin }) });
      expect(plain, plain.err).toMatchObject({ code: exit });
      if (code === undefined) return;
      expect(plain.err).toContain(`(${code})`);
      expect(plain.err).toMatch(/ do: {4}\S/);
      expect(plain.out).toBe('');
      const json = await tourniquet([...argv, '--json'], { cwd: engine.folder, ...(stdin === undefined ? {} : { stdin }) });
      expect(json.code).toBe(exit);
      expect(JSON.parse(json.err)).toMatchObject({ error: { code, exit, next: expect.stringMatching(/./) } });
    },
    60_000,
  );
});

test('a command that is none is a slip of the pen', async () => {
  expect(await tourniquet(['reprot'], { cwd: engine.folder })).toMatchObject({ code: 2, out: '' });
  expect(await tourniquet(['audit'], { cwd: engine.folder })).toMatchObject({ code: 2, out: '' });
});

test('refused calls have written nothing', () => {
  expect(readdirSync(engine.folder).sort()).toEqual([
    'inventory.yaml',
    'keys',
    'people.yaml',
    'policy.yaml',
    'secrets',
    'store',
    'tourniquet.yaml',
    'trust.yaml',
  ]);
});
