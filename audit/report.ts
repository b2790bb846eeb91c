import type { Consumer } from '../domain/assessment.ts';
import type { Hash } from '../domain/canonical.ts';
import { type CredentialRef, type Residual, titleOf } from '../domain/credential.ts';
import type { Clocks } from '../domain/execution.ts';
import type { AssessInput, IncidentResult, JudgeResult } from '../domain/messages.ts';
import type { Observation } from '../domain/observation.ts';
import type { Plan, PlanStep } from '../domain/plan.ts';
import type { ChainEntry, RecordType } from '../domain/record.ts';
import type { AnyRecord, RecordAs } from '../domain/record-bodies.ts';
import type { HistoryFacts } from './history.ts';

/** What a report is made of. `records` are in the order of the chain. */
export interface ReportSource {
  readonly engine: string;
  readonly chain: readonly ChainEntry[];
  readonly records: ReadonlyMap<Hash, AnyRecord>;
  readonly facts: HistoryFacts;
}

interface Span {
  readonly what: string;
  readonly from?: string;
  readonly to?: string;
  /** Undefined where one of the two is not known. */
  readonly seconds?: number;
}

/** The report of one incident. All times ISO, UTC; all spans in seconds. What is not known is left out or says so in words. */
export interface IncidentReport {
  readonly v: 1;
  readonly engine: string;
  readonly incident: string;
  readonly run: string;
  readonly credential?: CredentialRef;
  readonly title: string;
  readonly state: string;
  readonly contained: string;
  readonly rotated: string;
  readonly rounds: number;
  readonly head: Hash | null;
  readonly clocks: {
    readonly leakedAt?: string;
    readonly seenAt?: string;
    readonly reportedAt: string;
    readonly firstChangeAt?: string;
    readonly containedAt?: string;
    readonly rotatedAt?: string;
    readonly endedAt?: string;
  };
  readonly spans: readonly Span[];
  readonly sightings: readonly {
    readonly reporter: string;
    readonly format: string;
    readonly where: string;
    readonly proof: string;
    readonly seenAt: string;
    readonly record: Hash;
  }[];
  readonly timeline: readonly { readonly at: string; readonly who: string; readonly what: string; readonly record?: Hash }[];
  readonly changes: readonly {
    readonly round: number;
    readonly step: string;
    readonly title: string;
    readonly action: string;
    readonly target: Readonly<Record<string, string>>;
    readonly direction: string;
    readonly outcome: string;
    readonly inEffect: string;
    readonly clocks?: Clocks;
    readonly requestIds: readonly string[];
    readonly record: Hash;
  }[];
  readonly consumers: readonly {
    readonly consumer: string;
    readonly name: string;
    readonly owner: string;
    readonly predicted: string;
    readonly predictedSeconds?: number;
    readonly measured: string;
    readonly measuredSeconds?: number;
  }[];
  readonly decisions: readonly {
    readonly at: string;
    readonly by: string;
    readonly verdict: string;
    readonly gate: string;
    readonly accepted: boolean;
    readonly code?: string;
    readonly why: string;
    readonly record: Hash;
  }[];
  readonly gates: readonly {
    readonly at: string;
    readonly gate: string;
    readonly event: string;
    readonly deadlineAt: string;
    readonly onSilence: string;
    readonly told: readonly string[];
    readonly record: Hash;
  }[];
  readonly refusals: readonly {
    readonly at: string;
    readonly code: string;
    readonly attempted: string;
    readonly words: string;
    readonly record: Hash;
  }[];
  readonly credentials: readonly { readonly credential: string; readonly live: string }[];
  readonly residuals: readonly Residual[];
  readonly blind: readonly string[];
  readonly mapping: readonly { readonly framework: string; readonly control: string; readonly how: string }[];
}

/** Makes the report. Pure: the verifier makes it again and compares the bytes. */
export function makeReport(source: ReportSource): IncidentReport {
  const { facts, chain } = source;
  const entries = chain.flatMap((entry) => {
    const record = source.records.get(entry.record);
    return record ? [{ hash: entry.record, record }] : [];
  });
  const of = <T extends RecordType>(type: T): { hash: Hash; record: RecordAs<T> }[] =>
    entries.filter((entry): entry is { hash: Hash; record: RecordAs<T> } => entry.record.type === type);
  const result = facts.result as IncidentResult | undefined;
  const judgements = facts.activities.flatMap((activity) =>
    activity.type === 'judge' && activity.state === 'completed' ? [{ activity, result: activity.result as JudgeResult }] : [],
  );
  const judged = judgements.at(-1)?.result;
  const plans = of('plan');
  const plan = plans.at(-1)?.record.body;
  const assessment = of('assessment').at(-1)?.record.body;
  const steps = of('step');
  const credential = plan?.credential ?? of('report')[0]?.record.body.report.credential;
  const state = result?.state ?? (plan === undefined ? 'assessing' : plan.steps.length === 0 ? 'watching' : 'under way');

  const clocks = clocksOf(
    source,
    steps,
    judgements,
    assessment?.exposedSince,
    of('report').map(({ record }) => record.body.report.seenAt),
  );
  return {
    v: 1,
    engine: source.engine,
    incident: facts.workflowId || (chain[0] && source.records.get(chain[0].record)?.incident) || '',
    run: facts.run,
    ...(credential && { credential }),
    title: credential ? titleOf(credential) : 'unidentified credential',
    state,
    contained: result?.contained ?? judged?.contained ?? 'unknown',
    rotated: result?.rotated ?? judged?.rotated ?? 'unknown',
    rounds: Math.max(0, ...plans.map(({ record }) => record.round)),
    head: chain.at(-1)?.head ?? null,
    clocks,
    spans: [
      span('leaked until reported', clocks.leakedAt, clocks.reportedAt),
      span('reported until the first change', clocks.reportedAt, clocks.firstChangeAt),
      span('reported until contained', clocks.reportedAt, clocks.containedAt),
      span('reported until rotated', clocks.reportedAt, clocks.rotatedAt),
    ],
    sightings: of('report').map(({ hash, record: { body } }) => ({
      reporter: body.report.reporter,
      format: body.report.format,
      where: [body.report.origin.where, body.report.origin.repository, body.report.origin.file].filter(Boolean).join(' '),
      proof: body.proof,
      seenAt: body.report.seenAt,
      record: hash,
    })),
    timeline: timelineOf(facts, entries),
    changes: steps.map(({ hash, record }) => {
      const step = stepOf(plans, record.body.plan, record.body.step);
      const { body } = record;
      return {
        round: record.round,
        step: body.step,
        title: step?.title ?? body.step,
        action: body.action,
        target: step?.target ?? {},
        direction: body.direction,
        outcome: body.failure ? `failed: ${body.failure.words} (${body.failure.code})` : (body.outcome ?? 'unknown'),
        inEffect: saying(body.observation),
        ...(body.clocks && { clocks: body.clocks }),
        requestIds: body.requestIds,
        record: hash,
      };
    }),
    consumers: consumersOf(
      of('inventory').flatMap(({ record }) => record.body.consumers),
      plans.map(({ record }) => record.body),
      steps.map(({ record }) => record),
    ),
    decisions: of('decision').map(({ hash, record: { at, body } }) => ({
      at,
      by: body.ruling.by,
      verdict: body.ruling.verdict,
      gate: body.ruling.gate,
      accepted: body.ruling.accepted,
      ...(body.ruling.code && { code: body.ruling.code }),
      why: body.ruling.why,
      record: hash,
    })),
    gates: of('gate').map(({ hash, record: { at, body } }) => ({
      at,
      gate: body.gate,
      event: body.event,
      deadlineAt: body.deadlineAt,
      onSilence: body.onSilence,
      told: body.told,
      record: hash,
    })),
    refusals: of('refusal').map(({ hash, record: { at, body } }) => ({
      at,
      code: body.code,
      attempted: body.attempted,
      words: body.words,
      record: hash,
    })),
    credentials: (assessment?.finding.graph.nodes ?? []).flatMap((node) =>
      node.credential ? [{ credential: node.id, live: saying(node.credential.live) }] : [],
    ),
    residuals: result?.residuals ?? plan?.residuals ?? [],
    blind: [
      ...new Set(
        of('finding').flatMap(({ record }) =>
          record.body.logs.flatMap((log) => [
            `${log.source} of ${record.body.provider}/${record.body.account} reaches back to ${log.from}`,
            ...log.blind.map((what) => `${log.source} of ${record.body.provider}/${record.body.account} does not show: ${what}`),
          ]),
        ),
      ),
      // How far the last look could see, source by source.
      ...of('finding')
        .slice(-1)
        .flatMap(({ record: { body } }) =>
          body.logs.map(({ source, passed }) =>
            passed.state === 'yes'
              ? `${source} of ${body.provider}/${body.account} is complete up to ${passed.until ?? passed.at}, and what came after was not looked at`
              : `${source} of ${body.provider}/${body.account} is not known to be complete: ${passed.state === 'unknown' ? passed.why : passed.evidence}`,
          ),
        ),
    ],
    mapping: mappingOf(
      result?.contained ?? judged?.contained ?? 'unknown',
      result?.rotated ?? judged?.rotated ?? 'unknown',
      of('decision').length,
    ),
  };
}

function clocksOf(
  { facts }: ReportSource,
  steps: readonly { record: RecordAs<'step'> }[],
  judgements: readonly { activity: HistoryFacts['activities'][number]; result: JudgeResult }[],
  leakedAt: string | undefined,
  seen: readonly string[],
): IncidentReport['clocks'] {
  const seenAt = earliest(seen);
  const firstChangeAt = earliest(
    steps.flatMap(({ record: { body } }) =>
      body.direction === 'apply' && body.outcome === 'changed' && body.clocks ? [body.clocks.acceptedAt] : [],
    ),
  );
  // Contained since the last containing change took effect that the sweep behind the first such judgement looked past.
  const contained = judgements.find(({ result }) => result.contained === 'yes');
  const sweep = facts.activities.filter(
    (activity) => activity.type === 'assess' && contained !== undefined && activity.eventId < contained.activity.eventId,
  );
  const containedAt = (sweep.at(-1)?.args[0] as AssessInput | undefined)?.containedAt;
  const rotatedAt = judgements.find(({ result }) => result.rotated === 'yes')?.activity.endedAt;
  return {
    ...(leakedAt && { leakedAt }),
    ...(seenAt && { seenAt }),
    reportedAt: facts.startedAt,
    ...(firstChangeAt && { firstChangeAt }),
    ...(containedAt && { containedAt }),
    ...(rotatedAt && { rotatedAt }),
    ...(facts.endedAt && { endedAt: facts.endedAt }),
  };
}

function timelineOf(facts: HistoryFacts, entries: readonly { hash: Hash; record: AnyRecord }[]): IncidentReport['timeline'] {
  const lines = entries.map(({ hash, record }) => ({ at: record.at, who: whoOf(record), what: wordsOf(record), record: hash }));
  const ends = facts.endedAt ? [{ at: facts.endedAt, who: 'engine', what: `the run ended: ${facts.end}` }] : [];
  // A stable sort: what bears the same time stays in the order of the chain.
  return [{ at: facts.startedAt, who: 'engine', what: 'the run began' }, ...lines, ...ends].sort(
    (a, b) => Date.parse(a.at) - Date.parse(b.at),
  );
}

function whoOf(record: AnyRecord): string {
  if (record.type === 'report') return record.body.report.reporter;
  if (record.type === 'decision') return record.body.ruling.by || 'unknown';
  return record.by;
}

function wordsOf(record: AnyRecord): string {
  switch (record.type) {
    case 'report':
      return `reported it: ${record.body.report.format}, seen in a ${record.body.report.origin.where}, ${record.body.proof}`;
    case 'inventory':
      return `inventory: ${record.body.consumers.length} consumers, ${record.body.stores.length} stores, exposure ${record.body.exposure}`;
    case 'finding':
      return `looked at ${record.body.provider}/${record.body.account}: live ${record.body.live.state}, ${record.body.descendants.length} descendants stand`;
    case 'snapshot':
      return `captured ${Object.keys(record.body.befores).length} before-states`;
    case 'assessment':
      return `assessed: proof ${record.body.proof}, exposure ${record.body.exposure}, ${record.body.fresh.length} new in the graph, swept ${record.body.swept.state}`;
    case 'verdict':
      return `policy: rule "${record.body.rule}" says ${record.body.mode}, because ${record.body.reason}`;
    case 'plan':
      return record.body.steps.length === 0
        ? `planned nothing: ${record.body.notes.join(' ')}`
        : `planned ${record.body.steps.length} steps to ${record.body.purpose}`;
    case 'gate':
      return `gate ${record.body.gate} ${record.body.event}; deadline ${record.body.deadlineAt}, silence means ${record.body.onSilence}`;
    case 'decision':
      return `${record.body.ruling.verdict} of ${record.body.ruling.gate || 'nothing named'}: ${record.body.ruling.accepted ? 'accepted' : `refused (${record.body.ruling.code ?? ''})`}, ${record.body.ruling.why}`;
    case 'step':
      return `${record.body.direction} ${record.body.step} (${record.body.action}): ${record.body.failure ? `failed, ${record.body.failure.words}` : `${record.body.outcome}, in effect ${record.body.observation.state}`}`;
    case 'refusal':
      return `refused ${record.body.attempted}: ${record.body.words} (${record.body.code})`;
    case 'self':
      return `${record.body.provider}/${record.body.account} stands on ${record.body.things.length} things`;
    case 'review':
      return `reviewed: ${record.body.state}, contained ${record.body.contained}, rotated ${record.body.rotated}`;
  }
}

function stepOf(plans: readonly { hash: Hash; record: RecordAs<'plan'> }[], plan: Hash, id: string): PlanStep | undefined {
  return plans.find((each) => each.hash === plan)?.record.body.steps.find((step) => step.id === id);
}

function consumersOf(
  inventory: readonly Consumer[],
  plans: readonly Plan[],
  steps: readonly RecordAs<'step'>[],
): IncidentReport['consumers'] {
  const effective = (id: string | undefined): string | undefined =>
    steps.find(({ body }) => body.step === id && body.direction === 'apply' && !body.failure)?.body.clocks?.effectiveAt;
  const consumers = [...new Map(inventory.map((consumer) => [consumer.id, consumer])).values()];
  return consumers.map((consumer) => {
    const base = { consumer: consumer.id, name: consumer.name, owner: consumer.owner };
    const predictions = plans.flatMap((plan) => plan.predicted.filter((each) => each.consumer === consumer.id));
    const prediction = predictions.find((each) => effective(each.fromStep) !== undefined) ?? predictions.at(-1);
    const seen = plans
      .flatMap((plan) => plan.steps)
      .filter((step) => step.action.endsWith('/watch-new-use') && step.target.consumer === consumer.id)
      .map((step) => effective(step.id))
      .find((at) => at !== undefined);
    if (prediction === undefined) {
      return {
        ...base,
        predicted: 'no outage',
        measured: seen ? `seen on the new credential at ${seen}` : 'not seen on a new credential yet',
      };
    }
    const predicted = {
      predicted: `${prediction.because}; ${prediction.seconds === undefined ? 'until a person acts' : `about ${prediction.seconds} s`}`,
      ...(prediction.seconds !== undefined && { predictedSeconds: prediction.seconds }),
    };
    const from = effective(prediction.fromStep);
    if (from === undefined) return { ...base, ...predicted, measured: `did not come about: ${prediction.fromStep} was not done` };
    const until = seen ?? effective(prediction.untilStep);
    if (until === undefined) return { ...base, ...predicted, measured: `from ${from}; not seen on a new credential yet` };
    const seconds = Math.max(0, Math.round((Date.parse(until) - Date.parse(from)) / 1000));
    return { ...base, ...predicted, measured: `from ${from} until ${until}`, measuredSeconds: seconds };
  });
}

/** Names as the frameworks have them: OWASP Non-Human Identities Top 10 of 2025, NIST CSF 2.0, NIST AI RMF 1.0. */
function mappingOf(contained: string, rotated: string, decisions: number): IncidentReport['mapping'] {
  return [
    {
      framework: 'OWASP Non-Human Identities Top 10',
      control: 'NHI1:2025 Improper Offboarding',
      how: `The leaked identity is taken out of service with all that derives from it; contained: ${contained}, replaced: ${rotated}. Residuals are dated or accepted by name.`,
    },
    {
      framework: 'OWASP Non-Human Identities Top 10',
      control: 'NHI2:2025 Secret Leakage',
      how: 'The sighting, its proof and every place it was seen in stand in the record; the secret itself does not.',
    },
    {
      framework: 'NIST CSF 2.0',
      control: 'RS.MI-01 Incidents are contained',
      how: `Contained: ${contained}. Each control was probed after it was applied, and the time it took effect is given.`,
    },
    {
      framework: 'NIST CSF 2.0',
      control: 'RS.MI-02 Incidents are eradicated',
      how: `Replaced: ${rotated}. Sweeps went on until one found nothing new past the last containment.`,
    },
    {
      framework: 'NIST AI RMF 1.0',
      control:
        'MANAGE 2.4 (mechanisms to supersede, disengage or deactivate) and MANAGE 4.3 (incidents are tracked, responded to, recovered from and documented)',
      how: `Applies where the holder is an agent or autonomous workload: its credential is the means to disengage it. ${decisions} decisions by people are recorded with their signatures.`,
    },
  ];
}

function span(what: string, from: string | undefined, to: string | undefined): Span {
  if (from === undefined || to === undefined) return { what, ...(from && { from }), ...(to && { to }) };
  return { what, from, to, seconds: Math.round((Date.parse(to) - Date.parse(from)) / 100) / 10 };
}

function earliest(times: readonly string[]): string | undefined {
  return [...times].filter((at) => !Number.isNaN(Date.parse(at))).sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}

function saying(observation: Observation): string {
  const words = observation.state === 'unknown' ? observation.why : observation.evidence;
  return `${observation.state} (${observation.source}, ${observation.at}): ${words}`;
}

/** The JSON file of a report. */
export function reportJson(report: IncidentReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

const style = `
body{font:15px/1.45 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #bbb}
table{border-collapse:collapse;width:100%;font-size:.85rem}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #ddd;overflow-wrap:anywhere}
th{font-weight:600}.quiet{color:#555}.refused{color:#8a1c1c}code{font-size:.8rem}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
`.trim();

/** The page of a report: no script, nothing loaded from anywhere, fit to be printed. */
export function reportHtml(report: IncidentReport): string {
  const short = (hash: string): string => `<code title="${esc(hash)}">${esc(hash.replace('sha256:', '').slice(0, 12))}</code>`;
  const table = (heads: readonly string[], rows: readonly (readonly string[])[], none: string): string =>
    rows.length === 0
      ? `<p class="quiet">${esc(none)}</p>`
      : `<table><thead><tr>${heads.map((head) => `<th scope="col">${esc(head)}</th>`).join('')}</tr></thead><tbody>\n${rows
          .map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
          .join('\n')}\n</tbody></table>`;
  const section = (title: string, body: string): string => `<section><h2>${esc(title)}</h2>\n${body}\n</section>`;
  const target = (value: Readonly<Record<string, string>>): string =>
    esc(
      Object.entries(value)
        .map(([name, text]) => `${name} ${text}`)
        .join(', '),
    );
  const clock = report.clocks;
  const parts = [
    section(
      'Where it stands',
      table(
        ['', ''],
        [
          ['State', esc(report.state)],
          ['Contained', esc(report.contained)],
          ['Replaced', esc(report.rotated)],
          ['Rounds', esc(String(report.rounds))],
          ['Incident', `<code>${esc(report.incident)}</code>`],
          ['Run', `<code>${esc(report.run)}</code>`],
          ['Engine', `<code>${esc(report.engine)}</code>`],
          ['Head of the record', report.head ? `<code>${esc(report.head)}</code>` : 'none'],
        ],
        '',
      ),
    ),
    section(
      'Times',
      table(
        ['what', 'when'],
        [
          ['leaked', clock.leakedAt],
          ['first seen', clock.seenAt],
          ['reported', clock.reportedAt],
          ['first change', clock.firstChangeAt],
          ['contained', clock.containedAt],
          ['replaced', clock.rotatedAt],
          ['ended', clock.endedAt],
        ].map(([what, at]) => [esc(what ?? ''), esc(at ?? 'not known, or not yet')]),
        '',
      ) +
        table(
          ['span', 'seconds'],
          report.spans.map((each) => [esc(each.what), esc(each.seconds === undefined ? 'not known, or not yet' : String(each.seconds))]),
          '',
        ),
    ),
    section(
      'Sightings',
      table(
        ['reporter', 'by', 'where', 'proves', 'seen', 'record'],
        report.sightings.map((each) => [
          esc(each.reporter),
          esc(each.format),
          esc(each.where),
          esc(each.proof),
          esc(each.seenAt),
          short(each.record),
        ]),
        'None.',
      ),
    ),
    section(
      'What remains',
      table(
        ['what', 'of', 'until'],
        report.residuals.map((each) => [
          esc(each.what),
          esc(each.target),
          esc(each.until ?? `accepted by ${each.acceptedBy ?? 'nobody yet'}`),
        ]),
        'Nothing.',
      ),
    ),
    section(
      'Changes',
      table(
        [
          'round',
          'step',
          'target',
          'outcome',
          'accepted',
          'in effect',
          'last descendant dies',
          'in effect, and how we know',
          "provider's request ids",
          'record',
        ],
        report.changes.map((each) => [
          esc(String(each.round)),
          `${esc(`${each.direction === 'revert' ? 'undo: ' : ''}${each.title}`)}<br><code>${esc(each.action)}</code>`,
          target(each.target),
          esc(each.outcome),
          esc(each.clocks?.acceptedAt ?? ''),
          esc(each.clocks?.effectiveAt ?? ''),
          esc(each.clocks?.descendantsDieAt ?? ''),
          esc(each.inEffect),
          esc(each.requestIds.join(' ')),
          short(each.record),
        ]),
        'Nothing was changed.',
      ),
    ),
    section(
      'Consumers, predicted and measured',
      table(
        ['consumer', 'owner', 'predicted', 'measured', 'seconds predicted / measured'],
        report.consumers.map((each) => [
          esc(each.name),
          esc(each.owner),
          esc(each.predicted),
          esc(each.measured),
          esc(`${each.predictedSeconds ?? '–'} / ${each.measuredSeconds ?? '–'}`),
        ]),
        'The inventory knows of none.',
      ),
    ),
    section(
      'Decisions',
      table(
        ['when', 'who', 'what', 'gate', 'ruling', 'why', 'record'],
        report.decisions.map((each) => [
          esc(each.at),
          esc(each.by),
          esc(each.verdict),
          esc(each.gate),
          each.accepted ? 'accepted' : `<span class="refused">refused: ${esc(each.code ?? '')}</span>`,
          esc(each.why),
          short(each.record),
        ]),
        'None.',
      ) +
        table(
          ['when', 'gate', 'event', 'deadline', 'silence means', 'told'],
          report.gates.map((each) => [
            esc(each.at),
            esc(each.gate),
            esc(each.event),
            esc(each.deadlineAt),
            esc(each.onSilence),
            esc(each.told.join(', ')),
          ]),
          'No gate was opened.',
        ),
    ),
    section(
      'Refused without right',
      table(
        ['when', 'what', 'why', 'record'],
        report.refusals.map((each) => [esc(each.at), esc(each.attempted), esc(`${each.words} (${each.code})`), short(each.record)]),
        'Nothing.',
      ),
    ),
    section(
      'Credentials of this incident, as last seen',
      table(
        ['credential', 'accepted by its system'],
        report.credentials.map((each) => [esc(each.credential), esc(each.live)]),
        'None known.',
      ),
    ),
    section(
      'What the logs cannot show',
      report.blind.length === 0
        ? '<p class="quiet">No log was read.</p>'
        : `<ul>${report.blind.map((each) => `<li>${esc(each)}</li>`).join('')}</ul>`,
    ),
    section(
      'Frameworks',
      table(
        ['framework', 'control', 'how'],
        report.mapping.map((each) => [esc(each.framework), esc(each.control), esc(each.how)]),
        '',
      ),
    ),
    section(
      'Timeline',
      table(
        ['when', 'who', 'what', 'record'],
        report.timeline.map((each) => [esc(each.at), esc(each.who), esc(each.what), each.record ? short(each.record) : '']),
        '',
      ),
    ),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${esc(`Leak of ${report.title}`)}</title>
<style>${style}</style>
</head>
<body>
<h1>${esc(`Leak of ${report.title}`)}</h1>
<p class="quiet">Made from the signed records and the history alone. Verify it: <code>tourniquet audit verify</code>.</p>
${parts.join('\n')}
</body>
</html>
`;
}

function esc(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
