import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { History } from '../../audit/history.ts';
import { canonicalJson } from '../../domain/canonical.ts';
import { fault, registry } from '../../domain/errors.ts';
import { WorkflowName } from '../../domain/messages.ts';
import { type CommandDefinition, text } from '../command.ts';
import { release } from '../release.ts';
import { when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'audit replay',
  summary: 'Run the workflow code again over an exported history',
  description:
    'Takes the history of a run, as a bundle holds it (history.pb) or as `temporal workflow show --output json` writes it, and runs this release’s code over it in a process of its own without network. Tells what happened, and whether the code asks for exactly the activities that the history has. That is a check of determinism and of arguments, and none of truth: for that, verify the bundle.',
  arguments: [{ name: 'history', summary: 'a bundle, its history.pb, or JSON' }],
  options: [{ flags: '--codec <file>', summary: 'codec.json, where the payloads are still encrypted' }],
  exits: [4],
  examples: [
    'tourniquet audit replay evidence/history.pb',
    'temporal workflow show -w leak/3f9a… --output json > h.json; tourniquet audit replay h.json --codec keys/operator/codec.json',
  ],
  async run(call) {
    const { decodeHistory, encodeHistory, readHistory } = await import('../../audit/history.ts');
    const { replayInChild } = await import('../../audit/replay.ts');
    const given = await historyOf(resolve(call.cwd, call.arguments[0] ?? ''));
    const codec = text(call, 'codec');
    let history = given;
    if (codec !== undefined) {
      const { EncryptionCodec, openKeyring } = await import('../../audit/codec.ts');
      const file = resolve(call.cwd, codec);
      if (!existsSync(file)) throw fault('key.missing', { file });
      history = await decodeHistory(given, [new EncryptionCodec(openKeyring(file))]);
    }
    const facts = readHistory(history);
    if (facts.workflowType !== WorkflowName.LEAK_RESPONSE)
      throw fault('audit.broken', {
        file: call.arguments[0] ?? '',
        why: `it is the history of ${facts.workflowType}, and not of an incident`,
      });
    const { code, hash } = await release();
    const again = await replayInChild({ code, history: encodeHistory(history), workflowId: facts.workflowId });
    const problems = again.error === undefined ? differences(facts.activities, again.scheduled, facts.end !== undefined) : [again.error];
    const ok = problems.length === 0;
    const { terminal } = call;
    terminal.answer(
      {
        ok,
        code: hash,
        incident: facts.workflowId,
        run: facts.run,
        events: facts.events,
        startedAt: facts.startedAt,
        endedAt: facts.endedAt,
        end: facts.end,
        result: facts.result,
        activities: facts.activities,
        messages: facts.messages,
        problems,
      },
      [
        `${facts.workflowId}, run ${facts.run}`,
        `  from ${when(facts.startedAt)} to ${facts.endedAt === undefined ? 'now (it had not ended)' : `${when(facts.endedAt)}, ${facts.end ?? ''}`}; ${facts.events} events`,
        '',
        ...timeline(facts),
        '',
        ok
          ? `${terminal.paint('green', '✓ replays')}: this release asks for the same ${facts.activities.length} activities with the same arguments`
          : `${terminal.paint('red', '✕ does not replay')}: ${problems.slice(0, 5).join('; ')}`,
        `  code ${hash}`,
      ],
    );
    return ok ? 0 : registry['audit.broken'].exit;
  },
};

type Facts = ReturnType<typeof import('../../audit/history.ts').readHistory>;

function timeline(facts: Facts): string[] {
  const lines = [
    ...facts.messages.map((message) => ({ at: message.at, words: `${message.kind} ${message.name}` })),
    ...facts.activities.map((activity) => ({
      at: activity.scheduledAt,
      words: `${activity.type}: ${activity.state}${activity.failure === undefined ? '' : ` (${activity.failure.type})`}`,
    })),
  ];
  return lines.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)).map(({ at, words }) => `  ${when(at)}  ${words}`);
}

function differences(
  before: Facts['activities'],
  again: readonly { readonly type: string; readonly args: readonly unknown[] }[],
  ended: boolean,
): string[] {
  const problems: string[] = [];
  if (again.length < before.length || (ended && again.length > before.length))
    problems.push(`it asks for ${again.length} activities, and the history has ${before.length}`);
  before.forEach((activity, index) => {
    const asked = again[index];
    if (asked === undefined) return;
    if (asked.type !== activity.type) problems.push(`event ${activity.eventId} is ${activity.type}, and the code asks for ${asked.type}`);
    else if (canonicalJson(asked.args) !== canonicalJson(activity.args))
      problems.push(`event ${activity.eventId}: ${activity.type} was asked with other arguments`);
  });
  return problems;
}

async function historyOf(given: string): Promise<History> {
  const path = existsSync(given) && statSync(given).isDirectory() ? join(given, 'history.pb') : given;
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw fault((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file.missing' : 'file.unreadable', { file: path }, cause);
  }
  const { parseHistory } = await import('../../audit/history.ts');
  if (bytes.subarray(0, 2).toString('latin1') === 'PK') {
    const { BundleFile, unpackBundle } = await import('../../audit/bundle.ts');
    return parseHistory(unpackBundle(new Uint8Array(bytes)).get(BundleFile.HISTORY) ?? new Uint8Array());
  }
  // Protobuf of a history begins with the tag of its first field; JSON begins with a brace.
  if (!/^\s*\{/.test(bytes.subarray(0, 20).toString('latin1'))) return parseHistory(new Uint8Array(bytes));
  const { readJson } = await import('../../intake/json.ts');
  const read = readJson(bytes.toString('utf8'));
  if (!read.ok) throw fault('file.syntax', { file: path, ...read.place, problem: read.words });
  const { historyFromJsonValue } = await import('../../audit/history-json.ts');
  try {
    return historyFromJsonValue(read.value) as History;
  } catch (cause) {
    throw fault('audit.broken', { file: path, why: 'it is JSON, and no history' }, cause);
  }
}
