import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeHistory, type History, readHistory } from '../../audit/history.ts';
import { SignalName, UpdateName, WorkflowName } from '../../domain/messages.ts';
import { bundleNow, type WorkflowCode, workflowCode } from '../../workers/bundle.ts';
import { goldenNames, readGolden, readGoldenJson, readManifest } from './golden.ts';
import { misfits } from './replay.ts';
import { scenes } from './scenes.ts';

const names = goldenNames();
const { goldens } = readManifest();
const histories = new Map(names.map((name) => [name, readGolden(name)]));
const advice =
  'workflow code changed: run `npm run golden` (adds the new hash after all goldens replay; records new ones where the code path changed) or guard the change with patched()';
let now: WorkflowCode;

beforeAll(async () => {
  now = await workflowCode();
}, 60_000);

describe('the histories recorded from a real server', { timeout: 120_000 }, () => {
  it('replay with the workflow code as it is', async () => {
    const found = await misfits(now.code, histories);
    expect(
      [...found].map(([name, why]) => `${name}: ${why}`),
      advice,
    ).toEqual([]);
  });

  it('have been replayed with this very code before it was accepted', () => {
    const others = Object.entries(goldens).filter(([, { accepted }]) => accepted !== now.hash);
    expect(
      others.map(([name]) => name),
      advice,
    ).toEqual([]);
  });

  it('are those of the manifest, one at least for every scene', () => {
    expect(names).toEqual(Object.keys(goldens).sort());
    for (const [name, { workflow, workflowId, events }] of Object.entries(goldens)) {
      const facts = readHistory(histories.get(name) as History);
      expect({ workflow: facts.workflowType, workflowId: facts.workflowId, events: facts.events }, name).toEqual({
        workflow,
        workflowId,
        events,
      });
    }
    const played = new Set(names.map((name) => name.slice(0, name.lastIndexOf('_'))));
    expect(
      scenes.filter(({ name }) => !played.has(name)),
      advice,
    ).toEqual([]);
  });

  it('have every workflow in them, every message that one takes, every activity that one calls, and every end but failure', () => {
    const facts = [...histories.values()].map(readHistory);
    const distinct = (values: readonly string[]): string[] => [...new Set(values)].sort();
    expect(distinct(facts.map(({ workflowType }) => workflowType))).toEqual(Object.values(WorkflowName).sort());
    expect(distinct(facts.flatMap(({ messages }) => messages.map(({ name }) => name)))).toEqual(
      [...Object.values(SignalName), ...Object.values(UpdateName)].sort(),
    );
    expect(distinct(facts.flatMap(({ activities }) => activities.map(({ type }) => type)))).toEqual(
      [
        'receive',
        'assess',
        'judge',
        'rule',
        'recordGate',
        'reachHold',
        'endedHolders',
        'review',
        'exportBundle',
        'capture',
        'apply',
        'revert',
        'inspect',
      ].sort(),
    );
    const states = facts.flatMap(({ result }) =>
      typeof result === 'object' && result !== null && 'state' in result ? [String(result.state)] : [],
    );
    expect(distinct(states)).toEqual(['closed', 'dismissed', 'rolled-back']);
  });

  it('tell nothing of the machine that recorded them', () => {
    const clear: string[] = [];
    const collect = (value: unknown): void => {
      if (typeof value === 'string') {
        clear.push(value);
        const bytes = Buffer.from(value, 'base64');
        if (bytes.toString('base64') === value) clear.push(bytes.toString('utf8'));
      } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
    };
    for (const name of names) collect(readGoldenJson(name));
    expect(clear.some((text) => text.includes('"it would not"'))).toBe(true);
    expect(clear.filter((text) => /\d+@[\w.-]+|node_modules|file:\/\/|\.ts:\d+/.test(text))).toEqual([]);
  });
});

/** The code with a change in one of its sources; the change must find its place, or it would show nothing. */
async function changed(file: string, from: string, to: string): Promise<string> {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const copy = mkdtempSync(join(tmpdir(), 'tourniquet-changed-'));
  try {
    for (const room of ['domain', 'workflows']) cpSync(join(root, room), join(copy, room), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const path = join(copy, 'workflows', file);
    const source = readFileSync(path, 'utf8');
    expect(source.split(from).length, `${from} stands once in ${file}`).toBe(2);
    writeFileSync(path, source.replace(from, to));
    return (await bundleNow(copy)).code;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const ofWorkflow = (name: string): string[] => names.filter((each) => goldens[each]?.workflow === name);
const ofScene = (scene: string): string => names.find((name) => name.startsWith(`${scene}_`)) ?? scene;

describe('a change of workflow code', { timeout: 120_000 }, () => {
  it('that changes nothing replays, so that what follows is no fault of the copy', async () => {
    const same = await changed('archive.ts', 'export async function archive', '// A comment.\nexport async function archive');
    expect([...(await misfits(same, histories))]).toEqual([]);
  });

  it('is noticed in every incident where it waits once more before the first report is received', async () => {
    const waits = await changed(
      'leak-response.ts',
      '  listen(incident);\n',
      "  listen(incident);\n  await condition(() => false, '1s');\n",
    );
    expect([...(await misfits(waits, histories)).keys()].sort()).toEqual(ofWorkflow(WorkflowName.LEAK_RESPONSE));
  });

  it('is noticed where steps begin in another order, though every command is of the same kind', async () => {
    const reversed = await changed(
      'execution.ts',
      'incident.courses.map((course) => run(incident, course))',
      '[...incident.courses].reverse().map((course) => run(incident, course))',
    );
    const found = await misfits(reversed, histories);
    expect(found.get(ofScene('closed-without-gates'))).toMatch(/apply: its argument.*step was "a" and is now "b"/);
    expect(found.has(ofScene('held-step-beside-others'))).toBe(true);
    // Where one step alone is planned there is no order to change.
    expect(found.has(ofScene('sweep-finds-more'))).toBe(false);
  });

  it('is noticed where a hold lifts what another incident still holds, or serves after a pause', async () => {
    const careless = await changed(
      'principal-hold.ts',
      '.apply(others.length > 0 ? { ...apply, heldBy: others } : apply)',
      '.apply(apply)',
    );
    expect([...(await misfits(careless, histories)).keys()]).toEqual([ofScene('hold-of-two-incidents')]);
    const pausing = await changed(
      'principal-hold.ts',
      '      await hold.serve(waiting);',
      "      await condition(() => false, '1s');\n      await hold.serve(waiting);",
    );
    expect([...(await misfits(pausing, histories)).keys()].sort()).toEqual(ofWorkflow(WorkflowName.PRINCIPAL_HOLD));
  });
});

describe('a history that was changed', { timeout: 120_000 }, () => {
  const scene = 'gate-approved-by-update';
  type Event = NonNullable<History['events']>[number];
  const first =
    (which: (event: Event) => unknown) =>
    (events: readonly Event[]): Event[] =>
      events.filter(which).slice(0, 1);
  const wholeActivity = (events: readonly Event[]): Event[] => {
    const id = Number(events.find((event) => event.activityTaskScheduledEventAttributes)?.eventId);
    const of = ({ eventId, activityTaskStartedEventAttributes: started, activityTaskCompletedEventAttributes: completed }: Event) =>
      [eventId, started?.scheduledEventId, completed?.scheduledEventId].some((each) => Number(each) === id);
    return events.filter(of);
  };

  it.each<[string, number, (events: readonly Event[]) => Event[]]>([
    ['the end of an activity', 1, first((event) => event.activityTaskCompletedEventAttributes)],
    ['an activity from its beginning to its end', 3, wholeActivity],
    ['a timer', 1, first((event) => event.timerStartedEventAttributes)],
    ['a decision', 1, first((event) => event.workflowExecutionUpdateAcceptedEventAttributes)],
  ])('does not replay where %s was taken out of it', async (_what, count, which) => {
    const name = ofScene(scene);
    const events = histories.get(name)?.events ?? [];
    const taken = which(events);
    expect(taken.length).toBe(count);
    const cut: History = { events: events.filter((event) => !taken.includes(event)) };
    expect((await misfits(now.code, new Map([[name, cut]]))).has(name)).toBe(true);
  });

  it('does not fit where what an activity was given is not what the code gives it', async () => {
    const name = ofScene(scene);
    const copy = await decodeHistory(histories.get(name) as History, []);
    const apply = copy.events?.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'apply');
    const payload = apply?.activityTaskScheduledEventAttributes?.input?.payloads?.[0];
    const text = Buffer.from(payload?.data ?? []).toString('utf8');
    expect(text).toContain('"step":"a"');
    if (payload) payload.data = new Uint8Array(Buffer.from(text.replace('"step":"a"', '"step":"z"')));
    expect((await misfits(now.code, new Map([[name, copy]]))).get(name)).toMatch(/step was "z" and is now "a"/);
  });
});
