import { existsSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { Secret } from '../../domain/secret.ts';
import { newKey } from '../../examples/webhook/server.ts';
import type { Action, Connection, StepContext } from '../../providers/contract.ts';
import { sign } from '../../providers/webhook/signing.ts';
import { claimNames } from '../../providers/webhook/trial.ts';
import {
  capabilitiesSchema,
  checkedSchema,
  descendantsSchema,
  evidenceSchema,
  identifiedSchema,
  mintedSchema,
  Operation,
  State,
  writes,
} from '../../providers/webhook/wire.ts';
import { type Place, place, timing } from './bench.ts';

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly operationId: string;
            readonly parameters: readonly unknown[];
            readonly requestBody: { readonly content: { readonly 'application/json': { readonly schema: { readonly $ref: string } } } };
            readonly responses: Readonly<
              Record<string, { readonly content?: { readonly 'application/json': { readonly schema: { readonly $ref: string } } } }>
            >;
          }
        >
      >
    >
  >;
  readonly components: { readonly schemas: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
}
const text = readFileSync(new URL('../../examples/webhook/openapi.yaml', import.meta.url), 'utf8');
// Anchors are for whoever reads the file; what reads it knows none.
const document = parse(text, { merge: true, maxAliasCount: -1 }) as Document;
const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  formats: { 'date-time': (value: string) => z.iso.datetime({ offset: true }).safeParse(value).success },
});
ajv.addSchema({ $id: 'doc', ...(document as unknown as Record<string, unknown>) });

const flawsIn = (name: string, value: unknown): string[] => {
  const check = ajv.compile({ $ref: `doc#/components/schemas/${name}` });
  return check(value) ? [] : (check.errors ?? []).map((each) => `${each.instancePath} ${each.message}`);
};
const postOf = (operation: string) => document.paths[`/${operation}`]?.post;
const nameOf = (reference: string | undefined): string => reference?.split('/').at(-1) ?? 'none';
const requestOf = (operation: string): string => nameOf(postOf(operation)?.requestBody.content['application/json'].schema.$ref);
const answerOf = (operation: string, status = '200'): string =>
  nameOf(postOf(operation)?.responses[status]?.content?.['application/json'].schema.$ref);

describe('the OpenAPI document', () => {
  it('has every operation of the contract, under its own name, and no other', () => {
    const posts = Object.values(document.paths).flatMap((path) => (path.post ? [path.post.operationId] : []));
    expect(posts.sort()).toEqual(Object.values(Operation).sort());
    for (const operation of Object.values(Operation)) expect(postOf(operation)?.operationId).toBe(operation);
    expect(document.openapi).toBe('3.1.0');
  });

  it('is told of on the page for whoever writes an endpoint: every operation, every state, every promise that is tried', () => {
    const page = readFileSync(new URL('../../docs/webhook.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-zA-Z]+)` \|/gm)].map(([, name]) => name);
    expect(rows.filter((name) => Object.values<string>(Operation).includes(name ?? '')).sort()).toEqual(Object.values(Operation).sort());
    expect(rows.filter((name) => Object.values<string>(State).includes(name ?? '')).sort()).toEqual(Object.values(State).sort());
    for (const [, path] of page.matchAll(/\]\(\.\.\/([^)]+)\)/g))
      expect(existsSync(new URL(`../../${path}`, import.meta.url)), path).toBe(true);
    expect(page).toContain(`${claimNames.length - 1} passed, 0 failed`);
  });

  it('refers to nothing that it does not have', () => {
    const references = [...text.matchAll(/\$ref: ["']#\/components\/([a-zA-Z]+)\/([a-zA-Z]+)["']/g)].map(
      ([, room = '', name = '']) => [room, name] as const,
    );
    expect(references.length).toBeGreaterThan(50);
    const components = document.components as unknown as Record<string, Record<string, unknown>>;
    expect(references.filter(([room, name]) => components[room]?.[name] === undefined)).toEqual([]);
    const used = new Set(references.map(([, name]) => name));
    expect(Object.keys(document.components.schemas).filter((name) => !used.has(name))).toEqual([]);
  });

  it('asks for an idempotency key exactly where something is changed', () => {
    for (const operation of Object.values(Operation)) {
      const has = postOf(operation)?.parameters.some((each) => JSON.stringify(each).includes('IdempotencyKey'));
      expect(has, operation).toBe(writes.includes(operation));
      expect(postOf(operation)?.responses['202'] !== undefined, operation).toBe(writes.includes(operation));
    }
  });

  it('knows the states that the engine knows', () => {
    expect([...((document.components.schemas.State?.enum ?? []) as string[])].sort()).toEqual(Object.values(State).sort());
  });

  // The engine's own reading of an answer and the document's have to be one: what either refuses the other must not offer.
  const at = '2026-01-01T00:00:00Z';
  const samples: readonly (readonly [string, z.ZodType, unknown])[] = [
    ...Object.values(State).flatMap((state) =>
      [
        {},
        { effectiveAt: at },
        { effectiveAt: 'then' },
        { effectiveAt: at, alreadyDone: 'yes' },
        { effectiveAt: at, residualUntil: at, reversibleBy: 'k', more: 1 },
      ].map((more) => ['Checked', checkedSchema, { state, alreadyDone: false, ...more }] as const),
    ),
    ['Checked', checkedSchema, { state: 'disabled', alreadyDone: true, effectiveAt: at }],
    ['Checked', checkedSchema, { alreadyDone: true, effectiveAt: at }],
    ['Checked', checkedSchema, []],
    ['Identified', identifiedSchema, { state: 'active', alreadyDone: false, effectiveAt: at, possession: 'perhaps' }],
    ['Identified', identifiedSchema, { state: 'active', alreadyDone: false, effectiveAt: at, possession: 'yes', owner: 'a' }],
    [
      'Descendants',
      descendantsSchema,
      { complete: true, asOf: at, descendants: [{ id: 'a', state: 'active', via: 'x', controllable: false }] },
    ],
    ['Descendants', descendantsSchema, { complete: true, asOf: at, descendants: [{ id: 'a', state: 'active', via: 'x' }] }],
    ['Descendants', descendantsSchema, { asOf: at, descendants: [] }],
    ['Evidence', evidenceSchema, { complete: true, from: at, until: at, uses: [{ at, what: 'x' }] }],
    ['Evidence', evidenceSchema, { complete: true, from: at, until: at, uses: [{ at }] }],
    ['Evidence', evidenceSchema, { complete: true, from: at, uses: [] }],
    ...[1, 0, 2.5, 'unlimited', 'many'].map(
      (overlap) =>
        [
          'Capabilities',
          capabilitiesSchema,
          { v: 1, reversible: true, mints: false, overlap, maxDerivedTtl: 0, signsResponses: false, operations: ['check'] },
        ] as const,
    ),
    [
      'Capabilities',
      capabilitiesSchema,
      { v: 2, reversible: true, mints: false, overlap: 1, maxDerivedTtl: 0, signsResponses: false, operations: [] },
    ],
    [
      'Capabilities',
      capabilitiesSchema,
      { v: 1, reversible: true, mints: false, overlap: 1, maxDerivedTtl: 0, signsResponses: false, operations: ['fly'] },
    ],
    ['Minted', mintedSchema, { state: 'inactive', alreadyDone: false, effectiveAt: at, id: 'a', secret: 's' }],
    ['Minted', mintedSchema, { state: 'inactive', alreadyDone: false, effectiveAt: at, id: 'a', secret: '' }],
  ];
  it.each(samples.map(([name, schema, value]) => [name, JSON.stringify(value), schema, value] as const))(
    'and the engine agree on a %s %s',
    (name, _text, schema, value) => {
      expect(flawsIn(name, value).length === 0).toBe(schema.safeParse(value).success);
    },
  );
});

describe('the reference server', () => {
  let at: Place;
  let connection: Connection;
  const asked: { readonly operation: string; readonly body: unknown; readonly status: number; readonly answer: unknown }[] = [];
  const step = (name: string, more: Partial<StepContext> = {}): StepContext => ({
    incident: 'leak/x',
    run: 'run',
    step: name,
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    timing,
    sealing: {
      open: async () => new Secret('x'),
      seal: async () => ({ hash: `sha256:${'0'.repeat(64)}`, keyId: 'k' }),
      shred: async () => undefined,
    } as never,
    params: { sealTo: { provider: 'vault', account: 'lab' } },
    made: {},
    inventory: { consumers: [], stores: [] },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    ...more,
  });
  const send = async (operation: string, members: Record<string, unknown>, key?: string) => {
    const body = JSON.stringify({ v: 1, operation, account: 'billing', ...(key === undefined ? {} : { idempotencyKey: key }), ...members });
    const head = sign([new Secret(at.secret)], `msg_${asked.length}`, Math.floor(Date.now() / 1000), body);
    const response = await fetch(`${at.url}/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...head, ...(key === undefined ? {} : { 'idempotency-key': key }) },
      body,
    });
    const answer = (await response.json()) as unknown;
    asked.push({ operation, body: JSON.parse(body) as unknown, status: response.status, answer });
    return answer as Record<string, unknown>;
  };

  beforeAll(async () => {
    at = await place();
    connection = await at.connect();
    const hour = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    at.keys.get('leaked')?.made.push({ id: 'token_1', via: 'token', issuedAt: hour(-1), expiresAt: hour(1) });
    at.keys.get('leaked')?.uses.push({ at: new Date().toISOString(), what: 'invoice.read', by: 'runner/2', from: '10.1.2.3' });
    at.keys.set('fresh', newKey('fresh', 'team-a', 'inactive'));
    const credential = { system: 'billing', id: 'leaked' };
    await send('capabilities', {});
    await send('identify', { credential, secret: at.keys.get('leaked')?.secret });
    await send('identify', { credential: { system: 'billing', id: 'nobody' } });
    await send('evidence', { credential, since: hour(-2) });
    for (const id of ['leaked', 'nobody']) {
      await send('check', { credential: { system: 'billing', id } });
      await send('contain', { credential: { system: 'billing', id } }, `k-${id}`);
      await send('check', { credential: { system: 'billing', id } });
      await send('listDescendants', { credential: { system: 'billing', id } });
      await send('uncontain', { credential: { system: 'billing', id }, undoes: `k-${id}` }, `u-${id}`);
    }
    await send('uncontain', { credential, undoes: 'somebody' }, 'u-2');
    const minted = await send('mint', { replaces: credential }, 'm-1');
    await send('check', { system: 'billing', madeBy: 'm-1' });
    await send('activate', { credential: { system: 'billing', id: minted.id } }, 'a-1');
    await send('revoke', { credential }, 'r-1');
    await send('listDescendants', { credential });
  });
  afterAll(() => at?.close());

  it('answers every operation as the document has it', () => {
    expect([...new Set(asked.map(({ operation }) => operation))].sort()).toEqual(Object.values(Operation).sort());
    for (const { operation, body, status, answer } of asked) {
      expect(flawsIn(requestOf(operation), body), `what was sent to ${operation}`).toEqual([]);
      expect(
        flawsIn(status === 200 ? answerOf(operation) : 'Error', answer),
        `${operation} answered ${status} ${JSON.stringify(answer)}`,
      ).toEqual([]);
    }
  });

  it('answers a key that has made tokens with the time of the last of them', () => {
    const revoked = asked.find(({ operation }) => operation === 'revoke')?.answer as { residualUntil?: string };
    expect(revoked.residualUntil).toBe(at.keys.get('leaked')?.made[0]?.expiresAt);
  });

  it('is asked nothing by the engine that the document does not have', async () => {
    const bodies: { operation: string; body: unknown }[] = [];
    const { createServer } = await import('node:http');
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const operation = (request.url ?? '').split('/').at(-1) ?? '';
      bodies.push({ operation, body: JSON.parse(body) as unknown });
      const answer = await fetch(`${at.url}/${operation}`, {
        method: 'POST',
        body,
        headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => /^webhook|^idem|^content-type/.test(name))) as never,
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const through = await at.connect({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}/hooks` });
    const target = { account: 'billing', system: 'billing', id: 'other' };
    const run = async (name: string, more: Partial<StepContext> = {}) => {
      const action = through.actions[name] as Action;
      const context = step(`s-${name}`, more);
      const before = await action.capture(target, context);
      await action.apply(target, before, context);
      await action.probe(target, before, context);
      await action.revert?.(target, before, context);
    };
    try {
      for (const name of ['contain', 'mint', 'watch-old-quiet', 'revoke']) await run(name);
      const { signal, heartbeat, sleep, inventory } = step('look');
      await through.look({
        credential: { kind: 'webhook.credential', locator: { system: 'billing', id: 'other' } },
        depth: 'full',
        known: [],
        ours: [],
        inventory,
        signal,
        heartbeat,
        sleep,
        timing,
      });
    } finally {
      server.close();
    }
    expect([...new Set(bodies.map(({ operation }) => operation))].sort()).toEqual(Object.values(Operation).sort());
    for (const { operation, body } of bodies) expect(flawsIn(requestOf(operation), body), operation).toEqual([]);
  });

  it('is under two hundred lines, and needs nothing but node', () => {
    const source = readFileSync(new URL('../../examples/webhook/server.ts', import.meta.url), 'utf8');
    expect(source.trimEnd().split('\n').length).toBeLessThan(200);
    expect([...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name).filter((name) => !name?.startsWith('node:'))).toEqual([]);
    expect(connection.provider).toBe('webhook');
  });
});
