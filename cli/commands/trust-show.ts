import { verifyEnvelope } from '../../audit/signing.ts';
import { hashOf } from '../../domain/canonical.ts';
import type { Edition, TrustedKey } from '../../domain/trust.ts';
import { changesBetween, ownerOf, wantsOf } from '../../domain/trust-changes.ts';
import { faultOfSuccession, signersOf } from '../../domain/trust-succession.ts';
import type { CommandDefinition } from '../command.ts';
import { settingOf } from '../engine.ts';
import type { Terminal } from '../terminal.ts';
import { troubleOf } from '../trouble.ts';
import { editionIn, settingIfAny, standingOf, standsOn } from '../trust.ts';
import { distance, when } from '../words.ts';

/** What ends within so long is said. */
const soonMs = 30 * 86_400_000;

export const command: CommandDefinition = {
  name: 'trust show',
  summary: 'Show who is trusted, or what an edit would change',
  description:
    'Without a file: the trust in force, its keys with their periods, who may decide, and what ends within 30 days; and whether trust.yaml and people.yaml are the ones in force, which is asked of the store where the operator’s store key is here. With a file that `trust propose` made: what it changes, who has signed it, and what it lacks. The second works on a machine that has nothing else of the engine.',
  arguments: [{ name: 'file', summary: 'a draft, or an edition out of trust-history', optional: true }],
  options: [
    { flags: '--after <file>', summary: 'the edition before it, where the engine is not here; the draft names its hash' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  ],
  exits: [4],
  examples: [
    'tourniquet trust show',
    'tourniquet trust show next.yaml',
    'tourniquet trust show next.yaml --after trust-history/3.yaml --json',
  ],
  async run(call) {
    const [name] = call.arguments;
    const now = new Date();
    if (name !== undefined) {
      const { edition } = await editionIn(call, name);
      const { after } = call.options;
      const setting = settingIfAny(call);
      const given = typeof after === 'string' ? (await editionIn(call, after)).edition : setting && (await standingOf(setting)).inForce;
      const before = standsOn(edition, given);
      const root = setting?.configuration.root ?? edition.trust.keys.find(({ role }) => role === 'root')?.public ?? '';
      const by = { root, verify: verifyEnvelope, now: now.toISOString(), fresh: true };
      const lacks = before && faultOfSuccession(before, edition, by);
      const signers = before ? signersOf(before, edition, by) : undefined;
      const told = {
        ...pictureOf(edition, now),
        hash: hashOf(edition.trust),
        ...(before ? { changes: changesBetween(before, edition), signedBy: signers, ...(lacks ? { lacks } : {}) } : {}),
      };
      call.terminal.answer(told, [
        ...headOf(call.terminal, edition),
        ...(before
          ? [`What it changes of serial ${before.trust.serial}:`, ...changesBetween(before, edition).map((line) => `  ${line}`)]
          : ['What it changes cannot be said here: the edition before it is not here.', ...bodyOf(call.terminal, edition, now)]),
        ...wantsOf(edition, now.toISOString()).map((want) => call.terminal.paint('red', `But ${want}.`)),
        ...(before
          ? [lacks ? `Lacks: ${lacks.why} (${lacks.code})` : call.terminal.paint('green', 'It lacks nothing: tourniquet trust publish')]
          : []),
      ]);
      return 0;
    }
    const standing = await standingOf(settingOf(call));
    const { inForce, trouble, waiting, byStore } = standing;
    const said = trouble && troubleOf(trouble);
    call.terminal.answer(
      {
        ...pictureOf(inForce, now),
        hash: hashOf(inForce.trust),
        files: trouble ? 'other' : waiting ? 'waiting' : byStore ? 'in force' : 'unknown',
        ...(said ? { trouble: said } : {}),
      },
      [
        ...headOf(call.terminal, inForce),
        ...(said
          ? [call.terminal.paint('red', `✕ the files are not the ones in force: ${said.what}; ${said.where}`), `  do: ${said.next}`]
          : []),
        ...(waiting ? [`The files hold serial ${waiting.trust.serial}, which no worker has taken yet.`] : []),
        ...(byStore ? [] : ['By the files alone: whether a later one is in force stands in the store, whose key is not here.']),
        ...bodyOf(call.terminal, inForce, now),
        ...wantsOf(inForce, now.toISOString()).map((want) => call.terminal.paint('red', `But ${want}.`)),
      ],
    );
    return trouble ? said?.exit : 0;
  },
};

const standingOfKey = (key: TrustedKey, now: number): string =>
  now < Date.parse(key.from) ? 'not yet' : now < Date.parse(key.until) ? 'valid' : 'ended';

const endsSoon = (key: TrustedKey, now: number): boolean => standingOfKey(key, now) === 'valid' && Date.parse(key.until) < now + soonMs;

function pictureOf({ trust, people }: Edition, now: Date): Readonly<Record<string, unknown>> {
  const time = now.getTime();
  return {
    engine: trust.engine,
    serial: trust.serial,
    issuedAt: trust.issuedAt,
    ...(trust.proposedBy === undefined ? {} : { proposedBy: trust.proposedBy }),
    keys: trust.keys.map((key) => ({ ...key, standing: standingOfKey(key, time), endsSoon: endsSoon(key, time) })),
    people: people.people,
    code: trust.code,
    wants: wantsOf({ trust, people, signatures: [], countersignatures: [] }, now.toISOString()),
  };
}

function headOf(terminal: Terminal, { trust, signatures, countersignatures }: Edition): readonly string[] {
  const persons = countersignatures.map(({ keyid }) => keyid).join(', ');
  return [
    terminal.paint('bold', `${trust.engine}, serial ${trust.serial}, issued ${when(trust.issuedAt)}`),
    ...(trust.proposedBy === undefined ? [] : [`  proposed by ${trust.proposedBy}; signed by ${persons || 'no person'}`]),
    `  root: ${signatures.length === 0 ? 'has not signed' : signatures.map(({ keyid }) => keyid).join(', ')}`,
  ];
}

function bodyOf(terminal: Terminal, { trust, people }: Edition, now: Date): readonly string[] {
  const time = now.getTime();
  const row = (cells: readonly string[]) =>
    [8, 24, 26, 8, 22]
      .map((width, at) => (cells[at] ?? '').padEnd(width))
      .join('  ')
      .trimEnd();
  return [
    terminal.paint('dim', row(['ROLE', 'OF', 'ID', 'STANDING', 'UNTIL'])),
    ...trust.keys.map((key) => {
      const line = row([key.role, ownerOf(key), key.id, standingOfKey(key, time), when(key.until)]);
      return endsSoon(key, time) ? terminal.paint('yellow', `${line} ends ${distance(key.until, time)}`) : line;
    }),
    ...people.people.map(
      ({ id, roles, delegates }) =>
        `person  ${id}: ${roles.join(', ') || 'no role'}${delegates?.length ? `; delegates to ${delegates.join(', ')}` : ''}`,
    ),
  ];
}
