import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TourniquetClient } from '../../client/index.ts';
import type { Hash } from '../../domain/canonical.ts';
import type { Configuration } from '../../domain/configuration.ts';
import { codeOf, isFault, registry } from '../../domain/errors.ts';
import { judgeQueue, queueOf } from '../../domain/manifest.ts';
import { SearchAttribute } from '../../domain/messages.ts';
import type { People, Trust } from '../../domain/trust.ts';
import { wantsOf } from '../../domain/trust-changes.ts';
import type { CommandDefinition } from '../command.ts';
import type { Check } from '../doctor-accounts.ts';
import { clientOf, readTextFile, type Setting, settingOf, trustOf } from '../engine.ts';
import { troubleOf } from '../trouble.ts';
import { standingOf } from '../trust.ts';
import { when } from '../words.ts';

export const command: CommandDefinition = {
  name: 'doctor',
  summary: 'Check that everything is in order',
  description:
    'Looks at files, keys and their permissions, the trust signature, the Temporal server, clocks, versions, and whether a worker polls each queue; and at each account whose credentials lie here: who we are, what is missing of our permissions (by simulation), logs and how far they are behind, free places for new keys, controls that no hold claims, and whether we stand within reach of what we would contain. Each fault is told with what does not work without it, and what to do. The last lines say what would contain a public key, in about how many seconds, and who would fail. Changes nothing. What cannot be known is said to be unknown. Ends with 1 where something is wrong.',
  arguments: [],
  options: [{ flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' }],
  exits: [],
  examples: ['tourniquet doctor', 'tourniquet doctor --json'],
  async run(call) {
    const setting = settingOf(call);
    const checks: Check[] = [{ what: 'configuration', state: 'yes', says: setting.file }];
    let trust: Trust | undefined;
    await attempt(checks, 'trust file is signed by the root', async () => {
      trust = await trustOf(setting);
      return `serial ${trust.serial}, ${trust.keys.length} keys, engine ${trust.engine}${trust.engine === setting.configuration.engine ? '' : '; another engine than the configuration'}`;
    });
    await checkTrust(checks, setting);
    if (trust !== undefined) await checkFiles(checks, setting, trust);
    checkKeys(checks, setting);
    checks.push({
      what: 'node',
      state: Number(process.versions.node.split('.')[0]) >= 22 ? 'yes' : 'no',
      says: process.version,
      next: 'Use node 22 or newer.',
    });
    await checkServer(checks, setting);
    for (const entry of setting.configuration.accounts) checks.push(await providerClock(entry));
    const { accountChecks, containments, quorumChecks } = await import('../doctor-accounts.ts');
    if (trust !== undefined) {
      const { readPeople } = await import('../../audit/trust.ts');
      const people = peopleIfAny(() => readPeople(setting.configuration.people, trust as Trust));
      if (people !== undefined) checks.push(...quorumChecks(setting.configuration, people, trust, new Date().toISOString()));
    }
    const client = await clientOf(setting, { reads: false }).catch(() => undefined);
    try {
      checks.push(...(await accountChecks(setting.configuration, client)));
    } finally {
      await client?.close();
    }
    checks.push(...(await selfChecks(setting, trust, call.environment)));
    const mark = {
      yes: call.terminal.paint('green', '✓ yes    '),
      no: call.terminal.paint('red', '✕ no     '),
      unknown: call.terminal.paint('yellow', '? unknown'),
    };
    const last = containedBy(() => containments(setting.configuration));
    call.terminal.answer({ checks, containments: last }, [
      ...checks.flatMap((check) => [
        `${mark[check.state]}  ${check.what}: ${check.says}`,
        ...(check.state !== 'yes' && check.breaks !== undefined ? [`             without it: ${check.breaks}`] : []),
        ...(check.state !== 'yes' && check.next !== undefined ? [`             do: ${check.next}`] : []),
      ]),
      '',
      ...last,
    ]);
    return checks.some((check) => check.state === 'no') ? 1 : 0;
  },
};

function peopleIfAny(read: () => People): People | undefined {
  try {
    return read();
  } catch {
    // That they cannot be read is told by a line of its own.
    return undefined;
  }
}

function containedBy(look: () => readonly string[]): readonly string[] {
  try {
    return look();
  } catch (error) {
    return [`What would contain a public key here cannot be said: ${troubleOf(error).what}.`];
  }
}

/** A check that answers in words or throws. */
async function attempt(checks: Check[], what: string, look: () => Promise<string> | string): Promise<void> {
  try {
    checks.push({ what, state: 'yes', says: await look() });
  } catch (error) {
    const trouble = troubleOf(error);
    checks.push({
      what,
      state: 'no',
      says: [trouble.what, trouble.where, ...trouble.why].filter((part) => part !== '').join('; '),
      next: trouble.next,
    });
  }
}

/** Whether the trust files are those in force, by the store, and whether what is in force leaves nobody out who is needed. */
async function checkTrust(checks: Check[], setting: Setting): Promise<void> {
  const what = 'trust files are the ones in force';
  try {
    const { inForce, trouble, waiting, byStore } = await standingOf(setting);
    const says = `serial ${inForce.trust.serial}`;
    if (trouble) {
      const { what: title, where, next } = troubleOf(trouble);
      checks.push({ what, state: 'no', says: `${title}; ${where}; ${says} stays in force`, next });
    } else if (!byStore) {
      checks.push({
        what,
        state: 'unknown',
        says: `${says} in the files; the operator’s store key is not here`,
        next: 'Say where the keys are with --keys.',
      });
    } else if (waiting) {
      const next = 'Workers take it within a second; where none runs, start them.';
      checks.push({
        what,
        state: 'unknown',
        says: `${says}, and the files bring ${waiting.trust.serial}, which no worker has taken yet`,
        next,
      });
    } else checks.push({ what, state: 'yes', says });
    const wants = wantsOf(inForce, new Date().toISOString());
    const whole = 'everybody who is needed has a good key';
    checks.push(
      wants.length === 0
        ? { what: whole, state: 'yes', says: 'judge, workers, and two persons for an edit' }
        : {
            what: whole,
            state: 'no',
            says: wants.join('; '),
            next: 'Make the keys with `tourniquet key new` and propose an edit: `tourniquet trust propose`.',
          },
    );
  } catch (error) {
    const { what: title, where, next } = troubleOf(error);
    checks.push({ what, state: 'no', says: [title, where].filter((part) => part !== '').join('; '), next });
  }
}

async function checkFiles(checks: Check[], setting: Setting, trust: Trust): Promise<void> {
  const { people, policy, inventory } = setting.configuration;
  await attempt(checks, 'people.yaml is the one the trust names', async () => {
    const { readPeople } = await import('../../audit/trust.ts');
    return `${readPeople(people, trust).people.length} people`;
  });
  await attempt(checks, 'policy', async () => {
    const { parsePolicy } = await import('../../domain/policy.schema.ts');
    parsePolicy(readTextFile(policy), policy);
    return policy;
  });
  await attempt(checks, 'inventory', async () => {
    const { loadInventory } = await import('../../inventory/index.ts');
    loadInventory(readTextFile(inventory), inventory);
    return inventory;
  });
  const soon = Date.now() + 30 * 86_400_000;
  const ending = trust.keys.filter((key) => Date.parse(key.until) < soon);
  checks.push(
    ending.length === 0
      ? { what: 'keys are good for 30 days', state: 'yes', says: `${trust.keys.length} keys` }
      : {
          what: 'keys are good for 30 days',
          state: 'no',
          says: ending.map((key) => `${key.id} until ${when(key.until)}`).join(', '),
          next: 'Make new ones with `tourniquet key new`, and propose an edit with them in: `tourniquet trust propose`.',
        },
  );
}

/** Whether files with secrets can be read by others; of keys and of the accounts' credentials, as far as they lie here. */
function checkKeys(checks: Check[], setting: Setting): void {
  const files: string[] = [];
  const walk = (folder: string) => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (!entry.name.endsWith('.pub')) files.push(path);
    }
  };
  try {
    walk(setting.keys);
    for (const entry of setting.configuration.accounts) if (existsSync(entry.credentials)) files.push(entry.credentials);
    const open = files.filter((file) => (statSync(file).mode & 0o077) !== 0);
    checks.push(
      files.length === 0
        ? {
            what: 'secret files are private',
            state: 'unknown',
            says: `none lie in ${setting.keys}`,
            next: 'Say where they are with --keys.',
          }
        : open.length === 0
          ? { what: 'secret files are private', state: 'yes', says: `${files.length} files` }
          : { what: 'secret files are private', state: 'no', says: open.join(', '), next: `chmod 600 ${open.join(' ')}` },
    );
  } catch (error) {
    checks.push({
      what: 'secret files are private',
      state: 'unknown',
      says: error instanceof Error ? error.message : 'they cannot be looked at',
    });
  }
  const root = join(setting.keys, 'root');
  if (setting.stack === undefined && existsSync(root))
    checks.push({
      what: 'the root is offline',
      state: 'no',
      says: `its key lies in ${root}`,
      next: 'Take the folder away; nothing that runs needs it.',
    });
}

async function checkServer(checks: Check[], setting: Setting): Promise<void> {
  let client: TourniquetClient;
  try {
    client = await clientOf(setting, { reads: false });
  } catch (error) {
    checks.push({
      what: 'Temporal answers',
      state: 'no',
      says: isFault(error) ? error.message : 'it does not',
      next: registry[codeOf(error)].remedy,
    });
    return;
  }
  try {
    const { namespace } = client.temporal.options;
    const service = client.temporal.workflowService;
    const asked = Date.now();
    const system = await service.getSystemInfo({});
    checks.push({
      what: 'Temporal answers',
      state: 'yes',
      says: `server ${system.serverVersion ?? 'of unknown version'}, ${Date.now() - asked} ms, namespace ${namespace}`,
    });
    await attempt(checks, 'histories are kept for 90 days', async () => {
      const described = await service.describeNamespace({ namespace });
      const days = Number(described.config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400;
      if (days < 90) throw new Error(`${Math.round(days * 10) / 10} days; temporal operator namespace update --retention 90d ${namespace}`);
      return `${days} days`;
    });
    await attempt(checks, 'search attributes are registered', async () => {
      const { customAttributes } = await (
        client.temporal.connection as unknown as {
          operatorService: { listSearchAttributes(of: object): Promise<{ customAttributes?: object | null }> };
        }
      ).operatorService.listSearchAttributes({ namespace });
      const missing = Object.values(SearchAttribute).filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
      if (missing.length > 0)
        throw new Error(
          `missing: ${missing.join(', ')}; ${missing.map((name) => `temporal operator search-attribute create --name ${name} --type Keyword`).join('; ')}`,
        );
      return Object.values(SearchAttribute).join(', ');
    });
    let newest = 0;
    const queues = [
      { name: judgeQueue, types: [1, 2] },
      ...setting.configuration.accounts.map((entry) => ({ name: queueOf(entry.provider, entry.account), types: [2] })),
    ];
    for (const { name, types } of queues) {
      await attempt(checks, `a worker polls ${name}`, async () => {
        const polling: number[] = [];
        for (const taskQueueType of types) {
          const { pollers } = await service.describeTaskQueue({ namespace, taskQueue: { name }, taskQueueType });
          for (const poller of pollers ?? []) newest = Math.max(newest, Number(poller.lastAccessTime?.seconds ?? 0) * 1000);
          polling.push(pollers?.length ?? 0);
        }
        if (polling.some((count) => count === 0)) throw new Error('nobody does; start its worker');
        return `${Math.min(...polling)} poller${Math.min(...polling) === 1 ? '' : 's'}`;
      });
    }
    // The server tells its time only through what it saw last; that bounds how far our clock may be behind, and not how far ahead.
    checks.push(
      newest === 0
        ? { what: 'our clock and the server’s agree', state: 'unknown', says: 'no worker has polled, so the server has told no time' }
        : newest > Date.now() + 5000
          ? {
              what: 'our clock and the server’s agree',
              state: 'no',
              says: `ours is at least ${Math.round((newest - Date.now()) / 1000)} s behind`,
              next: 'Set the clock; decisions carry times.',
            }
          : { what: 'our clock and the server’s agree', state: 'yes', says: 'ours is not behind' },
    );
  } catch (error) {
    checks.push({ what: 'Temporal answers', state: 'no', says: error instanceof Error ? error.message : 'it does not' });
  } finally {
    await client.close();
  }
}

/**
 * What the engine itself stands on, which it never touches: what each worker has said, signed, in the store; and what no worker can know, which the configuration has to name.
 * What is named in no way the engine would plan to cut off like any other leak.
 */
async function selfChecks(setting: Setting, trust: Trust | undefined, environment: NodeJS.ProcessEnv): Promise<Check[]> {
  const { configuration, keys } = setting;
  const named = new Set(configuration.self ?? []);
  const checks: Check[] = [];
  const key = join(keys, 'operator', 'store.key');
  const source =
    trust !== undefined && existsSync(key) && existsSync(configuration.store.directory) ? await sourceOf(setting, key, trust) : undefined;
  for (const entry of configuration.accounts) {
    const what = `what ${entry.provider}/${entry.account} stands on`;
    if (source === undefined) {
      checks.push({ what, state: 'unknown', says: 'the store cannot be read from here', next: `Put the operator's store key at ${key}.` });
      continue;
    }
    const said = await source(entry);
    checks.push(
      said === undefined
        ? {
            what,
            state: 'unknown',
            says: 'its worker has not said it yet',
            next: 'Start its worker. Until then only what `self` in tourniquet.yaml names is spared.',
          }
        : { what, state: 'yes', says: said.map((each) => `${each.id} (${each.what})`).join(', ') },
    );
  }
  const certificate = environment.TEMPORAL_TLS_CLIENT_CERT_PATH;
  if (certificate !== undefined && existsSync(certificate)) {
    const what = 'Temporal’s client certificate is named under self';
    try {
      const { fingerprint256 } = new X509Certificate(readFileSync(certificate));
      checks.push(
        named.has(fingerprint256)
          ? { what, state: 'yes', says: fingerprint256 }
          : { what, state: 'no', says: 'it is not', next: `Add to tourniquet.yaml: self: ["${fingerprint256}"]` },
      );
    } catch {
      checks.push({ what, state: 'unknown', says: `${certificate} cannot be read` });
    }
  }
  if (named.size > 0) checks.push({ what: 'further things named under self', state: 'yes', says: [...named].join(', ') });
  return checks;
}

async function sourceOf(setting: Setting, key: string, trust: Trust) {
  const { openDirectoryStore } = await import('../../audit/store.ts');
  const { readStoreKey } = await import('../../audit/keys.ts');
  const { openRecord, parseEnvelope } = await import('../../audit/records.ts');
  const { saidOf } = await import('../../audit/self.ts');
  const { engine, store: place } = setting.configuration;
  const store = openDirectoryStore(place.directory, readStoreKey(key));
  const read = async (hash: Hash) => openRecord(parseEnvelope(await store.get(hash), hash), { trust, engine, type: 'self', hash });
  return async (entry: Configuration['accounts'][number]) => await saidOf({ store, trust, read }, entry);
}

/** How far a provider's clock is from ours, by the Date of its answer to a request that needs no credentials. Asked only where an endpoint is configured. */
async function providerClock(entry: Configuration['accounts'][number]): Promise<Check> {
  const what = `clock of ${entry.provider}/${entry.account}`;
  const endpoint = entry.settings.endpoint ?? entry.settings.address;
  if (typeof endpoint !== 'string') return { what, state: 'unknown', says: 'no endpoint is configured; only its worker reaches it' };
  try {
    const answer = await fetch(endpoint, { method: 'HEAD', signal: AbortSignal.timeout(5000), redirect: 'manual' });
    const date = Date.parse(answer.headers.get('date') ?? '');
    if (Number.isNaN(date)) return { what, state: 'unknown', says: 'it answers and tells no time' };
    const seconds = Math.round((date - Date.now()) / 1000);
    return Math.abs(seconds) <= 5
      ? { what, state: 'yes', says: `within ${Math.max(1, Math.abs(seconds))} s of ours` }
      : {
          what,
          state: 'no',
          says: `${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} ours`,
          next: 'Set our clock. Residuals and sweeps go by the provider’s clock, decisions by ours.',
        };
  } catch (error) {
    return {
      what,
      state: 'no',
      says: `${endpoint} does not answer: ${error instanceof Error ? error.message : 'it failed'}`,
      next: 'Check that it runs and that nothing stands between.',
    };
  }
}
