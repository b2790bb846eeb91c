import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isoSeconds } from './clock.ts';
import { Refusal } from './refusal.ts';

/** A request as it came over the wire; header names in lower case. */
export interface WireRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What a request says about who signed it, before anything of it is believed. */
export interface Claim {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
  readonly timestamp: string;
  readonly sessionToken: string | undefined;
  /** Set for a presigned request: seconds it is valid. */
  readonly expires: number | undefined;
}

const incomplete = (message: string) => new Refusal('IncompleteSignature', 403, message);
const mismatch = (message: string) => new Refusal('SignatureDoesNotMatch', 403, message);
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Percent-encoding of everything but the unreserved characters of RFC 3986. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The parameters of a query string or form body. A plus is a space in a form and in nothing else. */
export function parameters(text: string, form = false): [string, string][] {
  if (text === '') return [];
  return text.split('&').map((pair) => {
    const at = pair.indexOf('=');
    const read = (part: string) => decode(form ? part.replaceAll('+', ' ') : part);
    return at < 0 ? [read(pair), ''] : [read(pair.slice(0, at)), read(pair.slice(at + 1))];
  });
}

function split(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

function readScope(credential: string): Pick<Claim, 'accessKeyId' | 'date' | 'region' | 'service'> {
  const parts = credential.split('/');
  const [accessKeyId = '', date = '', region = '', service = '', end] = parts;
  if (parts.length !== 5 || end !== 'aws4_request' || !/^\d{8}$/.test(date))
    throw incomplete('Credential must have five slash-separated parts: KEY/DATE/REGION/SERVICE/aws4_request.');
  return { accessKeyId, date, region, service };
}

function readSignature(text: string): Buffer {
  return /^[0-9a-f]{64}$/.test(text) ? Buffer.from(text, 'hex') : Buffer.alloc(0);
}

/** Reads the signature of a request, in its header or in its query. */
export function readClaim(request: WireRequest): Claim {
  const authorization = request.headers.authorization;
  if (authorization !== undefined) {
    const match = /^AWS4-HMAC-SHA256\s+(.*)$/.exec(authorization);
    if (match === null) throw incomplete('Authorization header requires the AWS4-HMAC-SHA256 algorithm.');
    const fields = new Map(
      (match[1] ?? '').split(',').map((f) => [f.trim().split('=', 1)[0] ?? '', f.trim().slice(f.trim().indexOf('=') + 1)]),
    );
    const credential = fields.get('Credential');
    const signed = fields.get('SignedHeaders');
    const signature = fields.get('Signature');
    if (credential === undefined || signed === undefined || signature === undefined) {
      throw incomplete('Authorization header requires Credential, SignedHeaders and Signature.');
    }
    const timestamp = request.headers['x-amz-date'] ?? compactDate(request.headers.date);
    if (timestamp === undefined) throw incomplete('Authorization header requires existence of either an X-Amz-Date or a Date header.');
    return {
      ...readScope(credential),
      signedHeaders: signed.split(';'),
      signature: readSignature(signature),
      timestamp,
      sessionToken: request.headers['x-amz-security-token'],
      expires: undefined,
    };
  }
  const query = new Map(parameters(split(request.target)[1]));
  const credential = query.get('X-Amz-Credential');
  const signature = query.get('X-Amz-Signature');
  if (credential === undefined && signature === undefined) {
    throw new Refusal('MissingAuthenticationToken', 403, 'Request is missing Authentication Token');
  }
  const timestamp = query.get('X-Amz-Date');
  const expires = Number(query.get('X-Amz-Expires') ?? Number.NaN);
  if (
    credential === undefined ||
    signature === undefined ||
    timestamp === undefined ||
    query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256'
  ) {
    throw incomplete(
      'A presigned request requires X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-SignedHeaders and X-Amz-Signature.',
    );
  }
  if (!Number.isInteger(expires) || expires < 1 || expires > 604_800)
    throw incomplete('X-Amz-Expires must be between 1 and 604800 seconds.');
  return {
    ...readScope(credential),
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: readSignature(signature),
    timestamp,
    sessionToken: query.get('X-Amz-Security-Token'),
    expires,
  };
}

function compactDate(header: string | undefined): string | undefined {
  const ms = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(ms) ? undefined : isoSeconds(ms).replace(/[-:]/g, '');
}

function timeOf(compact: string): number {
  const m = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(compact);
  return m === null ? Number.NaN : Date.parse(`${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}Z`);
}

/** How far a signature's time may be from ours, in milliseconds. */
const skewMs = 5 * 60_000;

/**
 * Refuses a signature made at another time. `clocks` are the times that count as now: the machine's own, and the simulated one, because the
 * JavaScript SDK corrects its clock by the `Date` of our answers and signs by the simulated time once that has moved on.
 */
export function checkTime(claim: Claim, clocks: readonly number[]): void {
  const signedAt = timeOf(claim.timestamp);
  if (Number.isNaN(signedAt)) throw incomplete(`Date must be in ISO-8601 basic format. Got: ${claim.timestamp}`);
  if (claim.timestamp.slice(0, 8) !== claim.date)
    throw mismatch('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.');
  const late = claim.expires === undefined ? skewMs : claim.expires * 1000;
  if (clocks.some((now) => signedAt <= now + skewMs && now <= signedAt + late)) return;
  const now = clocks[0] ?? signedAt;
  const stamp = (ms: number) => isoSeconds(ms).replace(/[-:]/g, '');
  throw signedAt > now
    ? mismatch(`Signature not yet current: ${claim.timestamp} is still later than ${stamp(now + skewMs)} (${stamp(now)} + 5 min.)`)
    : mismatch(`Signature expired: ${claim.timestamp} is now earlier than ${stamp(now - late)} (${stamp(now)} - ${late / 60_000} min.)`);
}

function canonicalPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '.' && segment !== '') segments.push(encode(segment));
  }
  return `/${segments.join('/')}${segments.length > 0 && path.endsWith('/') ? '/' : ''}`;
}

function canonicalQuery(query: string): string {
  return parameters(query)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, b], [c, d]) => (a === c ? (b < d ? -1 : b > d ? 1 : 0) : a < c ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

const signingKeys = new Map<string, Buffer>();

function signingKey(claim: Claim, secret: string): Buffer {
  const name = `${claim.accessKeyId}/${claim.date}/${claim.region}/${claim.service}/${secret}`;
  let key = signingKeys.get(name);
  if (key === undefined) {
    key = hmac(hmac(hmac(hmac(`AWS4${secret}`, claim.date), claim.region), claim.service), 'aws4_request');
    if (signingKeys.size > 20_000) signingKeys.clear();
    signingKeys.set(name, key);
  }
  return key;
}

/**
 * Refuses a request whose signature the secret did not make over exactly this request: method, path, query, signed headers and body. Host and
 * every `x-amz-` header have to be among the signed ones. A body may stay unsigned only where the caller says so with the signed header
 * `x-amz-content-sha256: UNSIGNED-PAYLOAD`. Signatures are compared in constant time.
 */
export function checkSignature(claim: Claim, request: WireRequest, secret: string): void {
  const signed = new Set(claim.signedHeaders);
  const open = Object.keys(request.headers).find((name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.has(name));
  if (open !== undefined || !signed.has('host')) throw mismatch(`'${open ?? 'host'}' must be a 'SignedHeader' in the AWS Authorization.`);
  const declared = request.headers['x-amz-content-sha256'];
  const payload = declared === 'UNSIGNED-PAYLOAD' ? declared : sha256(request.body);
  if (declared !== undefined && declared !== payload)
    throw mismatch('The provided x-amz-content-sha256 header does not match what was computed.');
  const [path, query] = split(request.target);
  const canonical = [
    request.method,
    canonicalPath(path),
    canonicalQuery(query),
    ...claim.signedHeaders.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    claim.signedHeaders.join(';'),
    payload,
  ].join('\n');
  const scope = `${claim.date}/${claim.region}/${claim.service}/aws4_request`;
  const expected = hmac(signingKey(claim, secret), `AWS4-HMAC-SHA256\n${claim.timestamp}\n${scope}\n${sha256(canonical)}`);
  if (claim.signature.length !== expected.length || !timingSafeEqual(claim.signature, expected)) {
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  }
}
