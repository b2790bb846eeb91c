import { connect } from 'node:net';
import { hostname, userInfo } from 'node:os';
import { Client, Connection, type ConnectionLike, type ConnectionOptions } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { dataConverterFor, type Keyring } from '../audit/codec.ts';
import { fault } from '../domain/errors.ts';
import type { Report } from '../domain/report.ts';
import type { ReportDraft } from '../intake/index.ts';
import type { ClientContext } from './context.ts';
import { faultOf } from './faults.ts';
import { type IncidentClient, incidentClient } from './incident.ts';
import { type ListedIncident, type ListFilter, listIncidents, resolveIncident } from './list.ts';
import { type Received, type ReportOptions, sendReport } from './report.ts';
import type { Seal } from './sealing.ts';

export { type Keyring, openKeyring } from '../audit/codec.ts';
export { readKey } from '../audit/keys.ts';
export { sealFor } from '../audit/sealing.ts';
export { type Signer, signerFrom } from '../audit/signing.ts';
export { readTrust } from '../audit/trust.ts';
export type { Decision, DecisionRuling, SignedDecision } from '../domain/decision.ts';
export { codeOf, type ErrorCode, Fault, isFault } from '../domain/errors.ts';
export type { IncidentResult, IncidentStatus } from '../domain/messages.ts';
export type { Report } from '../domain/report.ts';
export { Secret } from '../domain/secret.ts';
export { type ByHand, draftByHand, type Intake, type Problem, parseReports, type ReportDraft } from '../intake/index.ts';
export { type Ask, decisionFor, signDecision } from './decision.ts';
export type { IncidentClient, WatchOptions } from './incident.ts';
export type { ListedIncident, ListFilter } from './list.ts';
export { type Received, type ReportOptions, reportId } from './report.ts';
export { fingerprintKeyIn, type Seal, sealInto } from './sealing.ts';

/**
 * How to reach an engine. One of `client` (used as it is, its converter included), `connection`, or neither: then a connection is made from the
 * standard Temporal environment variables and TOML profile, with `address` and `namespace` where those say nothing.
 */
export interface ClientOptions {
  readonly client?: Client;
  readonly connection?: ConnectionLike;
  readonly address?: string;
  readonly namespace?: string;
  /** The profile of the TOML file. */
  readonly profile?: string;
  /** The codec keys. A mere reporter has none, sends in the clear, and can read nothing. */
  readonly keyring?: Keyring;
  /** In place of `keyring`, a converter of one's own. */
  readonly dataConverter?: DataConverter;
  /** Seals secrets; without it a report that holds one is refused. See {@link sealInto}. */
  readonly seal?: Seal;
  /** The engine that signed reports are signed for; by default that of `seal`. */
  readonly engine?: string;
  /** Who reports: a person's id, or the name of a tool. By default user and host. */
  readonly reporter?: string;
  /** How long `report` waits for a server that is away, in milliseconds; half a minute where it is not said. */
  readonly patienceMs?: number;
}

/** The engine, as a SOAR tool, a scanner or a responder sees it. Every failure is a {@link Fault}. */
export interface TourniquetClient {
  /** Connects now and not at the first call. Throws `engine.unavailable`. */
  connect(): Promise<void>;
  /**
   * Reports leaks. Idempotent: the same report again is the same sighting. The secret is sealed and dropped before anything is sent. Of several, those
   * before the first failure have been received.
   */
  report(draft: ReportDraft | Report, options?: ReportOptions): Promise<Received>;
  report(drafts: readonly (ReportDraft | Report)[], options?: ReportOptions): Promise<readonly Received[]>;
  /** The incident of a whole id; `run` picks one run, by default the latest. Looks nothing up. */
  incident(id: string, run?: string): IncidentClient;
  list(filter?: ListFilter): AsyncIterable<ListedIncident>;
  /** The whole id of what a person typed; see {@link resolveIncident}. */
  resolveId(text: string): Promise<string>;
  /** The Temporal client beneath, for what this one does not do. */
  readonly temporal: Client;
  /** Closes the connection, if this client made it. */
  close(): Promise<void>;
}

/** Makes a client. Connects at the first call. */
export function createClient(options: ClientOptions = {}): TourniquetClient {
  const made = options.client === undefined && options.connection === undefined ? connectionFor(options) : undefined;
  const temporal =
    options.client ??
    new Client({
      connection: options.connection ?? (made?.connection as Connection),
      namespace: options.namespace ?? made?.namespace ?? 'default',
      dataConverter: options.dataConverter ?? dataConverterFor(options.keyring),
    });
  const context: ClientContext = {
    temporal,
    reporter: options.reporter ?? whoever(),
    seal: options.seal,
    engine: options.engine ?? options.seal?.engine,
    patienceMs: options.patienceMs ?? 30_000,
  };

  function report(draft: ReportDraft | Report, with_?: ReportOptions): Promise<Received>;
  function report(drafts: readonly (ReportDraft | Report)[], with_?: ReportOptions): Promise<readonly Received[]>;
  async function report(
    given: ReportDraft | Report | readonly (ReportDraft | Report)[],
    with_: ReportOptions = {},
  ): Promise<Received | readonly Received[]> {
    if (!isList(given)) return sendReport(context, given, with_);
    const received: Received[] = [];
    for (const draft of given) received.push(await sendReport(context, draft, with_));
    return received;
  }

  return {
    async connect() {
      try {
        if (made !== undefined) await knock(made.address);
        await temporal.connection.withDeadline(Date.now() + 5000, () => temporal.workflowService.getSystemInfo({}));
      } catch (error) {
        throw faultOf(error, { ...(made === undefined ? {} : { address: made.address }), attempted: 'connect' });
      }
    },
    report,
    incident: (id, run) => incidentClient(context, id, run),
    list: (filter) => listIncidents(context, filter),
    resolveId: (text) => resolveIncident(context, text),
    temporal,
    async close() {
      await made?.connection.close();
    },
  };
}

const isList = (value: unknown): value is readonly (ReportDraft | Report)[] => Array.isArray(value);

function connectionFor(options: ClientOptions): {
  readonly connection: Connection;
  readonly address: string;
  readonly namespace: string | undefined;
} {
  const { connectionOptions, namespace } = loadClientConnectConfig(options.profile === undefined ? {} : { profile: options.profile });
  const { address: configured, tls, apiKey, metadata } = connectionOptions;
  const address = configured ?? options.address ?? '127.0.0.1:7233';
  const connection = Connection.lazy({
    address,
    ...(tls === undefined || tls === null ? {} : { tls: tls as NonNullable<ConnectionOptions['tls']> }),
    ...(apiKey === undefined ? {} : { apiKey: apiKey as NonNullable<ConnectionOptions['apiKey']> }),
    ...(metadata === undefined ? {} : { metadata: metadata as NonNullable<ConnectionOptions['metadata']> }),
    connectTimeout: 5000,
  });
  return { connection, address, namespace: namespace ?? options.namespace };
}

/** A refused port is refused at once; the gRPC channel beneath would try again for twenty seconds before it said so. */
function knock(address: string): Promise<void> {
  const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(address.replace(/^[a-z]+:\/\/\/?/, '')) ?? [];
  if (port === '') return Promise.resolve();
  return new Promise((done, failed) => {
    const socket = connect({ host, port: Number(port), timeout: 5000 });
    const end = (error?: Error) => {
      socket.destroy();
      if (error === undefined) done();
      else failed(fault('engine.unavailable', { address, attempted: 'connect' }, error));
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end(new Error('no answer within 5 s')));
    socket.once('error', end);
  });
}

function whoever(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `unknown@${hostname()}`;
  }
}
