import { bytesOf, textOf } from '../../audit/bundle.ts';
import type { ClaimKind } from '../../audit/verify.ts';
import { readDecision } from '../../domain/authority.ts';
import { hashOf } from '../../domain/canonical.ts';
import { parsePolicy } from '../../domain/policy.schema.ts';
import type { Envelope } from '../../domain/record.ts';
import { type Forgery, type Mutable, valueIn } from './forger.ts';

/** What an attack may take from elsewhere: other honest incidents, and what a judge of the same engine once signed for another one. */
export interface Elsewhere {
  readonly other: Forgery;
  /** The same engine's judge signing what it would sign in another incident; nothing of this one. */
  readonly signedElsewhere: (record: Mutable) => Envelope;
}

export interface Attack {
  /** Which honest incident it is done to. */
  readonly on: 'internal' | 'closed';
  /** The claim that fails though a judge signed the list of files. */
  readonly claim: ClaimKind;
  readonly make: (forgery: Forgery, elsewhere: Elsewhere) => void;
}

const hour = 3_600_000;
const earlier = (at: string, ms = hour): string => new Date(Date.parse(at) - ms).toISOString();
const accepted = (verdict: string) => (record: Mutable) => record.body.ruling.accepted && record.body.ruling.verdict === verdict;
const applied = (action: string) => (record: Mutable) =>
  record.body.action === action && record.body.direction === 'apply' && record.body.outcome;

/** Takes a record out with the activity that left it. */
function erase(f: Forgery, entry: ReturnType<Forgery['find']>): void {
  f.drop(entry);
  f.dropActivity((result) => JSON.stringify(result ?? null).includes(entry.was));
}

/** Takes a decision out whole: its record, its ruling, and the message it came by. */
function eraseDecision(f: Forgery, entry: ReturnType<Forgery['find']>): void {
  erase(f, entry);
  const signed = JSON.stringify(entry.record.body.signed);
  const updates = new Set<number>();
  f.dropEvents((event) => {
    const input = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.args?.payloads?.[0];
    const signal = event.workflowExecutionSignaledEventAttributes?.input?.payloads?.[0];
    const came = JSON.stringify(valueIn(input ?? signal) ?? null) === signed;
    if (came && input) updates.add(Number(event.eventId));
    return came;
  });
  f.dropEvents((event) => updates.has(Number(event.workflowExecutionUpdateCompletedEventAttributes?.acceptedEventId ?? -1)));
}

export const attacks: Readonly<Record<string, Attack>> = {
  'an approver who never approved': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      const entry = f.find('decision', accepted('approve'));
      f.edit(entry, (record) => {
        record.body.decision = { by: 'cleo' };
        record.body.ruling.by = 'cleo';
      });
    },
  },
  'an approver who never approved, in the history only': {
    on: 'internal',
    claim: 'results',
    make: (f) =>
      f.say((value, event) => {
        if (event.activityTaskCompletedEventAttributes && value?.verdict === 'approve' && value.accepted) value.by = 'cleo';
      }),
  },
  'an approval out of a refusal': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      const entry = f.find('decision', (record) => !record.body.ruling.accepted);
      f.edit(entry, (record) => {
        record.body.ruling = { ...record.body.ruling, accepted: true, why: 'as agreed', missing: 0 };
        delete record.body.ruling.code;
      });
    },
  },
  'the answer to an update says accepted': {
    on: 'internal',
    claim: 'results',
    make: (f) =>
      f.say((value, event) => {
        if (event.workflowExecutionUpdateCompletedEventAttributes && value?.accepted === false) {
          value.accepted = true;
          delete value.code;
        }
      }),
  },
  'another probe result of a step': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      f.edit(f.find('step', applied('aws/disable-key')), (record) => {
        record.body.observation = { ...record.body.observation, state: 'yes', evidence: 'seen in effect by everybody' };
      });
    },
  },
  'another finding: it was dead already': {
    on: 'closed',
    claim: 'records',
    make: (f) => {
      const { at } = f.find('finding').record;
      f.edit(f.find('finding'), (record) => {
        record.body.live = { state: 'no', at, source: 'administrator', evidence: 'listed as Inactive' };
      });
    },
  },
  'another finding, in the history only': {
    on: 'closed',
    claim: 'results',
    make: (f) =>
      f.say((value, event) => {
        if (event.activityTaskCompletedEventAttributes && value?.finding && value.snapshot)
          value.live = { ...value.live, state: 'no', evidence: 'gone' };
      }),
  },
  'changed turned into already': {
    on: 'closed',
    claim: 'records',
    make: (f) => {
      f.edit(f.find('step', applied('aws/disable-key')), (record) => {
        record.body.outcome = 'already';
      });
    },
  },
  'changed turned into already, in the history only': {
    on: 'closed',
    claim: 'results',
    make: (f) =>
      f.say((value, event) => {
        if (event.activityTaskCompletedEventAttributes && value?.outcome === 'changed') value.outcome = 'already';
      }),
  },
  'a change an hour earlier': {
    on: 'closed',
    claim: 'records',
    make: (f) => {
      f.edit(f.find('step', applied('aws/disable-key')), (record) => {
        for (const name of ['acceptedAt', 'effectiveAt']) record.body.clocks[name] = earlier(record.body.clocks[name]);
        record.at = earlier(record.at);
      });
    },
  },
  'a decision dated back': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      f.edit(f.find('decision', accepted('approve')), (record) => {
        const read = readDecision(record.body.signed);
        if (read.ok) record.body.decision = { issuedAt: earlier(read.decision.issuedAt) };
        record.body.receivedAt = earlier(record.body.receivedAt);
        record.at = earlier(record.at);
      });
    },
  },
  'everything an hour earlier, in the history only': { on: 'closed', claim: 'times', make: (f) => f.shift(-3600, () => true) },
  'the end of the run an hour earlier': {
    on: 'closed',
    claim: 'times',
    make: (f) => f.shift(-3600, (event) => event.workflowExecutionCompletedEventAttributes != null),
  },
  'a gate that was open longer': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      f.edit(
        f.find('gate', (record) => record.body.event === 'opened'),
        (record) => {
          record.at = earlier(record.at);
          record.body.at = earlier(record.body.at);
        },
      );
    },
  },
  'a reminder out of a question, to nobody': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      f.edit(
        f.find('gate', (record) => record.body.event === 'opened'),
        (record) => {
          record.body.event = 'defaulted';
          record.body.told = [];
        },
      );
    },
  },
  'a question removed': {
    on: 'internal',
    claim: 'order',
    make: (f) =>
      erase(
        f,
        f.find('gate', (record) => record.body.event === 'opened'),
      ),
  },
  'a step removed': { on: 'closed', claim: 'standing', make: (f) => erase(f, f.find('step', applied('aws/disable-key'))) },
  'the last step removed': {
    on: 'closed',
    claim: 'chain',
    make: (f) => {
      const last = f.of('step').at(-1);
      if (last) erase(f, last);
    },
  },
  'the removal of a step that nothing needs': {
    on: 'internal',
    claim: 'replay',
    make: (f) => {
      const needed = new Set(f.entries.flatMap((entry) => entry.record.standsOn));
      const loose = f.of('step').find((entry) => !needed.has(entry.was));
      if (!loose) throw new Error('each step is needed by another');
      erase(f, loose);
    },
  },
  'a plan with a step less': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      const plan = f.find('plan', (record) => record.body.steps.length > 2);
      const step = plan.record.body.steps.at(-1);
      f.edit(plan, (record) => record.body.steps.pop());
      for (const entry of f.of('step')) if (entry.record.body.step === step.id) erase(f, entry);
    },
  },
  'a plan with a step less, in the history only': {
    on: 'internal',
    claim: 'results',
    make: (f) =>
      f.say((value, event) => {
        if (event.activityTaskCompletedEventAttributes && value?.content?.steps) value.content.steps.pop();
      }),
  },
  'a plan with a gate less': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      f.edit(
        f.find('plan', (record) => record.body.gates.length > 0),
        (record) => {
          record.body.gates = [];
          for (const step of record.body.steps) delete step.gate;
        },
      );
    },
  },
  'another policy under the name of the one that was used': {
    on: 'internal',
    claim: 'plans',
    make: (f) => {
      const path = [...f.files.keys()].find((each) => each.startsWith('policies/')) ?? '';
      f.files.set(path, bytesOf((textOf(f.files.get(path)) ?? '').replace(/deadline: \w+/, 'deadline: 99h')));
    },
  },
  'another policy under its own name': {
    on: 'internal',
    claim: 'records',
    make: (f) => {
      const path = [...f.files.keys()].find((each) => each.startsWith('policies/')) ?? '';
      const text = (textOf(f.files.get(path)) ?? '').replace(/deadline: \w+/, 'deadline: 99h');
      const hash = hashOf(parsePolicy(text, path));
      f.files.delete(path);
      f.files.set(`policies/${hash.slice(7)}.yaml`, bytesOf(text));
      f.rename(`sha256:${path.slice(9, -5)}`, hash);
    },
  },
  'another policy beside the one that was used': {
    on: 'internal',
    claim: 'coverage',
    make: (f) => f.files.set(`policies/${'0'.repeat(64)}.yaml`, bytesOf('v: 1\n')),
  },
  'a decision from another engine': {
    on: 'internal',
    claim: 'records',
    make: (f, { other }) => f.instead(f.find('decision', accepted('approve')), other.find('decision', accepted('approve')).envelope),
  },
  'a decision that the same judge accepted in another incident': {
    on: 'internal',
    claim: 'records',
    make: (f, { signedElsewhere }) => {
      const entry = f.find('decision', accepted('approve'));
      f.instead(entry, signedElsewhere({ ...entry.record, incident: `leak/${'e'.repeat(64)}` }));
    },
  },
  'a decision that the same judge accepted in an earlier run': {
    on: 'internal',
    claim: 'records',
    make: (f, { signedElsewhere }) => {
      const entry = f.find('decision', accepted('approve'));
      f.instead(entry, signedElsewhere({ ...entry.record, run: '00000000-0000-4000-8000-000000000000' }));
    },
  },
  'a decision of an earlier round of the same run': {
    on: 'internal',
    claim: 'results',
    make: (f, { signedElsewhere }) => {
      const entry = f.find('decision', accepted('approve'));
      f.instead(entry, signedElsewhere({ ...entry.record, round: entry.record.round + 1 }));
    },
  },
  'a refused decision hidden': {
    on: 'internal',
    claim: 'order',
    make: (f) =>
      eraseDecision(
        f,
        f.find('decision', (record) => !record.body.ruling.accepted),
      ),
  },
  'a refused message hidden': {
    on: 'internal',
    claim: 'order',
    make: (f) => {
      const entry = f.find('refusal');
      f.drop(entry);
      f.say((value) => {
        if (Array.isArray(value?.refusals)) value.refusals = value.refusals.filter((hash: string) => hash !== entry.was);
      });
    },
  },
  'the date of a residual moved': {
    on: 'closed',
    claim: 'records',
    make: (f) => {
      f.edit(
        f.find('step', (record) => record.body.residual?.until),
        (record) => {
          record.body.residual.until = earlier(record.body.residual.until, 30 * hour);
        },
      );
    },
  },
  'the date of a residual moved, in the history only': {
    on: 'closed',
    claim: 'results',
    make: (f) =>
      f.say((value) => {
        if (value?.residual?.until) value.residual.until = earlier(value.residual.until, 30 * hour);
      }),
  },
  'the end of the run says something else': {
    on: 'closed',
    claim: 'chain',
    make: (f) =>
      f.say((value, event) => {
        if (event.workflowExecutionCompletedEventAttributes) Object.assign(value, { state: 'dismissed', contained: 'no' });
      }),
  },
  'the review says something else': {
    on: 'closed',
    claim: 'records',
    make: (f) => f.edit(f.find('review'), (record) => Object.assign(record.body, { contained: 'yes', rotated: 'yes', blind: [] })),
  },
  'a sighting dropped': {
    on: 'internal',
    claim: 'standing',
    make: (f) => {
      const second = f.of('report').at(-1);
      if (!second || f.of('report').length < 2) throw new Error('there is one sighting only');
      const { id } = second.record.body.report;
      f.drop(second);
      f.dropEvents((event) =>
        JSON.stringify(valueIn(event.workflowExecutionSignaledEventAttributes?.input?.payloads?.[0]) ?? null).includes(id),
      );
      f.say((value) => {
        for (const name of ['reports', 'earlier'])
          if (Array.isArray(value?.[name])) value[name] = value[name].filter((hash: string) => hash !== second.was);
        if (Array.isArray(value?.sightings)) value.sightings = value.sightings.filter((each: Mutable) => each.report.id !== id);
      });
    },
  },
  'a reporter renamed': {
    on: 'internal',
    claim: 'records',
    make: (f) => f.edit(f.find('report'), (record) => Object.assign(record.body.report, { reporter: 'nobody' })),
  },
  'another credential': { on: 'closed', claim: 'records', make: (f) => f.rename('AKIARTX3GSDSQLEAKED2', 'AKIARTX3GSDSQLEAKED3') },
  'a finding of another incident': {
    on: 'internal',
    claim: 'records',
    make: (f, { other }) => f.instead(f.find('finding'), other.find('finding').envelope),
  },
  'all steps of another incident': {
    on: 'internal',
    claim: 'records',
    make: (f, { other }) => {
      const theirs = other.of('step');
      f.of('step').forEach((entry, index) => {
        const envelope = theirs[index]?.envelope;
        if (envelope) f.instead(entry, envelope);
      });
    },
  },
  'an older finding of the same run in the place of a newer one': {
    on: 'internal',
    claim: 'coverage',
    make: (f) => {
      const [first, second] = f.of('finding');
      if (first && second) f.instead(second, first.envelope);
    },
  },
  'an older snapshot of the same run in the place of a newer one': {
    on: 'internal',
    claim: 'coverage',
    make: (f) => {
      const [first, second] = f.of('snapshot');
      if (first && second) f.instead(second, first.envelope);
    },
  },
  'the record of one step for that of another': {
    on: 'internal',
    claim: 'results',
    make: (f) => {
      const [first, second] = f.of('step');
      if (!first || !second) throw new Error('there are two steps');
      const [one, two] = [first.envelope, second.envelope];
      f.instead(first, two);
      f.instead(second, one);
    },
  },
  'the incident renamed': {
    on: 'closed',
    claim: 'records',
    make: (f) => f.rename(f.entries[0]?.record.incident, `leak/${'d'.repeat(64)}`),
  },
  'the run renamed': {
    on: 'closed',
    claim: 'records',
    make: (f) => f.rename(f.entries[0]?.record.run, '00000000-0000-4000-8000-000000000000'),
  },
  'the engine renamed': { on: 'closed', claim: 'records', make: (f) => f.rename(f.trust.engine, 'eng_0000000000000000') },
  'a record twice': { on: 'internal', claim: 'coverage', make: (f) => f.duplicate(f.find('step')) },
  'two records of the chain swapped': {
    on: 'internal',
    claim: 'order',
    make: (f) => {
      const [first, second] = f.of('step');
      if (first && second) f.swap(first, second);
    },
  },
  'the chain backwards': { on: 'internal', claim: 'order', make: (f) => f.reorder([...f.entries].reverse()) },
  'the request ids of the provider made up': {
    on: 'closed',
    claim: 'records',
    make: (f) =>
      f.edit(f.find('step', applied('aws/disable-key')), (record) => Object.assign(record.body, { requestIds: ['req-made-up'] })),
  },
  'an argument of an activity': {
    on: 'internal',
    claim: 'replay',
    make: (f) =>
      f.say((value, event) => {
        if (event.activityTaskScheduledEventAttributes?.activityType?.name === 'assess') value.exposedSince = '2026-11-20T00:00:00.000Z';
      }),
  },
};
