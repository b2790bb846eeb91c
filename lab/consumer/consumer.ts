import { setTimeout as wait } from 'node:timers/promises';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import nodeVault from 'node-vault';
import type { ConsumerConfig, ConsumerLine } from './messages.ts';
import { type Miss, Tally, type TallySnapshot } from './tally.ts';

interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A consumer that works. */
export interface Consumer {
  /** The key it uses now. */
  readonly accessKeyId: string;
  tally(): TallySnapshot;
  /** Lets the calls under way end, and gives the last counts. */
  stop(): Promise<TallySnapshot>;
}

const statusOf = (error: unknown): number | undefined => (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;

/**
 * A consumer as a team would write it well: it reads its key from its store, calls AWS with it at a steady pace, looks at the store every few
 * seconds, and moves to a new key once that key is accepted, keeping the old one until then. It knows nothing of the engine. Each call is made
 * once, so that no refusal hides behind a retry of the SDK. `say` hears when it moves and when its store is away. Throws where the store gives no pair at first.
 */
export async function startConsumer(config: ConsumerConfig, say: (line: ConsumerLine) => void = () => {}): Promise<Consumer> {
  const vault = nodeVault({ endpoint: config.vault.address, token: config.vault.token, requestOptions: { timeout: 3_000 } });
  const [mount, ...rest] = config.vault.path.split('/');

  /** The pair as the store has it now. Throws where the store is away or holds no pair. */
  async function read(): Promise<Pair> {
    const answer = await vault.read(`${mount}/data/${rest.join('/')}`);
    const content = answer.data.data as Record<string, unknown>;
    const accessKeyId = content[config.fields.accessKeyId];
    const secretAccessKey = content[config.fields.secretAccessKey];
    if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') throw new Error('the store holds no key pair');
    return { accessKeyId, secretAccessKey };
  }

  const settings = (credentials: Pair) => ({
    endpoint: config.aws.endpoint,
    region: config.aws.region,
    credentials,
    maxAttempts: 1,
    customUserAgent: config.name,
    systemClockOffset: config.clockOffsetMs ?? 0,
    requestHandler: { connectionTimeout: 2_000, requestTimeout: 4_000 },
  });

  /** Whether AWS accepts the pair. Not counted: it is no work of the consumer's. */
  async function accepted(pair: Pair): Promise<boolean> {
    const sts = new STSClient(settings(pair));
    const secrets = new SecretsManagerClient(settings(pair));
    try {
      await sts.send(new GetCallerIdentityCommand({}));
      // Being known is not being allowed: the call that the work is made of has to succeed too.
      await secrets.send(new ListSecretsCommand({ MaxResults: 1 }));
      return true;
    } catch {
      return false;
    } finally {
      sts.destroy();
      secrets.destroy();
    }
  }

  const tally = new Tally();
  let using = await read();
  let client = new SecretsManagerClient(settings(using));
  let stopping = false;

  async function call(): Promise<void> {
    try {
      await client.send(new ListSecretsCommand({ MaxResults: 1 }));
      tally.success(Date.now());
    } catch (error) {
      const miss: Miss = statusOf(error) === undefined ? 'unreachable' : { refused: (error as Error).name };
      tally.miss(Date.now(), miss);
    }
  }

  /** Follows the store. A new pair is tried until it is accepted; AWS takes seconds to know a new key, and the old one may work until then. */
  async function follow(): Promise<void> {
    let probes = 0;
    let candidate: Pair | undefined;
    while (!stopping) {
      const jitter = 0.9 + Math.random() * 0.2;
      await wait(candidate === undefined ? config.rereadMs * jitter : 250, undefined, { ref: false });
      if (stopping) return;
      if (candidate === undefined) {
        try {
          const found = await read();
          if (found.accessKeyId === using.accessKeyId && found.secretAccessKey === using.secretAccessKey) continue;
          candidate = found;
          probes = 0;
        } catch (error) {
          // The key at hand is as good as before; the next look may be luckier.
          say({ type: 'store-away', at: Date.now(), why: error instanceof Error ? error.message.slice(0, 120) : 'unknown' });
          continue;
        }
      }
      probes += 1;
      if (await accepted(candidate)) {
        const old = client;
        client = new SecretsManagerClient(settings(candidate));
        say({ type: 'moved', at: Date.now(), from: using.accessKeyId, to: candidate.accessKeyId, probes });
        using = candidate;
        candidate = undefined;
        // Calls under way still answer on it.
        setTimeout(() => old.destroy(), 10_000).unref();
      } else if (probes % 8 === 0) {
        // Whatever is there may have been replaced, or taken back, meanwhile.
        candidate = undefined;
      }
    }
  }

  const period = 1_000 / config.callsPerSecond;
  const underWay = new Set<Promise<void>>();
  let next = performance.now();
  function pace(): void {
    if (stopping) return;
    // A slow answer does not slow the pace, up to a bound: it is the calls' answers that are measured, and not the machine.
    if (underWay.size < 4 * config.callsPerSecond) {
      const made = call();
      underWay.add(made);
      void made.finally(() => underWay.delete(made));
    }
    next = Math.max(next + period, performance.now());
    setTimeout(pace, next - performance.now());
  }

  pace();
  void follow();
  return {
    get accessKeyId() {
      return using.accessKeyId;
    },
    tally: () => tally.snapshot(Date.now()),
    async stop() {
      stopping = true;
      await Promise.allSettled([...underWay]);
      client.destroy();
      return tally.snapshot(Date.now());
    },
  };
}
