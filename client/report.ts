import { defineSearchAttributeKey, SearchAttributeType, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import { hashOf } from '../domain/canonical.ts';
import { incidentId } from '../domain/credential.ts';
import { fault } from '../domain/errors.ts';
import { judgeQueue } from '../domain/manifest.ts';
import { SearchAttribute, SignalName, WorkflowName } from '../domain/messages.ts';
import { type Envelope, PayloadType } from '../domain/record.ts';
import { reportSchema } from '../domain/report.schema.ts';
import type { IssuerWord, Report, SealedRef, Sighting } from '../domain/report.ts';
import { IncidentState } from '../domain/states.ts';
import type { ReportDraft } from '../intake/index.ts';
import { holdsSecret } from '../intake/issuer.ts';
import type { ClientContext } from './context.ts';
import { faultOf, isPassing } from './faults.ts';
import { wait } from './wait.ts';

/** What a reporter learns: the incident's id, which follows from the report alone, and that it was received. Nothing about the credential. */
export interface Received {
  readonly id: string;
  readonly received: true;
}

/** Signs a report as a person. The signer of `tourniquet-engine`'s key files fits. */
export interface ReportSigner {
  sign(payloadType: string, body: unknown): Envelope;
}

export interface ReportOptions {
  /** Who reports, where it is not whom the client stands for. */
  readonly reporter?: string;
  /** Signs the report, so that it counts as the person's and not as a mere claim. */
  readonly signer?: ReportSigner;
  /**
   * The issuer's webhook that the report was read from, as it came: its body to the byte, and the value of `X-Hub-Signature-256`. It makes the report the issuer's word. Refused
   * where the body holds a secret, since it would stand in a history.
   */
  readonly issuer?: IssuerWord;
}

/**
 * The report's idempotency key: of all that it says except when it was seen and how its secret was sealed. The same finding from the same reporter has
 * the same id however often it is sent; another place, another tool or another reporter makes it another sighting.
 */
export function reportId(report: Omit<Report, 'id' | 'sealed' | 'seenAt'>): string {
  const { v, format, tool, credential, account, origin, reporter, claims, note } = report;
  const digits = hashOf({ v, format, tool, credential, account, origin, reporter, claims, note }).slice('sha256:'.length);
  // 26 characters of base 32 hold 130 bits of the hash; the alphabet has no letters that are mistaken for digits.
  const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
  let bits = BigInt(`0x${digits.slice(0, 33)}`) >> 2n;
  let id = '';
  for (let at = 0; at < 26; at += 1) {
    id = (alphabet[Number(bits & 31n)] ?? '0') + id;
    bits >>= 5n;
  }
  return `rpt_${id}`;
}

const state = defineSearchAttributeKey(SearchAttribute.STATE, SearchAttributeType.KEYWORD);
const kind = defineSearchAttributeKey(SearchAttribute.KIND, SearchAttributeType.KEYWORD);

/**
 * SECRET: seals the draft's secret, drops it, and sends the sighting: to the incident that runs for this credential, or to one that it starts. Without a
 * way to seal, a draft with a secret is refused rather than sent without.
 */
export async function sendReport(context: ClientContext, draft: ReportDraft | Report, options: ReportOptions = {}): Promise<Received> {
  const { secret, ...rest } = draft as ReportDraft & Partial<Report>;
  let sealed: SealedRef | undefined = rest.sealed;
  if (secret !== undefined) {
    if (context.seal === undefined) throw fault('report.no-secret-store', { kind: rest.credential.kind });
    sealed = await context.seal(secret, rest.credential, rest.account);
  }
  const { sealed: _, id, ...plain } = rest;
  const reporter = options.reporter ?? rest.reporter ?? context.reporter;
  const said = { ...plain, reporter };
  if (options.signer !== undefined && context.engine === undefined)
    throw fault('usage.invalid', { problem: 'a signed report names the engine that it is for: give the client `engine` or `seal`' });
  if (options.issuer !== undefined && holdsSecret(options.issuer.body))
    throw fault('report.entry-unusable', {
      problem: 'the body of the webhook holds a secret; report it sealed instead, which proves more',
    });
  const report = {
    ...said,
    id: id ?? reportId(said),
    ...(sealed === undefined ? {} : { sealed }),
    ...(options.signer === undefined || context.engine === undefined
      ? {}
      : { signed: { engine: context.engine, at: new Date().toISOString() } }),
  };
  const parsed = reportSchema.safeParse(report);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw fault('report.not-a-report', { at: issue?.path.join('.') ?? '', problem: issue?.message ?? 'of another form' });
  }
  const sighting: Sighting = {
    report: parsed.data,
    ...(options.signer === undefined ? {} : { signature: options.signer.sign(PayloadType.REPORT, parsed.data) }),
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
  };
  const workflowId = incidentId(parsed.data.credential);
  await startWithSighting(context, workflowId, sighting);
  return { id: workflowId, received: true };
}

/**
 * A server takes no second run of one id within a second of the first run's start, and it may be starting itself. Both pass, so both are waited for, up
 * to half a minute.
 */
async function startWithSighting(context: ClientContext, workflowId: string, sighting: Sighting): Promise<void> {
  const until = Date.now() + context.patienceMs;
  for (let pause = 250; ; pause = Math.min(pause * 2, 2000)) {
    try {
      await context.temporal.workflow.signalWithStart(WorkflowName.LEAK_RESPONSE, {
        workflowId,
        taskQueue: judgeQueue,
        signal: SignalName.SIGHTING,
        signalArgs: [sighting],
        args: [],
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        // What may prove something overtakes what cannot, where both wait at one queue. It has the first place there is, so that whoever lies about it comes beside it and not before it.
        priority: { priorityKey: sighting.signature || sighting.issuer || sighting.report.sealed ? 1 : 4 },
        typedSearchAttributes: [
          { key: state, value: IncidentState.ASSESSING },
          { key: kind, value: sighting.report.credential.kind },
        ],
      });
      return;
    } catch (error) {
      if (!isPassing(error) || Date.now() + pause > until) throw faultOf(error, { incident: workflowId, attempted: 'report' });
      await wait(pause);
    }
  }
}
