import { resolve } from 'node:path';
import { registry } from '../../domain/errors.ts';
import type { CommandDefinition } from '../command.ts';
import { release } from '../release.ts';
import { trustGiven } from '../trust-given.ts';

export const command: CommandDefinition = {
  name: 'audit verify',
  summary: 'Verify a bundle, without any server',
  description:
    'Checks signatures, hashes and chain, makes every judgement, plan and ruling again, and replays the history with the code that ran, in a process of its own without network. Names the claim that fails. The trust file is the one that came to you by another way than the bundle; without it the verdict is at most consistent, not authenticated, and the exit code 9.',
  arguments: [{ name: 'bundle', summary: 'the bundle, a folder or a zip file' }],
  options: [
    { flags: '--trust <file>', summary: 'the trust file, as it came to you by another way' },
    { flags: '--root <key>', summary: 'the public key of the root, base64, where you have it apart from the trust file' },
  ],
  exits: [4, 9],
  examples: ['tourniquet audit verify 3f9a1c20b7d1.zip --trust trust.yaml', 'tourniquet audit verify evidence/ --json'],
  async run(call) {
    const { readBundle } = await import('../../audit/bundle.ts');
    const { verifyBundle } = await import('../../audit/verify.ts');
    const { replayInChild } = await import('../../audit/replay.ts');
    const { manifests } = await import('../../providers/manifests.ts');
    const files = readBundle(resolve(call.cwd, call.arguments[0] ?? ''));
    const trust = await trustGiven(call);
    const found = await verifyBundle(files, {
      manifests,
      replay: replayInChild,
      release: await release(),
      ...(trust === undefined ? {} : { trust }),
    });
    const entry = found.code === undefined ? undefined : registry[found.code];
    const { terminal } = call;
    const verdict =
      found.verdict === 'verified'
        ? terminal.paint('green', '✓ verified')
        : found.verdict === 'broken'
          ? terminal.paint('red', '✕ broken')
          : terminal.paint('yellow', '? consistent, not authenticated');
    terminal.answer(found, [
      `${found.incident}, run ${found.run}`,
      ...found.claims.map(
        (claim) =>
          `${claim.ok ? terminal.paint('green', '✓') : terminal.paint('red', '✕')} ${claim.kind.padEnd(10)} ${claim.claim}: ${claim.words}`,
      ),
      '',
      `${verdict}${entry === undefined || found.code === 'audit.not-authenticated' ? '' : `: ${entry.title} (${found.code})`}`,
      ...(entry === undefined ? [] : [`  do:    ${entry.remedy}`]),
    ]);
    return entry?.exit ?? 0;
  },
};
