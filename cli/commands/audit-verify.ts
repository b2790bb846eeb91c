import { resolve } from 'node:path';
import type { BundleFiles } from '../../audit/bundle.ts';
import type { TrailClaim } from '../../audit/cloudtrail.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import { fault, registry } from '../../domain/errors.ts';
import type { ProviderManifest } from '../../domain/manifest.ts';
import { type Call, type CommandDefinition, texts } from '../command.ts';
import { release } from '../release.ts';
import { trustGiven } from '../trust-given.ts';

export const command: CommandDefinition = {
  name: 'audit verify',
  summary: 'Verify a bundle, without any server',
  description:
    'Checks signatures, hashes and chain, makes every judgement, plan and ruling again, and replays the history with the code that ran, in a process of its own without network. Names the claim that fails. The trust file is the one that came to you by another way than the bundle; without it the verdict is at most consistent, not authenticated, and the exit code 9. With --cloudtrail every change must be in the log of AWS and every change there in the bundle; what the log does not reach is unknown, and the exit code 9 as well.',
  arguments: [{ name: 'bundle', summary: 'the bundle, a folder or a zip file' }],
  options: [
    { flags: '--trust <file>', summary: 'the trust file, as it came to you by another way' },
    { flags: '--root <key>', summary: 'the public key of the root, base64, where you have it apart from the trust file' },
    {
      flags: '--cloudtrail <folder>',
      summary: 'log and digest files of AWS CloudTrail, with public-keys.json: holds each change against the log',
    },
    {
      flags: '--provider <package>',
      summary:
        'a provider that is not part of the engine and took part, by its package, installed here; its code is loaded, its manifest read',
      many: true,
    },
  ],
  exits: [4, 9],
  examples: [
    'tourniquet audit verify 3f9a1c20b7d1.zip --trust trust.yaml',
    'tourniquet audit verify evidence/ --json',
    'tourniquet audit verify 3f9a1c20b7d1.zip --trust trust.yaml --cloudtrail AWSLogs/',
  ],
  async run(call) {
    const { readBundle } = await import('../../audit/bundle.ts');
    const { verifyBundle } = await import('../../audit/verify.ts');
    const { replayInChild } = await import('../../audit/replay.ts');
    const manifests = await manifestsGiven(call);
    const files = readBundle(resolve(call.cwd, call.arguments[0] ?? ''));
    const trust = await trustGiven(call);
    const found = await verifyBundle(files, {
      manifests,
      replay: replayInChild,
      release: await release(),
      ...(trust === undefined ? {} : { trust }),
    });
    const log = await heldAgainstLog(call, files, manifests.aws);
    const { terminal } = call;
    // What the bundle itself shows comes first: a log says nothing of a bundle that does not hold.
    const code = found.verdict === 'broken' ? found.code : (codeOfLog(log) ?? found.code);
    const entry = code === undefined ? undefined : registry[code];
    const verdict =
      code === undefined
        ? terminal.paint('green', '✓ verified')
        : entry?.exit === 9
          ? terminal.paint('yellow', code === 'audit.not-authenticated' ? '? consistent, not authenticated' : '? unknown')
          : found.verdict === 'consistent' && code === found.code
            ? terminal.paint('yellow', '? consistent, not authenticated')
            : terminal.paint('red', '✕ broken');
    const mark = { yes: terminal.paint('green', '✓'), no: terminal.paint('red', '✕'), unknown: terminal.paint('yellow', '?') };
    terminal.answer({ ...found, ...(log === undefined ? {} : { log }), ...(code === undefined ? {} : { code }) }, [
      `${found.incident}, run ${found.run}`,
      ...found.claims.map(
        (claim) =>
          `${claim.ok ? terminal.paint('green', '✓') : terminal.paint('red', '✕')} ${claim.kind.padEnd(10)} ${claim.claim}: ${claim.words}`,
      ),
      ...(log ?? []).map((claim) => `${mark[claim.state]} ${claim.kind.padEnd(10)} ${claim.claim}: ${claim.words}`),
      '',
      `${verdict}${entry === undefined || code === 'audit.not-authenticated' ? '' : `: ${entry.title} (${code})`}`,
      ...(entry === undefined ? [] : [`  do:    ${entry.remedy}`]),
    ]);
    return entry?.exit ?? 0;
  },
};

/** The engine's manifests, and those of others that the plan was made with: without them what they did could not be derived again, and would be called wrong. */
async function manifestsGiven(call: Call): Promise<Readonly<Record<string, ProviderManifest>>> {
  const { manifests } = await import('../../providers/manifests.ts');
  const packages = texts(call, 'provider');
  if (packages.length === 0) return manifests;
  const { loadProviders } = await import('../../providers/registry.ts');
  const { manifests: given, refused } = await loadProviders(packages, call.cwd, manifests);
  const [first] = refused;
  if (first) throw fault('usage.invalid', { option: '--provider', package: first.package, problem: first.problems.join('; ') });
  return { ...manifests, ...given };
}

async function heldAgainstLog(
  call: Call,
  files: BundleFiles,
  manifest: ProviderManifest | undefined,
): Promise<readonly TrailClaim[] | undefined> {
  const folder = call.options.cloudtrail;
  if (typeof folder !== 'string' || manifest === undefined) return undefined;
  const { matchTrail, readTrail } = await import('../../audit/cloudtrail.ts');
  return matchTrail(files, readTrail(resolve(call.cwd, folder)), manifest);
}

function codeOfLog(log: readonly TrailClaim[] | undefined): ErrorCode | undefined {
  if (log?.some((each) => each.state === 'no')) return 'audit.log-disagrees';
  if (log?.some((each) => each.state === 'unknown')) return 'audit.log-short';
  return undefined;
}
