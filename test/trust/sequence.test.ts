import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  acceptEdition,
  acceptedEditions,
  inspectTrust,
  openTrust,
  publishEdition,
  replaceFile,
  signEdition,
  trustText,
} from '../../audit/editions.ts';
import { newKey, trustedKeyOf } from '../../audit/keys.ts';
import { peopleText } from '../../audit/trust.ts';
import { hashOf } from '../../domain/canonical.ts';
import { codeOf, registry } from '../../domain/errors.ts';
import type { Edition, People } from '../../domain/trust.ts';
import { type Cast, castOf, freshJudge } from './cast.ts';

let cast: Cast;
beforeEach(() => {
  cast = castOf();
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
  cast.remove();
});

/** Lets the time pass in which a worker does not look at its files. */
const later = (ms = 501) => vi.setSystemTime(Date.now() + ms);

/** Puts the two files of an edition in place, as somebody with a copy program would. */
function put(edition: Edition): void {
  replaceFile(cast.place.people, peopleText(edition.people));
  replaceFile(cast.place.trust, trustText(edition));
  later();
}

/** The keys of an edition and one of a judge's that nobody knows. */
const withKey = (edition: Edition): Edition['trust']['keys'] => {
  const judge = freshJudge();
  return [...edition.trust.keys, judge.listed];
};

describe('a trust file that follows', () => {
  it('is taken at the next look by every worker, entered once, and found there by one that starts later', () => {
    const workers = [cast.open(), cast.open()];
    const keys = withKey(cast.first());
    const next = cast.signed(cast.first(), ['ada', 'ben'], { keys });
    put(next);
    for (const worker of workers) expect(worker.trust().keys.map(({ id }) => id)).toContain(keys.at(-1)?.id);
    expect(
      cast
        .open()
        .editions()
        .map(({ trust }) => trust.serial),
    ).toEqual([1, 2]);
    expect(cast.said).toEqual([]);
    // What is asked for again between two looks is the same object: records are verified anew for every other one.
    expect(workers[0]?.trust()).toBe(workers[0]?.trust());
  });

  it('reaches a worker whose own copy of the file is late, by the store', () => {
    const worker = openTrust({ ...cast.place, trust: cast.place.trust });
    const next = cast.signed(cast.first(), ['ben', 'ada']);
    acceptEdition(cast.place.names, cast.made.rootPublic, cast.first(), next);
    later();
    expect(worker.trust().serial).toBe(2);
  });

  it('brings its people with it, and not a moment before they are both there', () => {
    const worker = cast.open();
    const people: People = { v: 1, people: [...cast.first().people.people, { id: 'dan', name: 'Dan', roles: ['approver'] }] };
    const next = cast.signed(cast.first(), ['ada', 'ben'], {}, people);
    const before = worker.people();
    replaceFile(cast.place.trust, trustText(next));
    later();
    expect([worker.trust().serial, worker.people()]).toEqual([1, before]);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.people-changed']);
    replaceFile(cast.place.people, peopleText(people));
    later();
    expect([worker.trust().serial, worker.people()]).toEqual([2, people]);
    // A further edit of trust alone, with the same people, and one of people that the file of people is already: both are read.
    put(cast.signed(next, ['ada', 'ben'], {}, cast.first().people));
    expect(worker.people()).toEqual(cast.first().people);
  });

  it('may begin anew under another root, which is pinned by hand, in the same store and with the same keys', () => {
    const second = publishEdition(cast.place, cast.signed(cast.first(), ['ada', 'ben'])).published;
    const root = newKey({ role: 'root', from: second.trust.issuedAt, until: '2036-01-01T00:00:00.000Z' });
    const { previous: _p, proposedBy: _b, ...trust } = second.trust;
    const keys = [...trust.keys.filter(({ role }) => role !== 'root'), trustedKeyOf(root)];
    const first = signEdition({ ...second, trust: { ...trust, serial: 1, keys }, signatures: [], countersignatures: [] }, root);
    const place = { ...cast.place, root: root.public };
    expect(() => openTrust(place)).toThrow(expect.objectContaining({ code: 'trust.bad-signature' }));
    put(first);
    rmSync(join(cast.folder, 'trust-history'), { recursive: true });
    const worker = openTrust(place);
    expect(worker.trust()).toEqual(first.trust);
    publishEdition(place, signEdition(signEdition(signEdition(cast.after(first), root), cast.person('ada')), cast.person('ben')));
    later();
    expect(worker.trust().serial).toBe(2);
    // A worker that has the old root pinned still goes by the old sequence, and says that the file is none of it.
    expect(cast.open().trust()).toEqual(second.trust);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.bad-signature']);
  });

  it('is published so that a worker reads it whole at any moment, and is kept for a store that is lost', () => {
    const worker = cast.open();
    const second = publishEdition(cast.place, cast.signed(cast.first(), ['ada', 'ben'])).published;
    const third = publishEdition(cast.place, cast.signed(second, ['ben', 'ada'])).published;
    later();
    expect(worker.trust()).toEqual(third.trust);
    expect(readdirSync(join(cast.folder, 'trust-history')).sort()).toEqual(['1.yaml', '2.yaml', '3.yaml']);
    rmSync(join(cast.folder, 'store', 'names'), { recursive: true });
    expect(
      cast
        .open()
        .editions()
        .map(({ trust }) => trust.serial),
    ).toEqual([1, 2, 3]);
    rmSync(join(cast.folder, 'store', 'names'), { recursive: true });
    rmSync(join(cast.folder, 'trust-history', '2.yaml'));
    expect(() => cast.open()).toThrow(expect.objectContaining({ code: 'trust.gap' }));
  });
});

/** Every way to an edition that is none, by what the forger has. Each is put in place as the files, and as a name in the store by whoever can write there. */
const refused: Readonly<Record<string, { readonly code: string; readonly made: () => Edition; readonly byFileOnly?: boolean }>> = {
  'the root alone': { code: 'trust.uncountersigned', made: () => cast.signed(cast.first(), [], { keys: withKey(cast.first()) }) },
  'the root and the second person, without whoever proposes it': {
    code: 'trust.uncountersigned',
    made: () => cast.signed(cast.first(), ['ben'], { proposedBy: 'ada' }),
  },
  'the root and one person, as proposer and second': {
    code: 'trust.uncountersigned',
    made: () => cast.signed(cast.first(), ['ben', 'ben']),
  },
  'the root and one person, who has given themselves a second key': {
    code: 'trust.uncountersigned',
    made: () => {
      const other = newKey({ role: 'person', from: '2026-01-01T00:00:00.000Z', until: '2036-01-01T00:00:00.000Z', person: 'ben' });
      const next = cast.signed(cast.first(), ['ada'], { keys: [...cast.first().trust.keys, trustedKeyOf(other)] });
      return signEdition(next, other);
    },
  },
  'the root and two persons, of whom the second has not the role': {
    code: 'trust.uncountersigned',
    made: () => cast.signed(cast.first(), ['ada', 'cleo']),
  },
  'the root and a second person who is given the role in this very edit': {
    code: 'trust.uncountersigned',
    made: () => {
      const people = cast.first().people.people.map((person) => (person.id === 'cleo' ? { ...person, roles: ['security-lead'] } : person));
      return cast.signed(cast.first(), ['ada', 'cleo'], {}, { v: 1, people });
    },
  },
  'two persons, without the root': {
    code: 'trust.bad-signature',
    made: () => ({
      ...cast.signed(cast.first(), ['ada', 'ben']),
      signatures: [{ keyid: cast.root.id, sig: Buffer.alloc(64).toString('base64') }],
    }),
  },
  'everybody, over another edit': {
    code: 'trust.bad-signature',
    made: () => {
      const next = cast.signed(cast.first(), ['ada', 'ben']);
      return { ...next, trust: { ...next.trust, keys: withKey(next) } };
    },
  },
  'a person whose key had ended when it was issued': {
    code: 'trust.uncountersigned',
    made: () => {
      vi.setSystemTime(Date.now() + 400 * 86_400_000);
      return cast.signed(cast.first(), ['ada', 'ben']);
    },
  },
  'a person whose key has ended since, dated back': {
    code: 'trust.uncountersigned',
    // What the store holds was accepted in its time, when the key was good; nothing there tells when it was written.
    byFileOnly: true,
    made: () => {
      vi.setSystemTime(Date.now() + 400 * 86_400_000);
      return cast.signed(cast.first(), ['ada', 'ben'], { issuedAt: cast.first().trust.issuedAt });
    },
  },
  'everybody, dated before the one in force': {
    code: 'trust.not-next',
    made: () => cast.signed(cast.first(), ['ada', 'ben'], { issuedAt: '2020-01-01T00:00:00.000Z' }),
  },
  'everybody, dated ahead': {
    code: 'trust.not-next',
    made: () => cast.signed(cast.first(), ['ada', 'ben'], { issuedAt: new Date(Date.now() + 3_600_000).toISOString() }),
  },
  'everybody, with a key gone that has signed records': {
    code: 'trust.not-next',
    made: () => cast.signed(cast.first(), ['ada', 'ben'], { keys: cast.first().trust.keys.filter(({ role }) => role !== 'worker') }),
  },
  "everybody, with a worker's key made a judge's": {
    code: 'trust.not-next',
    made: () => {
      const keys = cast
        .first()
        .trust.keys.map(({ provider, account, ...key }) =>
          key.role === 'worker'
            ? { ...key, role: 'judge' as const }
            : { ...key, ...(provider && { provider }), ...(account && { account }) },
        );
      return cast.signed(cast.first(), ['ada', 'ben'], { keys });
    },
  },
  'everybody, for another engine': {
    code: 'trust.not-next',
    made: () => cast.signed(cast.first(), ['ada', 'ben'], { engine: 'eng_elsewhere' }),
  },
  'everybody, two serials on': { code: 'trust.gap', made: () => cast.signed(cast.first(), ['ada', 'ben'], { serial: 3 }) },
  'everybody, on another first serial': {
    code: 'trust.forked',
    made: () => cast.signed(cast.first(), ['ada', 'ben'], { previous: hashOf('another') }),
  },
  'the root, with a first serial of its own': {
    code: 'trust.forked',
    made: () => {
      const { previous: _p, proposedBy: _b, ...trust } = cast.after(cast.first(), { keys: withKey(cast.first()) }).trust;
      return signEdition({ trust: { ...trust, serial: 1 }, people: cast.first().people, signatures: [], countersignatures: [] }, cast.root);
    },
  },
};

describe('a trust file is refused that was made by', () => {
  it.each(Object.entries(refused))('%s', (name, { code, made, byFileOnly }) => {
    const worker = cast.open();
    const inForce = worker.trust();
    const next = made();
    put(next);
    expect(worker.trust()).toBe(inForce);
    expect(cast.said.map((told) => told.code)).toEqual([code]);
    later();
    worker.trust();
    expect(cast.said).toHaveLength(1);
    const { trouble, editions } = inspectTrust(cast.place);
    expect(codeOf(trouble)).toBe(code);
    expect(editions).toHaveLength(1);
    expect(registry[codeOf(trouble)].remedy).not.toBe('');
    console.log(`refused  ${code.padEnd(24)} ${name}`);
    if (byFileOnly) return;
    // Nor by being written where the accepted ones are kept, and what lies there does not keep the right one out.
    cast.place.names.createIfAbsent(nameOf(next), Buffer.from(JSON.stringify(next)));
    later();
    expect(worker.trust()).toBe(inForce);
    expect(cast.open().trust()).toEqual(inForce);
    vi.setSystemTime(Date.parse(inForce.issuedAt) + 60_000);
    const right = cast.signed({ ...worker.edition() }, ['ada', 'ben']);
    put(right);
    expect(worker.trust()).toEqual(right.trust);
    expect(cast.open().trust()).toEqual(right.trust);
  });

  it('whoever has an old one: it changes nothing, and a worker that starts with it takes the one in force out of the store', () => {
    const [worker, first] = [cast.open(), cast.first()];
    const second = cast.signed(first, ['ada', 'ben']);
    put(second);
    expect(worker.trust().serial).toBe(2);
    put(first);
    expect(worker.trust().serial).toBe(2);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.rolled-back']);
    expect(cast.open().trust()).toEqual(second.trust);
    expect(codeOf(inspectTrust(cast.place).trouble)).toBe('trust.rolled-back');
  });

  it('everybody, a second time: of two of one serial the first stays, wherever they come in', () => {
    const first = cast.first();
    const [one, two] = [cast.signed(first, ['ada', 'ben']), cast.signed(first, ['ben', 'ada'], { keys: withKey(first) })];
    const worker = cast.open();
    put(one);
    expect(worker.trust()).toEqual(one.trust);
    put(two);
    expect(worker.trust()).toEqual(one.trust);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.forked']);
    // What follows the other one comes from nowhere.
    put(cast.signed(two, ['ada', 'ben']));
    expect(worker.trust()).toEqual(one.trust);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.forked', 'trust.forked']);
    expect(acceptedEditions(cast.place.names, cast.made.rootPublic)).toHaveLength(2);
  });

  it('whoever can write people.yaml alone', () => {
    const worker = cast.open();
    const people = cast.first().people.people.map((person) => ({ ...person, roles: ['approver'] }));
    replaceFile(cast.place.people, peopleText({ v: 1, people }));
    later();
    expect(worker.people()).toEqual(cast.made.people);
    expect(cast.said.map(({ code }) => code)).toEqual(['trust.people-changed']);
    expect(cast.open().people()).toEqual(cast.made.people);
  });

  it('nobody: what is no file at all is said, and what is in force stays so', () => {
    const worker = cast.open();
    writeFileSync(cast.place.trust, 'trust: [');
    later();
    expect(worker.trust().serial).toBe(1);
    rmSync(cast.place.trust);
    later();
    expect(worker.trust().serial).toBe(1);
    expect(cast.said.map(({ code }) => code)).toEqual(['file.syntax', 'file.missing']);
  });
});

const nameOf = (edition: Edition): string => `trust/${rootMark()}/${edition.trust.serial}`;
const rootMark = (): string => {
  const seen: string[] = [];
  const read = (name: string) => {
    seen.push(name);
    return undefined;
  };
  acceptedEditions({ read }, cast.made.rootPublic);
  return seen[0]?.split('/')[1] ?? '';
};
