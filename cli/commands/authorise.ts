import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { verifyEnvelope } from '../../audit/signing.ts';
import {
  type Authorisation,
  authorisationHash,
  authorisersOf,
  faultOfAuthorisation,
  type SignedAuthorisation,
} from '../../domain/authorisation.ts';
import { isDuration, parseDuration } from '../../domain/duration.ts';
import { fault } from '../../domain/errors.ts';
import type { Edition } from '../../domain/trust.ts';
import { type Call, type CommandDefinition, flag, text, texts } from '../command.ts';
import { personKey, personOf, readTextFile, type Setting, settingOf } from '../engine.ts';
import { standingOf } from '../trust.ts';

export const command: CommandDefinition = {
  name: 'authorise',
  summary: 'Sign beforehand what may be ended for good while nobody is awake',
  description:
    'A standing authorisation says that a leaked credential of the kinds named, proven real and found in a public place, may be ended for good though nobody is asked: where there is no way of stopping it that could be taken back. With --kind: drafts one into FILE and signs it as the person who wants it. Without: adds a signature to the draft in FILE; two persons with the role approver or security-lead are needed, more where the policy says so. With --publish: checks it as every worker will and puts it in force, beside trust.yaml. With --withdraw: takes one out of force. Without a file: shows those in force, and why one of them gives no leave. Where others in use would die with the credential people are asked all the same, and silence for the time that the authorisation states is leave. Workers with copies of their own of the files need the file standing.yaml too.',
  arguments: [{ name: 'file', summary: 'the draft', optional: true }],
  options: [
    { flags: '--kind <kind>', summary: 'a kind of credential, such as github.token; may be repeated', many: true },
    { flags: '--per-hour <count>', summary: 'so many credentials within an hour, all told; 20 where it is not said' },
    { flags: '--valid <duration>', summary: 'how long it lasts, at most 400d; 90d where it is not said' },
    { flags: '--ask-for <duration>', summary: 'how long people are asked where others would die with it; 10m where it is not said' },
    { flags: '--reason <words>', summary: 'why' },
    { flags: '--publish', summary: 'put it in force' },
    { flags: '--withdraw <id>', summary: 'take the one of that id out of force' },
    { flags: '--as <person>', summary: 'who signs: the id in people.yaml' },
    { flags: '--key <file>', summary: 'the key of the person; by default people/PERSON.json among the keys' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of the key' },
  ],
  exits: [4],
  examples: [
    'tourniquet authorise tokens.yaml --kind github.token --per-hour 20 --reason "a public token is worse than a broken build" --as alice',
    'tourniquet authorise tokens.yaml --as bob',
    'tourniquet authorise tokens.yaml --publish',
    'tourniquet authorise',
  ],
  async run(call) {
    const setting = settingOf(call);
    const { inForce } = await standingOf(setting);
    const withdrawn = text(call, 'withdraw');
    const [name] = call.arguments;
    if (withdrawn !== undefined) return await withdraw(call, setting, withdrawn);
    if (name === undefined) return await show(call, setting, inForce);
    const file = resolve(call.cwd, name);
    if (flag(call, 'publish')) return await publish(call, setting, inForce, file);
    return await sign(call, setting, inForce, file);
  },
};

async function sign(call: Call, setting: Setting, edition: Edition, file: string): Promise<number> {
  const kinds = texts(call, 'kind');
  const { authorisationText, parseAuthorisation, signAuthorisation } = await import('../../audit/authorisations.ts');
  const { replaceFile } = await import('../../audit/editions.ts');
  if (kinds.length > 0 && existsSync(file)) throw fault('file.exists', { file });
  await expectOneWay(kinds);
  const draft: SignedAuthorisation =
    kinds.length > 0
      ? { authorisation: drafted(call, kinds, setting.configuration.engine), signatures: [] }
      : parseAuthorisation(readTextFile(file), file);
  // Read back as the workers will read it, so that what is wrong is said before anybody signs.
  parseAuthorisation(authorisationText(draft), file);
  if (draft.authorisation.engine !== setting.configuration.engine)
    throw fault('trust.no-leave', { file, why: `it is of the engine ${draft.authorisation.engine}` });
  const person = await personOf(call);
  call.terminal.say(wordsOf(draft.authorisation).join('\n'));
  const signed = signAuthorisation(draft, await personKey(call, setting, person));
  const by = judging(setting, edition);
  const signers = authorisersOf(signed, by);
  if (!signers.includes(person))
    throw fault('trust.no-leave', { why: `${person} may sign no standing authorisation, or by another key than this` });
  replaceFile(file, authorisationText(signed));
  const lacks = faultOfAuthorisation(signed, { ...by, ...(await wantedBy(setting)) });
  call.terminal.answer({ file, id: signed.authorisation.id, hash: authorisationHash(signed), signers, ...(lacks ? { lacks } : {}) }, [
    `Signed as ${person}; its signatures are of ${signers.join(', ')}.`,
    lacks === undefined ? `Next: tourniquet authorise ${call.arguments[0]} --publish` : `But ${lacks}.`,
  ]);
  return 0;
}

/** A kind that no leave could ever be given for would be found out on the night. */
async function expectOneWay(kinds: readonly string[]): Promise<void> {
  const { manifests } = await import('../../providers/manifests.ts');
  const { isOneWay } = await import('../../domain/authorisation.ts');
  const good = Object.values(manifests).flatMap((manifest) =>
    manifest.kinds.flatMap(({ kind, ways }) =>
      ways?.remove && isOneWay(manifest, { kind, locator: {} }, ways.remove.action) ? [kind] : [],
    ),
  );
  const wrong = kinds.find((kind) => !good.includes(kind));
  if (wrong !== undefined)
    throw fault('usage.invalid', { option: '--kind', problem: `no leave can be given for ${wrong}: expected one of ${good.join(', ')}` });
}

function drafted(call: Call, kinds: readonly string[], engine: string): Authorisation {
  const lasting = (option: string, otherwise: string): number => {
    const given = text(call, option) ?? otherwise;
    if (!isDuration(given)) throw fault('usage.invalid', { option, expected: 'a duration such as 10m, 36h or 90d' });
    return parseDuration(given);
  };
  const perHour = Number(text(call, 'perHour') ?? '20');
  if (!Number.isSafeInteger(perHour) || perHour < 1) throw fault('usage.invalid', { option: '--per-hour', expected: 'a number from 1 on' });
  const reason = text(call, 'reason');
  if (!reason) throw fault('usage.invalid', { missing: '--reason', problem: 'say why' });
  const now = Date.now();
  return {
    v: 1,
    engine,
    id: `auth_${randomBytes(4).toString('hex')}`,
    kinds: [...new Set(kinds)],
    perHour,
    cascadeMs: lasting('askFor', '10m'),
    reason,
    notBefore: new Date(now).toISOString(),
    expires: new Date(now + lasting('valid', '90d')).toISOString(),
  };
}

async function publish(call: Call, setting: Setting, edition: Edition, file: string): Promise<number> {
  const { authorisationsFile, parseAuthorisation, putAuthorisation } = await import('../../audit/authorisations.ts');
  const signed = parseAuthorisation(readTextFile(file), file);
  const wrong = faultOfAuthorisation(signed, { ...judging(setting, edition), ...(await wantedBy(setting)) });
  if (wrong !== undefined) throw fault('trust.no-leave', { file, why: wrong });
  putAuthorisation(setting.configuration.trust, signed.authorisation.id, signed);
  call.terminal.answer(
    { id: signed.authorisation.id, hash: authorisationHash(signed), file: authorisationsFile(setting.configuration.trust) },
    [`${signed.authorisation.id} is in force:`, ...wordsOf(signed.authorisation).map((line) => `  ${line}`)],
  );
  return 0;
}

async function withdraw(call: Call, setting: Setting, id: string): Promise<number> {
  const { putAuthorisation, readAuthorisations } = await import('../../audit/authorisations.ts');
  const { trust } = setting.configuration;
  if (!readAuthorisations(trust).some((each) => each.authorisation.id === id))
    throw fault('usage.invalid', { option: '--withdraw', problem: 'none of that id is in force' });
  const left = putAuthorisation(trust, id);
  call.terminal.answer(
    { withdrawn: id, left: left.length },
    `${id} is out of force; ${left.length} more ${left.length === 1 ? 'is' : 'are'} in force.`,
  );
  return 0;
}

async function show(call: Call, setting: Setting, edition: Edition): Promise<number> {
  const { readAuthorisations } = await import('../../audit/authorisations.ts');
  const by = judging(setting, edition);
  const wanted = await wantedBy(setting);
  const all = readAuthorisations(setting.configuration.trust).map((signed) => ({
    ...signed.authorisation,
    hash: authorisationHash(signed),
    signers: authorisersOf(signed, by),
    trouble: faultOfAuthorisation(signed, { ...by, ...wanted }),
  }));
  call.terminal.answer(
    all.map(({ trouble, ...each }) => ({ ...each, ...(trouble ? { trouble } : {}) })),
    all.length === 0
      ? 'No standing authorisation is in force: what cannot be undone is always asked about.'
      : all.flatMap((each) => [
          `${each.id}, signed by ${each.signers.join(', ') || 'nobody whose signature counts'}:`,
          ...wordsOf(each).map((line) => `  ${line}`),
          ...(each.trouble ? [call.terminal.paint('red', `  It gives no leave: ${each.trouble}.`)] : []),
        ]),
  );
  return 0;
}

const judging = (setting: Setting, { trust, people }: Edition) => ({
  engine: setting.configuration.engine,
  trust,
  people,
  verify: verifyEnvelope,
  now: new Date().toISOString(),
});

/** How many of which roles the policy wants, where it says so. */
async function wantedBy({ configuration }: Setting): Promise<{ readonly roles?: readonly string[]; readonly quorum?: number }> {
  const { parsePolicy } = await import('../../domain/policy.schema.ts');
  return parsePolicy(readTextFile(configuration.policy), configuration.policy).standing ?? {};
}

function wordsOf({ kinds, perHour, cascadeMs, reason, expires }: Authorisation): string[] {
  return [
    `Leaked in public and proven real, ${kinds.join(', ')} may be ended for good unasked: ${perHour} an hour, until ${expires}.`,
    `Where others in use would die with it people are asked for ${Math.round(cascadeMs / 1000)} seconds, and silence is leave.`,
    `Why: ${reason}`,
  ];
}
