import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../domain/errors.ts';
import type { Envelope } from '../domain/record.ts';
import { newKey } from './keys.ts';
import { openEnvelope, preAuthEncoding, signerFrom, verifyEnvelope } from './signing.ts';

const period = { from: '2026-01-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' };
const key = newKey({ role: 'judge', ...period });
const signer = signerFrom(key);
const type = 'application/vnd.tourniquet.record+json';
const good = signer.sign(type, { b: 1, a: 'ü' });
const codeFrom = (work: () => unknown) => {
  try {
    work();
    return 'no error';
  } catch (error) {
    return codeOf(error);
  }
};
const withPayload = (text: string | Buffer): Envelope => ({ ...good, payload: Buffer.from(text as string).toString('base64') });

describe('envelopes', () => {
  it('are signed over the pre-authentication encoding of DSSE, as its specification shows it', () => {
    // The example of the DSSE v1 protocol page.
    expect(Buffer.from(preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))).toString()).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
    const publicKey = createPublicKey(key.key);
    const sig = Buffer.from(good.signatures[0]?.sig ?? '', 'base64');
    expect(verify(null, preAuthEncoding(type, Buffer.from('{"a":"ü","b":1}')), publicKey, sig)).toBe(true);
  });

  it('verify under the key that made them and give back what was signed', () => {
    expect(verifyEnvelope(good, key.public)).toBe(true);
    expect(openEnvelope(good, type)).toEqual({ a: 'ü', b: 1 });
    expect(verifyEnvelope(good, newKey({ role: 'judge', ...period }).public)).toBe(false);
    expect(signer.sign(type, { a: 'ü', b: 1 })).toEqual(good);
  });

  it('do not verify after any change of a single character', () => {
    const text = JSON.stringify(good);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('A', 'b', '/', '"', '=', ' ', '0'), (at, character) => {
        const changed = text.slice(0, at) + character + text.slice(at + 1);
        let envelope: Envelope;
        try {
          envelope = JSON.parse(changed);
        } catch {
          return;
        }
        const same = JSON.stringify(envelope) === text;
        // The key id is no part of what is signed; whoever verifies looks the key up by it.
        const onlyKeyId = JSON.stringify({ ...envelope, signatures: [{ ...envelope.signatures?.[0], keyid: signer.keyid }] }) === text;
        expect(verifyEnvelope(envelope, key.public)).toBe(same || onlyKeyId);
      }),
      { numRuns: 2000 },
    );
  });

  it('of the wrong shape are refused without throwing, whatever they are', () => {
    const signature = good.signatures[0];
    const shapes: unknown[] = [
      null,
      undefined,
      7,
      'x',
      [],
      {},
      { ...good, extra: 1 },
      { ...good, signatures: [] },
      { ...good, signatures: [signature, signature] },
      { ...good, signatures: [{ ...signature, extra: 1 }] },
      { ...good, signatures: [{ keyid: 'x' }] },
      { ...good, payload: `${good.payload} ` },
      { ...good, payload: `${good.payload.replace(/=+$/, '')}\n` },
      { ...good, signatures: [{ ...signature, sig: `${signature?.sig}\n` }] },
    ];
    for (const shape of shapes) expect(verifyEnvelope(shape as Envelope, key.public)).toBe(false);
    fc.assert(fc.property(fc.anything(), (anything) => verifyEnvelope(anything as Envelope, key.public) === false));
    expect(verifyEnvelope(good, 'no key')).toBe(false);
    expect(verifyEnvelope(good, `${key.public} `)).toBe(false);
  });

  it('open only as the type expected, and only where the payload is the canonical JSON of itself', () => {
    expect(codeFrom(() => openEnvelope(good, 'application/vnd.tourniquet.decision+json'))).toBe('record.unreadable');
    const payloads = [
      '{"b":1,"a":2}',
      '{"a":1 }',
      '{"a":1,"a":2}',
      '{"a":1.0}',
      '\ufeff{"a":1}',
      '{',
      '{"a":"\\ud800"}',
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    ];
    for (const payload of payloads) expect(codeFrom(() => openEnvelope(withPayload(payload), type))).toBe('record.unreadable');
    expect(codeFrom(() => openEnvelope(withPayload(Buffer.from([0x22, 0xff, 0x22])), type))).toBe('record.unreadable');
  });
});
