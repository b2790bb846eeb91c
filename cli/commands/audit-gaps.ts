import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Anchor, RunsAsked } from '../../audit/register-gaps.ts';
import type { TourniquetClient } from '../../client/index.ts';
import { fault, registry } from '../../domain/errors.ts';
import { type CommandDefinition, flag, texts } from '../command.ts';
import { clientOf, settingOf, trustOf } from '../engine.ts';
import { trustGiven } from '../trust-given.ts';

export const command: CommandDefinition = {
  name: 'audit gaps',
  summary: 'Walk the register and name what is missing',
  description:
    'Walks the append-only register of reports, decisions, changes, refusals, closes and edits of trust, people and policy. Names missing numbers, broken links, bad signatures, records that are gone from the store, and incidents that were reported and neither ended nor run. Bundles given as anchors show whether the end was cut off or the register written anew; and each is held against what is registered of its run, so that what it leaves out, or ends before, is named. Needs the store and its key; with --offline no server, and then it says what it cannot know.',
  arguments: [],
  options: [
    {
      flags: '--bundle <path>',
      summary: 'a bundle that the register has to agree with, and that has to hold what is registered of its run; may be repeated',
      many: true,
    },
    { flags: '--offline', summary: 'ask no server; which incidents still run is then not known' },
    {
      flags: '--trust <file>',
      summary: 'the trust file, as it came to you by another way; by default the one that the configuration names',
    },
    { flags: '--root <key>', summary: 'the public key of the root, base64, where you have it apart from the trust file' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4],
  examples: [
    'tourniquet audit gaps',
    'tourniquet audit gaps --bundle march.zip --bundle april.zip',
    'tourniquet audit gaps --offline --json',
  ],
  async run(call) {
    const setting = settingOf(call);
    const { readStoreKey } = await import('../../audit/keys.ts');
    const { openDirectoryStore } = await import('../../audit/store.ts');
    const { readBundle } = await import('../../audit/bundle.ts');
    const { examineRegister } = await import('../../audit/register-gaps.ts');
    const trust = (await trustGiven(call)) ?? (await trustOf(setting));
    const anchors: Anchor[] = texts(call, 'bundle').map((name) => ({ name, files: readBundle(resolve(call.cwd, name)) }));
    const { directory } = setting.configuration.store;
    // Opening a store makes its folders, and an empty one has no gaps: a mistyped path must not look like a clean register.
    if (!existsSync(directory)) throw fault('file.missing', { file: directory, what: 'the store' });
    const store = openDirectoryStore(directory, readStoreKey(join(setting.keys, 'operator', 'store.key')));
    const client = flag(call, 'offline') ? undefined : await clientOf(setting, { reads: true });
    try {
      const found = await examineRegister({
        store,
        trust,
        engine: setting.configuration.engine,
        anchors,
        ...(client && { runs: await runsOf(client) }),
      });
      const entry = found.gaps.length > 0 ? registry['audit.gaps'] : undefined;
      const { terminal } = call;
      const { reported, ended, running, unknown } = found.incidents;
      const clean =
        found.unknown.length > 0
          ? `${terminal.paint('yellow', '?')} no gap in what was looked at`
          : `${terminal.paint('green', '✓')} no gap`;
      terminal.answer({ ...found, ...(entry && { code: 'audit.gaps' }) }, [
        found.entries === 0
          ? 'The register is empty.'
          : `${found.entries} entries, from ${found.from} to ${found.to}; number ${found.head.n} is ${found.head.hash}`,
        `${reported} incidents reported: ${ended} ended, ${running} running${unknown > 0 ? `, ${unknown} neither, as far as the register knows` : ''}`,
        ...found.gaps.map((gap) => `${terminal.paint('red', '✕')} ${gap.kind.padEnd(12)} ${gap.words}`),
        ...found.unknown.map((what) => `${terminal.paint('yellow', '?')} not known     ${what}`),
        '',
        entry === undefined ? clean : `${terminal.paint('red', '✕')} ${entry.title} (audit.gaps)`,
        ...(entry === undefined ? [] : [`  do:    ${entry.remedy}`]),
      ]);
      return entry?.exit ?? 0;
    } finally {
      await client?.close();
    }
  },
};

/** What the server knows of runs: all that it lists, and of one run the word of the server itself, since a list may be a moment behind. */
async function runsOf(client: TourniquetClient): Promise<RunsAsked> {
  const listed: { incident: string; run: string; startedAt: string }[] = [];
  for await (const { id, run, startedAt } of client.list()) listed.push({ incident: id, run, startedAt });
  return {
    listed,
    async state(incident, run) {
      try {
        const { status } = await client.temporal.workflow.getHandle(incident, run).describe();
        return status.name === 'RUNNING' || status.name === 'PAUSED' ? 'running' : 'ended';
      } catch (error) {
        if (error instanceof Error && error.name === 'WorkflowNotFoundError') return 'absent';
        throw fault('engine.unavailable', { incident, attempted: 'ask after the run' }, error);
      }
    },
  };
}
