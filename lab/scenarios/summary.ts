import type { IncidentStatus } from '../../domain/messages.ts';
import type { PredictedOutage } from '../../domain/plan.ts';
import { type Fate, Loot } from '../attacker/messages.ts';
import type { LedgerEntry, SimulatedKey } from '../aws/control.ts';
import type { ConsumerLine } from '../consumer/messages.ts';
import { refusals } from '../consumer/tally.ts';
import type { Deployment, Variant } from '../world/cast.ts';
import type { Display } from './display.ts';

/** All that was seen while a variant was played. Times are milliseconds since 1970 by the machine's clock, which the simulator shares. */
export interface Played {
  readonly variant: Variant;
  readonly deployment: Deployment;
  readonly leaked: string;
  readonly incident: string;
  readonly status: IncidentStatus;
  /** Whether the incident got to `watching`, contained and rotated. */
  readonly reached: boolean;
  readonly reportedAt: number;
  /** Changes to the user since the report, as the simulator received them. */
  readonly ledger: readonly LedgerEntry[];
  /** The user's keys at the end. */
  readonly keys: readonly SimulatedKey[];
  readonly responderKey: string;
  readonly totals: readonly ({ readonly consumer: string } & Extract<ConsumerLine, { type: 'total' }>)[];
  readonly fates: readonly (Fate & { readonly expected: string })[];
  /** What the leaked pair was answered at the very end. */
  readonly oldKey: string;
  readonly approvals: readonly { readonly gate: string; readonly at: number; readonly reason: string; readonly by: readonly string[] }[];
  /** What each plan predicted for the jobs, the plans in their order. */
  readonly predicted: readonly (readonly PredictedOutage[])[];
  readonly decidedBy: 'keyboard' | 'scripted';
}

/** One thing that should be so, and whether it was. */
export interface Check {
  readonly what: string;
  readonly holds: boolean;
  readonly seen?: string;
  /** It depends on how busy the machine is, and so belongs on a screen and into no test. */
  readonly timed?: true;
}

const ownCalls = (played: Played): readonly LedgerEntry[] =>
  played.ledger.filter(({ caller, effect }) => caller === played.responderKey && effect === 'changed');
const deletions = (played: Played): readonly LedgerEntry[] => ownCalls(played).filter(({ action }) => action === 'DeleteAccessKey');

/** Everything that has to be so at the end of a variant. A scenario that did not get there fails some of them, and none is left out. */
export function checksOf(played: Played): readonly Check[] {
  const { status, totals, fates, variant } = played;
  const newKey = played.keys[0]?.id;
  const first = ownCalls(played)[0];
  const approval = (reason: string): number | undefined => {
    const times = played.approvals.filter((each) => each.reason === reason).map(({ at }) => at);
    return times.length === 0 ? undefined : Math.min(...times);
  };
  const irreversible = approval('irreversible');
  const expectedDeletions = variant === 'public' ? 2 : 1;
  const common: Check[] = [
    {
      what: 'the incident watches, contained and rotated',
      holds: played.reached,
      seen: `${status.state}, contained ${status.contained}, rotated ${status.rotated}`,
    },
    { what: 'the leaked key is refused', holds: played.oldKey === 'InvalidClientTokenId', seen: played.oldKey },
    {
      what: `what could not be undone was done after its approval: ${expectedDeletions} ${expectedDeletions === 1 ? 'key' : 'keys'} deleted`,
      holds:
        deletions(played).length === expectedDeletions &&
        irreversible !== undefined &&
        deletions(played).every(({ receivedAt }) => receivedAt >= irreversible - 1_000),
      seen: `${deletions(played).length} deleted`,
    },
    {
      what: 'the user has one key, and it is new',
      holds: played.keys.length === 1 && newKey !== played.leaked,
      seen: played.keys.map(({ id, status: is }) => `${id} ${is}`).join(', '),
    },
    {
      what: 'both jobs work with it',
      holds:
        totals.length > 0 &&
        totals.every(({ accessKeyId, tally }) => accessKeyId === newKey && tally.outages.every(({ backAt }) => backAt !== undefined)),
    },
    {
      what: 'what remains has a date',
      holds: status.residuals.length > 0 && status.residuals.every(({ until }) => until !== undefined),
      seen: status.residuals.length === 0 ? 'nothing remains' : '',
    },
  ];
  if (variant === 'internal') {
    const gate = approval('outage');
    return [
      ...common,
      {
        what: 'nothing was changed before a person had agreed',
        holds: gate !== undefined && (first === undefined || first.receivedAt >= gate - 1_000),
      },
      {
        what: 'no call of a job failed',
        holds: totals.length > 0 && totals.every(({ tally }) => refusals(tally) + tally.unreachable === 0),
      },
      {
        what: 'each job made five calls or more a second',
        timed: true,
        holds: totals.every((total) => rate(total) >= 5),
        seen: totals.map((total) => rate(total).toFixed(1)).join(' and '),
      },
      {
        what: 'no job went a second without success',
        timed: true,
        holds: totals.every(({ tally }) => tally.longestGapMs <= 1_000),
        seen: totals.map(({ tally }) => `${tally.longestGapMs} ms`).join(' and '),
      },
    ];
  }
  return [
    ...common,
    { what: 'the thief had four credentials, and each had worked', holds: fates.length === 4 && fates.every(({ ok }) => ok > 0) },
    ...Object.values(Loot).map((loot): Check => {
      const fate = fates.find((each) => each.loot === loot);
      return {
        what: `${loot} is refused: ${fate?.expected ?? ''}`,
        holds: fate !== undefined && fate.answer === fate.expected,
        seen: fate?.answer ?? 'never had',
      };
    }),
    {
      what: 'every job was let in again',
      holds: totals.length > 0 && totals.every(({ tally }) => tally.outages.every(({ backAt }) => backAt !== undefined)),
    },
  ];
}

const rate = ({ tally, at }: Played['totals'][number]): number => {
  const span = at - (tally.firstOkAt ?? at);
  return span <= 0 ? 0 : (tally.ok * 1_000) / span;
};

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const clock = (at: number): string => new Date(at).toISOString().slice(11, 23);

/** What was predicted for a job: each plan that changed its mind is named. `open` is a prediction without an end. */
function predictionsFor(consumer: string, { predicted }: Played): string {
  const said = predicted.flatMap((plan) => {
    const own = plan.filter((each) => each.consumer === consumer);
    if (own.length === 0) return [];
    return [
      own.some((each) => each.seconds === undefined) ? 'open' : `${Math.round(own.reduce((sum, each) => sum + (each.seconds ?? 0), 0))} s`,
    ];
  });
  const changes = said.filter((each, at) => each !== said[at - 1]);
  return changes.length === 0 ? 'none' : changes.join(', then ');
}

/** The screen at the end of a variant: times, counts, the thief's credentials, predicted beside measured, what remains, and what should be so. */
export function summaryOf(played: Played, display: Pick<Display, 'paint'>, commands: { readonly verify: string }): readonly string[] {
  const { status, reportedAt, totals, fates } = played;
  const { paint } = display;
  const first = ownCalls(played)[0]?.receivedAt;
  const removed = deletions(played).at(-1)?.receivedAt;
  const after = (at: number | string | undefined): string => {
    if (at === undefined) return 'not yet';
    return `${seconds((typeof at === 'string' ? Date.parse(at) : at) - reportedAt)}`;
  };
  const rule = paint('dim', '─'.repeat(96));
  const head = (words: string): string => paint('bold', `  ${words}`);
  const lines: string[] = [
    '',
    rule,
    head(`ci-key, ${played.variant}: ${played.deployment.user}'s key in ${played.deployment.repository}`),
    `  ${played.incident}`,
    `  decided by ${played.decidedBy === 'scripted' ? 'a scripted responder with keys of its own' : 'the person at the keyboard'}${played.approvals.map(({ gate, by }) => `; ${gate}: ${by.join(', ')}`).join('')}`,
    '',
    `  after the report: first change ${after(first)} · contained ${after(status.containedAt)} · rotated ${after(status.rotatedAt)} · old key deleted ${after(removed)}`,
    `  rounds ${status.round} · records ${status.records} · changes at AWS ${ownCalls(played).length}`,
    '',
    `  ${'job'.padEnd(20)}${'calls ok'.padStart(10)}${'refused'.padStart(9)}${'no answer'.padStart(11)}${'longest gap'.padStart(13)}${'predicted'.padStart(18)}${'measured'.padStart(10)}`,
    ...totals.map(({ consumer, tally }) => {
      const known = predictionsFor(consumer, played);
      const measured = tally.outages.reduce((sum, { from, backAt, lastFailedAt }) => sum + (backAt ?? lastFailedAt) - from, 0);
      const outage = tally.outages.length === 0 ? 'none' : seconds(measured);
      return `  ${consumer.padEnd(20)}${String(tally.ok).padStart(10)}${String(refusals(tally)).padStart(9)}${String(tally.unreachable).padStart(11)}${seconds(tally.longestGapMs).padStart(13)}${known.padStart(18)}${outage.padStart(10)}`;
    }),
  ];
  if (fates.length > 0) {
    lines.push('', `  ${"thief's credential".padEnd(20)}${'first success'.padStart(15)}${'last success'.padStart(15)}  since then`);
    for (const { loot, firstOkAt, lastOkAt, answer } of fates) {
      lines.push(
        `  ${loot.padEnd(20)}${(firstOkAt === undefined ? 'never' : clock(firstOkAt)).padStart(15)}${(lastOkAt === undefined ? 'never' : clock(lastOkAt)).padStart(15)}  ${paint(answer === 'ok' ? 'red' : 'green', answer ?? '')}`,
      );
    }
  }
  lines.push(
    '',
    ...(status.residuals.length === 0
      ? ['  nothing remains']
      : status.residuals.map(
          ({ what, until, acceptedBy }) => `  remains until ${until ?? `(accepted by ${acceptedBy ?? 'nobody'})`}: ${what}`,
        )),
  );
  lines.push(
    '',
    ...checksOf(played).map(
      ({ what, holds, seen }) => `  ${holds ? paint('green', '✓') : paint('red', '✕')} ${what}${holds || !seen ? '' : ` (${seen})`}`,
    ),
  );
  lines.push('', `  its record is checked by: ${commands.verify}`, rule);
  return lines;
}

/** Whether a variant ended as it should. */
export const wentWell = (played: Played): boolean => checksOf(played).every(({ holds }) => holds);
