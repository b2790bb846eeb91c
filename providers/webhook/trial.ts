import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { isFault } from '../../domain/errors.ts';
import { Secret } from '../../domain/secret.ts';
import { Spoilt, transmit } from './endpoint.ts';
import type { Resolve } from './guard.ts';
import { flawOf, sign } from './signing.ts';
import {
  answerSchema,
  type Capabilities,
  type CheckedAnswer,
  capabilitiesSchema,
  checkedSchema,
  descendantsSchema,
  errorSchema,
  evidenceSchema,
  identifiedSchema,
  type MintedAnswer,
  mintedSchema,
  type Named,
  Operation,
  State,
} from './wire.ts';

/** What an endpoint is tried with. `credential` has to be one that may be contained for a moment; `spend` one that may be revoked for good. */
export interface TrialOptions {
  readonly url: URL;
  readonly secret: Secret;
  readonly credential: Named;
  /** What may be revoked, where the endpoint mints nothing that could be. */
  readonly spend?: Named;
  readonly account: string;
  readonly timeoutMs: number;
  readonly patienceMs: number;
  readonly allowPrivate: boolean;
  readonly ca?: string;
  readonly resolve: Resolve;
  readonly signal: AbortSignal;
}

/** What is wrong with an answer, for whoever wrote the endpoint. */
export interface Flaw {
  readonly sent: string;
  readonly came: string;
  readonly expected: string;
  readonly change: string;
}

export interface Verdict {
  readonly claim: string;
  readonly words: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly flaw?: Flaw;
  /** Why it was not tried. */
  readonly because?: string;
}

class Failed extends Error {
  readonly flaw: Flaw;
  constructor(flaw: Flaw) {
    super(flaw.expected);
    this.flaw = flaw;
  }
}
class Skipped extends Error {}

/** One answer, with what was sent for it, in words without a secret. */
interface Heard {
  readonly sent: string;
  readonly status: number;
  readonly body: unknown;
  readonly came: string;
  readonly message: string;
}

interface Sending {
  readonly key?: string;
  /** The header, where it is to differ from the key of the body; null: none. */
  readonly header?: string | null;
  readonly unsigned?: boolean;
  readonly secondsOff?: number;
  readonly signedBy?: Secret;
  readonly path?: string;
  readonly text?: string;
  /** What is added to the body after it was signed. */
  readonly tamper?: string;
  readonly with?: string;
}

const ours = 'conformance/';
const newKey = (): string => `${ours}${randomUUID()}:trial:1`;

/** A session with one endpoint. Everything it lets out is in words for the author, with secrets taken out. */
class Trial {
  readonly options: TrialOptions;
  #able: Capabilities | undefined;
  readonly #hidden = new Set<string>();
  readonly unsignedAnswers: string[] = [];
  /** How many changes were answered with 202, or were pending. */
  deferred = 0;
  #successor: Promise<{ readonly key: string; readonly heard: Heard; readonly answer: MintedAnswer }> | undefined;
  constructor(options: TrialOptions) {
    this.options = options;
  }

  /** One request, sent once. Throws {@link Failed} where no answer comes that could be read. */
  async send(operation: string, members: Readonly<Record<string, unknown>>, how: Sending = {}): Promise<Heard> {
    const { url, account, secret } = this.options;
    const place = new URL(`${url.pathname.replace(/\/$/, '')}/${how.path ?? operation}`, url);
    const body =
      how.text ?? JSON.stringify({ v: 1, operation, account, ...(how.key === undefined ? {} : { idempotencyKey: how.key }), ...members });
    const message = `msg_${randomUUID().replaceAll('-', '')}`;
    const seconds = Math.floor(Date.now() / 1000) + (how.secondsOff ?? 0);
    const header = how.header === null ? undefined : (how.header ?? how.key);
    const headers = {
      'content-type': 'application/json',
      ...(header === undefined ? {} : { 'idempotency-key': header }),
      ...(how.unsigned ? {} : sign([how.signedBy ?? secret], message, seconds, body)),
    };
    const sent = `POST ${place.pathname} ${this.hide(body)}${how.with === undefined ? '' : ` ${how.with}`}`;
    return await this.#exchange('POST', place, headers, how.tamper === undefined ? body : `${body}${how.tamper}`, message, sent);
  }

  /** A change: the answer it came to, also where the endpoint had us ask for it. */
  async change(operation: Operation, members: Readonly<Record<string, unknown>>, key: string): Promise<Heard> {
    let heard = await this.send(operation, members, { key });
    const deadline = performance.now() + this.options.patienceMs;
    if (heard.status === 202 || stateOf(heard.body) === State.PENDING) this.deferred++;
    while (heard.status === 202 || (heard.status === 200 && stateOf(heard.body) === State.PENDING)) {
      const poll = (heard.body as { poll?: unknown } | undefined)?.poll;
      if (performance.now() > deadline) {
        this.fail(heard, 'an end of it within the time given', 'Come to an end, or give --patience as long as your system needs.');
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (typeof poll === 'string') heard = await this.#poll(poll, heard);
      else heard = await this.#again(operation, members, key, heard);
    }
    return heard;
  }

  async #poll(poll: string, before: Heard): Promise<Heard> {
    const { url, secret } = this.options;
    const place = URL.canParse(poll, url.href) ? new URL(poll, url.href) : undefined;
    if (place?.origin !== url.origin)
      this.fail(before, `a poll on the same origin, ${url.origin}`, 'Answer a 202 with a path of your own, such as /polls/123.');
    const message = `msg_${randomUUID().replaceAll('-', '')}`;
    const headers = { ...sign([secret], message, Math.floor(Date.now() / 1000), '') };
    return await this.#exchange('GET', place as URL, headers, '', message, `${before.sent}, then GET ${place?.pathname}`);
  }

  /** Without a place to ask at, `check` says when it is through; the change is then asked for once more, under its key. */
  async #again(operation: Operation, members: Readonly<Record<string, unknown>>, key: string, before: Heard): Promise<Heard> {
    const credential = (members.credential ?? members.replaces) as Named;
    const heard = await this.send(Operation.CHECK, { credential });
    return stateOf(heard.body) === State.PENDING ? before : await this.send(operation, members, { key });
  }

  async #exchange(
    method: string,
    place: URL,
    headers: Readonly<Record<string, string>>,
    body: string,
    message: string,
    sent: string,
  ): Promise<Heard> {
    const nothing = (came: string): never => {
      throw new Failed({
        sent,
        came,
        expected: 'an answer',
        change: 'Answer every request with a status and JSON, within ten seconds and one mebibyte, and do not redirect.',
      });
    };
    let raw: Awaited<ReturnType<typeof transmit>>;
    try {
      raw = await transmit({ method, place, headers, body }, this.options, new AbortController().signal, false);
    } catch (error) {
      // A place that is not spoken to is nothing that the endpoint's author could mend in an answer.
      if (isFault(error)) throw error;
      if (error instanceof Spoilt) return nothing(error.message);
      const code = (error as { code?: unknown }).code;
      return nothing(`no answer (${typeof code === 'string' ? code : 'the connection failed'})`);
    }
    const parsed = parse(raw.body);
    const came = `${raw.status} ${this.hide(raw.body) || '(nothing)'}`;
    const heard: Heard = { sent, status: raw.status, body: parsed, came, message };
    this.#checkSignature(raw.headers, raw.body, heard);
    return heard;
  }

  #checkSignature(headers: IncomingHttpHeaders, body: string, { message, sent, status }: Heard): void {
    if (status !== 200 && status !== 202) return;
    const one = (name: string): string | undefined => [headers[name]].flat()[0];
    const given = {
      'webhook-id': one('webhook-id'),
      'webhook-timestamp': one('webhook-timestamp'),
      'webhook-signature': one('webhook-signature'),
    };
    const flaw =
      flawOf([this.options.secret], given, body, Date.now() / 1000) ??
      (given['webhook-id'] === message ? undefined : 'its webhook-id is not that of the request');
    if (flaw !== undefined) this.unsignedAnswers.push(`${sent}: ${flaw}`);
  }

  /** A text without what is secret in it: members called `secret`, and every secret that was seen before. */
  hide(text: string): string {
    for (const [, value] of text.matchAll(/"secret"\s*:\s*"((?:[^"\\]|\\.)*)"/g)) if (value) this.#hidden.add(value);
    let shown = text;
    for (const value of this.#hidden) shown = shown.replaceAll(value, '[secret]');
    return shown.length > 600 ? `${shown.slice(0, 600)}…` : shown;
  }

  fail(heard: Pick<Heard, 'sent' | 'came'>, expected: string, change: string): never {
    throw new Failed({ sent: heard.sent, came: heard.came, expected, change });
  }

  /** The answer of a 200, in the form it has to have. */
  read<T>(heard: Heard, schema: z.ZodType<T>): T {
    if (heard.status !== 200)
      this.fail(heard, 'a 200', 'Answer what you can answer with 200; an id you do not know is a 200 with the state absent.');
    const parsed = schema.safeParse(heard.body);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const place = issue?.path.join('.') ?? '';
    return this.fail(
      heard,
      `the form of examples/webhook/openapi.yaml${place === '' ? '' : `; ${place}: ${issue?.message ?? ''}`}`,
      place === '' ? 'Answer with a JSON object of that form.' : `Mend ${place} in the answer.`,
    );
  }

  /** A refusal: any status that is none of the good ones. */
  refused(heard: Heard, why: string, change: string, statuses?: readonly number[]): void {
    const fine = statuses === undefined ? heard.status >= 400 && heard.status < 500 : statuses.includes(heard.status);
    if (!fine) this.fail(heard, `${statuses?.join(' or ') ?? 'a 4xx'}: ${why}`, change);
  }

  async able(): Promise<Capabilities> {
    this.#able ??= this.read(await this.send(Operation.CAPABILITIES, {}), capabilitiesSchema);
    return this.#able;
  }

  async offered(...operations: readonly Operation[]): Promise<void> {
    const missing = operations.filter((each) => !this.#able?.operations.includes(each));
    if (missing.length > 0) throw new Skipped(`the endpoint does not offer ${missing.join(', ')}`);
  }

  async check(credential: Named = this.options.credential): Promise<{ readonly heard: Heard; readonly answer: CheckedAnswer }> {
    const heard = await this.send(Operation.CHECK, { credential });
    return { heard, answer: this.read(heard, checkedSchema) };
  }

  /** The credential is in use, as it has to be before something is tried on it. */
  async expectActive(): Promise<void> {
    const { heard, answer } = await this.check();
    if (answer.state !== State.ACTIVE)
      this.fail(
        heard,
        'state active: what is tried here begins with a credential in use',
        'Name one in use with --credential, or give this one back.',
      );
  }

  /** Expects the credential to stand so, as `check` tells it. */
  async expectState(state: State, change: string, credential?: Named, after?: Heard): Promise<CheckedAnswer> {
    const { heard, answer } = await this.check(credential);
    if (answer.state !== state)
      this.fail({ ...heard, sent: after ? `${after.sent}, then check` : heard.sent }, `check to say ${state}`, change);
    return answer;
  }

  /** Runs with the credential contained under a key, and gives it back whatever happens. */
  async whileContained<T>(run: (key: string, heard: Heard, answer: z.output<typeof answerSchema>) => Promise<T>): Promise<T> {
    await this.offered(Operation.CONTAIN, Operation.UNCONTAIN);
    await this.expectActive();
    const { credential } = this.options;
    const key = newKey();
    try {
      const heard = await this.change(Operation.CONTAIN, { credential }, key);
      return await run(key, heard, this.read(heard, answerSchema));
    } finally {
      await this.#giveBack(key);
    }
  }

  /** Gives back what one of our keys has contained: an endpoint that mixes its keys up is to be left as it was found all the same. */
  async #giveBack(key: string): Promise<void> {
    const { credential } = this.options;
    try {
      await this.change(Operation.UNCONTAIN, { credential, undoes: key }, newKey());
      const { answer } = await this.check();
      if (answer.state === State.CONTAINED && answer.reversibleBy?.startsWith(ours))
        await this.change(Operation.UNCONTAIN, { credential, undoes: answer.reversibleBy }, newKey());
    } catch (error) {
      // Whatever is wrong with it, the claim that is about it says so.
      if (!(error instanceof Failed)) throw error;
    }
  }

  /** A successor of the credential, made once for all that needs one. */
  async successor() {
    await this.offered(Operation.MINT, Operation.ACTIVATE);
    this.#successor ??= this.#mint();
    return await this.#successor;
  }

  async #mint() {
    const key = newKey();
    const heard = await this.change(Operation.MINT, { replaces: this.options.credential }, key);
    return { key, heard, answer: this.read(heard, mintedSchema) };
  }

  #doomed: Promise<Named> | undefined;
  /** What may be revoked: a successor that was minted for it, else what was named for it. */
  async doomed(): Promise<Named> {
    await this.offered(Operation.REVOKE);
    this.#doomed ??= (async () => {
      const mints = this.#able?.operations.includes(Operation.MINT) && this.#able.operations.includes(Operation.ACTIVATE);
      if (!mints && this.options.spend) return this.options.spend;
      if (!mints) throw new Skipped('the endpoint mints nothing that could be revoked; name a credential that may be, with --spend');
      const { answer } = await this.successor();
      const credential = { system: this.options.credential.system, id: answer.id ?? '' };
      await this.change(Operation.ACTIVATE, { credential }, newKey());
      return credential;
    })();
    return await this.#doomed;
  }
}

const stateOf = (body: unknown): unknown => (body as { state?: unknown } | null | undefined)?.state;
const absentee = (trial: Trial): Named => ({ system: trial.options.credential.system, id: `no-such-id-${randomBytes(6).toString('hex')}` });

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

interface Claim {
  readonly words: string;
  run(trial: Trial): Promise<void>;
}

const look = 'Look how the credential stands before you change it, and set alreadyDone to whether it was so already.';
const verifyFirst = 'Verify the signature over the exact bytes of the body before anything else, and answer 401 where it does not hold.';

/** What an endpoint has to keep, in the order in which it is tried. */
export const claims = {
  capabilities: {
    words: 'capabilities says what it can do, and offers every operation that goes with that',
    async run(trial) {
      const heard = await trial.send(Operation.CAPABILITIES, {});
      const able = trial.read(heard, capabilitiesSchema);
      const wanted = [
        ...[Operation.CAPABILITIES, Operation.IDENTIFY, Operation.CHECK, Operation.REVOKE, Operation.LIST_DESCENDANTS, Operation.EVIDENCE],
        ...(able.reversible ? [Operation.CONTAIN, Operation.UNCONTAIN] : []),
        ...(able.mints ? [Operation.MINT, Operation.ACTIVATE] : []),
      ];
      const missing = wanted.filter((each) => !able.operations.includes(each));
      if (missing.length > 0)
        trial.fail(heard, `operations to hold ${missing.join(', ')}`, 'Offer it, or say that you cannot: reversible: false, mints: false.');
    },
  },
  unsigned: {
    words: 'a request without a signature is refused',
    async run(trial) {
      const heard = await trial.send(
        Operation.CHECK,
        { credential: trial.options.credential },
        { unsigned: true, with: '(without webhook headers)' },
      );
      trial.refused(heard, 'it is not signed', verifyFirst, [401]);
    },
  },
  'wrong-signature': {
    words: 'a signature under another secret is refused',
    async run(trial) {
      const other = new Secret(`whsec_${randomBytes(32).toString('base64')}`);
      const heard = await trial.send(
        Operation.CHECK,
        { credential: trial.options.credential },
        { signedBy: other, with: '(signed with another secret)' },
      );
      trial.refused(heard, 'the signature is not one of the shared secret', verifyFirst, [401]);
    },
  },
  'altered-body': {
    words: 'a body that was changed after it was signed is refused',
    async run(trial) {
      const heard = await trial.send(
        Operation.CHECK,
        { credential: trial.options.credential },
        { tamper: ' ', with: '(and a blank that was not signed)' },
      );
      trial.refused(
        heard,
        'what was signed is another body',
        `${verifyFirst} The body is not to be parsed and written anew before.`,
        [401],
      );
    },
  },
  'old-timestamp': {
    words: 'a signature of an hour ago is refused, and one of an hour ahead',
    async run(trial) {
      for (const secondsOff of [-3600, 3600]) {
        const heard = await trial.send(
          Operation.CHECK,
          { credential: trial.options.credential },
          { secondsOff, with: `(webhook-timestamp ${secondsOff} s off)` },
        );
        trial.refused(
          heard,
          'whoever kept an old request could send it again',
          'Refuse a webhook-timestamp that is more than 300 s from your clock, either way.',
          [401],
        );
      }
    },
  },
  'operation-bound': {
    words: 'a body that was signed for one operation is not taken for another',
    async run(trial) {
      const credential = absentee(trial);
      const key = newKey();
      const heard = await trial.send(
        Operation.CHECK,
        { credential, idempotencyKey: key },
        { path: Operation.REVOKE, header: key, with: '(a body for check, sent to revoke)' },
      );
      trial.refused(
        heard,
        'the signature covers the body alone',
        'Compare operation in the body with the path, and answer 400 where they differ.',
      );
    },
  },
  'key-required': {
    words: 'a change without its idempotency key is refused, and one whose header and body differ',
    async run(trial) {
      const credential = absentee(trial);
      const bare = await trial.send(Operation.REVOKE, { credential }, { header: null, with: '(without Idempotency-Key)' });
      trial.refused(
        bare,
        'a change without a key could be made twice',
        'Demand Idempotency-Key on contain, uncontain, mint, activate and revoke.',
      );
      const two = await trial.send(
        Operation.REVOKE,
        { credential },
        { key: newKey(), header: newKey(), with: '(with another Idempotency-Key than in the body)' },
      );
      trial.refused(
        two,
        'the header is not signed, the body is',
        'Compare Idempotency-Key with idempotencyKey of the body, and answer 400 where they differ.',
      );
    },
  },
  'error-bodies': {
    words: 'an error is JSON with a code and a message, and repeats no secret',
    async run(trial) {
      const canary = `canary-${randomBytes(12).toString('hex')}`;
      const wrong: readonly Heard[] = [
        await trial.send(Operation.CHECK, {}, { unsigned: true, with: '(without webhook headers)' }),
        await trial.send(Operation.CHECK, {}, { text: 'this is no JSON', with: '(signed)' }),
        await trial.send(
          Operation.IDENTIFY,
          { credential: trial.options.credential, secret: canary },
          { path: Operation.REVOKE, with: '(a body for identify, sent to revoke)' },
        ),
      ];
      for (const heard of wrong) {
        trial.refused(heard, 'the request is wrong', 'Answer a wrong request with a 4xx.');
        if (!errorSchema.safeParse(heard.body).success)
          trial.fail(heard, '{"error": {"code": …, "message": …}}', 'Give every error a JSON body with error.code and error.message.');
        if (JSON.stringify(heard.body).includes(canary))
          trial.fail(heard, 'no secret in an error', 'Do not quote the request in an error.');
      }
    },
  },
  check: {
    words: 'check says how the credential stands, and asking changes nothing',
    async run(trial) {
      const first = await trial.check();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const second = await trial.check();
      if (first.answer.state !== State.ACTIVE)
        trial.fail(
          first.heard,
          'state active',
          'Name a credential in use with --credential SYSTEM/ID, one that may be contained for a moment.',
        );
      if (!isDeepStrictEqual(first.answer, second.answer))
        trial.fail(
          second.heard,
          `the same answer as just before: ${first.heard.came}`,
          'Let check read and nothing more; effectiveAt is since when it is so, not now.',
        );
    },
  },
  'unknown-id': {
    words: 'an id that is not known is absent, and nothing is said to be done about it',
    async run(trial) {
      const credential = absentee(trial);
      const able = await trial.able();
      const change =
        'Answer 200 with {"state": "absent", "alreadyDone": false}: an id you never knew is nothing that was contained or revoked.';
      const tell = (heard: Heard) => {
        const answer = trial.read(heard, checkedSchema);
        if (answer.state !== State.ABSENT || answer.alreadyDone) trial.fail(heard, 'state absent and alreadyDone false', change);
      };
      tell(await trial.send(Operation.CHECK, { credential }));
      if (able.operations.includes(Operation.CONTAIN)) tell(await trial.change(Operation.CONTAIN, { credential }, newKey()));
      tell(await trial.change(Operation.REVOKE, { credential }, newKey()));
      tell(await trial.send(Operation.IDENTIFY, { credential }));
    },
  },
  'unknown-fields': {
    words: 'members that it does not know are no reason to refuse',
    async run(trial) {
      const { credential } = trial.options;
      const plain = await trial.check();
      const more = await trial.send(Operation.CHECK, {
        credential: { ...credential, weather: 'fine' },
        futureMember: { of: ['a', 'later', 'version'] },
      });
      const answer = trial.read(more, checkedSchema);
      if (!isDeepStrictEqual(answer, plain.answer))
        trial.fail(
          more,
          `the answer without them: ${plain.heard.came}`,
          'Leave members alone that you do not know: a later version may send more.',
        );
    },
  },
  identify: {
    words: 'identify does not take a wrong secret for the right one',
    async run(trial) {
      const { credential } = trial.options;
      const heard = await trial.send(Operation.IDENTIFY, { credential, secret: `wrong-${randomBytes(24).toString('hex')}` });
      const answer = trial.read(heard, identifiedSchema);
      if (answer.possession === 'yes')
        trial.fail(
          heard,
          'possession no, or unknown',
          'Compare the secret that was sent with the one of that id; say unknown where you cannot.',
        );
    },
  },
  contain: {
    words: 'contain contains, by the word of check too, and names whose it is',
    run: (trial) =>
      trial.whileContained(async (key, heard, answer) => {
        if (answer.state !== State.CONTAINED || answer.alreadyDone)
          trial.fail(
            heard,
            'state contained and alreadyDone false',
            'Contain the credential before you answer, and say that it was not so before; answer 202 where that takes long.',
          );
        if (answer.reversibleBy !== key)
          trial.fail(
            heard,
            `reversibleBy ${key}`,
            'Keep the idempotency key of the call that contained it, and answer it as reversibleBy while it is contained.',
          );
        const off = Math.abs(Date.parse(answer.effectiveAt ?? '') - Date.now());
        if (!(off < 300_000))
          trial.fail(
            heard,
            'effectiveAt near now',
            'Answer the time from which it is contained, by a clock that is set, in ISO 8601 with its zone.',
          );
        const seen = await trial.expectState(
          State.CONTAINED,
          'Contain it where it is accepted, and let check look there and not at what was asked for.',
          undefined,
          heard,
        );
        if (seen.reversibleBy !== key)
          trial.fail(
            { ...heard, came: `check with reversibleBy ${seen.reversibleBy ?? 'left out'}` },
            `reversibleBy ${key} from check`,
            'Answer reversibleBy from check too, while it is contained.',
          );
      }),
  },
  'same-key': {
    words: 'the same key twice is one effect, and the same answer',
    run: (trial) =>
      trial.whileContained(async (key, first) => {
        const second = await trial.change(Operation.CONTAIN, { credential: trial.options.credential }, key);
        if (second.status !== first.status || !isDeepStrictEqual(second.body, first.body))
          trial.fail(
            second,
            `what the first call was answered: ${first.came}`,
            'Keep what you answered to an idempotency key for 24 hours, and answer it again.',
          );
      }),
  },
  asynchronous: {
    words: 'a change that takes its time says where to ask, on its own origin, and comes to an end',
    run: (trial) =>
      trial.whileContained(async () => {
        if (trial.deferred === 0) throw new Skipped('the endpoint answers everything at once');
        await trial.expectState(State.CONTAINED, 'Answer 200 at the place to ask only once check says so too.');
      }),
  },
  'key-reuse': {
    words: 'a key that was used for one request is refused for another',
    run: (trial) =>
      trial.whileContained(async (key) => {
        const heard = await trial.send(
          Operation.CONTAIN,
          { credential: absentee(trial) },
          { key, with: '(under a key that another request has used)' },
        );
        trial.refused(
          heard,
          'the key belongs to another request',
          'Keep a digest of the request with its key, and answer 422 where another comes under it.',
        );
      }),
  },
  'contain-twice': {
    words: 'containing what is contained changes nothing and says so',
    run: (trial) =>
      trial.whileContained(async (key) => {
        const heard = await trial.change(Operation.CONTAIN, { credential: trial.options.credential }, newKey());
        const answer = trial.read(heard, answerSchema);
        if (answer.state !== State.CONTAINED || !answer.alreadyDone) trial.fail(heard, 'state contained and alreadyDone true', look);
        if (answer.reversibleBy !== key)
          trial.fail(
            heard,
            `reversibleBy ${key}: the call that contained it`,
            'Do not put a second call’s key in the place of the first’s: its undo would give back what another still needs contained.',
          );
      }),
  },
  'uncontain-others': {
    words: 'an undo does not give back what another call has contained',
    run: (trial) =>
      trial.whileContained(async () => {
        const heard = await trial.change(Operation.UNCONTAIN, { credential: trial.options.credential, undoes: newKey() }, newKey());
        trial.refused(
          heard,
          'undoes names another call than the one that contained it',
          'Compare undoes with the key you keep, and answer 409 where they differ.',
          [409],
        );
        await trial.expectState(State.CONTAINED, 'Change nothing where you refuse.', undefined, heard);
      }),
  },
  uncontain: {
    words: 'an undo restores, and undoing twice is undoing once',
    run: (trial) =>
      trial.whileContained(async (key) => {
        const { credential } = trial.options;
        const heard = await trial.change(Operation.UNCONTAIN, { credential, undoes: key }, newKey());
        const answer = trial.read(heard, answerSchema);
        if (answer.state !== State.ACTIVE || answer.alreadyDone)
          trial.fail(heard, 'state active and alreadyDone false', 'Give the credential back before you answer.');
        const seen = await trial.expectState(
          State.ACTIVE,
          'Give it back where it is accepted, and let check look there.',
          undefined,
          heard,
        );
        if (seen.reversibleBy !== undefined)
          trial.fail(
            { ...heard, came: `check with reversibleBy ${seen.reversibleBy}` },
            'no reversibleBy of a credential in use',
            'Forget the key when you give the credential back.',
          );
        const again = await trial.change(Operation.UNCONTAIN, { credential, undoes: key }, newKey());
        const twice = trial.read(again, answerSchema);
        if (twice.state !== State.ACTIVE || !twice.alreadyDone) trial.fail(again, 'state active and alreadyDone true', look);
      }),
  },
  mint: {
    words: 'mint makes a successor, and leaves the old one as it is',
    async run(trial) {
      const { heard, answer } = await trial.successor();
      if (answer.state !== State.INACTIVE && answer.state !== State.ACTIVE)
        trial.fail(
          heard,
          'state inactive, or active where it cannot be otherwise',
          'Make the successor before you answer; answer 202 where that takes long.',
        );
      if (answer.id === undefined || answer.secret === undefined)
        trial.fail(heard, 'id and secret', 'Answer the id and the secret of what you made; this is the one answer that holds it.');
      if (answer.id === trial.options.credential.id)
        trial.fail(
          heard,
          'an id of its own',
          'Make a second credential, and do not exchange the secret of the first: its users still hold it.',
        );
      await trial.expectState(State.ACTIVE, 'Leave the old one accepted: it is revoked once its users have moved.', undefined, heard);
    },
  },
  'mint-same-key': {
    words: 'minting again under the same key gives the same successor, and makes no other',
    async run(trial) {
      const { key, heard, answer } = await trial.successor();
      const again = await trial.change(Operation.MINT, { replaces: trial.options.credential }, key);
      const second = trial.read(again, mintedSchema);
      if (second.id !== answer.id || second.secret !== answer.secret)
        trial.fail(
          again,
          `the same id and secret as before: ${heard.came}`,
          'Keep what you answered to the key for 24 hours: an answer can be lost, and a second credential that nobody knows of would be left.',
        );
    },
  },
  'made-by': {
    words: 'check finds what was made under a key, and finds nothing under another',
    async run(trial) {
      const { key, answer } = await trial.successor();
      const { system } = trial.options.credential;
      const found = await trial.send(Operation.CHECK, { system, madeBy: key });
      const told = trial.read(found, checkedSchema);
      if (told.id !== answer.id || told.state === State.ABSENT)
        trial.fail(found, `the id ${answer.id ?? ''}`, 'Keep the key of mint with what it made, and let check find it by madeBy.');
      const none = await trial.send(Operation.CHECK, { system, madeBy: newKey() });
      if (trial.read(none, checkedSchema).state !== State.ABSENT)
        trial.fail(none, 'state absent', 'Answer absent for a key under which nothing was made.');
    },
  },
  activate: {
    words: 'activate has the successor accepted, and once is enough',
    async run(trial) {
      const { answer } = await trial.successor();
      const credential = { system: trial.options.credential.system, id: answer.id ?? '' };
      const heard = await trial.change(Operation.ACTIVATE, { credential }, newKey());
      if (trial.read(heard, answerSchema).state !== State.ACTIVE)
        trial.fail(heard, 'state active', 'Have the successor accepted before you answer.');
      await trial.expectState(State.ACTIVE, 'Let check look where it is accepted.', credential, heard);
      const again = await trial.change(Operation.ACTIVATE, { credential }, newKey());
      const twice = trial.read(again, answerSchema);
      if (twice.state !== State.ACTIVE || !twice.alreadyDone) trial.fail(again, 'state active and alreadyDone true', look);
    },
  },
  descendants: {
    words: 'listDescendants lists what a credential made, and says whether that is all',
    async run(trial) {
      await trial.offered(Operation.LIST_DESCENDANTS);
      const heard = await trial.send(Operation.LIST_DESCENDANTS, { credential: trial.options.credential });
      const { asOf, descendants } = trial.read(heard, descendantsSchema);
      if (Date.parse(asOf) > Date.now() + 60_000) trial.fail(heard, 'asOf no later than now', 'Set asOf to the time at which you looked.');
      const ids = descendants.map(({ id }) => id);
      if (new Set(ids).size !== ids.length)
        trial.fail(heard, 'each id once', 'List each descendant once, and those that have made others with all of theirs.');
      if (ids.includes(trial.options.credential.id)) trial.fail(heard, 'what it made, without itself', 'Leave the credential itself out.');
    },
  },
  evidence: {
    words: 'evidence covers the time that was asked for, and does not say so of what it cannot know',
    async run(trial) {
      await trial.offered(Operation.EVIDENCE);
      const since = new Date(Date.now() - 60_000).toISOString();
      const heard = await trial.send(Operation.EVIDENCE, { credential: trial.options.credential, since });
      const { complete, from, until, uses } = trial.read(heard, evidenceSchema);
      if (Date.parse(until) > Date.now() + 60_000)
        trial.fail(heard, 'until no later than now', 'Set until to the moment up to which your log is complete: the future is in no log.');
      if (complete && Date.parse(from) > Date.parse(since))
        trial.fail(
          heard,
          `from no later than since (${since}), or complete: false`,
          'Say complete: false where your log does not reach back as far as since.',
        );
      const outside = uses.find(({ at }) => Date.parse(at) < Date.parse(since));
      if (outside) trial.fail(heard, `no use before since (${since})`, 'Answer the uses from since on.');
    },
  },
  revoke: {
    words: 'revoke revokes, by the word of check too',
    async run(trial) {
      const credential = await trial.doomed();
      const heard = await trial.change(Operation.REVOKE, { credential }, newKey());
      const answer = trial.read(heard, answerSchema);
      if (answer.state !== State.REVOKED || answer.alreadyDone)
        trial.fail(
          heard,
          'state revoked and alreadyDone false',
          'Revoke the credential before you answer; answer 202 where that takes long.',
        );
      await trial.expectState(State.REVOKED, 'Keep what was revoked, and let check say so.', credential, heard);
      const again = await trial.change(Operation.REVOKE, { credential }, newKey());
      const twice = trial.read(again, answerSchema);
      if (twice.state !== State.REVOKED || !twice.alreadyDone) trial.fail(again, 'state revoked and alreadyDone true', look);
    },
  },
  'revoke-final': {
    words: 'what is revoked stays so, whatever is asked for afterwards',
    async run(trial) {
      const able = await trial.able();
      const credential = await trial.doomed();
      const first = await trial.check(credential);
      if (first.answer.state !== State.REVOKED) trial.fail(first.heard, 'state revoked, as it was revoked before', 'Mend revoke first.');
      for (const operation of [Operation.CONTAIN, Operation.UNCONTAIN, Operation.ACTIVATE]) {
        if (!able.operations.includes(operation)) continue;
        const heard = await trial.change(operation, { credential, undoes: newKey() }, newKey());
        await trial.expectState(State.REVOKED, 'Let nothing lead out of revoked.', credential, heard);
      }
    },
  },
  'signed-answers': {
    words: 'answers are signed, with the webhook-id of their request, where it says that they are',
    async run(trial) {
      const able = await trial.able();
      if (!able.signsResponses) throw new Skipped('the endpoint says that it does not sign');
      const first = trial.unsignedAnswers[0];
      if (first !== undefined)
        trial.fail(
          { sent: first, came: `${trial.unsignedAnswers.length} good answers that are not to be believed` },
          'webhook-id of the request, webhook-timestamp, webhook-signature over the answer',
          'Sign the exact bytes of every answer, or say signsResponses: false.',
        );
    },
  },
} as const satisfies Record<string, Claim>;

export type ClaimName = keyof typeof claims;
export const claimNames = Object.keys(claims) as readonly ClaimName[];

/**
 * Tries every claim, one after the other, and tells each as it is through. The signal ends it between two claims and never within one, which could leave what was named contained. A place that is not spoken to is
 * thrown as a fault; everything else is a verdict.
 */
export async function* tryEndpoint(options: TrialOptions): AsyncGenerator<Verdict> {
  const trial = new Trial(options);
  for (const name of claimNames) {
    if (options.signal.aborted) return;
    const { words, run }: Claim = claims[name];
    try {
      // Every claim needs to know what is offered; where even that fails, the first claim says why and the others that they hang on it.
      if (name !== 'capabilities') await trial.able();
      await run(trial);
      yield { claim: name, words, result: 'passed' };
    } catch (error) {
      if (error instanceof Failed) yield { claim: name, words, result: 'failed', flaw: error.flaw };
      else if (error instanceof Skipped) yield { claim: name, words, result: 'skipped', because: error.message };
      else throw error;
    }
  }
}
