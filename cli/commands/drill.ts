import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { TourniquetClient } from '../../client/index.ts';
import { DecisionVerdict } from '../../domain/decision.ts';
import { fault, registry } from '../../domain/errors.ts';
import type { IncidentStatus } from '../../domain/messages.ts';
import { OriginPlace, ReportFormat } from '../../domain/report.ts';
import { isEnded } from '../../domain/states.ts';
import type { Drill } from '../../providers/contract.ts';
import { type Call, type CommandDefinition, text } from '../command.ts';
import { clientOf, personKey, personOf, readTextFile, type Setting, settingOf, trustOf } from '../engine.ts';
import { shortId } from '../words.ts';

export const command: CommandDefinition = {
  name: 'drill',
  summary: 'Rehearse a leak on a real account, with a credential made for it',
  description:
    'Makes a throw-away user that may do nothing, reports its key as leaked in public, and lets the engine respond: the whole way, on the real account. Measures how long a new key takes to be known there, when the key was contained and refused, and how far the log is behind, and saves it for this account. Then the incident is rolled back, signed by you, and what was made is removed; the cut-off of sessions that a rollback leaves standing goes with its user, and the incident ends when its date has passed. Nothing is made before you have typed what you consent to. What it makes is made with credentials of its own, by --profile or --credentials, since the engine has no right to make users.',
  arguments: [{ name: 'provider', summary: 'aws' }],
  options: [
    { flags: '--account <account>', summary: 'which account, where several are configured' },
    { flags: '--profile <name>', summary: 'the AWS profile that may make and remove what is under the drill’s path' },
    { flags: '--credentials <file>', summary: 'a credentials file that may, instead of a profile' },
    { flags: '--consent <words>', summary: 'what would have to be typed, for a script' },
    { flags: '--as <person>', summary: 'who rolls the incident back, by the id in people.yaml' },
    { flags: '--key <file>', summary: 'the key file of that person' },
    { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
    { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of that key' },
  ],
  exits: [3, 4],
  examples: [
    'tourniquet drill aws --profile drill --as alice',
    'tourniquet drill aws --profile drill --as alice --consent "drill in 112233445566"',
  ],
  async run(call) {
    const setting = settingOf(call);
    const provider = call.arguments[0] ?? '';
    const account = text(call, 'account');
    const entries = setting.configuration.accounts.filter(
      (each) => each.provider === provider && (account === undefined || each.account === account),
    );
    const [entry] = entries;
    if (entry === undefined)
      throw fault('usage.invalid', { argument: 'provider', problem: `no account of ${provider} is in tourniquet.yaml` });
    if (entries.length > 1)
      throw fault('usage.invalid', { option: '--account', problem: `expected one of ${entries.map((each) => each.account).join(', ')}` });
    if (entry.mode !== 'act')
      throw fault('usage.invalid', { problem: `${provider}/${entry.account} is in mode ${entry.mode}: a drill needs mode act` });
    const place = await publicPlace(setting);
    const drill = await drillOf(call, setting, entry);
    const person = await personOf(call);
    // All that a person has to give is asked for before anything is made.
    const key = await personKey(call, setting, person);
    await consent(call, drill, entry.account);
    // From here on something may stand that has to be removed, so that an interruption must not end the process at once.
    call.heed();
    const client = await clientOf(setting, { reads: true, reporter: 'drill', seal: await sealOf(setting) });
    let measured: Measured;
    try {
      measured = await rehearse(call, {
        client,
        drill,
        place,
        account: entry.account,
        rollBack: (status) => rollBack(client, status, person, key),
      });
    } finally {
      await client.close();
    }
    const file = save(setting, provider, entry.account, measured);
    const said = (ms: number | undefined) => (ms === undefined ? 'not seen' : `${(ms / 1000).toFixed(1)} s`);
    call.terminal.answer({ ...measured, file }, [
      `Contained in ${said(measured.containedMs)} after the report; its key was first refused ${said(measured.refusedMs)} after it.`,
      `A new key is known after ${said(measured.propagationMs)}; the log is ${said(measured.logLagMs)} behind.`,
      `Removed: ${measured.removed.join(', ')}. The incident ${shortId(measured.incident)} ${measured.state}.`,
      `Saved in ${file}.`,
      ...(measured.propagationMs === undefined
        ? []
        : [
            `For this account, in tourniquet.yaml: settings: { timing: { propagationMs: ${roundUp(measured.propagationMs)}${measured.logLagMs === undefined ? '' : `, logLagMs: ${roundUp(measured.logLagMs)}`} } }. It is one measurement: leave room.`,
          ]),
    ]);
    return measured.contained === 'yes' ? 0 : 1;
  },
};

/** What a drill has seen. Milliseconds; a time that was not seen is left out. */
interface Measured {
  readonly incident: string;
  readonly at: string;
  readonly contained: IncidentStatus['contained'];
  readonly state: string;
  readonly containedMs?: number;
  readonly refusedMs?: number;
  readonly propagationMs?: number;
  readonly logLagMs?: number;
  readonly removed: readonly string[];
}

/** Twice what was measured, in whole seconds. */
const roundUp = (ms: number): number => Math.ceil((2 * ms) / 1000) * 1000;
const patienceMs = 30 * 60_000;

/** A place that the inventory calls public: a leak in any other is asked about first, and the drill is of what happens unasked. */
async function publicPlace(setting: Setting): Promise<string> {
  const { loadInventory } = await import('../../inventory/index.ts');
  const { inventory } = setting.configuration;
  const match = loadInventory(readTextFile(inventory), inventory).repositories.find((each) => each.visibility === 'public')?.match;
  if (match === undefined)
    throw fault('usage.invalid', {
      file: inventory,
      problem:
        'no repository in it is public; add one for drills: repositories: [{ match: "https://git.example/drill", visibility: public }]',
    });
  return match.endsWith('/') ? `${match}drill` : match;
}

async function drillOf(call: Call, setting: Setting, entry: Setting['configuration']['accounts'][number]): Promise<Drill> {
  const { providers } = await import('../../providers/registry.ts');
  const { entryOf, profileEntry } = await import('../accounts.ts');
  const system = await providers[entry.provider]?.();
  if (system?.drill === undefined) throw fault('provider.unsupported', { provider: entry.provider, because: 'it has no drill' });
  const file = text(call, 'credentials');
  const profile = text(call, 'profile');
  if (file === undefined && profile === undefined)
    throw fault('usage.invalid', {
      option: '--profile',
      problem: 'the engine may make no users: give --profile or --credentials for the drill',
    });
  const from =
    file === undefined
      ? profileEntry(entry.account, profile, entry.settings)
      : entryOf({ ...entry, credentials: resolve(dirname(setting.file), file) });
  const { provider, account, mode, settings } = entry;
  return system.drill({ provider, account, mode, settings, credentials: await from.credentials() });
}

async function consent(call: Call, drill: Drill, account: string): Promise<void> {
  const words = `drill in ${account}`;
  call.terminal.say(`This makes, on account ${account}: ${drill.makes.join('; ')}. It is removed at the end.`);
  const said = text(call, 'consent') ?? (await call.terminal.ask(`Type "${words}" to go on: `, `give --consent "${words}"`));
  if (said.trim() !== words) throw fault('usage.invalid', { option: '--consent', problem: `expected "${words}"; nothing was made` });
}

async function sealOf(setting: Setting) {
  const { sealInto } = await import('../../client/sealing.ts');
  return sealInto({ trust: await trustOf(setting), drop: setting.configuration.drop.directory });
}

async function rollBack(
  client: TourniquetClient,
  status: IncidentStatus,
  person: string,
  key: Awaited<ReturnType<typeof personKey>>,
): Promise<void> {
  const { decisionFor, signDecision } = await import('../../client/decision.ts');
  const { signerFrom } = await import('../../audit/signing.ts');
  const decision = decisionFor(status, {
    verdict: DecisionVerdict.ROLLBACK,
    by: person,
    reason: 'the end of a drill',
    planHash: status.planHash ?? '',
  });
  const ruling = await client.incident(status.id).rollback(signDecision(decision, signerFrom(key)));
  if (!ruling.accepted)
    throw fault(ruling.code ?? 'engine.unexpected', {
      incident: status.id,
      why: ruling.why,
      do: registry[ruling.code ?? 'engine.unexpected'].remedy,
    });
}

/** The whole of it. What was made is removed whatever happens. */
async function rehearse(
  call: Call,
  on: {
    readonly client: TourniquetClient;
    readonly drill: Drill;
    readonly place: string;
    readonly account: string;
    rollBack(status: IncidentStatus): Promise<void>;
  },
): Promise<Measured> {
  const { client, drill } = on;
  const { say } = call.terminal;
  const removed: string[] = [];
  const end = Date.now() + patienceMs;
  const expect = async <T>(what: string, look: () => Promise<T | undefined>, everyMs: number): Promise<T> => {
    for (;;) {
      const seen = await look();
      if (seen !== undefined) return seen;
      call.signal.throwIfAborted();
      if (Date.now() > end) throw fault('engine.unexpected', { drill: what, problem: 'it did not come within half an hour' });
      await wait(everyMs);
    }
  };
  try {
    const { credential, secret, principal } = await drill.begin();
    const madeAt = Date.now();
    say(`made ${principal}`);
    await expect('the new key is accepted', async () => ((await drill.attempt()) === 'accepted' ? true : undefined), 500);
    const usableMs = Date.now() - madeAt;
    say(`its key is accepted after ${(usableMs / 1000).toFixed(1)} s; it is reported as leaked in public`);
    const reportedAt = Date.now();
    const { id } = await client.report({
      v: 1,
      format: ReportFormat.MANUAL,
      credential,
      account: on.account,
      origin: { where: OriginPlace.REPOSITORY, repository: on.place },
      seenAt: new Date().toISOString(),
      claims: {},
      note: `A drill: ${principal} was made for it and may do nothing.`,
      secret,
    });
    const incident = client.incident(id);
    // Looked at side by side: our own calls with the key show when it is refused, whatever the engine says.
    let refusedAt: number | undefined;
    let loggedAt: number | undefined;
    let stop = false;
    const trying = (async () => {
      while (refusedAt === undefined && !stop && !call.signal.aborted && Date.now() < end) {
        if ((await drill.attempt()) === 'refused') refusedAt = Date.now();
        else await wait(250);
      }
    })();
    const logging = (async () => {
      while (loggedAt === undefined && !stop && !call.signal.aborted && Date.now() < end) {
        if (await drill.isLogged().catch(() => false)) loggedAt = Date.now();
        else await wait(2000);
      }
    })();
    let contained: IncidentStatus;
    try {
      contained = await expect(
        'the incident is contained',
        async () => {
          const status = await incident.status().catch(() => undefined);
          return status && (status.contained === 'yes' || isEnded(status.state)) ? status : undefined;
        },
        500,
      );
    } finally {
      stop = true;
      await Promise.all([trying, logging]);
    }
    const containedAt = Date.now();
    say(`contained: ${contained.contained}`);
    // Taken back before it is removed: a key that somebody has deleted cannot be turned on again, and the engine would rightly say so for ever.
    await on.rollBack(await incident.status());
    const last = await expect(
      'the incident is taken back',
      async () => {
        const status = await incident.status().catch(() => undefined);
        return status && (isEnded(status.state) || status.state === 'watching') ? status : undefined;
      },
      500,
    );
    removed.push(...(await drill.end()));
    const since = (at: number | undefined, from: number | undefined) =>
      at === undefined || from === undefined ? undefined : Math.max(0, at - from);
    const refusedMs = since(refusedAt, reportedAt);
    const logLagMs = since(loggedAt, madeAt);
    return {
      incident: id,
      at: new Date(reportedAt).toISOString(),
      contained: contained.contained,
      state: isEnded(last.state) ? `has ended: ${last.state}` : `is ${last.state} until what it left has passed`,
      containedMs: containedAt - reportedAt,
      ...(refusedMs === undefined ? {} : { refusedMs }),
      propagationMs: usableMs,
      ...(logLagMs === undefined ? {} : { logLagMs }),
      removed,
    };
  } catch (error) {
    try {
      for (const what of await drill.end()) say(`removed ${what}`);
    } catch (left) {
      say(`what was made is NOT removed: ${drill.makes.join('; ')}`);
      void left;
    }
    throw error;
  }
}

/** Measurements of every drill of an account, the newest last, beside the configuration. */
function save(setting: Setting, provider: string, account: string, measured: Measured): string {
  const folder = join(dirname(setting.file), 'drills');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${provider}-${account}.json`);
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as unknown[]) : [];
  writeFileSync(file, `${JSON.stringify([...before, measured], null, 2)}\n`);
  return file;
}
