import { setTimeout as wait } from 'node:timers/promises';
import { DeleteAccessKeyCommand, DeleteUserPolicyCommand, PutUserPolicyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import type { IncidentStatus, StepStatus } from '../../domain/messages.ts';
import { isEnded } from '../../domain/states.ts';
import { cutOffPolicy, holdPolicy } from '../../providers/aws/policies.ts';
import type { Connection, Reverted } from '../../providers/contract.ts';
import {
  type Blow,
  type Difference,
  differences,
  inWords,
  type Picture,
  type Stop,
  type Strikes,
  type Struck,
  struck,
} from '../conformance/strikes.ts';
import { until } from '../until.ts';
import { nameOf, type Place, startUndoEngine, type UndoEngine, type Variant } from './engine.ts';

/** At which point a person rolls the incident back. */
export type Point =
  /** A step runs, and has not changed anything yet; or has done all it does, and has not answered. */
  | { readonly while: string; readonly at: Stop }
  /** A step is done, and none that comes after it has changed anything. */
  | { readonly after: string }
  /** A question is open. */
  | { readonly gate: string }
  /** The engine looks whether anything else is to be stopped, in that round. */
  | { readonly sweep: number }
  /** Everything is done and only the cut-off stands. */
  | { readonly watching: true }
  /** A step has failed, or goes on failing. */
  | { readonly struck: string };

/** One row of the matrix: one incident, one blow or none, and the point at which it is rolled back. */
export interface Row {
  readonly name: string;
  readonly variant: Variant;
  readonly point: Point;
  readonly blow?: { readonly step: string; readonly blow: Blow };
  /** Its outcome is read once the cut-off's date has passed. */
  readonly later?: true;
  /** A defect in the undo of one step, put there to be found. */
  readonly plant?: Plant;
}

/** An undo that is wrong. It has the right one beside it, and the administrators' clients. */
export interface Plant {
  readonly step: string;
  revert(right: () => Promise<Reverted>, world: UndoEngine, place: Place): Promise<Reverted>;
}

export interface Outcome {
  readonly row: Row;
  /** What nobody has named, in words; none is what is wanted. */
  readonly unexplained: readonly string[];
  /** What differs and is named, with what names it. */
  readonly explained: readonly string[];
  /** Steps that could not be taken back at first, by name. */
  readonly stuck: readonly string[];
  /** The steps that were applied, by name, in their order. */
  readonly applied: readonly string[];
  readonly ms: number;
}

/** The steps of a whole course, as this variant's plans have them, without the one that comes after the date. */
export const steps: Readonly<Record<Variant, readonly string[]>> = {
  public: [
    'aws/disable-key leaked',
    'aws/deny-principal',
    'aws/cut-off-sessions',
    'aws/mint-key',
    'vault/stage-secret',
    'vault/distribute-secret',
    'aws/lift-deny',
    'vault/watch-readers',
    'aws/watch-new-use',
    'aws/delete-key leaked',
  ],
  internal: [
    'aws/mint-key',
    'vault/stage-secret',
    'vault/distribute-secret',
    'vault/watch-readers',
    'aws/watch-new-use',
    'aws/watch-old-quiet leaked',
    'aws/disable-key leaked',
    'aws/cut-off-sessions',
    'aws/delete-key leaked',
  ],
  crowded: [
    'aws/disable-key leaked',
    'aws/deny-principal',
    'aws/cut-off-sessions',
    'aws/delete-key leaked',
    'aws/mint-key',
    'vault/stage-secret',
    'vault/distribute-secret',
    'aws/lift-deny',
    'vault/watch-readers',
    'aws/watch-new-use',
  ],
};
/** The step that comes when the cut-off's date has passed. */
export const lastStep = 'aws/lift-cut-off';
export const gates: Readonly<Record<Variant, readonly string[]>> = {
  public: ['g-irreversible'],
  internal: ['g-outage', 'g-irreversible'],
  crowded: ['g-irreversible'],
};

const irreversible = (step: string): boolean => step.startsWith('aws/delete-key');
/** Steps whose undo is never asked for: a watch has changed nothing, and what a lift took off its control's own undo takes off. */
const undoesNothing = (step: string): boolean => step.includes('/watch-') || step.includes('/lift-');

/** All rows of a variant: every step under each of the failures, and a rollback at every point. */
export function rowsOf(variant: Variant): Row[] {
  const rows: Row[] = [];
  const add = (words: string, point: Point, more: Partial<Row> = {}): void => {
    rows.push({ name: `${variant}: ${words}`, variant, point, ...more });
  };
  // What is crowded differs in what stood there before, which the containment meets; the rest is the public variant's.
  const tried = variant === 'crowded' ? steps.crowded.slice(0, 3) : [...steps[variant], lastStep];
  for (const step of tried) {
    const later = step === lastStep ? { later: true as const } : {};
    const under = (words: string, blow: Blow, point: Point, more: Partial<Row> = {}) =>
      add(`${step} ${words}`, point, { blow: { step, blow }, ...later, ...more });
    under('fails before its effect', { kind: 'before' }, { struck: step });
    under('never gets through', { kind: 'before', code: 'provider.unavailable' }, { struck: step });
    under('has its effect and the reply is lost, no retry gets through', { kind: 'lost' }, { struck: step });
    under('has its effect and the reply is lost, the retry fails', { kind: 'lost', retry: 'provider.denied' }, { struck: step });
    if (!irreversible(step)) {
      // A cut-off can be taken back from its date on, so that is when its undo is to fail for good.
      const waits = step === 'aws/cut-off-sessions' ? { later: true as const } : {};
      const contains = variant !== 'internal' && steps[variant].indexOf(step) < 3 && step !== lastStep;
      under('cannot be taken back', { kind: 'undo' }, contains ? { sweep: 2 } : { after: step }, waits);
    }
    add(`rolled back while ${step} runs, before its effect`, { while: step, at: 'before' }, later);
    add(`rolled back while ${step} runs, after its effect`, { while: step, at: 'after' }, later);
    add(`rolled back after ${step}`, { after: step }, later);
  }
  if (variant === 'crowded') return rows;
  for (const gate of gates[variant]) add(`rolled back while ${gate} is open`, { gate });
  if (variant === 'public') add('rolled back in the sweep after the containment', { sweep: 2 });
  add('rolled back when all is done', { watching: true });
  return rows;
}

/** What one row does in the shared world: its blow, its stops, and what it has seen happen. */
class Course {
  readonly row: Row;
  readonly place: Place;
  readonly happened: { readonly step: string; readonly id: string; readonly what: string }[] = [];
  readonly ended = new AbortController();
  /** Never kept: a step that was stopped goes no further, and ends by being called off. */
  readonly #stopped = new Promise<void>(() => undefined);
  readonly #look = Promise.withResolvers<void>();
  /** From now on nothing stops any more, and a look that was stopped goes on. */
  released = false;
  looks = 0;
  atLook = false;

  constructor(row: Row, place: Place) {
    this.row = row;
    this.place = place;
  }

  saw(what: string, step: string): boolean {
    return this.happened.some((each) => each.what === what && each.step === step);
  }

  stop(step: string, at: Stop): Promise<void> | undefined {
    if (this.released) return undefined;
    const { point } = this.row;
    if ('while' in point && point.while === step && point.at === at) return this.#stopped;
    // Nothing that comes after the step may change anything until the rollback is in. What runs beside it does.
    if ('after' in point && at === 'before' && this.saw('applied', point.after) && step !== point.after) {
      return this.#stopped;
    }
    return undefined;
  }

  async look(): Promise<void> {
    this.looks++;
    const { point } = this.row;
    const held = ('sweep' in point && this.looks >= point.sweep) || ('after' in point && this.saw('applied', point.after));
    if (this.released || !held) return;
    this.atLook = true;
    await this.#look.promise;
  }

  release(): void {
    this.released = true;
    this.#look.resolve();
  }
}

/** How long one row may take to come to its next turn, on a machine with other things to do. */
const patienceMs = 180_000;
/** How many incidents run at once. */
const abreast = 14;

/** Runs rows in one engine, each an incident of its own, and says of each what differs at the end. `last` is done while the engine still stands. */
export async function play(rows: readonly Row[], last?: (world: UndoEngine) => Promise<void>): Promise<readonly Outcome[]> {
  const courses = new Map<string, Course>();
  let engine: UndoEngine | undefined;
  const courseOf = (step: Pick<Struck, 'target'>): Course | undefined => {
    const place = engine?.placeAt(step.target);
    return place === undefined ? undefined : courses.get(place.name);
  };
  const strikes: Strikes = {
    blow(step) {
      const course = courseOf(step);
      const blow = course?.row.blow;
      return course && blow && blow.step === nameOf(course.place, step) ? blow.blow : undefined;
    },
    stop(step, at) {
      const course = courseOf(step);
      return course?.stop(nameOf(course.place, step), at);
    },
    happened(step, what) {
      const course = courseOf(step);
      if (!course) return;
      const name = nameOf(course.place, step);
      course.happened.push({ step: name, id: step.step, what });
      if (what === 'effect' && step.action === 'vault/distribute-secret') void engine?.consume(course.place, course.ended.signal);
    },
  };
  const wrap = (connection: Connection): Connection => {
    const beneath = struck(
      planted(connection, (step) => [courseOf(step), engine]),
      strikes,
    );
    return {
      ...beneath,
      async look(look) {
        const place = engine?.placeOfKey(look.credential.locator.accessKeyId ?? '');
        await (place && courses.get(place.name)?.look());
        return await beneath.look(look);
      },
    };
  };
  const named = rows.map((row, index) => ({ row, name: `${row.variant}-${index}` }));
  engine = await startUndoEngine({ places: Object.fromEntries(named.map(({ row, name }) => [name, row.variant])), wrap });
  const world = engine;
  try {
    for (const { row, name } of named) courses.set(name, new Course(row, world.place(name)));
    const aside = await world.bystander();
    const outcomes = new Map<Row, Outcome>();
    const all = [...courses.values()].map((course) => new Play(world, course));
    await abreastOf(all, async (each) => {
      const outcome = await each.first();
      if (outcome) outcomes.set(each.row, outcome);
    });
    const late = all.filter((each) => each.row.later && !outcomes.has(each.row));
    if (late.length > 0) {
      await world.control.advance(37 * 3_600_000);
      await abreastOf(late, async (each) => {
        outcomes.set(each.row, await each.second());
      });
    }
    const beside = differences(aside, await world.bystander()).map(inWords);
    await last?.(world);
    return rows.map((row) => {
      const outcome = outcomes.get(row) ?? { row, unexplained: ['it did not happen'], explained: [], stuck: [], applied: [], ms: 0 };
      return beside.length > 0
        ? { ...outcome, unexplained: [...outcome.unexplained, ...beside.map((each) => `beside it, ${each}`)] }
        : outcome;
    });
  } finally {
    for (const course of courses.values()) {
      course.release();
      course.ended.abort();
    }
    await world.close();
  }
}

/** The connection with the defects of the rows that have one. */
function planted(
  connection: Connection,
  find: (step: Pick<Struck, 'action' | 'target'>) => readonly [Course | undefined, UndoEngine | undefined],
): Connection {
  const actions = Object.entries(connection.actions).map(([name, action]) => {
    const { revert } = action;
    if (!revert) return [name, action] as const;
    const with_: typeof revert = async (target, before, context) => {
      const right = () => revert.call(action, target, before, context);
      const step = { action: `${connection.provider}/${name}`, target };
      const [course, world] = find(step as Struck);
      const plant = course?.row.plant;
      return course && world && plant?.step === nameOf(course.place, step) ? await plant.revert(right, world, course.place) : await right();
    };
    return [name, { ...action, revert: with_ }] as const;
  });
  return { ...connection, actions: Object.fromEntries(actions) };
}

async function abreastOf<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: Math.min(abreast, left.length) }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await each(item);
    }),
  );
}

/** The play of one row. Every failure of the play itself is an unexplained outcome and ends no other row. */
class Play {
  readonly row: Row;
  readonly #world: UndoEngine;
  readonly #course: Course;
  readonly #place: Place;
  #id = '';
  #before: Picture = {};
  readonly #stuck: string[] = [];
  readonly #wrong: string[] = [];
  #ms = 0;

  constructor(world: UndoEngine, course: Course) {
    this.#world = world;
    this.#course = course;
    this.row = course.row;
    this.#place = course.place;
  }

  /** Up to the rollback, or to where the date of the cut-off is awaited; undefined where there is a second part. */
  async first(): Promise<Outcome | undefined> {
    return await this.#timed(async () => {
      this.#before = await this.#world.picture(this.#place);
      this.#id = await this.#world.report(this.#place);
      const { point } = this.row;
      const waits = this.row.later && !('after' in point && point.after !== lastStep) && !('sweep' in point);
      if (waits) {
        await this.#until('all is done but the cut-off', (status) => isWatching(status));
        return undefined;
      }
      await this.#reach();
      await this.#rollBack();
      if (this.row.later) {
        await this.#until('only the cut-off stands', (status) => status.state === 'watching' && unwound(status));
        return undefined;
      }
      return await this.#settle();
    });
  }

  /** From the date of the cut-off on. */
  async second(): Promise<Outcome> {
    const outcome = await this.#timed(async () => {
      if (!unwound(await this.#world.status(this.#id))) {
        await this.#reach();
        await this.#rollBack();
      }
      return await this.#settle();
    });
    return outcome ?? this.#outcome(['it has no second part'], []);
  }

  async #timed(body: () => Promise<Outcome | undefined>): Promise<Outcome | undefined> {
    const began = Date.now();
    try {
      const outcome = await body();
      this.#ms += Date.now() - began;
      return outcome && { ...outcome, ms: this.#ms };
    } catch (error) {
      return this.#outcome([error instanceof Error ? error.message : String(error)], []);
    }
  }

  #outcome(unexplained: readonly string[], explained: readonly string[]): Outcome {
    this.#course.release();
    this.#course.ended.abort();
    if (this.#id) this.#world.end(this.#id);
    return {
      row: this.row,
      unexplained: [...this.#wrong, ...unexplained],
      explained,
      stuck: this.#stuck,
      applied: [...new Set(this.#course.happened.filter((each) => each.what === 'applied').map((each) => each.step))],
      ms: this.#ms,
    };
  }

  /** Looks until it is so, and answers on the way every question that is not the one waited for. */
  async #until(what: string, passes: (status: IncidentStatus) => boolean): Promise<IncidentStatus> {
    const { point } = this.row;
    let last: IncidentStatus | undefined;
    const end = Date.now() + patienceMs;
    while (Date.now() < end) {
      const status = await this.#world.status(this.#id).catch(() => undefined);
      if (status) {
        last = status;
        if (passes(status)) return status;
        if (isEnded(status.state)) break;
        if (!this.#course.released) {
          for (const gate of status.gates) {
            if (gate.state !== 'open' || ('gate' in point && point.gate === gate.id)) continue;
            const by = ['ada', 'ben'].find((person) => !gate.approvals.includes(person));
            if (by) await this.#world.decide(this.#id, 'approve', by, gate.id).catch(() => undefined);
          }
        }
      }
      await wait(300);
    }
    throw new Error(`never: ${what}; ${tell(last)}`);
  }

  /** Waits for the point of the row. */
  async #reach(): Promise<void> {
    const { point } = this.row;
    const course = this.#course;
    if ('while' in point)
      await this.#until(`${point.while} stops ${point.at} its effect`, () => course.saw(`stopped-${point.at}`, point.while));
    else if ('after' in point) await this.#until(`${point.after} is done`, (status) => this.#isDone(status, point.after));
    else if ('gate' in point)
      await this.#until(`${point.gate} is open`, (status) => status.gates.some((gate) => gate.id === point.gate && gate.state === 'open'));
    else if ('sweep' in point) await this.#until('the sweep', () => course.atLook);
    else if ('watching' in point) await this.#until('all is done', (status) => isWatching(status));
    else {
      const blow = this.row.blow?.blow;
      const forGood = (blow?.kind === 'before' ? blow.code : blow?.kind === 'lost' ? blow.retry : undefined) ?? 'provider.denied';
      const retried = blow?.kind === 'lost' ? 2 : blow?.kind === 'before' && forGood === 'provider.unavailable' ? 2 : 1;
      await this.#until(
        `${point.struck} is struck`,
        () => course.happened.filter((each) => each.what === 'struck' && each.step === point.struck).length >= retried,
      );
    }
  }

  #isDone(status: IncidentStatus, step: string): boolean {
    const ids = this.#course.happened.filter((each) => each.step === step && each.what === 'applied').map((each) => each.id);
    return [...status.steps, ...status.earlier].some((each) => ids.includes(each.id) && each.state === 'done');
  }

  async #rollBack(): Promise<void> {
    const why = await this.#world.decide(this.#id, 'rollback', 'ada');
    if (why !== undefined) {
      // Before the first change there is nothing to roll back: the incident is dismissed instead.
      if (this.#course.happened.length > 0) this.#wrong.push(`the rollback was refused: ${why}`);
      const still = await this.#world.decide(this.#id, 'dismiss', 'ada');
      if (still !== undefined) this.#wrong.push(`the dismissal was refused: ${still}`);
    }
    this.#course.release();
  }

  /** Waits until the rollback is over, finishes by hand what is stuck where that is what the row is about, and compares. */
  async #settle(): Promise<Outcome> {
    const { blow } = this.row;
    if (blow?.blow.kind === 'undo' && !undoesNothing(blow.step)) await this.#finishByHand(blow.step);
    const end = await this.#until('the rollback is over', (status) => {
      for (const { id } of stuckIn(status)) {
        const name = this.#course.happened.find((each) => each.id === id)?.step ?? id;
        if (!this.#stuck.includes(name)) this.#stuck.push(name);
      }
      return isUnwound(status) && (isEnded(status.state) || status.state === 'watching');
    });
    if (blow && !this.#course.saw('struck', blow.step)) {
      if (!(undoesNothing(blow.step) && blow.blow.kind === 'undo')) this.#wrong.push('the blow did not fall');
    }
    const meant = blow?.blow.kind === 'undo' ? [blow.step] : [];
    const more = this.#stuck.filter((each) => !meant.includes(each));
    if (more.length > 0) this.#wrong.push(`stuck without need: ${more.join(', ')}`);
    return await this.#compare(end);
  }

  /** The step becomes stuck, says what is left, is listed, and is closed only once somebody has done it through the API. */
  async #finishByHand(step: string): Promise<void> {
    const status = await this.#until(`${step} is stuck`, (now) => this.#stuckStep(now, step) !== undefined);
    const stuck = this.#stuckStep(status, step) as StepStatus;
    this.#stuck.push(step);
    const incident = this.#world.client.incident(this.#id);
    const say = (words: string) => this.#wrong.push(words);
    if (!stuck.byHand) say('a stuck step does not say how to finish it');
    else if (!mentions(stuck.byHand, this.#place)) say(`how to finish it names neither user nor store: ${stuck.byHand}`);
    if (!stuck.failure) say('a stuck step does not say why');
    const listed = await until('it is listed as stuck', async () => {
      for await (const each of this.#world.client.list({ stuck: true })) if (each.id === this.#id) return true;
      return false;
    }).catch(() => false);
    if (!listed) say('it is not listed as stuck');
    const early = await incident.finish(stuck.id);
    const stands = await this.#standsStill(step);
    if (early.finished && stands) say('finish closed it while its change stood');
    if (!early.finished && !stands) say(`finish did not close what no longer stands: ${early.why}`);
    if (early.finished) return;
    await this.#doByHand(step);
    const done = await until('finish closes it', async () => {
      const said = await incident.finish(stuck.id);
      return said.finished ? said : undefined;
    }).catch(() => undefined);
    if (!done) say(`finish did not close it after it was done by hand: ${(await incident.finish(stuck.id)).why}`);
    else if (!done.record) say('finish left no record');
  }

  #stuckStep(status: IncidentStatus, step: string): StepStatus | undefined {
    const ids = this.#course.happened.filter((each) => each.step === step).map((each) => each.id);
    return stuckIn(status).find((each) => ids.includes(each.id));
  }

  /** Whether what the step changed is still there, by the administrators' interfaces. */
  async #standsStill(step: string): Promise<boolean> {
    const now = await this.#world.picture(this.#place);
    const { user, leaked } = this.#place;
    switch (step) {
      case 'aws/disable-key leaked':
        return now[`key ${leaked.accessKeyId} of ${user}`] === 'Inactive';
      case 'aws/deny-principal':
        return now[`policy ${holdPolicy} of ${user}`] !== undefined;
      case 'aws/cut-off-sessions':
        return now[`policy ${cutOffPolicy} of ${user}`] !== undefined;
      case 'aws/mint-key':
        return this.#newKeys(now).length > 0;
      case 'vault/stage-secret':
        return Object.keys(now).some((name) => name.includes('--staged/'));
      case 'vault/distribute-secret':
        return differences(this.#before, now).some((each) => each.name === `secret ${this.#place.path}`);
      default:
        return false;
    }
  }

  /** What a person does at the two systems, with a client of their own. */
  async #doByHand(step: string): Promise<void> {
    const { user: UserName, leaked, below, stored } = this.#place;
    const { iam, bao } = this.#world;
    const now = await this.#world.picture(this.#place);
    const was = (name: string): string | undefined => {
      const document = this.#before[`policy ${name} of ${UserName}`];
      return document === undefined ? undefined : JSON.stringify(document);
    };
    const put = (PolicyName: string, PolicyDocument: string) =>
      iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
    const drop = (PolicyName: string) => iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName }));
    switch (step) {
      case 'aws/disable-key leaked':
        await iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId: leaked.accessKeyId, Status: 'Active' }));
        return;
      case 'aws/deny-principal': {
        const before = was(holdPolicy);
        await (before === undefined ? drop(holdPolicy) : put(holdPolicy, before));
        return;
      }
      case 'aws/cut-off-sessions':
        await drop(cutOffPolicy);
        return;
      case 'aws/mint-key':
        for (const AccessKeyId of this.#newKeys(now)) await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
        return;
      case 'vault/stage-secret':
        for (const name of Object.keys(now).filter((each) => each.includes('--staged/')))
          await bao.call('DELETE', `kv/metadata/${name.slice('secret kv/'.length)}`);
        return;
      case 'vault/distribute-secret':
        await bao.call('POST', `kv/data/${below}`, { data: stored });
        return;
      default:
        throw new Error(`nobody knows how to take back ${step}`);
    }
  }

  #newKeys(now: Picture): readonly string[] {
    return Object.keys(now)
      .filter((name) => name.startsWith('key ') && this.#before[name] === undefined)
      .map((name) => name.split(' ')[1] as string);
  }

  /** The world before and after, and what the incident's own status names of the difference. */
  async #compare(status: IncidentStatus): Promise<Outcome> {
    const after = await this.#world.picture(this.#place);
    const explained: string[] = [];
    const unexplained: string[] = [];
    for (const each of differences(this.#before, after)) {
      const because = this.#because(each, status, after);
      if (because === undefined) unexplained.push(inWords(each));
      else explained.push(`${inWords(each).replaceAll(this.#place.user, 'the user')} (${because})`);
    }
    unexplained.push(...(await this.#cutOffRule(status, after)));
    return this.#outcome(unexplained, explained);
  }

  #because(difference: Difference, status: IncidentStatus, after: Picture): string | undefined {
    const { user, leaked, path, arn } = this.#place;
    const all = [...status.steps, ...status.earlier];
    const deleted = all.find((each) => each.action === 'aws/delete-key' && each.state === 'done');
    const made = this.#newKeys(after);
    const replaced = deleted !== undefined && this.#leakedIsGone(after);
    const { name } = difference;
    if (name === `versions of ${path}`) return 'more versions';
    if (name === `policy ${cutOffPolicy} of ${user}`) {
      const named = status.residuals.find((each) => each.target === arn && each.until !== undefined);
      if (difference.kind !== 'gone' && named) return `stands until ${named.until}`;
      return undefined;
    }
    if (name === `key ${leaked.accessKeyId} of ${user}` && difference.kind === 'gone' && deleted) return 'deleted by approval';
    // Once the key is gone that the store held, what replaced it is the only one that works; that it was left is said of each step.
    const left = (action: string) =>
      status.timeline.some(
        (line) =>
          line.what.includes('left as it is, since') && all.some((each) => each.action === action && line.what.startsWith(each.title)),
      );
    if (replaced && made.length === 1 && name === `key ${made[0]} of ${user}` && after[name] === 'Active' && left('aws/mint-key'))
      return 'the replacement of a deleted key, left';
    if (replaced && name === `secret ${path}` && left('vault/distribute-secret')) {
      const value = after[name] as Record<string, string> | null;
      if (value && value.id === made[0] && value.region === this.#place.stored.region) return 'the replacement of a deleted key, left';
    }
    return undefined;
  }

  #leakedIsGone(after: Picture): boolean {
    return after[`key ${this.#place.leaked.accessKeyId} of ${this.#place.user}`] === undefined;
  }

  /**
   * Whatever was stopped stays stopped: once our deny or cut-off was on the user, the cut-off stands until its date, and the session minted before the leak is refused. Where neither
   * ever was, none may be left behind.
   */
  async #cutOffRule(status: IncidentStatus, after: Picture): Promise<readonly string[]> {
    const { user, arn } = this.#place;
    const { hold, cutOff } = await this.#world.controls(this.#place);
    const stands = after[`policy ${cutOffPolicy} of ${user}`] !== undefined;
    if (this.row.later) return [];
    const out: string[] = [];
    const session = await this.#world.session(this.#place);
    if (hold || cutOff) {
      if (!stands) out.push('the cut-off was lifted before its date');
      if (!status.residuals.some((each) => each.target === arn && each.until !== undefined))
        out.push('nothing names the cut-off that has to stand');
      if (session !== 'refused') out.push('a session minted before the containment works again');
    } else if (session !== 'works' && !this.#leakedIsGone(after)) out.push('a session is refused that nothing should stop');
    return out;
  }
}

const mentions = (words: string, place: Place): boolean =>
  [place.user, place.path, place.leaked.accessKeyId].some((each) => words.includes(each));
const stuckIn = (status: IncidentStatus): readonly StepStatus[] =>
  [...status.earlier, ...status.steps].filter((each) => each.state === 'stuck');
/** Each step has been taken back, or cannot be, or is left on account of one that cannot be. */
function isUnwound(status: IncidentStatus): boolean {
  const lines = status.timeline.filter((line) => line.who === 'engine').map((line) => line.what);
  const all = [...status.earlier, ...status.steps];
  const gone = all.filter((each) => each.reversibility === 'irreversible');
  const accounted = (each: StepStatus): boolean =>
    each.state === 'undone' ||
    each.state === 'skipped' ||
    gone.includes(each) ||
    lines.some(
      (line) =>
        line.startsWith(`${each.title}: left as it is`) &&
        (line.includes('taken back too') || gone.some(({ title }) => line.includes(`"${title}"`))),
    );
  return unwound(status) && all.every((each) => accounted(each) || each.action === lastStep);
}
const unwound = (status: IncidentStatus): boolean =>
  status.state === 'dismissed' || status.timeline.some((line) => line.who === 'engine' && line.what.startsWith('rolled back'));
const isWatching = (status: IncidentStatus): boolean =>
  status.state === 'watching' && status.contained === 'yes' && status.rotated === 'yes' && status.steps.length === 0;

/** What a status says, for whoever reads a failed row. */
function tell(status: IncidentStatus | undefined): string {
  if (status === undefined) return 'it has no status';
  const { state, round, gates, steps: now, earlier, timeline } = status;
  return [
    `${state}, round ${round}`,
    ...gates.map((gate) => `${gate.id} ${gate.state}`),
    ...[...earlier, ...now].map((step) => `${step.id} ${step.state} ${step.failure?.words ?? ''}`),
    ...timeline.slice(-8).map(({ what }) => what.slice(0, 200)),
  ].join(' | ');
}

/** One line a row: what failed or when, and what came of it. */
export function lineOf({ row, unexplained, explained, stuck, ms }: Outcome): string {
  const verdict = unexplained.length === 0 ? 'as before' : 'DIFFERS';
  const rest = [...unexplained, ...explained, ...(stuck.length > 0 ? [`stuck: ${[...new Set(stuck)].join(', ')}`] : [])];
  return `${verdict}  ${row.name}  [${(ms / 1000).toFixed(1)} s]${rest.length > 0 ? `  ${rest.join('; ')}` : ''}`;
}
