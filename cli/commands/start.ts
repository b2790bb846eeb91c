import { join, resolve } from 'node:path';
import { fault } from '../../domain/errors.ts';
import { type Call, type CommandDefinition, flag, text } from '../command.ts';
import { clientOf, settingOf } from '../engine.ts';
import { exportTo } from '../export.ts';
import { shortId } from '../words.ts';

export const command: CommandDefinition = {
  name: 'start',
  summary: 'Play the practice incidents, start to end',
  description:
    'Starts the practice stack, lets a key leak on it twice, once from a private and once from a public repository, and shows what the engine does about it while two real consumers use the key. With a terminal you decide; without one a scripted responder with a key of its own does. Ends with 0 only if both ended as they should, and ends the stack.',
  arguments: [],
  options: [
    { flags: '--variant <variant>', summary: 'play only this one', choices: ['internal', 'public'] },
    { flags: '--scripted', summary: 'let the script decide, also with a terminal' },
    { flags: '--directory <folder>', summary: 'where everything lies; by default .tourniquet here' },
  ],
  exits: [],
  examples: ['tourniquet start', 'tourniquet start --variant public --scripted'],
  async run(call) {
    call.heed();
    const { startStack } = await import('../../lab/stack.ts');
    const { playCiKey } = await import('../../lab/scenarios/ci-key.ts');
    const { displayOn } = await import('../../lab/scenarios/display.ts');
    const { checksOf, summaryOf, wentWell } = await import('../../lab/scenarios/summary.ts');
    const { streams, terminal } = call;
    const directory = resolve(call.cwd, text(call, 'directory') ?? '.tourniquet');
    // What happens is talk, so that with --json the answer alone is on stdout.
    const display = displayOn({
      stdin: streams.stdin,
      stdout: terminal.json ? streams.stderr : streams.stdout,
      environment: streams.environment,
    } as Parameters<typeof displayOn>[0]);
    const chosen = text(call, 'variant');
    const variants = (['internal', 'public'] as const).filter((variant) => chosen === undefined || variant === chosen);
    const decide = terminal.asks && streams.stdout.isTTY === true && !terminal.json && !flag(call, 'scripted') ? 'keyboard' : 'scripted';
    const stack = await startStack({ directory, say: (words) => terminal.say(`  ${words}`), signal: call.signal });
    const ended: {
      readonly variant: string;
      readonly well: boolean;
      readonly checks: ReturnType<typeof checksOf>;
      readonly summary: readonly string[];
    }[] = [];
    try {
      for (const variant of variants) {
        if (call.signal.aborted) break;
        const played = await playCiKey({ stack, variant, decide, display, signal: call.signal });
        const record = await keepRecord(call, stack.paths, played.incident, variant);
        const summary = summaryOf(played, display, { verify: record });
        ended.push({ variant, well: wentWell(played), checks: checksOf(played), summary });
        if (!terminal.json) for (const line of summary) terminal.line(undefined, line);
      }
    } catch (error) {
      // Whoever gave up knows why it ended; the exit code says by which signal.
      if (!call.signal.aborted) throw error;
    } finally {
      display.close();
      terminal.say('ending the stack');
      await stack.stop();
    }
    if (call.signal.aborted) return Number(call.signal.reason);
    if (ended.length === 0) throw fault('stack.failed', { problem: 'nothing was played' });
    const well = ended.every((one) => one.well);
    if (terminal.json) terminal.answer({ well, variants: ended.map(({ summary: _, ...rest }) => rest) }, '');
    return well ? 0 : 1;
  },
};

/** Writes the bundle of what was played beside the stack, since the stack ends with the play; answers the command that verifies it. */
async function keepRecord(
  call: Call,
  paths: { readonly directory: string; readonly configuration: string; readonly trust: string },
  incident: string,
  variant: string,
): Promise<string> {
  const setting = settingOf({ ...call, config: paths.configuration });
  const client = await clientOf(setting, { reads: true });
  try {
    const out = join(paths.directory, 'bundles', `${variant}-${shortId(incident)}.zip`);
    await exportTo(client, setting, { id: incident, out });
    return `tourniquet audit verify ${out} --trust ${paths.trust}`;
  } finally {
    await client.close();
  }
}
