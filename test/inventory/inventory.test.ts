import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { repositoryKey } from '../../domain/inventory.schema.ts';
import type { Proof, Report, ReportRecord } from '../../domain/report.ts';
import { loadInventory, lookUp } from '../../inventory/index.ts';

const arn = 'arn:aws:iam::111122223333:user/ci-deployer';
const store = {
  id: 'ci',
  provider: 'vault',
  account: 'lab',
  path: 'kv/ci/deployer',
  fields: { accessKeyId: 'access_key' },
  principal: arn,
};
const consumer = {
  id: 'build',
  name: 'Build runner',
  owner: 'team-ci',
  contact: 'ci@example.org',
  store: 'ci',
  overlap: true,
  rereads: '2s',
  criticality: 'production',
  networks: ['10.0.0.0/8', '2001:db8::/32'],
  vpcs: ['vpc-0a1b2c3d4e5f60718', 'vpce-1a2b3c4d'],
  seenAs: { userAgent: 'build/1' },
  readsAs: 'build-runner',
};
const whole = {
  v: 1,
  stores: [store],
  consumers: [consumer],
  repositories: [
    { match: 'https://git.example.org/acme/', visibility: 'internal', owner: 'team-acme' },
    { match: 'https://git.example.org/acme/website', visibility: 'public', owner: 'team-web' },
  ],
  owners: [{ principal: arn, owner: 'team-ci' }],
  protected: ['arn:aws:iam::111122223333:user/break-glass'],
};
const load = (content: unknown) => loadInventory(stringify(content), 'inventory.yaml');

function sighting(
  origin: Partial<Report['origin']>,
  proof: Proof = 'claim',
  publiclyLeaked?: boolean,
): Pick<ReportRecord, 'report' | 'proof' | 'issuerSays'> {
  const report: Report = {
    v: 1,
    id: 'rpt_00000000000000000000000000',
    format: 'trufflehog',
    credential: { kind: 'aws.access-key', locator: { accessKeyId: 'AKIAEXAMPLEEXAMPLE00' } },
    origin: { where: 'repository', ...origin },
    reporter: 'scanner',
    seenAt: '2026-01-01T00:00:00.000Z',
    claims: publiclyLeaked === undefined ? {} : { publiclyLeaked },
  };
  return { report, proof, ...(proof === 'issuer-signed' ? { issuerSays: { by: 'github', publiclyLeaked: publiclyLeaked === true } } : {}) };
}
const exposure = (...reports: Pick<ReportRecord, 'report' | 'proof' | 'issuerSays'>[]) => lookUp(load(whole), { reports }).exposure;

describe('the inventory file', () => {
  it('gives stores and consumers as the records hold them, re-reading in seconds', () => {
    const inventory = load(whole);
    expect(inventory.stores[0]).toEqual(store);
    expect(inventory.consumers[0]).toEqual({ ...consumer, rereads: 2 });
  });

  it('may be JSON, may leave everything out, and takes a consumer that never looks again', () => {
    expect(loadInventory('{"v":1}', 'i.json')).toEqual({ v: 1, stores: [], consumers: [], repositories: [], owners: [], protected: [] });
    expect(load({ ...whole, consumers: [{ ...consumer, rereads: 'never' }] }).consumers[0]?.rereads).toBe('never');
    expect(load({ ...whole, consumers: [{ ...consumer, seenAs: undefined, networks: undefined }] }).consumers[0]).toMatchObject({
      seenAs: {},
      networks: [],
    });
  });

  it.each<[string, object, string]>([
    ['an unknown key', { ...whole, consumer: [] }, 'consumer'],
    ['an unknown key in a consumer', { ...whole, consumers: [{ ...consumer, overlaps: true }] }, 'consumers[0].overlaps'],
    ['a store id given twice', { ...whole, stores: [store, { ...store, path: 'kv/other' }] }, 'stores[1].id'],
    ['two stores at one place', { ...whole, stores: [store, { ...store, id: 'ci2' }] }, 'stores[1].path'],
    ['a consumer id given twice', { ...whole, consumers: [consumer, { ...consumer, readsAs: 'x' }] }, 'consumers[1].id'],
    ['two consumers one name in the log', { ...whole, consumers: [consumer, { ...consumer, id: 'test' }] }, 'consumers[1].readsAs'],
    ['a consumer of an unknown store', { ...whole, consumers: [{ ...consumer, store: 'cj' }] }, 'consumers[0].store'],
    [
      'a repository named twice in two spellings',
      { ...whole, repositories: [whole.repositories[1], { match: 'git@git.example.org:acme/website.git', visibility: 'internal' }] },
      'repositories[1].match',
    ],
    ['an owner entry given twice', { ...whole, owners: [whole.owners[0], { principal: arn, owner: 'x' }] }, 'owners[1].principal'],
    [
      'a pattern among the protected, which would protect nothing',
      { ...whole, protected: ['arn:aws:iam::111122223333:user/*'] },
      'protected[0]',
    ],
    ['two fields at one place in the store', { ...whole, stores: [{ ...store, fields: { a: 'x', b: 'x' } }] }, 'stores[0].fields'],
    ['a path that climbs', { ...whole, stores: [{ ...store, path: 'kv/ci/../root' }] }, 'stores[0].path'],
    ['a path without a mount', { ...whole, stores: [{ ...store, path: 'deployer' }] }, 'stores[0].path'],
    ['a network that is none', { ...whole, consumers: [{ ...consumer, networks: ['10.0.0.0/33'] }] }, 'consumers[0].networks[0]'],
    ['a VPC that is none', { ...whole, consumers: [{ ...consumer, vpcs: ['vpc-*'] }] }, 'consumers[0].vpcs[0]'],
    ['a duration that is none', { ...whole, consumers: [{ ...consumer, rereads: 'soon' }] }, 'consumers[0].rereads'],
    ['an unknown criticality', { ...whole, consumers: [{ ...consumer, criticality: 'high' }] }, 'consumers[0].criticality'],
    ['a version that is not ours', { ...whole, v: 2 }, 'v'],
  ])('%s is refused at its place', (_what, content, path) => {
    const text = stringify(content);
    let caught: unknown;
    try {
      loadInventory(text, 'inventory.yaml');
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({
      code: 'file.invalid',
      context: { file: 'inventory.yaml', path, line: expect.any(Number), column: expect.any(Number) },
    });
  });

  it('a place is a line a person finds', () => {
    const text =
      'v: 1\nstores: []\nconsumers:\n  - id: a\n    name: A\n    owner: o\n    contact: c\n    store: nowhere\n    overlap: true\n    rereads: 2s\n    criticality: test\n';
    expect(() => loadInventory(text, 'i.yaml')).toThrow(
      expect.objectContaining({ context: expect.objectContaining({ line: 8, column: 12 }) }),
    );
  });

  it('text that is not well-formed is a syntax error with its place', () => {
    expect(() => loadInventory('v: 1\nstores: [', 'i.yaml')).toThrow(
      expect.objectContaining({ code: 'file.syntax', context: expect.objectContaining({ line: 2 }) }),
    );
  });
});

describe('what the inventory says of an incident', () => {
  it('consumers and stores of another account are left out, those of an unreadable principal stay', () => {
    const inventory = load({
      ...whole,
      stores: [
        store,
        { ...store, id: 'other', path: 'kv/other', principal: 'arn:aws:iam::444455556666:user/x' },
        { ...store, id: 'plain', path: 'kv/plain', principal: 'deployer' },
      ],
      consumers: [consumer, { ...consumer, id: 'far', store: 'other' }, { ...consumer, id: 'near', store: 'plain' }],
    });
    const found = lookUp(inventory, { accounts: [{ provider: 'aws', account: '111122223333' }], reports: [] });
    expect(found.stores.map((one) => one.id)).toEqual(['ci', 'plain']);
    expect(found.consumers.map((one) => one.id)).toEqual(['build', 'near']);
    expect(lookUp(inventory, { reports: [] }).stores).toHaveLength(3);
  });

  it('the store’s own account counts as well as the principal’s', () => {
    const inventory = load({ ...whole, stores: [{ ...store, principal: 'arn:aws:iam::444455556666:user/x' }] });
    expect(lookUp(inventory, { accounts: [{ provider: 'vault', account: 'lab' }], reports: [] }).stores).toHaveLength(1);
  });

  it('the owner is the principal’s, else that of the place of the leak, else nobody', () => {
    const inside = sighting({ repository: 'https://git.example.org/acme/website' });
    expect(lookUp(load(whole), { principal: arn, reports: [] }).owner).toBe('team-ci');
    expect(lookUp(load({ ...whole, owners: [] }), { reports: [inside] }).owner).toBe('team-web');
    expect(lookUp(load({ ...whole, owners: [] }), { reports: [] }).owner).toBeUndefined();
  });

  it.each([
    'https://git.example.org/acme/website',
    'https://GIT.example.org/acme/website.git',
    'git@git.example.org:acme/website.git',
    'ssh://git@git.example.org:22/acme/website',
    'https://user:password@git.example.org/acme/website/',
  ])('%s is the public repository', (repository) => expect(exposure(sighting({ repository }))).toBe('public'));

  it('the exact entry goes before the prefix, and the prefix takes the rest', () => {
    expect(exposure(sighting({ repository: 'https://git.example.org/acme/backend' }))).toBe('internal');
    expect(exposure(sighting({ url: 'https://git.example.org/acme/website/blob/main/.env#L3' }))).toBe('public');
  });

  it('a prefix ends at its slash, and climbing out of it does not count', () => {
    expect(exposure(sighting({ repository: 'https://git.example.org/acme-forks/website' }))).toBe('unknown');
    expect(exposure(sighting({ repository: 'https://git.example.org/acme/../other/app' }))).toBe('unknown');
    expect(exposure(sighting({ repository: 'https://git.example.org.evil.example/acme/backend' }))).toBe('unknown');
  });

  it('nothing known is unknown, and no mere report makes it public', () => {
    expect(exposure()).toBe('unknown');
    expect(exposure(sighting({}))).toBe('unknown');
    for (const proof of ['claim', 'person-signed', 'possession'] as const) expect(exposure(sighting({}, proof, true))).toBe('unknown');
  });

  it('an issuer’s signed word makes it public, and its "no" proves nothing', () => {
    expect(exposure(sighting({}, 'issuer-signed', true))).toBe('public');
    expect(exposure(sighting({}, 'issuer-signed', false))).toBe('unknown');
  });

  it('the inventory’s word on the place goes before the issuer’s', () => {
    expect(exposure(sighting({ repository: 'https://git.example.org/acme/backend' }, 'issuer-signed', true))).toBe('internal');
  });

  it('exposure only rises with further sightings, in any order', () => {
    const places = [
      sighting({ repository: 'https://git.example.org/acme/backend' }),
      sighting({}),
      sighting({ repository: 'https://git.example.org/acme/website' }),
    ];
    const rank = { internal: 0, unknown: 1, public: 2 };
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...places), { minLength: 1, maxLength: 6 }), fc.constantFrom(...places), (seen, next) => {
        const before = exposure(...seen);
        const after = exposure(...seen, next);
        expect(rank[after]).toBeGreaterThanOrEqual(rank[before]);
        expect(exposure(...seen.toReversed())).toBe(before);
      }),
      { numRuns: 50 },
    );
  });

  it('any text at all can be asked for without a crash', () => {
    fc.assert(fc.property(fc.string(), (text) => repositoryKey(text) === undefined || typeof repositoryKey(text) === 'string'));
  });
});
