import { resolve } from 'node:path';
import type { PrivateKey } from '../../audit/keys.ts';
import type { Seal } from '../../client/sealing.ts';
import { titleOf } from '../../domain/credential.ts';
import { fault, registry } from '../../domain/errors.ts';
import { type IssuerWord, OriginPlace, ReportFormat } from '../../domain/report.ts';
import { Secret } from '../../domain/secret.ts';
import type { IntakeOptions, Problem, ReportDraft } from '../../intake/index.ts';
import { type Call, type CommandDefinition, flag, text } from '../command.ts';
import { clientOf, personKey, settingOf, trustOf } from '../engine.ts';
import { shortId } from '../words.ts';

export const command: CommandDefinition = {
  name: 'report',
  summary: 'Report a leaked credential',
  description:
    'Takes the output of TruffleHog, Gitleaks or a GitHub alert from a file, or from stdin with `-`. Without a file it reports by hand: by the key id, or by the secret, which is asked for without echo or read from stdin, and is never an argument. The secret is sealed before it leaves this machine. Entries that cannot be used are named one by one, and the others are reported.',
  arguments: [{ name: 'file', summary: 'the report, or - for stdin', optional: true }],
  options: [
    { flags: '--format <format>', summary: 'what the file is, where that cannot be seen', choices: Object.values(ReportFormat) },
    { flags: '--where <place>', summary: 'where the leak was seen', choices: Object.values(OriginPlace) },
    { flags: '--repository <url>', summary: 'the repository, where the report does not name it' },
    { flags: '--key-id <id>', summary: 'the AWS access key id, which is no secret' },
    { flags: '--kind <kind>', summary: 'what to call the credential, where no key id says it' },
    { flags: '--secret', summary: 'ask for the secret, without echo' },
    { flags: '--secret-stdin', summary: 'read the secret from stdin' },
    { flags: '--webhook-signature <value>', summary: 'the file is a webhook’s body to the byte; X-Hub-Signature-256 as it came' },
    { flags: '--note <words>', summary: 'what else there is to say; no secret' },
    { flags: '--url <url>', summary: 'the address of the ticket, message or alert' },
    { flags: '--reporter <name>', summary: 'who reports; by default user and host' },
    { flags: '--as <person>', summary: 'report as this person of people.yaml, signed with their key' },
    { flags: '--key <file>', summary: 'the key file of that person' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of that key' },
  ],
  exits: [3, 4],
  examples: [
    'trufflehog git https://github.com/example/shop --json | tourniquet report - --where repository',
    'tourniquet report gitleaks.json --repository https://github.com/example/shop',
    'tourniquet report --key-id AKIAY34FZKBOKMUTVV7A --where chat --note "pasted into #ops" --secret',
  ],
  async run(call) {
    const setting = settingOf(call);
    const trust = await trustOf(setting);
    const { fingerprintKeyIn, sealInto } = await import('../../client/sealing.ts');
    const fingerprintKey = fingerprintKeyIn(setting.configuration.drop.directory);
    const { drafts, problems, body } = await intake(call, fingerprintKey === undefined ? {} : { fingerprintKey });
    const signature = text(call, 'webhookSignature');
    if (signature !== undefined && (body === undefined || drafts.length > 1))
      throw fault('usage.invalid', { option: '--webhook-signature', problem: 'expected the file of one webhook' });
    const issuer: IssuerWord | undefined =
      signature === undefined || body === undefined ? undefined : { scheme: 'github-webhook', body, signature };
    for (const problem of problems) printProblem(call, problem);
    const received: { readonly id: string; readonly received: true }[] = [];
    if (drafts.length > 0) {
      const person = text(call, 'as');
      const key: PrivateKey | undefined = person === undefined ? undefined : await personKey(call, setting, person);
      const signer = key === undefined ? undefined : (await import('../../audit/signing.ts')).signerFrom(key);
      const reporter = person ?? text(call, 'reporter');
      const sealed = sealInto({ trust, drop: setting.configuration.drop.directory });
      let told = '';
      const seal: Seal = async (secret, credential, account) => {
        const reference = await sealed(secret, credential, account);
        told = reference === undefined ? '; its secret was not sent, as no worker here could open it' : ', with its secret, sealed';
        return reference;
      };
      const client = await clientOf(setting, { reads: false, seal, ...(reporter === undefined ? {} : { reporter }) });
      try {
        for (const draft of drafts) {
          told = '';
          const answer = await client.report(draft, {
            ...(signer === undefined ? {} : { signer }),
            ...(issuer === undefined ? {} : { issuer }),
          });
          received.push(answer);
          call.terminal.say(`received ${shortId(answer.id)}  ${titleOf(draft.credential)}${told}`);
        }
      } finally {
        await client.close();
      }
    }
    const ids = [...new Set(received.map(({ id }) => id))];
    call.terminal.answer(
      { received, problems },
      drafts.length === 0 && problems.length === 0
        ? 'Nothing was found in the report, so nothing was reported.'
        : [
            ...ids,
            ...(ids.length > 0
              ? [
                  `${received.length} received, of ${ids.length} credential${ids.length === 1 ? '' : 's'}. Next: tourniquet watch ${shortId(ids[0] ?? '')}`,
                ]
              : []),
          ],
    );
    const [first] = problems;
    if (first === undefined) return 0;
    return received.length === 0 ? registry[first.code].exit : 1;
  },
};

async function intake(
  call: Call,
  keys: IntakeOptions,
): Promise<{ readonly drafts: readonly ReportDraft[]; readonly problems: readonly Problem[]; readonly body?: string }> {
  const { draftByHand, parseReports } = await import('../../intake/index.ts');
  const [file] = call.arguments;
  const pick = (name: string) => text(call, name);
  const options: IntakeOptions = {
    ...keys,
    ...Object.fromEntries(
      (['format', 'where', 'repository', 'note', 'url', 'keyId'] as const).flatMap((name) =>
        pick(name) === undefined ? [] : [[name, pick(name)]],
      ),
    ),
  };
  if (file !== undefined) {
    if (flag(call, 'secret') || flag(call, 'secretStdin') || pick('keyId') !== undefined || pick('kind') !== undefined) {
      throw fault('usage.invalid', { problem: 'a file is given, so --key-id, --kind, --secret and --secret-stdin say nothing' });
    }
    const bytes = file === '-' ? await call.terminal.readStdin() : await readBytes(resolve(call.cwd, file));
    return { ...parseReports(bytes, { ...options, name: file }), body: new TextDecoder().decode(bytes) };
  }
  if (pick('format') !== undefined) throw fault('usage.invalid', { option: '--format', problem: 'there is no file to be of that format' });
  if (pick('keyId') !== undefined) {
    const { readAwsKeyId } = await import('../../domain/aws-key-id.ts');
    if (readAwsKeyId(pick('keyId') ?? '') === undefined) {
      throw fault('usage.invalid', {
        option: '--key-id',
        problem: 'expected AKIA or ASIA and sixteen letters and digits; a secret goes in by --secret',
      });
    }
  }
  const secret = flag(call, 'secretStdin')
    ? new Secret((await call.terminal.readStdin()).toString('utf8').replace(/\r?\n$/, ''))
    : flag(call, 'secret')
      ? await call.terminal.askSecret('The secret (not shown): ', 'give it on stdin with --secret-stdin')
      : undefined;
  if (secret === undefined && pick('keyId') === undefined && pick('note') === undefined && pick('url') === undefined) {
    throw fault('usage.invalid', { problem: 'nothing is reported; give a file, --key-id, --secret, --secret-stdin, --note or --url' });
  }
  const kind = pick('kind');
  const hand = {
    ...options,
    ...(secret === undefined || secret.reveal() === '' ? {} : { secret }),
    ...(kind === undefined ? {} : { kind }),
  };
  return { drafts: [draftByHand(hand)], problems: [] };
}

async function readBytes(path: string): Promise<Uint8Array> {
  const { readFile } = await import('node:fs/promises');
  try {
    return await readFile(path);
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
}

function printProblem(call: Call, problem: Problem): void {
  const place = [
    problem.line === undefined ? undefined : `line ${problem.line}`,
    problem.column === undefined ? undefined : `column ${problem.column}`,
  ];
  const where = [problem.entry > 0 ? `entry ${problem.entry}` : undefined, ...place].filter((part) => part !== undefined).join(', ');
  call.terminal.trouble(
    { problem },
    [
      `${call.terminal.paint('red', '✕')} ${registry[problem.code].title} (${problem.code})`,
      `  where: ${where}`,
      `  why:   ${problem.words}`,
      `  do:    ${problem.remedy}`,
    ].join('\n'),
  );
}
