import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fault } from '../../domain/errors.ts';
import type { Secret } from '../../domain/secret.ts';
import type { Person } from '../../domain/trust.ts';
import { wantsOf } from '../../domain/trust-changes.ts';
import { type CommandDefinition, text, texts } from '../command.ts';
import { readTextFile } from '../engine.ts';
import { newPassphrase } from './key-new.ts';

export const command: CommandDefinition = {
  name: 'init',
  summary: 'Make the files and keys of a new engine',
  description:
    'Writes tourniquet.yaml, trust.yaml, people.yaml, policy.yaml, inventory.yaml and the key folders of judge, provider workers, people, operator and root. Overwrites nothing: where one of them is there already, none is written. Take the folder keys/root away to a place that is offline; whoever has it can name judges and people. Asks for a passphrase for the root and for each person.',
  arguments: [{ name: 'folder', summary: 'where; by default here', optional: true }],
  options: [
    { flags: '--account <provider/account>', summary: 'an account to act in, such as aws/111122223333; may be repeated', many: true },
    { flags: '--person <id:roles>', summary: 'a person and their roles, such as alice:approver,responder; may be repeated', many: true },
    { flags: '--address <host:port>', summary: 'the Temporal server, where the environment does not name it' },
    { flags: '--namespace <name>', summary: 'the Temporal namespace' },
    { flags: '--passphrase-file <file>', summary: 'a file with one passphrase for all keys; for practice only' },
  ],
  exits: [4],
  examples: ['tourniquet init --account aws/111122223333 --account vault/main --person alice:approver,responder --person bob:approver'],
  async run(call) {
    const folder = resolve(call.cwd, call.arguments[0] ?? '.');
    const accounts = texts(call, 'account').map(accountOf);
    const people = texts(call, 'person').map(personOf);
    if (people.length === 0)
      throw fault('usage.invalid', {
        missing: '--person',
        problem: 'an engine without people can ask nobody; such as --person alice:approver,responder',
      });
    const files = {
      configuration: 'tourniquet.yaml',
      trust: 'trust.yaml',
      people: 'people.yaml',
      policy: 'policy.yaml',
      inventory: 'inventory.yaml',
      keys: 'keys',
    };
    for (const name of Object.values(files)) if (existsSync(join(folder, name))) throw fault('file.exists', { file: join(folder, name) });
    const policy = readTextFile(defaultPolicy());

    const { initTrust, writeText } = await import('../../audit/trust.ts');
    const rootPassphrase = await newPassphrase(call, 'the root key');
    const persons: (Person & { readonly passphrase: Secret })[] = [];
    for (const person of people) persons.push({ ...person, passphrase: await newPassphrase(call, `the key of ${person.id}`) });
    mkdirSync(folder, { recursive: true });
    const made = initTrust({
      keys: join(folder, files.keys),
      trust: join(folder, files.trust),
      people: join(folder, files.people),
      accounts,
      persons,
      rootPassphrase,
    });
    for (const name of ['store', 'secrets']) {
      mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
      chmodSync(join(folder, name), 0o700);
    }
    writeText(join(folder, files.policy), policy);
    writeText(join(folder, files.inventory), inventoryText);
    const address = text(call, 'address');
    writeText(
      join(folder, files.configuration),
      configurationText({
        engine: made.engine,
        root: made.rootPublic,
        accounts,
        namespace: text(call, 'namespace') ?? 'default',
        ...(address === undefined ? {} : { address }),
      }),
    );
    const { parseConfiguration } = await import('../../domain/configuration.schema.ts');
    const { loadInventory } = await import('../../inventory/index.ts');
    // What was written is read back as a worker will read it.
    parseConfiguration(readTextFile(join(folder, files.configuration)), join(folder, files.configuration));
    loadInventory(inventoryText, join(folder, files.inventory));
    const written = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)]));
    call.terminal.answer({ engine: made.engine, root: made.rootPublic, files: written }, [
      `Made the engine ${made.engine} in ${folder}.`,
      `  root       ${made.rootPublic}; take ${join(folder, 'keys', 'root')} offline, and hand this line to your auditors`,
      ...accounts.map(
        ({ provider, account }) =>
          `  ${`${provider}/${account}`.padEnd(9)}  put its credentials into ${join(folder, 'secrets', `${provider}-${account}.json`)} (chmod 600)`,
      ),
      '  mode       propose: plans are made and nothing is changed, until tourniquet.yaml says act',
      ...wantsOf({ ...made, signatures: [], countersignatures: [] }, new Date().toISOString()).map((want) =>
        call.terminal.paint('red', `But ${want}.`),
      ),
      `Next: say in ${files.inventory} who uses which credential, start the workers, then tourniquet doctor`,
    ]);
    return 0;
  },
};

function accountOf(text: string): { readonly provider: string; readonly account: string } {
  const [, provider, account] = /^([a-z][a-z0-9-]*)\/([A-Za-z0-9][A-Za-z0-9._-]{0,99})$/.exec(text) ?? [];
  if (provider === undefined || account === undefined)
    throw fault('usage.invalid', { option: '--account', found: text.slice(0, 80), expected: 'provider/account, such as aws/111122223333' });
  return { provider, account };
}

function personOf(text: string): Person {
  const [, id, roles] = /^([A-Za-z0-9][A-Za-z0-9._@-]{0,99}):([A-Za-z0-9._@-]+(?:,[A-Za-z0-9._@-]+)*)$/.exec(text) ?? [];
  if (id === undefined || roles === undefined)
    throw fault('usage.invalid', {
      option: '--person',
      found: text.slice(0, 80),
      expected: 'id:role,role, such as alice:approver,responder',
    });
  return { id, name: id, roles: roles.split(',') };
}

/** The default policy of this release, which lies beside the code, built or not. */
function defaultPolicy(): string {
  const places = ['../../policies/default.yaml', '../../../policies/default.yaml'].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw fault('file.missing', { file: places[0] ?? '', what: 'the default policy' });
  return found;
}

function configurationText(of: {
  engine: string;
  root: string;
  accounts: readonly { provider: string; account: string }[];
  namespace: string;
  address?: string;
}): string {
  const accounts = of.accounts.map(
    ({ provider, account }) => `  - provider: ${provider}
    account: "${account}"
    # observe: look only; propose: plan, change nothing; act: change what plan, policy and people allow.
    mode: propose
    credentials: secrets/${provider}-${account}.json
    settings: {}
`,
  );
  return `# The engine. Paths are relative to this file; durations are like 500ms, 4s, 15m, 36h, 7d.
v: 1
engine: ${of.engine}
temporal:
${of.address === undefined ? '  # The address comes from TEMPORAL_ADDRESS or the TOML profile; name it here where neither says it.\n  # address: 127.0.0.1:7233\n' : `  address: ${of.address}\n`}  namespace: ${of.namespace}
# Shared by judge, provider workers and whoever exports. Secrets are dropped, sealed, in store/sealed.
store: { directory: store }
trust: trust.yaml
people: people.yaml
policy: policy.yaml
inventory: inventory.yaml
# The public key of the root, pinned, so that a swapped trust file is noticed.
root: ${of.root}
accounts:${accounts.length === 0 ? ' []\n' : `\n${accounts.join('')}`}# How often a watching incident looks again.
recheck: 5m
codec: { enabled: true }
`;
}

const inventoryText = `# Who uses which credential, and where it is kept. See docs/inventory.md for every member.
v: 1
stores: []
consumers: []
`;
