import { Command, CommanderError, Option } from 'commander';
import { fault } from '../domain/errors.ts';
import type { CommandDefinition, Manual } from './command.ts';
import { commands } from './commands/index.ts';
import { type Streams, terminalOf } from './terminal.ts';
import { printTrouble, troubleOf } from './trouble.ts';

export interface Run extends Streams {
  readonly signal: AbortSignal;
  heed?(): void;
}

/** Runs one command line and answers its exit code. Never throws and never ends the process. */
export async function run(argv: readonly string[], streams: Run): Promise<number> {
  const json = argv.includes('--json');
  const terminal = terminalOf(streams, json);
  try {
    const wanted = nameIn(argv);
    // Only the command that is called is loaded; help, a slip of the pen and nothing at all load them for what they say of themselves.
    const names = wanted === undefined ? Object.keys(commands) : [wanted];
    const definitions = await Promise.all(
      names.map(async (name) => (await (commands[name] as () => Promise<{ command: CommandDefinition }>)()).command),
    );
    let code: number | undefined;
    const program = programOf(definitions, streams, async (definition, given, options) => {
      const { json: _, config, ...rest } = options;
      code = await definition.run({
        arguments: given,
        options: rest,
        terminal,
        streams,
        config: typeof config === 'string' ? config : undefined,
        environment: streams.environment,
        cwd: streams.cwd,
        signal: streams.signal,
        manual: () => manual(streams),
        heed: () => streams.heed?.(),
      });
    });
    if (argv.length === 0) {
      streams.stdout.write(program.helpInformation());
      return 0;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return code ?? 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      const problem = error.code === 'commander.help' ? `${argv[0] ?? ''} needs a second word` : error.message.replace(/^error: /, '');
      const trouble = troubleOf(fault('usage.invalid', { problem }));
      printTrouble(terminal, trouble);
      return trouble.exit;
    }
    const trouble = troubleOf(error);
    printTrouble(terminal, trouble);
    return trouble.exit;
  }
}

async function manual(streams: Pick<Streams, 'stdout'>): Promise<Manual> {
  const definitions = await Promise.all(Object.values(commands).map(async (load) => (await load()).command));
  const program = programOf(definitions, streams, async () => {});
  return {
    definitions,
    helpOf(words) {
      let shown = program;
      for (const word of words) {
        const next = shown.commands.find((one) => one.name() === word);
        if (next === undefined) return undefined;
        shown = next;
      }
      const examples = definitions.find(({ name }) => name === words.join(' '))?.examples ?? [];
      return `${shown.helpInformation()}${examples.length === 0 ? '' : `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`}`;
    },
  };
}

/** The name of the command at the front of a command line, the longest that fits; undefined where there is none. */
function nameIn(argv: readonly string[]): string | undefined {
  const words = argv.filter((word, index) => !word.startsWith('-') && argv[index - 1] !== '--config');
  return [words.slice(0, 2).join(' '), words[0] ?? ''].find((name) => Object.hasOwn(commands, name));
}

type Action = (definition: CommandDefinition, given: readonly string[], options: Readonly<Record<string, unknown>>) => Promise<void>;

/** The parser of some commands. `docs/cli.md` is made of the same definitions. */
export function programOf(definitions: readonly CommandDefinition[], streams: Pick<Streams, 'stdout'>, action: Action): Command {
  const quiet = (command: Command): Command =>
    command
      .exitOverride()
      .helpCommand(false)
      .configureOutput({ writeOut: (words) => streams.stdout.write(words), writeErr: () => {}, outputError: () => {} });
  const shared = (command: Command): Command =>
    command
      .option('--json', 'answer in JSON, and troubles too')
      .option('--config <file>', 'tourniquet.yaml; by default the one here, or that of the practice stack running here');
  const program = shared(quiet(new Command('tourniquet')))
    .description('Contains, replaces and proves dead what has leaked, and leaves a record that a stranger can verify.')
    .showHelpAfterError(false);
  const groups = new Map<string, Command>();
  for (const definition of definitions) {
    const [first = '', second] = definition.name.split(' ');
    let parent = program;
    if (second !== undefined) {
      parent = groups.get(first) ?? quiet(program.command(first)).description(`${first} commands`);
      groups.set(first, parent);
    }
    const command = shared(quiet(parent.command(second ?? first)))
      .summary(definition.summary)
      .description(`${definition.summary}.\n\n${definition.description}`);
    for (const { name, summary, optional, many } of definition.arguments) {
      const shown = many ? `${name}...` : name;
      command.argument(optional ? `[${shown}]` : `<${shown}>`, summary);
    }
    for (const { flags, summary, many, choices } of definition.options) {
      const option = new Option(flags, summary);
      if (choices !== undefined) option.choices([...choices]);
      if (many) option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
      command.addOption(option);
    }
    command.addHelpText('after', `\nExamples:\n${definition.examples.map((example) => `  $ ${example}`).join('\n')}`);
    command.action(async (...call: unknown[]) => {
      const given = call
        .slice(0, definition.arguments.length)
        .flat()
        .filter((word) => typeof word === 'string');
      await action(definition, given, command.optsWithGlobals());
    });
  }
  return program;
}
