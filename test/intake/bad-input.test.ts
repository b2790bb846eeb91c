import { existsSync, readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../domain/canonical.ts';
import { parseReports } from '../../intake/index.ts';
import { githubAlert, githubToken, gitleaks, keyId, otherSecretKey, secretKey, trufflehog } from './samples.ts';

const corpus = new URL('../../../shared/data/bad-input/json/', import.meta.url);
const files = existsSync(corpus) ? readdirSync(corpus) : [];

describe.skipIf(files.length === 0)('a foreign corpus of JSON texts', () => {
  test.each(files.filter((file) => file.startsWith('n_')))('%s is refused with line and column', (file) => {
    const { drafts, problems } = parseReports(readFileSync(new URL(file, corpus)));
    expect(drafts).toEqual([]);
    expect(problems).toEqual([
      expect.objectContaining({ entry: 0, code: 'report.syntax', line: expect.any(Number), column: expect.any(Number) }),
    ]);
  });
  test.each(files.filter((file) => file.startsWith('y_')))('%s is JSON, and not a report', (file) => {
    const { drafts, problems } = parseReports(readFileSync(new URL(file, corpus)));
    expect(drafts).toEqual([]);
    expect(problems).toEqual([expect.objectContaining({ code: 'report.not-a-report' })]);
  });
});

describe('a text that is no JSON', () => {
  test.each([
    ['', 1, 1],
    ['[1,', 1, 4],
    ['{"a":1,}', 1, 8],
    ['[\n  1,\n  tru\n]', 3, 3],
    ['{"a"\n\n  1}', 3, 3],
    ['["\u{1f511}" x]', 1, 6],
    ['[01]', 1, 3],
    ['["\t"]', 1, 3],
    ['["\\x"]', 1, 3],
    ['[1] [2]', 1, 5],
  ])('%j is wrong at line %i, column %i', (text, line, column) => {
    expect(parseReports(text).problems).toMatchObject([{ code: 'report.syntax', line, column }]);
  });

  test('whatever JSON.parse refuses is refused with a place, and whatever it takes is taken', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '1',
      '-0.5e+3',
      'true',
      'null',
      ' ',
      '\n',
      '"',
      '\\',
      '\u2028',
      '01',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        let good = true;
        try {
          JSON.parse(text);
        } catch {
          good = false;
        }
        const { problems } = parseReports(text);
        expect(problems.some((problem) => problem.code === 'report.syntax')).toBe(!good);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('odd texts', () => {
  test('a byte order mark is passed over, and UTF-16 is named', () => {
    expect(parseReports(Buffer.from(`\ufeff${JSON.stringify([gitleaks()])}`)).drafts).toHaveLength(1);
    expect(parseReports(Buffer.from(JSON.stringify([gitleaks()]), 'utf16le')).drafts).toEqual([]);
    expect(parseReports(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('[]', 'utf16le')])).problems[0]?.words).toContain('UTF-16');
  });

  test('depth costs no stack', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(parseReports(deep).problems).toMatchObject([{ code: 'report.not-a-report' }]);
    const inside = `[${JSON.stringify(gitleaks()).slice(0, -1)},"Tags":${deep}}]`;
    expect(parseReports(inside).drafts).toHaveLength(1);
  });

  test('huge numbers, doubled members, lone surrogates and control characters leave a report that can be hashed', () => {
    const text = JSON.stringify([gitleaks({ File: 'a\u0000b\ud800c', StartLine: 5 })]).replace(
      '"StartLine":5',
      '"StartLine":1e400,"StartLine":99999999999999999999',
    );
    const [draft] = parseReports(text).drafts;
    expect(draft?.origin.line).toBeUndefined();
    expect(draft?.origin.file).toBe('a b\ufffdc');
    expect(() => canonicalJson({ ...draft, secret: undefined })).not.toThrow();
  });

  test('members named after the prototype change nothing', () => {
    const text = JSON.stringify([gitleaks()]).replace('{', '{"__proto__":{"polluted":true},"constructor":1,');
    expect(parseReports(text).drafts).toHaveLength(1);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('anything at all in the place of any member crashes nothing, and drops no other entry', () => {
    const samples = [trufflehog(), gitleaks(), githubAlert()];
    fc.assert(
      fc.property(fc.nat(2), fc.nat(20), fc.jsonValue(), (which, member, value) => {
        const sample = samples[which] ?? {};
        const names = Object.keys(sample);
        const broken = { ...sample, [names[member % names.length] ?? '']: value };
        const { drafts, problems } = parseReports(JSON.stringify([sample, broken, sample]));
        expect(drafts.length + problems.length).toBe(3);
        expect(drafts.length).toBeGreaterThanOrEqual(2);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['gitleaks', '[]'],
    ['gitleaks', 'null'],
    ['trufflehog', ''],
  ] as const)('an empty result of %s is nothing found, not an error', (format, text) => {
    expect(parseReports(text, { format })).toEqual({ format, drafts: [], problems: [] });
  });

  test('an empty list whose scanner nobody names is not taken for good news', () => {
    expect(parseReports('[]').problems).toMatchObject([{ code: 'report.not-a-report' }]);
    expect(parseReports('[]', { name: 'out/gitleaks.json' }).problems).toEqual([]);
  });

  test('a report in one format that is said to be in another is refused', () => {
    expect(parseReports(JSON.stringify(githubAlert()), { format: 'trufflehog' }).drafts).toEqual([]);
  });
});

describe('no secret stays in a text', () => {
  test('what one entry calls a secret is taken out of every text of all entries', () => {
    const entries = [
      trufflehog({ DetectorName: `AWS ${otherSecretKey}` }),
      trufflehog({
        DetectorName: 'Custom',
        Raw: 'hunter2-and-more',
        RawV2: '',
        SourceMetadata: {
          Data: {
            Github: {
              file: `a/${secretKey}`,
              link: `https://bot:${githubToken}@example.com/?q=hunter2-and-more`,
              repository: 'https://u:p4ssw0rd@github.com/x/y',
            },
          },
        },
      }),
    ];
    const { drafts } = parseReports(JSON.stringify(entries));
    const kept = JSON.stringify(drafts.map(({ secret: _, ...rest }) => rest));
    for (const secret of [secretKey, otherSecretKey, githubToken, 'hunter2-and-more', 'p4ssw0rd']) expect(kept).not.toContain(secret);
    expect(kept).toContain(keyId);
  });

  test('a draft cannot be written as JSON with its secret in it', () => {
    expect(() => JSON.stringify(parseReports(JSON.stringify(trufflehog())).drafts)).toThrow('a secret has no JSON form');
  });
});

const intake = new URL('../../../shared/data/intake/', import.meta.url);
describe.skipIf(!existsSync(intake))('real reports nobody here wrote', () => {
  const read = (path: string) => parseReports(readFileSync(new URL(path, intake)), { name: path });
  test.each([
    ['trufflehog/v3_git.json', 4],
    ['gitleaks/data_many.json', 2],
    ['gitleaks/data_one.json', 1],
    ['gitleaks/gitleaks8_many.json', 4],
    ['gitleaks/issue4336.json', 1],
    ['gitleaks/no_findings.json', 0],
    ['gitleaks/version_7.5.0.json', 8],
    ['gitleaks/expected/empty.json', 0],
    ['gitleaks/expected/json_simple.json', 1],
    ['gitleaks/expected/sarif_simple.sarif', 1],
    ['sarif/gitleaks_7.5.0.sarif', 8],
    ['github/rest-examples/secret-scanning-alert-list.json', 1],
    ['github/rest-examples/organization-secret-scanning-alert-list.json', 1],
    ['github/rest-examples/secret-scanning-alert-open.json', 1],
    ['github/rest-examples/secret-scanning-alert-location-created.json', 1],
    ['github/secret_scanning_alert.reopened.payload.json', 1],
    ['github/secrets-report/github_secrets_detection_report_one_vul.json', 1],
  ])('%s gives %i drafts and no problem', (path, count) => {
    const { drafts, problems } = read(path);
    expect(problems).toEqual([]);
    expect(drafts).toHaveLength(count);
  });
  test.each([
    'aws/AWS_RISK_CREDENTIALS_EXPOSED.json',
    'semgrep/many_findings.json',
    'detect-secrets/many_findings.json',
    'ggshield/many_findings.json',
  ])('%s is not a report of a format that is read', (path) => {
    expect(read(path)).toMatchObject({ drafts: [], problems: [{ code: 'report.not-a-report' }] });
  });
  test('redacted findings are kept without a secret', () => {
    const { drafts } = read('gitleaks/redacted_data_many.json');
    expect(drafts.length).toBeGreaterThan(3);
    expect(drafts.filter((draft) => draft.secret !== undefined)).toEqual([]);
  });
});
