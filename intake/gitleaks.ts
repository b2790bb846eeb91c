import { z } from 'zod';
import { awsKeyIdPattern, readAwsKeyId } from '../domain/aws-key-id.ts';
import { OriginPlace, ReportFormat } from '../domain/report.ts';
import { Secret } from '../domain/secret.ts';
import { type Finding, isMasked, secretOf } from './draft.ts';
import { awsSecretsIn, looksLikeAwsSecret } from './scrub.ts';

const described = z.string().optional().catch(undefined);
const count = z.number().optional().catch(undefined);

/** Gitleaks 8 (report/finding.go). `Secret` and `RuleID` decide, the rest describes. */
const presentSchema = z.looseObject({
  RuleID: z.string().optional(),
  Description: described,
  StartLine: count,
  Match: described,
  Secret: z.string().nullish(),
  File: described,
  Commit: described,
  Link: described,
  Author: described,
  Email: described,
  Date: described,
});

/** Gitleaks 4 to 7, with `line` the whole line and `offender` the secret. */
const formerSchema = z.looseObject({
  line: described,
  lineNumber: count,
  offender: z.string().nullish(),
  commit: described,
  repo: described,
  repoURL: described,
  leakURL: described,
  rule: z.string().optional(),
  author: described,
  email: described,
  file: described,
  date: described,
});

const sarifResultSchema = z.looseObject({
  ruleId: described,
  message: z.looseObject({ text: described }).optional().catch(undefined),
  locations: z
    .array(
      z.looseObject({
        physicalLocation: z
          .looseObject({
            artifactLocation: z.looseObject({ uri: described }).optional().catch(undefined),
            region: z
              .looseObject({ startLine: count, snippet: z.looseObject({ text: z.string().optional() }).optional() })
              .optional()
              .catch(undefined),
          })
          .optional()
          .catch(undefined),
      }),
    )
    .optional()
    .catch(undefined),
  partialFingerprints: z
    .looseObject({ commitSha: described, email: described, author: described, date: described })
    .optional()
    .catch(undefined),
  properties: z
    .looseObject({
      commit: described,
      offender: z.string().optional(),
      date: described,
      author: described,
      email: described,
      repo: described,
    })
    .optional()
    .catch(undefined),
});

/** Whether a value has the look of a Gitleaks finding of any version, usable or not. */
export function isGitleaks(value: object): boolean {
  return 'RuleID' in value || ('Secret' in value && 'Match' in value) || ('rule' in value && 'offender' in value);
}

const words = (error: z.ZodError) => error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');

/** A path of a blob at a forge names the repository: `https://github.com/o/r/blob/…` is in `https://github.com/o/r`. */
function repositoryIn(link: string | undefined): string | undefined {
  return link === undefined ? undefined : /^(https?:\/\/[^/]+\/.+?)(?:\/-)?\/(?:blob|src|commit|raw)\//.exec(link)?.[1];
}

/** Reads one finding of Gitleaks, or says why it cannot be used. */
export function readGitleaks(value: object): Finding | string {
  if ('offender' in value) return readFormer(value);
  const parsed = presentSchema.safeParse(value);
  if (!parsed.success) return words(parsed.error);
  const entry = parsed.data;
  if (entry.RuleID === undefined && (entry.Secret ?? '') === '') return 'neither a rule nor a secret is named';
  return finding('gitleaks', entry.RuleID ?? '', entry.Secret, entry.Match, {
    repository: repositoryIn(entry.Link),
    commit: entry.Commit,
    file: entry.File,
    line: entry.StartLine,
    url: entry.Link,
    author: entry.Email || entry.Author,
    committedAt: entry.Date,
  });
}

function readFormer(value: object): Finding | string {
  const parsed = formerSchema.safeParse(value);
  if (!parsed.success) return words(parsed.error);
  const entry = parsed.data;
  if (entry.rule === undefined && (entry.offender ?? '') === '') return 'neither a rule nor a secret is named';
  return finding('gitleaks', entry.rule ?? '', entry.offender, entry.line, {
    repository: entry.repoURL || (entry.repo === '.' ? undefined : entry.repo),
    commit: entry.commit,
    file: entry.file,
    line: entry.lineNumber,
    url: entry.leakURL,
    author: entry.email || entry.author,
    committedAt: entry.date,
  });
}

/** Tools whose SARIF quotes the secret in `region.snippet.text`, by the name of their driver in lower case. */
const sarifTools: readonly string[] = ['gitleaks', 'betterleaks', 'trufflehog'];

/** The results of a SARIF log, with the tool that made each; undefined where the value is no SARIF of a tool that is read. */
export function sarifResults(value: object): readonly { readonly tool: string; readonly result: unknown }[] | undefined {
  if (!('runs' in value) || !Array.isArray(value.runs)) return undefined;
  const results: { tool: string; result: unknown }[] = [];
  let known = false;
  for (const run of value.runs as unknown[]) {
    const shape = z.looseObject({
      tool: z.looseObject({ driver: z.looseObject({ name: z.string() }) }),
      results: z.array(z.unknown()).nullish(),
    });
    const parsed = shape.safeParse(run);
    if (!parsed.success) continue;
    const tool = parsed.data.tool.driver.name.toLowerCase();
    if (!sarifTools.includes(tool)) continue;
    known = true;
    for (const result of parsed.data.results ?? []) results.push({ tool, result });
  }
  return known ? results : undefined;
}

/** Reads one result of a SARIF log; `properties.offender` is Gitleaks 7's own. */
export function readSarif(tool: string, value: unknown): Finding | string {
  const parsed = sarifResultSchema.safeParse(value);
  if (!parsed.success) return words(parsed.error);
  const entry = parsed.data;
  const location = entry.locations?.[0]?.physicalLocation;
  const snippet = location?.region?.snippet?.text;
  const rule = entry.ruleId ?? entry.message?.text?.replace(/ secret detected$/, '') ?? '';
  const secret = entry.properties?.offender ?? snippet;
  if (rule === '' && (secret ?? '') === '') return 'neither a rule nor a secret is named';
  return finding(tool, rule, secret, snippet, {
    commit: entry.partialFingerprints?.commitSha ?? entry.properties?.commit,
    file: location?.artifactLocation?.uri,
    line: location?.region?.startLine,
    author: entry.partialFingerprints?.email ?? entry.partialFingerprints?.author ?? entry.properties?.email ?? entry.properties?.author,
    committedAt: entry.partialFingerprints?.date ?? entry.properties?.date,
  });
}

function finding(
  tool: string,
  rule: string,
  secretText: string | null | undefined,
  context: string | undefined,
  origin: Finding['origin'],
): Finding {
  const id = secretText === null || secretText === undefined ? undefined : readAwsKeyId(secretText)?.id;
  const secret = id === undefined ? secretOf(secretText) : undefined;
  return {
    format: ReportFormat.GITLEAKS,
    tool,
    detector: rule,
    ...(id === undefined ? {} : { accessKeyId: id }),
    ...(secret === undefined ? {} : { secret }),
    where: OriginPlace.REPOSITORY,
    origin,
    claims: {},
    note: rule === '' ? undefined : `rule ${rule}`,
    ...(context === undefined || isMasked(context) ? {} : { context: new Secret(context) }),
  };
}

/**
 * Gitleaks finds the id of an AWS key and its secret apart. They are one credential where one file of one commit holds one id and one secret and no
 * more; where it holds several of either, which belongs to which would be a guess, and a wrong pair says of a live key that its secret is false.
 */
export function pairAwsKeys(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding[]>();
  for (const found of findings) {
    const key = JSON.stringify([found.origin.repository ?? '', found.origin.commit ?? '', found.origin.file ?? '']);
    groups.set(key, [...(groups.get(key) ?? []), found]);
  }
  const paired = new Map<Finding, Finding | undefined>();
  for (const group of groups.values()) {
    const ids = new Set<string>();
    const secrets = new Set<string>();
    for (const found of group) {
      if (found.accessKeyId !== undefined) ids.add(found.accessKeyId);
      const own = found.secret?.reveal();
      if (own !== undefined && looksLikeAwsSecret(own)) secrets.add(own);
      const context = found.context?.reveal() ?? '';
      for (const secret of awsSecretsIn(context)) secrets.add(secret);
      for (const [id] of context.matchAll(new RegExp(awsKeyIdPattern, 'g'))) ids.add(id);
    }
    const [id, secret] = [[...ids][0], [...secrets][0]];
    if (ids.size !== 1 || secrets.size !== 1 || id === undefined || secret === undefined) continue;
    const known = group.some((found) => found.accessKeyId === id);
    for (const found of group) {
      if (found.accessKeyId === id) paired.set(found, { ...found, secret: new Secret(secret) });
      else if (found.secret?.reveal() === secret) paired.set(found, known ? undefined : { ...found, accessKeyId: id });
    }
  }
  return findings.flatMap((found) => {
    if (!paired.has(found)) return [found];
    const pair = paired.get(found);
    return pair === undefined ? [] : [pair];
  });
}
