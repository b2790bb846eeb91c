import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import type { Verdict } from '../../providers/webhook/trial.ts';
import { type Call, type CommandDefinition, flag, text } from '../command.ts';

export const command: CommandDefinition = {
  name: 'conformance',
  summary: 'Try a webhook endpoint of a team’s own system against the contract',
  description:
    'Sends what the engine would send, and what it never would: unsigned, out of date, under a wrong secret, twice. Says of each claim that does not hold what was sent, what came, what was expected and what to change. The credential named is contained for a moment and given back; what is revoked is a successor that the endpoint mints for it, or what is named with --spend. The last line counts.',
  arguments: [{ name: 'url', summary: 'where the contract is served, without the operation' }],
  options: [
    { flags: '--secret-file <file>', summary: 'the file with the signing secret (whsec_…), which nobody else may read' },
    { flags: '--credential <system/id>', summary: 'a credential in use that may be contained for a moment' },
    { flags: '--spend <system/id>', summary: 'a credential that may be revoked for good, where the endpoint mints none' },
    { flags: '--account <name>', summary: 'what the engine calls the endpoint; by default conformance' },
    { flags: '--allow-private', summary: 'let the url stand for a private address' },
    { flags: '--ca <file>', summary: 'certificates, PEM, that vouch for the endpoint instead of the system’s' },
    { flags: '--patience <seconds>', summary: 'how long a change may take that is not through at once; by default 60' },
  ],
  exits: [4],
  examples: [
    'tourniquet conformance https://keys.example.org/tourniquet --secret-file webhook.secret --credential billing/key_test',
    'tourniquet conformance http://127.0.0.1:8787 --secret-file webhook.secret --credential billing/key_1 --spend billing/key_2 --json',
  ],
  async run(call) {
    const { readUrl, systemResolve } = await import('../../providers/webhook/guard.ts');
    const { readSigningSecret } = await import('../../providers/webhook/signing.ts');
    const { tryEndpoint } = await import('../../providers/webhook/trial.ts');
    const { readPrivateFile } = await import('../../audit/keys.ts');
    const { terminal } = call;
    const seconds = Number(text(call, 'patience') ?? '60');
    if (!Number.isFinite(seconds) || seconds <= 0) throw fault('usage.invalid', { option: '--patience', problem: 'expected seconds' });
    const credential = named(call, 'credential');
    if (credential === undefined)
      throw fault('usage.invalid', { missing: '--credential', problem: 'name one that may be contained for a moment' });
    const spend = named(call, 'spend');
    const secretFile = text(call, 'secretFile');
    if (secretFile === undefined) throw fault('usage.invalid', { missing: '--secret-file', problem: 'requests have to be signed' });
    const url = readUrl(call.arguments[0] ?? '');
    const secret = readSigningSecret(new Secret(readPrivateFile(resolve(call.cwd, secretFile))));
    const ca = text(call, 'ca');
    const verdicts: Verdict[] = [];
    // An interruption in the midst of a claim would leave contained what was contained for it.
    call.heed();
    for await (const verdict of tryEndpoint({
      url,
      secret,
      credential,
      ...(spend === undefined ? {} : { spend }),
      account: text(call, 'account') ?? 'conformance',
      timeoutMs: 10_000,
      patienceMs: seconds * 1000,
      allowPrivate: flag(call, 'allowPrivate'),
      ...(ca === undefined ? {} : { ca: readCertificates(resolve(call.cwd, ca)) }),
      resolve: systemResolve,
      signal: call.signal,
    }))
      verdicts.push(verdict);
    const count = (result: Verdict['result']): number => verdicts.filter((each) => each.result === result).length;
    const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')];
    terminal.answer({ url: url.href, passed, failed, skipped, claims: verdicts }, [
      ...verdicts.flatMap((verdict) => linesOf(call, verdict)),
      ...(skipped === 0 ? [] : ['', `${skipped} not tried: what they say is not known of this endpoint.`]),
      '',
      `${passed} passed, ${failed} failed`,
    ]);
    if (call.signal.aborted) return Number(call.signal.reason);
    return failed > 0 ? 1 : 0;
  },
};

function linesOf({ terminal }: Call, { claim, words, result, flaw, because }: Verdict): readonly string[] {
  const mark = { passed: terminal.paint('green', '✓'), failed: terminal.paint('red', '✕'), skipped: terminal.paint('yellow', '–') }[result];
  return [
    `${mark} ${claim}: ${words}${because === undefined ? '' : ` (not tried: ${because})`}`,
    ...(flaw === undefined
      ? []
      : [`    sent      ${flaw.sent}`, `    came      ${flaw.came}`, `    expected  ${flaw.expected}`, `    change    ${flaw.change}`]),
  ];
}

/** `SYSTEM/ID`; the id may hold slashes. */
function named(call: Call, option: string): { readonly system: string; readonly id: string } | undefined {
  const said = text(call, option);
  if (said === undefined) return undefined;
  const [, system, id] = /^([^/\s]+)\/(\S+)$/.exec(said) ?? [];
  if (system === undefined || id === undefined) throw fault('usage.invalid', { option: `--${option}`, problem: 'expected SYSTEM/ID' });
  return { system, id };
}

function readCertificates(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file }, cause);
  }
}
