import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commands } from '../../cli/commands/index.ts';
import { registry } from '../../domain/errors.ts';

const page = readFileSync(new URL('../../docs/trust.md', import.meta.url), 'utf8');
const calls = [...page.matchAll(/tourniquet ((?:trust|key) [a-z]+|list|show|doctor)((?: [^`\n>#]*)?)/g)].map(
  ([, name = '', rest = '']) => ({ name, rest }),
);

test('every command on the page of trust is there, with the options it is shown with', async () => {
  expect(calls.length).toBeGreaterThan(12);
  for (const { name, rest } of calls) {
    const load = commands[name];
    expect(load, name).toBeDefined();
    const { command } = await (load as NonNullable<typeof load>)();
    const known = ['--json', '--config', ...command.options.map(({ flags }) => flags.split(/[ ,]/)[0])];
    for (const [option] of rest.matchAll(/--[a-z-]+/g)) expect(known, `${name} ${option}`).toContain(option);
  }
});

test('every refusal of a trust file is on the page, and nothing else is', () => {
  const told = [...page.matchAll(/^\| `(trust\.[a-z-]+)` \|/gm)].map(([, code]) => code).sort();
  expect(told).toEqual(
    Object.keys(registry)
      .filter((code) => code.startsWith('trust.'))
      .sort(),
  );
});
