import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { findServer } from './find.ts';
import { freePort, type Part, startPart, untilReady } from './part.ts';

export interface TemporalOptions {
  /** Folder of the database file and, by default, of the log. */
  readonly directory: string;
  readonly port?: number;
  readonly uiPort?: number;
  readonly codecEndpoint?: string;
  /** Names of search attributes, all of type Keyword. */
  readonly searchAttributes?: readonly string[];
  readonly log?: string;
  readonly headless?: boolean;
  /** Told of the process as soon as there is one, before it is ready: whoever keeps a list of what to end must not miss it. */
  readonly onPart?: (part: Part) => void;
}

export interface TemporalServer {
  readonly address: string;
  readonly ui: string | undefined;
  readonly pid: number;
  readonly part: Part;
  stop(): Promise<void>;
}

/**
 * Temporal's development server on a file database, one partition a queue, the journal in write-ahead mode (what that gives and costs stands in docs/performance.md).
 * Retention of the default namespace is set to 90 days. It is ready when this returns.
 */
export async function startTemporal(options: TemporalOptions): Promise<TemporalServer> {
  const port = options.port ?? (await freePort());
  const uiPort = options.headless ? undefined : (options.uiPort ?? (await freePort()));
  const log = options.log ?? join(options.directory, 'temporal.log');
  const args = [
    'server',
    'start-dev',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--db-filename',
    join(options.directory, 'temporal.db'),
    '--log-level',
    'error',
    '--sqlite-pragma',
    'journal_mode=wal',
    '--sqlite-pragma',
    'synchronous=0',
    '--dynamic-config-value',
    'matching.numTaskqueueReadPartitions=1',
    '--dynamic-config-value',
    'matching.numTaskqueueWritePartitions=1',
    // Neither the server nor its page asks anybody outside whether there is news.
    '--dynamic-config-value',
    'frontend.enableServerVersionCheck=false',
    '--ui-disable-news-fetch',
    ...(uiPort ? ['--ui-port', String(uiPort)] : ['--headless']),
    ...(options.codecEndpoint ? ['--ui-codec-endpoint', options.codecEndpoint] : []),
    ...(options.searchAttributes ?? []).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
  const part = startPart('temporal', findServer('temporal').path, args, { log });
  options.onPart?.(part);
  const address = `127.0.0.1:${port}`;
  try {
    await untilReady(part, log, async () => {
      const connection = await Connection.connect({ address, connectTimeout: '1s' });
      try {
        const { namespaces } = await connection.workflowService.listNamespaces({});
        if (!namespaces.some((each) => each.namespaceInfo?.name === 'default')) return false;
        await connection.workflowService.updateNamespace({
          namespace: 'default',
          config: { workflowExecutionRetentionTtl: { seconds: (90 * 86_400) as never } },
        });
        return true;
      } finally {
        await connection.close();
      }
    });
  } catch (error) {
    await part.stop(500);
    throw error;
  }
  return { address, ui: uiPort ? `http://127.0.0.1:${uiPort}` : undefined, pid: part.pid, part, stop: () => part.stop() };
}
