import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { PayloadType } from '../../domain/record.ts';
import type { Sighting } from '../../domain/report.ts';
import { holdsSecret } from '../../intake/issuer.ts';
import { Hunt, throughStore } from '../canary/hunt.ts';
import { type Desk, innerPlace, openDesk, otherKeyId, reportOf, secrets, signed, signers, webhook } from './bench.ts';

let desk: Desk;
const opened: Desk[] = [];
beforeEach(() => {
  desk = openDesk();
  opened.push(desk);
});
afterAll(() => {
  for (const each of opened) each.close();
});

const day = 86_400_000;
const othersSecret = 'the secret of somebody else';
const secretInWebhook = 'wJalrXUtnFEMI/K7MDENG';
const proven: readonly (readonly [name: string, make: (desk: Desk) => Sighting, proof: string])[] = [
  ['a signature of today, for this engine', (at) => signed(at), 'person-signed'],
  ['a signature of six days ago', (at) => signed(at, { signed: { engine: 'eng_here', at: at.at(-6 * day) } }), 'person-signed'],
  ['the issuer’s webhook of this key', () => ({ report: reportOf(), issuer: webhook() }), 'issuer-signed'],
  [
    'the issuer’s webhook of an alert that is known by its address',
    () => ({
      report: reportOf({
        credential: { kind: 'github.alert', locator: { alert: 'https://git.example.test/acme/open/security/secret-scanning/7' } },
      }),
      issuer: webhook({ alert: { secret: undefined } }),
    }),
    'issuer-signed',
  ],
];

const borrowed: readonly (readonly [name: string, make: (desk: Desk) => Sighting, why: string])[] = [
  ['an old signature', (at) => signed(at, { signed: { engine: 'eng_here', at: at.at(-8 * day) } }), 'the signature is old'],
  ['a signature from the future', (at) => signed(at, { signed: { engine: 'eng_here', at: at.at(day) } }), 'a time to come'],
  ['a signature for another engine', (at) => signed(at, { signed: { engine: 'eng_there', at: at.at(0) } }), 'another engine'],
  [
    'a signature that names no engine',
    () => {
      const report = reportOf();
      return { report, signature: signers.scanner.sign(PayloadType.REPORT, report) };
    },
    'names no engine',
  ],
  [
    'a signature over a report of another credential',
    (at) => ({
      ...signed(at, { credential: { kind: 'aws.access-key', locator: { accessKeyId: otherKeyId } } }),
      report: reportOf({ signed: { engine: 'eng_here', at: at.at(-1000) } }),
    }),
    'over another report',
  ],
  [
    'a signature over the same report seen at another time',
    (at) => {
      const true_ = signed(at);
      return { ...true_, report: { ...true_.report, seenAt: at.at(0) } };
    },
    'over another report',
  ],
  [
    'a signature over the same report of another place',
    (at) => {
      const true_ = signed(at, { origin: { where: 'repository', repository: innerPlace } });
      return { ...true_, report: { ...true_.report, origin: { where: 'repository', repository: 'https://git.example.test/acme/open' } } };
    },
    'over another report',
  ],
  ['a stranger’s signature under a person’s name', (at) => signed(at, {}, 'stranger'), 'no person of the trust file'],
  ['a worker’s signature', (at) => signed(at, {}, 'worker'), 'no person of the trust file'],
  [
    'a signature with another’s key id',
    (at) => {
      const { report, signature } = signed(at, {}, 'stranger');
      const keyid = signers.scanner.keyid;
      return { report, signature: { ...signature, signatures: [{ keyid, sig: signature?.signatures[0]?.sig ?? '' }] } as never };
    },
    'does not hold',
  ],
  [
    'a signed decision in the place of a report',
    (at) => ({ ...signed(at), signature: signers.scanner.sign(PayloadType.DECISION, {}) }),
    'over another report',
  ],
  ['somebody else’s webhook', () => ({ report: reportOf(), issuer: webhook({ secret: othersSecret }) }), 'no issuer that is configured'],
  [
    'a webhook whose body was altered',
    () => {
      const word = webhook();
      return { report: reportOf(), issuer: { ...word, body: word.body.replace('"number":7', '"number":8') } };
    },
    'no issuer that is configured',
  ],
  [
    'a webhook of another credential',
    () => ({ report: reportOf(), issuer: webhook({ alert: { secret: otherKeyId } }) }),
    'another credential',
  ],
  [
    'a webhook that names no credential',
    () => ({ report: reportOf(), issuer: webhook({ alert: { secret: undefined } }) }),
    'another credential',
  ],
  [
    'a webhook of another place',
    () => ({ report: reportOf(), issuer: webhook({ repository: { html_url: innerPlace, visibility: 'private' } }) }),
    'another place',
  ],
  [
    'an old webhook',
    () => ({ report: reportOf(), issuer: webhook({ alert: { updated_at: '2026-01-05T00:00:00Z' } }) }),
    'the webhook is old',
  ],
  [
    'a webhook of a key that somebody only wrote down',
    () => ({ report: reportOf(), issuer: webhook({ alert: { validity: 'unknown' } }) }),
    'not found the secret to be active',
  ],
  [
    'a webhook of an alert that is closed',
    () => ({ report: reportOf(), issuer: webhook({ alert: { resolution: 'false_positive' } }) }),
    'closed the alert',
  ],
  [
    'a webhook with a secret in it',
    () => ({ report: reportOf(), issuer: webhook({ alert: { secret: secretInWebhook } }) }),
    'holds a secret',
  ],
];

describe('what a sighting proves', () => {
  it.each(proven)('%s is proof', async (name, make, proof) => {
    const { bodies, result } = await desk.receive('run-1', make(desk));
    console.log(`  proof     ${name}: ${bodies[0]?.proof}`);
    expect([bodies[0]?.proof, bodies[0]?.notProof, result.lookAt]).toEqual([proof, undefined, undefined]);
  });

  it.each(borrowed)('%s is a claim', async (name, make, why) => {
    const { bodies } = await desk.receive('run-1', make(desk));
    console.log(`  borrowed  ${name}: ${bodies[0]?.proof}, ${bodies[0]?.notProof?.join('; ')}`);
    expect(bodies[0]?.proof).toBe('claim');
    expect(bodies[0]?.signedBy ?? bodies[0]?.issuerSays).toBeUndefined();
    expect(bodies[0]?.notProof?.join('; ')).toContain(why);
  });

  it.each([
    ['a signature', (at: Desk) => signed(at)],
    ['a webhook', () => ({ report: reportOf(), issuer: webhook() })],
  ] as const)('%s counts in one run, again in that run, and not in the next', async (name, make) => {
    const sighting = make(desk);
    const proofs: string[] = [];
    for (const run of ['run-1', 'run-1', 'run-2']) proofs.push((await desk.receive(run, sighting)).bodies[0]?.proof ?? '');
    console.log(`  borrowed  ${name} of an earlier run: ${proofs.at(-1)}`);
    expect([proofs[0], proofs[1], proofs[2]]).toEqual([proofs[0], proofs[0], 'claim']);
    expect(proofs[0]).not.toBe('claim');
  });

  it('a sealed secret counts in one run, and is not tried in the next', async () => {
    const sealed = { hash: `sha256:${'5'.repeat(64)}`, keyId: 'key' } as const;
    const first = await desk.receive('run-1', { report: reportOf({ sealed }) });
    const second = await desk.receive('run-2', { report: reportOf({ sealed, note: 'sent again' }) });
    console.log('  borrowed  the sealed secret of an earlier run: not tried');
    expect([first.result.sealed, second.result.sealed]).toEqual([[sealed], []]);
    expect(second.bodies[0]?.notProof?.join()).toContain('the sealed secret was counted in an earlier run');
  });

  it('a sealed secret that somebody signed for is tried before those that nobody did', async () => {
    const junk = Array.from({ length: 8 }, (_, at) => ({
      report: reportOf({ sealed: { hash: `sha256:${String(at).repeat(64)}`, keyId: 'key' }, note: `junk ${at}` }),
    }));
    const real = { hash: `sha256:${'f'.repeat(64)}`, keyId: 'key' } as const;
    const { result } = await desk.receive('run-1', ...junk, signed(desk, { sealed: real }));
    expect(result.sealed[0]).toEqual(real);
    expect(result.sealed).toHaveLength(9);
  });

  it('what a claim says of the time widens nothing', async () => {
    expect((await desk.receive('run-1', { report: reportOf() })).result.exposedSince).toBeUndefined();
    expect(
      (
        await desk.receive(
          'run-2',
          { report: reportOf({ note: 'again' }) },
          signed(desk, { note: 'signed', origin: { where: 'chat', committedAt: '2026-02-20T00:00:00.000Z' } }),
        )
      ).result.exposedSince,
    ).toBe('2026-02-20T00:00:00.000Z');
  });

  it('a webhook that holds a secret is known before it is sent', () => {
    expect([
      holdsSecret(webhook().body),
      holdsSecret(webhook({ alert: { secret: 'hunter2' } }).body),
      holdsSecret('{'),
      holdsSecret('{"alert":{}}'),
    ]).toEqual([false, true, false, false]);
  });
});

describe('and after all of it', () => {
  it('no secret stands in what the intake has kept: no key, nothing that webhooks are signed with, none that one held', async () => {
    const hunt = new Hunt({ ...secrets, 'the secret of somebody else': othersSecret, 'the secret in a webhook': secretInWebhook });
    for (const { store, directory } of opened) await throughStore(hunt, store, directory);
    expect(hunt.looked.get('record')).toBeGreaterThan(borrowed.length);
    expect(hunt.findings).toEqual([]);
  });
});
