import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandDefinition } from '../cli/command.ts';
import { commands } from '../cli/commands/index.ts';
import { exitCodes } from '../cli/exit-codes.ts';
import { configurationJsonSchema } from '../domain/configuration.schema.ts';
import { type ErrorEntry, registry } from '../domain/errors.ts';
import { manifests } from '../providers/manifests.ts';
import { providerPages } from './gen-providers.ts';

/** The pages that are made from code, by their path from the root of the project. A test compares them with what is committed. */
export async function pages(): Promise<Readonly<Record<string, string>>> {
  const definitions = await Promise.all(Object.values(commands).map(async (load) => (await load()).command));
  return {
    'docs/errors.md': errorsPage(),
    'docs/cli.md': cliPage(definitions),
    'docs/tourniquet.schema.json': `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`,
    ...providerPages(manifests, generated),
  };
}

/** Folders in which nothing else lies than what is made from code: what no manifest stands behind any more is to go. */
export const generatedFolders: readonly string[] = ['docs/providers', 'permissions'];

const generated = '<!-- Made by `npm run gen`; edit the source and not this page. -->';

const rooms: Readonly<Record<string, string>> = {
  engine: 'The engine',
  usage: 'The command line',
  file: 'Files',
  report: 'Reports',
  decision: 'Decisions',
  warrant: 'Warrants: why a worker does not act',
  trust: 'Trust',
  key: 'Keys',
  provider: 'Providers',
  record: 'Records',
  audit: 'Audit',
  stack: 'The practice stack',
};

function errorsPage(): string {
  const groups = new Map<string, [string, ErrorEntry][]>();
  for (const [code, entry] of Object.entries<ErrorEntry>(registry)) {
    const room = code.split('.', 1)[0] ?? '';
    groups.set(room, [...(groups.get(room) ?? []), [code, entry]]);
  }
  const out = [
    '# Errors',
    '',
    generated,
    '',
    'Every failure has a code. Branch on the code and never on the words. `exit` is the exit code of the command line, `HTTP` the status of the API; where *again* says yes, the same call may succeed later unchanged.',
  ];
  for (const [room, entries] of groups) {
    out.push(
      '',
      `## ${rooms[room] ?? room}`,
      '',
      '| code | what it means | what to do | exit | HTTP | again |',
      '|---|---|---|---|---|---|',
    );
    for (const [code, { title, remedy, exit, http, retryable }] of entries)
      out.push(`| \`${code}\` | ${cell(title)} | ${cell(remedy)} | ${exit} | ${http} | ${retryable ? 'yes' : 'no'} |`);
  }
  return `${out.join('\n')}\n`;
}

function cliPage(definitions: readonly CommandDefinition[]): string {
  const out = [
    '# Commands',
    '',
    generated,
    '',
    'Answers go to stdout, talk to stderr. Every command takes `--json` (answers, and troubles on stderr, in JSON) and `--config FILE` (by default `tourniquet.yaml` here, or that of the practice stack running here). `NO_COLOR` is honoured. Nothing secret is an argument.',
    '',
    'A trouble says what, where, why and what to do; its code is explained by `tourniquet help CODE` and in [errors.md](errors.md).',
    '',
    '## Exit codes',
    '',
    '| exit | meaning |',
    '|---|---|',
    ...exitCodes.map(({ code, meaning }) => `| ${code} | ${meaning} |`),
  ];
  for (const definition of definitions) {
    const words = definition.arguments.map(({ name, optional, many }) =>
      optional ? `[${name}${many ? '…' : ''}]` : `<${name}${many ? '…' : ''}>`,
    );
    out.push(
      '',
      `## tourniquet ${definition.name}`,
      '',
      `${definition.summary}.`,
      '',
      definition.description,
      '',
      '```',
      ['tourniquet', definition.name, ...words, definition.options.length > 0 ? '[options]' : ''].filter((word) => word !== '').join(' '),
      '```',
    );
    if (definition.arguments.length + definition.options.length > 0) {
      out.push('', '| | |', '|---|---|');
      for (const { name, summary } of definition.arguments) out.push(`| \`${name}\` | ${cell(summary)} |`);
      for (const { flags, summary, choices } of definition.options) {
        out.push(
          `| \`${flags}\` | ${cell(summary)}${choices === undefined ? '' : `: ${choices.map((choice) => `\`${choice}\``).join(', ')}`} |`,
        );
      }
    }
    out.push(
      '',
      ...definition.examples.map((example) => `    ${example}`),
      '',
      `Exit codes: ${[...new Set([0, 1, 2, ...definition.exits])].sort((a, b) => a - b).join(', ')}.`,
    );
  }
  return `${out.join('\n')}\n`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** Files in the generated folders that nothing makes, by their path from the root. */
export function orphans(made: Readonly<Record<string, string>>, root: string): readonly string[] {
  return generatedFolders
    .flatMap((folder) => {
      try {
        return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
          .filter((each) => each.isFile())
          .map((each) => join(each.parentPath, each.name).slice(join(root, '/').length).replaceAll('\\', '/'));
      } catch {
        return [];
      }
    })
    .filter((path) => !(path in made));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = new URL('../', import.meta.url);
  const made = await pages();
  for (const path of orphans(made, fileURLToPath(root))) {
    rmSync(fileURLToPath(new URL(path, root)));
    process.stdout.write(`removed ${path}\n`);
  }
  for (const [path, text] of Object.entries(made)) {
    const file = fileURLToPath(new URL(path, root));
    let before: string | undefined;
    try {
      before = readFileSync(file, 'utf8');
    } catch {
      before = undefined;
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`${before === text ? 'same   ' : 'written'} ${path}\n`);
  }
}
