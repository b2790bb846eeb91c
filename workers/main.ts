import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { isFault, registry } from '../domain/errors.ts';
import { readSettings } from './settings.ts';

/**
 * The entry of every worker process. Configuration by environment (see `readSettings`), the Temporal address by the standard variables or profile, else from tourniquet.yaml.
 * When it polls, it writes one JSON line `{"ready":true,…}` on stdout. SIGTERM and SIGINT let running activities come to a stop and end it.
 */
async function main(): Promise<void> {
  quieten();
  const settings = readSettings(process.env);
  Runtime.install({
    logger: new DefaultLogger('WARN', (entry) => {
      const { error: _error, ...meta } = (entry.meta ?? {}) as Record<string, unknown>;
      process.stderr.write(
        `${JSON.stringify({ at: new Date(Number(entry.timestampNanos / 1_000_000n)).toISOString(), level: entry.level, message: entry.message, ...meta })}\n`,
      );
    }),
    shutdownSignals: [],
  });
  const profile = settings.configuration.temporal.profile;
  const { connectionOptions, namespace: configuredNamespace } = loadClientConnectConfig(profile ? { profile } : {});
  const address = process.env.TEMPORAL_ADDRESS ?? settings.configuration.temporal.address ?? connectionOptions.address ?? '127.0.0.1:7233';
  const namespace = process.env.TEMPORAL_NAMESPACE ?? configuredNamespace ?? settings.configuration.temporal.namespace;
  const { address: _a, ...rest } = connectionOptions;
  const connection = await NativeConnection.connect({ ...(rest as object), address });
  const workers: Worker[] =
    settings.role === 'judge'
      ? await (await import('./judge.ts')).createJudge(settings, connection, namespace)
      : await (await import('./provider.ts')).createProviderWorker(settings, connection, namespace);
  const stop = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const running = Promise.all(workers.map((worker) => worker.run()));
  process.stdout.write(
    `${JSON.stringify({ ready: true, role: settings.role, provider: settings.provider, account: settings.account, pid: process.pid })}\n`,
  );
  await running;
  await connection.close();
}

/** Debug namespaces that print bodies with secrets in them are taken out of `DEBUG`, and that is said. */
function quieten(): void {
  const debug = process.env.DEBUG;
  if (debug) {
    process.stderr.write('DEBUG is not honoured by workers: what it prints may hold secrets\n');
    delete process.env.DEBUG;
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    if (isFault(error)) {
      process.stderr.write(`${error.message}\n${registry[error.code].remedy}\n`);
      process.exit(registry[error.code].exit);
    }
    process.stderr.write(`${error instanceof Error ? `${error.name}: ${error.message}` : 'failed'}\n`);
    process.exit(1);
  },
);
