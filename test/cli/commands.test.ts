import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CommandDefinition } from '../../cli/command.ts';
import { commands } from '../../cli/commands/index.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { registry } from '../../domain/errors.ts';
import { pages } from '../../scripts/generate.ts';
import { exitCases } from './exit-cases.ts';
import { tourniquet } from './harness.ts';

const root = new URL('../../', import.meta.url).pathname;
let made: Readonly<Record<string, string>>;
beforeAll(async () => {
  made = await pages();
});

describe.each(Object.keys(commands))('the command %s', (name) => {
  let command: CommandDefinition;
  beforeAll(async () => {
    command = (await (commands[name] as () => Promise<{ command: CommandDefinition }>)()).command;
  });
  test('is called what its file says, and has a page', () => {
    expect(command.name).toBe(name);
    expect(made['docs/cli.md']).toContain(`\n## tourniquet ${name}\n`);
    expect(command.description.length).toBeGreaterThan(40);
    expect(command.examples.length).toBeGreaterThan(0);
  });
  test('takes --json, and says so in its help', async () => {
    const { code, out } = await tourniquet([...name.split(' '), '--help'], { cwd: root });
    expect(code).toBe(0);
    expect(out).toContain('--json');
  });
  test('has every exit code explained, and at least one of its own tested', () => {
    for (const code of command.exits) expect(exitCodes.map((known) => known.code)).toContain(code);
    expect(Object.keys(exitCases), `no exit code of ${name} is tested`).toContain(name);
  });
  test('takes no secret as an argument', () => {
    for (const { flags } of command.options) expect(flags).not.toMatch(/--(?:passphrase|secret|token|password)\b(?!-)\s*[<[]/);
  });
  test('shows in its examples only options that it has', () => {
    const known = ['--json', '--config', ...command.options.map(({ flags }) => flags.split(/[ ,]/)[0])];
    for (const example of command.examples) {
      const own = example.split(/[|;]/).find((part) => part.includes(`tourniquet ${name}`));
      for (const [option] of own?.matchAll(/(?<= )--[a-z-]+/g) ?? []) expect(known).toContain(option);
    }
  });
});

test('every file of a command is in the list', () => {
  const files = readdirSync(join(root, 'cli/commands')).filter((file) => file !== 'index.ts');
  expect(files.map((file) => file.replace(/\.ts$/, '').replace('-', ' ')).sort()).toEqual(Object.keys(commands).sort());
});

describe('pages made from code', () => {
  test.each(['docs/errors.md', 'docs/cli.md'])('%s is the one that is committed; run `npm run gen`', (path) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(made[path]);
  });
});

describe('the registry of errors', () => {
  test('every code has a page, a remedy, and an exit code that is explained', () => {
    for (const [code, entry] of Object.entries(registry)) {
      expect(made['docs/errors.md']).toContain(`| \`${code}\` |`);
      expect(entry.remedy, code).not.toBe('');
      expect(exitCodes.map((known) => known.code)).toContain(entry.exit);
    }
  });

  test('every code is thrown or answered somewhere', () => {
    const rooms = [
      'activities',
      'audit',
      'cli',
      'client',
      'domain',
      'intake',
      'inventory',
      'lab',
      'planning',
      'providers',
      'workers',
      'workflows',
    ];
    const sources: string[] = [];
    const walk = (folder: string) => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) walk(path);
        else if (path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('domain/errors.ts'))
          sources.push(readFileSync(path, 'utf8'));
      }
    };
    for (const room of rooms) walk(join(root, room));
    const all = sources.join('\n');
    expect(Object.keys(registry).filter((code) => !all.includes(`'${code}'`))).toEqual([]);
  });
});
