import { createHash, createHmac } from 'node:crypto';
import type { Pair } from './world.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const compact = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;

export interface Raw {
  readonly service: string;
  readonly region?: string;
  readonly method?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds since 1970 of the signature. */
  readonly at?: number;
  /** Changes the request after it has been signed. */
  readonly tamper?: (request: { headers: Record<string, string>; body: string; query: Record<string, string> }) => void;
  /** Put the signature in the query, valid for so many seconds. */
  readonly presign?: number;
  /** Leave these headers out of the signature. */
  readonly unsigned?: readonly string[];
}

/** Signs a request by hand, so that what no SDK would send can be sent. Answers status and body. */
export async function send(endpoint: string, who: Pair, raw: Raw): Promise<{ status: number; body: string; headers: Headers }> {
  const { host } = new URL(endpoint);
  const at = compact(raw.at ?? Date.now());
  const date = at.slice(0, 8);
  const scope = `${date}/${raw.region ?? 'us-east-1'}/${raw.service}/aws4_request`;
  const body = raw.body ?? '';
  const query: Record<string, string> = { ...raw.query };
  const headers: Record<string, string> = { host, ...raw.headers };
  if (raw.presign === undefined) {
    headers['x-amz-date'] = at;
    if (who.sessionToken !== undefined) headers['x-amz-security-token'] = who.sessionToken;
  }
  const signed = Object.keys(headers)
    .filter((h) => !(raw.unsigned ?? []).includes(h))
    .sort();
  if (raw.presign !== undefined) {
    query['X-Amz-Algorithm'] = 'AWS4-HMAC-SHA256';
    query['X-Amz-Credential'] = `${who.accessKeyId}/${scope}`;
    query['X-Amz-Date'] = at;
    query['X-Amz-Expires'] = String(raw.presign);
    query['X-Amz-SignedHeaders'] = signed.join(';');
    if (who.sessionToken !== undefined) query['X-Amz-Security-Token'] = who.sessionToken;
  }
  const line = (q: Record<string, string>) =>
    Object.keys(q)
      .sort()
      .map((k) => `${encodeURIComponent(k)}=${encodeURIComponent(q[k] ?? '')}`)
      .join('&');
  const payload = headers['x-amz-content-sha256'] === 'UNSIGNED-PAYLOAD' ? 'UNSIGNED-PAYLOAD' : sha256(body);
  const canonical = [
    raw.method ?? 'POST',
    '/',
    line(query),
    ...signed.map((h) => `${h}:${headers[h]}`),
    '',
    signed.join(';'),
    payload,
  ].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${who.secretAccessKey}`, date), raw.region ?? 'us-east-1'), raw.service), 'aws4_request');
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${at}\n${scope}\n${sha256(canonical)}`).toString('hex');
  if (raw.presign === undefined) {
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${who.accessKeyId}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
  } else query['X-Amz-Signature'] = signature;
  const request = { headers, body, query };
  raw.tamper?.(request);
  const { host: _host, ...sent } = request.headers;
  const method = raw.method ?? 'POST';
  const response = await fetch(`${endpoint}/?${line(request.query)}`, {
    method,
    headers: sent,
    ...(method === 'GET' ? {} : { body: request.body }),
  });
  return { status: response.status, body: await response.text(), headers: response.headers };
}

const form = { 'content-type': 'application/x-www-form-urlencoded' };

/** A call of STS that anybody may make, as a raw request. */
export const whoAmI: Raw = { service: 'sts', headers: form, body: 'Action=GetCallerIdentity&Version=2011-06-15' };

/** A call of Organizations, whose SDK is not among the dependencies. */
export async function organizations(
  endpoint: string,
  who: Pair,
  action: string,
  input: object,
): Promise<{ code: string; answer: Record<string, unknown> }> {
  const response = await send(endpoint, who, {
    service: 'organizations',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `AWSOrganizationsV20161128.${action}` },
    body: JSON.stringify(input),
  });
  const answer = JSON.parse(response.body) as Record<string, unknown>;
  return { code: response.status === 200 ? 'ok' : String(answer.__type), answer };
}
