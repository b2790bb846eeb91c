import { setTimeout as wait } from 'node:timers/promises';
import nodeVault from 'node-vault';
import { type IncidentStatus, isFault } from '../../client/index.ts';
import type { ExportResult, IncidentResult } from '../../domain/messages.ts';
import { isEnded } from '../../domain/states.ts';
import type { Consumer } from '../../lab/consumer/consumer.ts';
import type { Hold } from '../../lab/proxy.ts';
import { fields, kvMount, scripted } from '../../lab/world/cast.ts';
import { type Deployed, gateOf, isWatching, tell, type Visibility } from '../engine/world.ts';
import { irreversibleStation, type Moment } from './moments.ts';
import { type KillWorld, noticed } from './world.ts';

/** How an incident ended, in what must be the same whatever was struck. Names and dates that differ from one incident to the next are left out. */
export interface Ending {
  readonly state: string;
  readonly contained: string;
  readonly rotated: string;
  /** What was left while it watched, and when it had closed. */
  readonly watched: readonly string[];
  readonly left: readonly string[];
  /** Keys by role and status, while it watched. */
  readonly keys: readonly string[];
  /** Names of the policies, while it watched and after the close. */
  readonly policies: readonly (readonly string[])[];
  /** Every transition at AWS in whatever order, orphans of a lost reply apart, which are made and deleted in pairs. */
  readonly transitions: readonly string[];
  /** Versions at the store's place, and what is left where secrets are staged. */
  readonly versions: number;
  readonly staged: number;
  /** What the consumer was refused. */
  readonly noticed: readonly string[];
  readonly bundle: string;
}

/** What is looked at while nothing is left but what has a date. */
interface Watched {
  readonly residuals: readonly string[];
  readonly keys: readonly string[];
  readonly policies: readonly string[];
}

/** One incident that is played, answered and struck. */
export class Play {
  readonly name: string;
  readonly variant: Visibility;
  readonly deployed: Deployed;
  readonly moments: readonly Moment[];
  readonly #kill: KillWorld;
  #consumer: Consumer | undefined;
  /** What consumers were refused before the one at work now. */
  readonly #refused: string[] = [];
  readonly #since: number;
  id = '';
  run: string | undefined;
  last: IncidentStatus | undefined;
  /** Keys that the engine made and, since it lost the answer, deleted again. */
  orphans = 0;
  /** The station whose strikes are over. */
  struck = -1;
  #ended = false;
  #told = '';
  #watched: Watched | undefined;
  readonly #holds = new Map<Moment, { id: string } | Hold>();
  /** Sweeps whose look-ups are laid in wait for. */
  readonly #sweeps = new Set<Moment>();
  #following: Promise<void> = Promise.resolve();

  private constructor(
    kill: KillWorld,
    deployed: Deployed,
    variant: Visibility,
    moments: readonly Moment[],
    consumer: Consumer | undefined,
    since: number,
  ) {
    this.#kill = kill;
    this.name = deployed.name;
    this.deployed = deployed;
    this.variant = variant;
    this.moments = moments;
    this.#consumer = consumer;
    this.#since = since;
  }

  /** Sets its consumer to work, lays the holds, and reports the leak. */
  static async begin(kill: KillWorld, name: string, variant: Visibility, moments: readonly Moment[]): Promise<Play> {
    const { world } = kill;
    const deployed = world.deployed(name);
    const consumer = await kill.employ(deployed);
    const since = await world.lastChange();
    const play = new Play(kill, deployed, variant, moments, consumer, since);
    await play.arm();
    play.id = await world.leak(deployed);
    play.#following = play.#follow();
    return play;
  }

  #next(moment: Moment): boolean {
    return moment.station > this.struck;
  }

  /** Lays the holds of what is still to come, and lays them again where the simulator has forgotten them. */
  async arm(): Promise<void> {
    const { world, proxies } = this.#kill;
    const laid = new Set((await world.stack.control.faults()).map(({ id }) => id));
    for (const moment of this.moments.filter((each) => this.#next(each))) {
      const there = this.#holds.get(moment);
      if (there !== undefined && (!('id' in there) || laid.has(there.id))) continue;
      const { sign } = moment;
      const order = sign.of === 'aws' ? sign.order : sign.of === 'sweep' ? sign.after : undefined;
      if (order !== undefined) this.#holds.set(moment, await world.stack.control.inject(order(this.deployed)));
      if (sign.of === 'vault') this.#holds.set(moment, proxies.openbao.hold(sign.matches(this.deployed)));
    }
  }

  /** Resolves once the incident is in that moment. Fails, by name, where it passes it by. */
  async reached(moment: Moment, timeoutMs = 45_000): Promise<void> {
    const what = `${this.name} is in ${moment.name}`;
    const { world } = this.#kill;
    const { control } = world.stack;
    const { sign } = moment;
    switch (sign.of) {
      case 'aws': {
        const hold = this.#holds.get(moment) as { id: string };
        await this.#until(what, async () => (await control.holding(hold.id, 500)) !== undefined, timeoutMs);
        return;
      }
      case 'vault': {
        const hold = this.#holds.get(moment) as Hold;
        await this.#until(what, async () => await hold.holding(500), timeoutMs);
        return;
      }
      case 'gate':
        await this.#until(
          what,
          async () => {
            const gate = this.last === undefined ? undefined : gateOf(this.last, sign.gate);
            return gate?.state === 'open' && (sign.how !== 'waiting' || gate.approvals.length === 1);
          },
          timeoutMs,
        );
        return;
      case 'timer':
        await this.#until(what, async () => this.last !== undefined && isWatching(this.last), timeoutMs);
        return;
      case 'sweep':
        await this.#until(what, async () => await this.#sweeping(moment), timeoutMs);
        return;
      case 'archive':
        await this.#until(what, async () => await this.#archiving(), timeoutMs, 15);
    }
  }

  /** The change before the sweep is kept back until the look-ups are laid in wait for. A sweep asks the log for the leaked key again and again; one of the answers is kept back. */
  async #sweeping(moment: Moment): Promise<boolean> {
    const { control } = this.#kill.world.stack;
    const hold = this.#holds.get(moment) as { id: string };
    if ((await control.holding(hold.id, 500)) === undefined) return false;
    if (this.#sweeps.has(moment)) return true;
    this.#sweeps.add(moment);
    this.#holds.set(
      moment,
      await control.inject({ kind: 'hold', service: 'cloudtrail', action: 'LookupEvents', mentions: [this.deployed.pair.accessKeyId] }),
    );
    await control.removeFault(hold.id);
    return false;
  }

  /** The activity that writes the bundle has been started, and is not over. */
  async #archiving(): Promise<boolean> {
    const { client } = this.#kill.world;
    try {
      const described = await client.temporal.workflow.getHandle(`archive/${this.run}`).describe();
      if (described.status.name === 'COMPLETED') throw new Error(`${this.name}: its bundle was written before it could be struck`);
      return (described.raw.pendingActivities ?? []).some(({ state }) => state === 2);
    } catch (error) {
      if ((error as Error).name === 'WorkflowNotFoundError') return false;
      throw error;
    }
  }

  /** What is done while the actor is away: nothing is kept back any longer, and an answer may be given that the engine can hear of only later. */
  async letGo(station: number): Promise<void> {
    const { control } = this.#kill.world.stack;
    for (const moment of this.moments.filter((each) => each.station === station)) {
      const hold = this.#holds.get(moment);
      if (hold !== undefined && 'release' in hold) hold.release();
      // A simulator that is away has let go by itself; one that is paused would not answer, and hears of it when it goes on.
      else if (hold !== undefined) await Promise.race([control.removeFault(hold.id).catch(() => {}), wait(300)]);
      if (moment.sign.of === 'gate' && moment.sign.how === 'answering') await this.#answerBySignal(moment.sign.gate);
    }
    this.struck = Math.max(this.struck, station);
  }

  async #answerBySignal(gate: string): Promise<void> {
    const { client, sign } = this.#kill.world;
    if (this.last === undefined) return;
    const signed = sign(this.last, { verdict: 'approve', gate, by: scripted[0] });
    // Where it is the server that is away, nobody can say anything; the answer is then given when it is back.
    await Promise.race([
      client.temporal.workflow
        .getHandle(this.id)
        .signal('approve', signed)
        .catch(() => {}),
      wait(1_000),
    ]);
  }

  /** Looks at the incident until it ends, and answers its gates, those apart whose moment is still to come. */
  async #follow(): Promise<void> {
    const { world } = this.#kill;
    const incident = world.client.incident(this.id);
    while (!this.#ended) {
      await wait(250);
      try {
        const status = await within(incident.status(), 5_000);
        if (this.run !== undefined && status.run !== this.run) continue;
        this.run = status.run;
        this.last = status;
        if (isWatching(status) && this.#watched === undefined) this.#watched = await this.#look(status);
        if (isEnded(status.state)) return;
        for (const gate of status.gates.filter(({ state }) => state === 'open')) {
          const withheld = this.#withheld(gate.id);
          const most = withheld === undefined ? gate.rule.quorum : withheld.how === 'waiting' ? 1 : 0;
          const by = scripted.find((person) => !gate.approvals.includes(person));
          if (by === undefined || gate.approvals.length >= most) continue;
          await within(incident.decide(world.sign(status, { verdict: 'approve', gate: gate.id, by })), 5_000);
        }
      } catch (error) {
        // Whatever is away just now comes back; a failure that does not shows in the ending.
        this.#told = isFault(error) ? error.code : error instanceof Error ? error.message : String(error);
      }
    }
  }

  #withheld(gate: string): { readonly how: string } | undefined {
    // What follows an irreversible step has stations of its own; an incident without a moment before does not run ahead to them.
    if (gate === 'g-irreversible' && this.moments.length > 0 && this.struck < irreversibleStation - 1) return { how: 'later' };
    for (const moment of this.moments) if (this.#next(moment) && moment.sign.of === 'gate' && moment.sign.gate === gate) return moment.sign;
    return undefined;
  }

  async watching(timeoutMs = 90_000): Promise<void> {
    await this.#until(`${this.name} watches`, async () => this.#watched !== undefined, timeoutMs);
  }

  /** For the time at which the provider's clock is moved: a consumer would be refused for signing by the old one, which says nothing about its key. */
  async rest(): Promise<void> {
    if (this.#consumer !== undefined) this.#refused.push(...noticed(await this.#consumer.stop()));
  }

  async resume(): Promise<void> {
    if (this.#consumer !== undefined) this.#consumer = await this.#kill.employ(this.deployed);
  }

  async #until(what: string, attempt: () => Promise<boolean>, timeoutMs: number, everyMs = 50): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!(await attempt())) {
      if (Date.now() > end) throw new Error(`waited in vain: ${what}; ${this.#told}\n${tell(this.last)}`);
      await wait(everyMs);
    }
  }

  async #look(status: IncidentStatus): Promise<Watched> {
    const { world } = this.#kill;
    const [picture, stored] = await Promise.all([world.picture(this.deployed.user), world.stored(this.deployed)]);
    const role = (key: string) =>
      key === this.deployed.pair.accessKeyId ? 'leaked' : key === stored[fields.accessKeyId] ? 'in the store' : 'unaccounted for';
    return {
      residuals: status.residuals.map(({ what }) => what.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '…')),
      keys: Object.entries(picture.keys).map(([key, state]) => `${role(key)}: ${state}`),
      policies: Object.keys(picture.policies),
    };
  }

  /** Waits for the close and gives what came of it all. */
  async ending(timeoutMs = 90_000): Promise<Ending> {
    const { world } = this.#kill;
    const { user } = this.deployed;
    let result: IncidentResult;
    try {
      result = await world.client.incident(this.id, this.run).result({ signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      throw new Error(`${this.name} does not close (${(error as Error).message}; ${this.#told}); it is:\n${tell(this.last)}`);
    } finally {
      this.#ended = true;
    }
    await this.#following;
    const exported = (await within(world.client.temporal.workflow.getHandle(`archive/${result.run}`).result(), 30_000)) as ExportResult;
    const { report } = await world.bundle(exported.bundle);
    const picture = await world.picture(user);
    const changed = (await world.changes(user, this.#since)).filter(({ effect }) => effect === 'changed');
    const gone = new Set(changed.filter(({ action }) => action === 'DeleteAccessKey').map(({ target }) => target.AccessKeyId));
    const orphans = new Set(changed.flatMap(({ made }) => (made !== undefined && gone.has(made) ? [made] : [])));
    this.orphans = orphans.size;
    const transitions = changed
      .filter(({ made, target }) => !orphans.has(made ?? '') && !orphans.has(target.AccessKeyId ?? ''))
      .map(({ action, target }) =>
        [action, target.PolicyName, target.AccessKeyId === this.deployed.pair.accessKeyId ? 'leaked' : target.AccessKeyId, target.Status]
          .filter((word) => word !== undefined)
          .join(' '),
      );
    const { versions, staged } = await this.#store();
    return {
      state: result.state,
      contained: result.contained,
      rotated: result.rotated,
      watched: this.#watched?.residuals ?? [],
      left: result.residuals.map(({ what }) => what),
      keys: this.#watched?.keys ?? [],
      policies: [this.#watched?.policies ?? [], Object.keys(picture.policies)],
      transitions: transitions.sort(),
      versions,
      staged,
      noticed: [...this.#refused, ...(this.#consumer === undefined ? [] : noticed(await this.#consumer.stop()))],
      bundle: `${report.state}, contained ${report.contained}, rotated ${report.rotated}`,
    };
  }

  async #store(): Promise<{ readonly versions: number; readonly staged: number }> {
    const { stack } = this.#kill.world;
    const vault = nodeVault({ endpoint: stack.vault.address, token: stack.vault.token, requestOptions: { timeout: 5_000 } });
    const place = this.deployed.path.slice(kvMount.length + 1);
    const metadata = await vault.read(`${kvMount}/metadata/${place}`);
    let staged = 0;
    try {
      const list = await vault.list(`${kvMount}/metadata/${place}--staged`);
      staged = (list.data.keys as string[]).length;
    } catch (error) {
      if ((error as { response?: { statusCode?: number } }).response?.statusCode !== 404) throw error;
    }
    return { versions: metadata.data.current_version as number, staged };
  }

  /** Ends the looking on, for an incident that is given up. */
  async abandon(): Promise<void> {
    this.#ended = true;
    await this.#consumer?.stop();
  }
}

/** Fails where the answer does not come: a call to a server that is paused has no end of its own. */
export async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  answer.catch(() => {});
  return await Promise.race([
    answer,
    wait(ms, undefined, { ref: false }).then(() => {
      throw new Error(`no answer within ${ms} ms`);
    }),
  ]);
}
