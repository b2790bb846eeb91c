import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { authenticate, authorize, checkSession, contextOf } from './access.ts';
import { Call, type Operation, type Operations, type Service } from './call.ts';
import { cloudtrail } from './cloudtrail.ts';
import type { Fault } from './faults.ts';
import { iam } from './iam.ts';
import { uuid } from './identifiers.ts';
import type { LedgerEntry } from './ledger.ts';
import { organizations } from './organizations.ts';
import type { Origin } from './origin.ts';
import { eventOf, targetOf } from './record.ts';
import { Refusal } from './refusal.ts';
import { secretsmanager } from './secretsmanager.ts';
import { type Claim, readClaim, type WireRequest } from './sigv4.ts';
import type { JournalLine, LastUsed } from './state.ts';
import { sts } from './sts.ts';
import { type Question, type Reply, readQuestion, writeAnswer, writeRefusal } from './wire.ts';
import type { World } from './world.ts';
import type { Answer } from './xml.ts';

const operations: Readonly<Record<Service, Operations>> = { iam, sts, secretsmanager, cloudtrail, organizations };
const longestBody = 1 << 20;

interface Delivery {
  readonly request: WireRequest;
  readonly question: Question;
  readonly claim: Claim;
  readonly requestId: string;
  readonly receivedAt: number;
  readonly source: { readonly origin: Origin; readonly userAgent: string };
  readonly delivery: 1 | 2;
  readonly reply: 'sent' | 'lost';
  /** An error that a fault orders in the place of the effect. */
  readonly ordered: Refusal | undefined;
}

/** Whether the scope of a signature fits what is asked. A signature for one service or an unknown Region is worth nothing at another. */
function checkScope(world: World, claim: Claim, question: Question): void {
  if (claim.service !== question.service)
    throw new Refusal('SignatureDoesNotMatch', 403, `Credential should be scoped to correct service: '${question.service}'.`);
  if (!world.regions.includes(claim.region))
    throw new Refusal('SignatureDoesNotMatch', 403, 'Credential should be scoped to a valid region.');
}

/**
 * One delivery of one request, from authentication to the journal. It runs without a pause, so no other call sees half of it, and what it
 * did is in the journal before anybody hears of it.
 */
function perform(world: World, d: Delivery): { answer: Answer } | { refusal: Refusal } {
  const { question } = d;
  const table = operations[question.service];
  const operation: Operation | undefined = Object.hasOwn(table, question.action) ? table[question.action] : undefined;
  let call: Call | undefined;
  let answer: Answer | undefined;
  let refusal: Refusal | undefined;
  try {
    if (d.ordered !== undefined) throw d.ordered;
    checkScope(world, d.claim, question);
    const caller = authenticate(world, d.claim, d.request, d.source);
    if (operation === undefined) throw new Refusal('InvalidAction', 400, `Could not find operation ${question.action}.`);
    call = new Call({ service: question.service, action: question.action, input: question.input, region: d.claim.region, caller, world });
    checkSession(caller, question.service, question.action);
    const need = operation.need(call);
    if (need !== undefined) {
      const context = contextOf(world, caller, call.region, need.keys);
      authorize(world, caller, { action: `${question.service}:${question.action}`, resource: need.resource, context });
    }
    answer = operation.run(call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error;
  }
  world.ledger.count(`${question.service}:${question.action}`, refusal !== undefined);
  const line: { -readonly [K in keyof JournalLine]: JournalLine[K] } = {};
  if (call !== undefined && operation !== undefined) {
    const event = eventOf(call, operation, d.requestId, {
      ...(answer === undefined ? {} : { answer }),
      ...(refusal === undefined ? {} : { refusal }),
    });
    world.trail.add(event);
    line.event = event;
    const { key } = call.caller;
    if (key !== undefined) {
      const use: LastUsed = { at: event.at, service: question.service, region: event.region };
      key.lastUsed = use;
      line.used = [key.id, use];
    }
    if (refusal === undefined) {
      const rows = call.change.rows;
      if (rows.length > 0) line.rows = rows;
    }
  }
  if (operation?.mutates === true) {
    const entry: LedgerEntry = {
      seq: world.ledger.nextSeq,
      receivedAt: d.receivedAt,
      at: world.clock.now(),
      service: question.service,
      action: question.action,
      region: d.claim.region,
      target: targetOf(question.input),
      caller: d.claim.accessKeyId,
      requestId: d.requestId,
      effect: refusal !== undefined ? 'refused' : call?.change.effective === true ? 'changed' : 'no-op',
      ...(refusal === undefined ? {} : { code: refusal.code }),
      ...(call?.made === undefined ? {} : { made: call.made }),
      delivery: d.delivery,
      reply: d.reply,
    };
    world.ledger.add(entry);
    line.mutation = entry;
  }
  if (Object.keys(line).length > 0) world.journal?.append(line);
  return refusal === undefined ? { answer: answer ?? {} } : { refusal };
}

/** The error that a `refuse` orders. */
function ordered(faults: readonly Fault[]): Refusal | undefined {
  const fault = faults.find(({ kind }) => kind === 'refuse');
  return fault && new Refusal(fault.code ?? 'Refused', fault.status ?? 400, 'This was ordered by a test.');
}

async function readBody(message: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestBody) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function joined(headers: IncomingMessage['headers']): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) out[name] = Array.isArray(value) ? value.join(',') : value;
  return out;
}

const throttled = new Refusal('Throttling', 400, 'Rate exceeded');
const broken = new Refusal('ServiceFailure', 500, 'The request processing has failed because of an unknown error, exception or failure.');

/** Answers one HTTP request. Undefined means that the connection is cut instead. */
async function answer(world: World, message: IncomingMessage, requestId: string): Promise<Reply | undefined> {
  const body = await readBody(message);
  const receivedAt = world.clock.wall();
  const headers = joined(message.headers);
  const request: WireRequest = { method: message.method ?? '', target: message.url ?? '/', headers, body: body ?? Buffer.alloc(0) };
  const dialect = { service: 'iam', protocol: headers['x-amz-target'] === undefined ? 'query' : 'json' } as const;
  let question: Question | undefined;
  let claim: Claim;
  try {
    if (body === undefined) throw new Refusal('RequestEntityTooLarge', 413, 'The request is longer than a megabyte.');
    question = readQuestion(request);
    claim = readClaim(request);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return writeRefusal(question ?? dialect, error, requestId);
  }
  const { service, action } = question;
  const faults = world.faults.strike({ service, action, accessKeyId: claim.accessKeyId, input: question.input });
  const struck = (kind: string) => faults.some((f) => f.kind === kind);
  for (const fault of faults) if (fault.kind === 'slow') await wait(fault.ms ?? 1000);
  if (struck('down')) return undefined;
  if (struck('html')) return { status: 200, type: 'text/html', body: page };
  const lost = struck('lose-reply-after-effect');
  const delivery: Delivery = {
    request,
    question,
    claim,
    requestId,
    receivedAt,
    source: {
      origin: world.origins.of((message.socket.remoteAddress ?? '').replace(/^::ffff:/, '')),
      userAgent: headers['user-agent'] ?? '-',
    },
    delivery: 1,
    reply: lost ? 'lost' : 'sent',
    ordered: struck('throttle') ? throttled : struck('error-500') ? broken : ordered(faults),
  };
  const outcome = perform(world, delivery);
  if (struck('answer-twice')) perform(world, { ...delivery, delivery: 2, reply: 'lost', requestId: uuid() });
  if (lost) return undefined;
  const reply =
    'refusal' in outcome ? writeRefusal(question, outcome.refusal, requestId) : writeAnswer(question, outcome.answer, requestId);
  for (const fault of faults) if (fault.kind === 'hold') await world.faults.keep(fault, endOf(message));
  if (struck('empty')) return { ...reply, status: 200, body: '' };
  if (struck('truncated')) return { ...reply, status: 200, body: reply.body.slice(0, reply.body.length / 2) };
  return reply;
}

/** What somebody between client and server may answer in its place. */
const page =
  '<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>Please sign in to the network & try again.</body></html>\n';

/** Aborted when the client's connection ends. */
function endOf(message: IncomingMessage): AbortSignal {
  const gone = new AbortController();
  if (message.socket.destroyed) gone.abort();
  else message.socket.once('close', () => gone.abort());
  return gone.signal;
}

/** The server that the SDKs talk to. `onFault` is told of a defect of the simulator; the caller of the API is told 500. */
export function apiServer(world: World, onFault: (error: unknown) => void): Server {
  const server = createServer((message: IncomingMessage, response: ServerResponse) => {
    const requestId = uuid();
    const send = (reply: Reply) => {
      response.writeHead(reply.status, {
        'content-type': reply.type,
        'x-amzn-requestid': requestId,
        date: new Date(world.clock.now()).toUTCString(),
        'content-length': Buffer.byteLength(reply.body),
      });
      response.end(reply.body);
    };
    answer(world, message, requestId).then(
      (reply) => {
        if (reply === undefined) message.socket.destroy();
        else send(reply);
      },
      (error: unknown) => {
        // A client that went away in the middle of its request is no defect of ours, and nobody is left to answer.
        if (message.errored !== null && message.errored === error) return;
        onFault(error);
        if (!response.headersSent && !message.socket.destroyed)
          send(writeRefusal({ service: 'iam', protocol: 'query' }, broken, requestId));
      },
    );
  });
  // SDKs keep connections; a server that closes them sooner than its clients do makes requests fail at random.
  server.keepAliveTimeout = 120_000;
  return server;
}
