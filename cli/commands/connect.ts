import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { parseConfiguration } from '../../domain/configuration.schema.ts';
import { fault } from '../../domain/errors.ts';
import type { ProviderManifest } from '../../domain/manifest.ts';
import type { Discovered } from '../../providers/contract.ts';
import { type Call, type CommandDefinition, text, texts } from '../command.ts';
import { readTextFile, settingOf } from '../engine.ts';

export const command: CommandDefinition = {
  name: 'connect',
  summary: 'Connect an account: what to create there, and its entry in tourniquet.yaml',
  description:
    'Without credentials it prints what to create in the account: least-privilege policies in parts, made from what the actions need, and which of them equal an administrator. With --credentials it looks at the account with reads only, writes its entry into tourniquet.yaml in mode observe, and ends with what the doctor says of it. It creates nothing there, and an entry that is there already is left as it is.',
  arguments: [{ name: 'provider', summary: 'aws, gcp, vault, github, webhook' }],
  options: [
    { flags: '--credentials <file>', summary: 'the credentials file of the account, as its worker will read it' },
    { flags: '--account <account>', summary: 'what to call the account, where the credentials do not say it' },
    { flags: '--set <name=value>', summary: 'a setting of the entry, as text or JSON', many: true },
    { flags: '--into <folder>', summary: 'write what is to be created into files there, instead of printing it' },
  ],
  exits: [4],
  examples: ['tourniquet connect aws --into permissions/', 'tourniquet connect aws --credentials accounts/aws.json'],
  async run(call) {
    const { manifests } = await import('../../providers/manifests.ts');
    const provider = call.arguments[0] ?? '';
    const manifest = manifests[provider];
    if (manifest === undefined || provider === 'manual')
      throw fault('usage.invalid', {
        argument: 'provider',
        problem: `expected one of ${Object.keys(manifests)
          .filter((each) => each !== 'manual')
          .join(', ')}`,
      });
    const file = text(call, 'credentials');
    return file === undefined ? await whatToCreate(call, manifest) : await enter(call, manifest, file);
  },
};

/** The policies, and for AWS the roles that bear them with an external id of their own. */
async function whatToCreate(call: Call, manifest: ProviderManifest): Promise<number> {
  const { administratorBy, awsRoles, fileOf, policiesOf, renderPolicy } = await import('../../providers/permissions.ts');
  const parts = policiesOf(manifest).map((policy) => ({
    part: policy.part,
    file: fileOf(manifest, policy.part),
    text: renderPolicy(manifest, policy),
    administrator: administratorBy(manifest, policy),
  }));
  // Made anew each time: it is no secret, and it keeps one customer of a service from acting in the account of another.
  const externalId = manifest.name === 'aws' ? randomBytes(16).toString('hex') : undefined;
  const files = [
    ...parts.map(({ file, text }) => ({ file, text })),
    ...(externalId === undefined ? [] : [{ file: 'roles.json', text: awsRoles(manifest) }]),
  ];
  const folder = text(call, 'into');
  if (folder !== undefined) {
    const into = resolve(call.cwd, folder);
    mkdirSync(into, { recursive: true });
    for (const each of files) writeFileSync(join(into, nameOf(each.file)), each.text);
  }
  call.terminal.answer(
    { provider: manifest.name, parts: parts.map(({ text: _, ...each }) => each), ...(externalId === undefined ? {} : { externalId }) },
    [
      `${manifest.title}: one identity for each part, so that its own access control keeps apart what people have approved and what they have not.`,
      '',
      ...parts.map(
        ({ part, file, administrator }) =>
          `  ${part.padEnd(10)} ${nameOf(file)}${administrator.length > 0 ? `  equals administrator, by ${administrator.join(', ')}` : ''}`,
      ),
      ...(externalId === undefined
        ? []
        : [
            '',
            'The roles, as a CloudFormation template; no key is stored in the account:',
            `  aws cloudformation deploy --stack-name tourniquet --template-file ${folder === undefined ? 'roles.json' : join(folder, 'roles.json')} --capabilities CAPABILITY_NAMED_IAM --parameter-overrides EngineArn=<the engine's role> ExternalId=${externalId}`,
            `  external id: ${externalId}`,
          ]),
      ...(folder === undefined
        ? files.flatMap(({ file, text }) => ['', `--- ${nameOf(file)}`, text.trimEnd()])
        : ['', `Written into ${folder}.`]),
      '',
      `Next: tourniquet connect ${manifest.name} --credentials FILE`,
    ],
  );
  return 0;
}

const nameOf = (file: string): string => file.slice(file.lastIndexOf('/') + 1);

/** Finds out, writes the entry, and says what the doctor says of it. */
async function enter(call: Call, manifest: ProviderManifest, named: string): Promise<number> {
  const setting = settingOf(call);
  const file = resolve(call.cwd, named);
  if (!existsSync(file)) throw fault('file.missing', { file });
  const { readPrivateFile } = await import('../../audit/keys.ts');
  readPrivateFile(file);
  const { providers } = await import('../../providers/registry.ts');
  const { entryOf } = await import('../accounts.ts');
  const system = await providers[manifest.name]?.();
  const settings = settingsIn(call);
  const wanted = text(call, 'account');
  const base = { provider: manifest.name, mode: 'observe' as const, settings, credentials: file };
  const credentials = await entryOf({ ...base, account: wanted ?? 'unknown' }).credentials();
  const found: Discovered | undefined = await system?.discover?.(
    { provider: manifest.name, mode: 'observe', settings, credentials },
    AbortSignal.timeout(60_000),
  );
  const account = found?.account || wanted;
  if (account === undefined)
    throw fault('usage.invalid', {
      option: '--account',
      problem: `the credentials of ${manifest.name} do not say what to call the account`,
    });
  if (wanted !== undefined && account !== wanted)
    throw fault('usage.invalid', {
      option: '--account',
      problem: `the credentials are of ${account}, and not of ${wanted}; nothing was written`,
    });
  const there = setting.configuration.accounts.some((each) => each.provider === manifest.name && each.account === account);
  // What a person says of an account comes before what was found.
  const whole = { ...found?.settings, ...settings };
  if (!there) await write(setting.file, { ...base, account, settings: whole, credentials: pathFrom(setting.file, file) });
  const { accountChecks } = await import('../doctor-accounts.ts');
  const configuration = parseConfiguration(readTextFile(setting.file), setting.file);
  const checks = await accountChecks(
    { ...configuration, accounts: configuration.accounts.filter((each) => each.provider === manifest.name && each.account === account) },
    undefined,
  );
  const mark = { yes: call.terminal.paint('green', '✓'), no: call.terminal.paint('red', '✕'), unknown: call.terminal.paint('yellow', '?') };
  call.terminal.answer({ provider: manifest.name, account, ...(found === undefined ? {} : { found }), written: !there, checks }, [
    found === undefined ? `${manifest.name}/${account}` : `${manifest.name}/${account}, as ${found.identity}`,
    ...(found?.told.map((each) => `  ${each}`) ?? []),
    there
      ? `Its entry in ${setting.file} was there already and is left as it is.`
      : `Its entry is in ${setting.file}, in mode observe: nothing there is acted on until you say so.`,
    '',
    ...checks.map(
      (each) =>
        `${mark[each.state]} ${each.what}: ${each.says}${each.state !== 'yes' && each.next !== undefined ? `\n    do: ${each.next}` : ''}`,
    ),
    '',
    `Next: give it a worker with a key (tourniquet key new), and tourniquet doctor.`,
  ]);
  return checks.some((each) => each.state === 'no') ? 1 : 0;
}

/** `--set name=value`: JSON where it is some, else the text itself. */
function settingsIn(call: Call): Record<string, unknown> {
  return Object.fromEntries(
    texts(call, 'set').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw fault('usage.invalid', { option: '--set', problem: 'expected name=value' });
      const value = pair.slice(at + 1);
      try {
        return [pair.slice(0, at), JSON.parse(value) as unknown];
      } catch {
        return [pair.slice(0, at), value];
      }
    }),
  );
}

function pathFrom(configuration: string, file: string): string {
  const path = relative(resolve(configuration, '..'), file);
  return path.startsWith('..') || isAbsolute(path) ? file : path;
}

/** Adds the entry and keeps whatever else stands in the file, comments too. A file that would not be read any more afterwards is left as it was. */
async function write(file: string, entry: Readonly<Record<string, unknown>>): Promise<void> {
  const { parseDocument } = await import('yaml');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const document = parseDocument(before);
  if (document.has('accounts')) document.addIn(['accounts'], document.createNode(entry));
  else document.set('accounts', document.createNode([entry]));
  const after = document.toString({ lineWidth: 0 });
  parseConfiguration(after, file);
  writeFileSync(file, after);
}
