import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { type Hash, hashOf, isHash } from '../../domain/canonical.ts';
import { fault } from '../../domain/errors.ts';
import { parseYaml } from '../../domain/file.schema.ts';
import { trustedKeySchema } from '../../domain/trust.schema.ts';
import type { Edition, TrustedKey } from '../../domain/trust.ts';
import { changesBetween, wantsOf } from '../../domain/trust-changes.ts';
import { faultOfDraft } from '../../domain/trust-succession.ts';
import { type Call, type CommandDefinition, text, texts } from '../command.ts';
import { personKey, personOf, readTextFile, settingOf } from '../engine.ts';
import { standingOf } from '../trust.ts';

export const command: CommandDefinition = {
  name: 'trust propose',
  summary: 'Draft the next trust file',
  description:
    'Makes a draft that follows the trust in force, with the changes named, and signs it as the person who wants it. The draft is one file: it goes to the root and to a second person, who sign it with `trust sign` in any order, and comes back to `trust publish`. Nothing is in force before that. A key is never taken out, since what it has signed must stay verifiable: its period is ended.',
  arguments: [{ name: 'file', summary: 'where to write the draft' }],
  options: [
    { flags: '--as <person>', summary: 'who proposes it' },
    { flags: '--add <file>', summary: 'a public key, as `key new` prints it; may be repeated', many: true },
    {
      flags: '--until <key=time>',
      summary:
        'another end of a key’s period: ISO 8601, UTC, or now; a time that has passed says since when it is not believed; may be repeated',
      many: true,
    },
    { flags: '--people <file>', summary: 'what people.yaml is to be' },
    { flags: '--code <hash>', summary: 'workflow code to know, by its hash; may be repeated', many: true },
    { flags: '--drop-code <hash>', summary: 'workflow code to know no longer; may be repeated', many: true },
    { flags: '--key <file>', summary: 'the key of the person; by default people/PERSON.json among the keys' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of the key' },
  ],
  exits: [4],
  examples: [
    'tourniquet trust propose next.yaml --as alice --add judge.pub.yaml --until judge-0f1e2d3c4b5a6978=now',
    'tourniquet trust propose next.yaml --as alice --people people-next.yaml --add dora.pub.yaml',
  ],
  async run(call) {
    const file = resolve(call.cwd, call.arguments[0] ?? '');
    if (existsSync(file)) throw fault('file.exists', { file });
    const setting = settingOf(call);
    const { inForce } = await standingOf(setting);
    const issuedAt = new Date().toISOString();
    const draft = await draftOf(call, inForce, issuedAt);
    const changes = changesBetween(inForce, draft);
    if (changes.length === 0)
      throw fault('usage.invalid', { problem: 'nothing would change; say what with --add, --until, --people, --code or --drop-code' });
    const wrong = faultOfDraft(inForce, draft);
    if (wrong) throw fault(wrong.code, { why: wrong.why });
    const { editionText, parseEdition, replaceFile, signEdition } = await import('../../audit/editions.ts');
    // Read back as the root and the workers will read it, so that what is wrong is said before anybody signs.
    parseEdition(editionText(draft), file);
    const by = draft.trust.proposedBy ?? '';
    const key = await personKey(call, setting, by);
    if (!inForce.trust.keys.some(({ id, role, person }) => id === key.id && role === 'person' && person === by))
      throw fault('trust.uncountersigned', { key: key.id, why: `the trust in force does not know this key of ${by}` });
    replaceFile(file, editionText(signEdition(draft, key)));
    call.terminal.answer({ file, serial: draft.trust.serial, hash: hashOf(draft.trust), changes, wants: wantsOf(draft, issuedAt) }, [
      `Serial ${draft.trust.serial}, proposed by ${by}, in ${file}:`,
      ...changes.map((line) => `  ${line}`),
      ...wantsOf(draft, issuedAt).map((want) => call.terminal.paint('red', `But ${want}.`)),
      'Next: the root and a second person sign it (tourniquet trust sign), then tourniquet trust publish',
    ]);
    return 0;
  },
};

async function draftOf(call: Call, inForce: Edition, issuedAt: string): Promise<Edition> {
  const keys: TrustedKey[] = inForce.trust.keys.map((key) => ({ ...key }));
  for (const name of texts(call, 'add')) {
    const path = resolve(call.cwd, name);
    const added = parseYaml(readTextFile(path), path, z.union([z.array(trustedKeySchema), trustedKeySchema.transform((one) => [one])]));
    keys.push(...added.filter(({ id }) => !keys.some((key) => key.id === id)));
  }
  for (const edit of texts(call, 'until')) {
    const [, id, end] = /^([^=]+)=(.+)$/.exec(edit) ?? [];
    const at = keys.findIndex((key) => key.id === id);
    const time = end === 'now' ? issuedAt : end;
    const key = keys[at];
    if (key === undefined)
      throw fault('usage.invalid', { option: '--until', found: edit.slice(0, 120), problem: 'the trust has no such key' });
    if (time === undefined || Number.isNaN(Date.parse(time)) || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time))
      throw fault('usage.invalid', { option: '--until', found: edit.slice(0, 120), expected: 'KEY=now or KEY=2026-01-31T00:00:00Z' });
    keys[at] = { ...key, until: time };
  }
  const { parsePeople } = await import('../../audit/trust.ts');
  const file = text(call, 'people');
  const people = file === undefined ? inForce.people : parsePeople(readTextFile(resolve(call.cwd, file)), resolve(call.cwd, file));
  const [code, dropped] = ['code', 'dropCode'].map((option) =>
    texts(call, option).map((hash): Hash => {
      if (!isHash(hash)) throw fault('usage.invalid', { option, expected: 'sha256: and 64 hexadecimal digits' });
      return hash;
    }),
  );
  return {
    trust: {
      ...inForce.trust,
      serial: inForce.trust.serial + 1,
      previous: hashOf(inForce.trust),
      proposedBy: await personOf(call),
      issuedAt,
      keys,
      people: hashOf(people),
      code: [...new Set([...inForce.trust.code, ...(code ?? [])])].filter((hash) => !dropped?.includes(hash)),
    },
    people,
    signatures: [],
    countersignatures: [],
  };
}
