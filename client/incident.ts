import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { hashOf } from '../domain/canonical.ts';
import type { Decision, DecisionRuling, SignedDecision } from '../domain/decision.ts';
import { type ErrorCode, fault, registry } from '../domain/errors.ts';
import { judgeQueue } from '../domain/manifest.ts';
import {
  type ExportInput,
  type ExportResult,
  type FinishRequest,
  type FinishResult,
  type IncidentResult,
  type IncidentStatus,
  QueryName,
  UpdateName,
  WorkflowName,
} from '../domain/messages.ts';
import type { Plan } from '../domain/plan.ts';
import type { ChainEntry } from '../domain/record.ts';
import { isEnded } from '../domain/states.ts';
import type { ClientContext } from './context.ts';
import { faultOf, isPassing } from './faults.ts';
import { wait } from './wait.ts';

export interface WatchOptions {
  /** Milliseconds between looks; 500 where it is not said. */
  readonly everyMs?: number;
  /** Ends the watch without an error. */
  readonly signal?: AbortSignal;
}

/** One incident. Every call may throw `engine.not-found`, `engine.unavailable` or `engine.denied`; nothing is looked up before the first call. */
export interface IncidentClient {
  /** The workflow id, `leak/` and the fingerprint. */
  readonly id: string;
  /** Where the incident stands, as its workflow says. */
  status(): Promise<IncidentStatus>;
  /** The present plan with the hash that a decision signs; undefined while there is none yet. */
  plan(): Promise<{ readonly plan: Plan; readonly hash: string } | undefined>;
  /** The chain of records so far. */
  chain(): Promise<readonly ChainEntry[]>;
  /**
   * Hands in a signed decision and waits for the ruling. A refused decision is a ruling as well, and stands in the record. The same decision sent again
   * after a lost answer gives the same ruling.
   */
  decide(signed: SignedDecision): Promise<DecisionRuling>;
  /** As {@link decide}, for a decision whose verdict is `rollback`; refuses to send any other. */
  rollback(signed: SignedDecision): Promise<DecisionRuling>;
  /**
   * Says that a stuck step has been finished by hand. The provider's worker looks whether anything of it still stands, and only what it sees ends the step; otherwise the
   * answer says why not, and the step stays stuck.
   */
  finish(step: string): Promise<FinishResult>;
  /** Yields the status now and after every change, until the run has ended. A server or judge that is away is waited for. */
  watch(options?: WatchOptions): AsyncIterable<IncidentStatus>;
  /**
   * Has the judge write the run's bundle into the store, and answers where it lies. Of a run that has ended it is the one made at its end; of one that
   * goes on it is made as the run stands, and says so.
   */
  exported(): Promise<ExportResult>;
  /** Waits for the end. A server that is away is waited for; a run that failed or was terminated throws `engine.unexpected`. */
  result(options?: { readonly signal?: AbortSignal }): Promise<IncidentResult>;
}

export function incidentClient(context: ClientContext, id: string, run?: string): IncidentClient {
  const handleOf = (of: string | undefined): WorkflowHandle => context.temporal.workflow.getHandle(id, of);
  const look = async (of: string | undefined): Promise<IncidentStatus> => {
    const answer = await handleOf(of).query<IncidentStatus>(QueryName.STATUS);
    if (!isStatus(answer)) throw fault('engine.undecodable', { incident: id, what: 'status' });
    return answer;
  };
  const asked = async <T>(attempted: string, ask: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      throw faultOf(error, { incident: id, attempted });
    }
  };

  const decide = async (signed: SignedDecision): Promise<DecisionRuling> => {
    const content = contentOf(signed);
    try {
      return await handleOf(run).executeUpdate<DecisionRuling, [SignedDecision]>(UpdateName.DECIDE, {
        args: [signed],
        // Of the whole envelope: an id alone could be borrowed by a forgery sent first, which would then take the answer.
        updateId: hashOf(signed),
      });
    } catch (error) {
      const refused = refusedByShape(error, content);
      if (refused !== undefined) return refused;
      if (error instanceof WorkflowNotFoundError) throw await gone(error);
      throw faultOf(error, { incident: id, attempted: 'decide' });
    }
  };
  /** Tells an incident that has ended from one that never was: the server says the same of both. */
  const gone = async (error: unknown) => {
    const there = await handleOf(run)
      .describe()
      .catch(() => undefined);
    return there === undefined
      ? faultOf(error, { incident: id })
      : fault('decision.no-such-gate', { incident: id, why: 'the incident has ended' }, error);
  };

  return {
    id,
    status: () => asked('status', () => look(run)),
    async plan() {
      const { plan, planHash } = await asked('plan', () => look(run));
      return plan === undefined || planHash === undefined ? undefined : { plan, hash: planHash };
    },
    chain: () => asked('chain', () => handleOf(run).query<readonly ChainEntry[]>(QueryName.CHAIN)),
    decide,
    async rollback(signed) {
      const content = contentOf(signed);
      if (content !== undefined && content.verdict !== 'rollback')
        throw fault('usage.invalid', { expected: 'a rollback', found: String(content.verdict) });
      return decide(signed);
    },
    finish: (step) =>
      asked(
        'finish',
        async () => await handleOf(run).executeUpdate<FinishResult, [FinishRequest]>(UpdateName.FINISH, { args: [{ step }] }),
      ),
    async *watch({ everyMs = 500, signal }: WatchOptions = {}) {
      let watched = run;
      let seen: string | undefined;
      let unchanged = 0;
      let away = 0;
      while (!signal?.aborted) {
        let status: IncidentStatus | undefined;
        try {
          status = await look(watched);
          away = 0;
        } catch (error) {
          // The server or the judge is being restarted: the run goes on without them, and so does the watch. What was never there is not waited for.
          const passing = isPassing(error) || faultOf(error, {}).code === 'engine.unavailable';
          if (!passing || (seen === undefined && away >= 8)) throw faultOf(error, { incident: id, attempted: 'watch' });
          away += 1;
        }
        if (status !== undefined) {
          // A later report may start another run of the same id; this watch stays with the one it began with.
          watched ??= status.run;
          const mark = `${status.run}/${status.revision}/${status.state}`;
          if (mark !== seen) {
            seen = mark;
            unchanged = 0;
            yield status;
          } else unchanged += 1;
          if (isEnded(status.state)) return;
          if (unchanged > 0 && unchanged % 20 === 0) await refuseIfStopped(watched);
        }
        await wait(away > 0 ? Math.min(5000, 250 * 2 ** Math.min(away, 5)) : everyMs, signal);
      }
    },
    exported: () =>
      asked('export', async () => {
        const described = await handleOf(run).describe();
        const open = described.status.name === 'RUNNING';
        // The archive that the run itself started has this id; one asked for meanwhile has another, so that neither keeps the other from being made.
        const workflowId = open ? `archive/${described.runId}/${Date.now()}` : `archive/${described.runId}`;
        const archive = await context.temporal.workflow
          .start(WorkflowName.ARCHIVE, {
            workflowId,
            taskQueue: judgeQueue,
            args: [{ incident: id, run: described.runId, untilEnded: !open } satisfies ExportInput],
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
          })
          .catch((error: unknown) => {
            if (error instanceof WorkflowExecutionAlreadyStartedError) return context.temporal.workflow.getHandle(workflowId);
            throw error;
          });
        return (await archive.result()) as ExportResult;
      }),
    async result({ signal } = {}) {
      for (let pause = 250; ; pause = Math.min(pause * 2, 5000)) {
        try {
          return (await handleOf(run).result()) as IncidentResult;
        } catch (error) {
          if (error instanceof WorkflowFailedError)
            throw fault('engine.unexpected', { incident: id, why: 'the run failed or was stopped' }, error);
          if (!isPassing(error) || signal?.aborted) throw faultOf(error, { incident: id, attempted: 'result' });
          await wait(pause, signal);
        }
      }
    },
  };

  async function refuseIfStopped(of: string | undefined): Promise<void> {
    const described = await handleOf(of)
      .describe()
      .catch(() => undefined);
    const name = described?.status.name;
    if (name !== undefined && name !== 'RUNNING' && name !== 'COMPLETED') {
      throw fault('engine.unexpected', { incident: id, why: `the run was stopped from outside: ${name.toLowerCase()}` });
    }
  }
}

function isStatus(value: unknown): value is IncidentStatus {
  return typeof value === 'object' && value !== null && 'revision' in value && 'state' in value && typeof value.state === 'string';
}

/** What a decision says, unverified; undefined where it cannot be read, which is for the engine to rule on. */
export function contentOf(signed: SignedDecision): Partial<Decision> | undefined {
  try {
    const content: unknown = JSON.parse(Buffer.from(signed.payload, 'base64').toString('utf8'));
    return typeof content === 'object' && content !== null ? (content as Partial<Decision>) : undefined;
  } catch {
    return undefined;
  }
}

/** The workflow's validator refuses what has not the shape of a decision, without a record; to the caller that is a refusal like any other. */
function refusedByShape(error: unknown, content: Partial<Decision> | undefined): DecisionRuling | undefined {
  if (!(error instanceof WorkflowUpdateFailedError)) return undefined;
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure) || typeof cause.type !== 'string' || !(cause.type in registry)) return undefined;
  return {
    accepted: false,
    code: cause.type as ErrorCode,
    why: cause.message,
    id: content?.id ?? '',
    by: content?.by ?? 'unknown',
    verdict: content?.verdict ?? 'unreadable',
    gate: content?.gate ?? '',
  };
}
