import { z } from 'zod';
import { readAwsKeyId } from '../domain/aws-key-id.ts';
import { OriginPlace, ReportFormat } from '../domain/report.ts';
import { type Finding, isoOf, secretOf } from './draft.ts';
import { isGithubPartner, readGithubPartner } from './github-partner.ts';

const described = z.string().nullish().catch(undefined);
const repositorySchema = z.looseObject({ html_url: described, full_name: described }).nullish().catch(undefined);

/** GitHub's secret scanning alert, from REST, an exported list or a webhook. Webhooks, and REST with `hide_secret`, hold no `secret`. */
const alertSchema = z.looseObject({
  number: z.number().optional().catch(undefined),
  created_at: described,
  url: described,
  html_url: described,
  state: described,
  resolution: described,
  secret_type: z.string().nullish(),
  secret: z.string().nullish(),
  validity: described,
  publicly_leaked: z.boolean().nullish().catch(undefined),
  repository: repositorySchema,
});

/** Details of the location webhook: of a commit, or of an issue, pull request or discussion. */
const detailsSchema = z.looseObject({
  path: described,
  start_line: z.number().optional().catch(undefined),
  commit_sha: described,
  html_url: described,
  blob_url: described,
  page_url: described,
});
const locationSchema = z.looseObject({ type: described, details: detailsSchema.nullish().catch(undefined) });

const webhookSchema = z.looseObject({
  action: described,
  alert: z.looseObject({}),
  repository: repositorySchema,
  location: locationSchema.nullish().catch(undefined),
});

/** Whether a value has the look of an alert, of a webhook's payload with one in it, or of a finding in a partner's delivery. */
export function isGithubAlert(value: object): boolean {
  if (isGithubPartner(value)) return true;
  if ('secret_type' in value) return true;
  if ('alert' in value && typeof value.alert === 'object' && value.alert !== null) return 'secret_type' in value.alert;
  return 'html_url' in value && typeof value.html_url === 'string' && /\/security\/secret-scanning\/\d+$/.test(value.html_url);
}

/** Reads one alert or one webhook payload, or says why it cannot be used. An alert without a secret is known by its address. */
export function readGithubAlert(value: object): Finding | string {
  if (isGithubPartner(value)) return readGithubPartner(value);
  const webhook = 'alert' in value ? webhookSchema.safeParse(value) : undefined;
  if (webhook !== undefined && !webhook.success) return 'alert: is not an object';
  const parsed = alertSchema.safeParse(webhook?.data.alert ?? value);
  if (!parsed.success) return parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  const alert = parsed.data;
  const repository = webhook?.data.repository ?? alert.repository;
  const home =
    repository?.html_url ?? (repository?.full_name ? `https://github.com/${repository.full_name}` : undefined) ?? homeOf(alert.html_url);
  const address =
    alert.html_url ??
    alert.url ??
    (home !== undefined && alert.number !== undefined ? `${home}/security/secret-scanning/${alert.number}` : undefined);
  const id = alert.secret ? readAwsKeyId(alert.secret)?.id : undefined;
  const secret = id === undefined ? secretOf(alert.secret) : undefined;
  if (address === undefined && id === undefined && secret === undefined) return 'neither a secret nor the address of the alert is given';
  const location = webhook?.data.location;
  const details = location?.details;
  const resolved = alert.state === 'resolved' || (alert.resolution !== null && alert.resolution !== undefined);
  return {
    format: ReportFormat.GITHUB_ALERT,
    tool: 'github',
    detector: alert.secret_type ?? '',
    ...(id === undefined ? {} : { accessKeyId: id }),
    ...(secret === undefined ? {} : { secret }),
    where: whereOf(location?.type ?? 'commit'),
    origin: {
      repository: home,
      commit: details?.commit_sha ?? undefined,
      file: details?.path ?? undefined,
      line: details?.start_line,
      url: details?.html_url ?? address,
    },
    ...(address === undefined ? {} : { alert: address }),
    seenAt: isoOf(alert.created_at ?? undefined),
    claims: {
      ...(alert.validity === 'active' || alert.validity === 'inactive' || alert.validity === 'unknown' ? { validity: alert.validity } : {}),
      ...(webhook?.data.action === 'publicly_leaked'
        ? { publiclyLeaked: true }
        : alert.publicly_leaked === null || alert.publicly_leaked === undefined
          ? {}
          : { publiclyLeaked: alert.publicly_leaked }),
    },
    note: `secret type ${alert.secret_type ?? 'not given'}${resolved ? `; closed at GitHub as ${alert.resolution ?? 'resolved'}` : ''}`,
  };
}

const homeOf = (address: string | null | undefined): string | undefined =>
  address === null || address === undefined ? undefined : /^(https?:\/\/.+)\/security\/secret-scanning\/\d+$/.exec(address)?.[1];

function whereOf(type: string): OriginPlace {
  if (/^(issue|discussion|pull_request)/.test(type)) return OriginPlace.TICKET;
  return type === 'wiki_commit' ? OriginPlace.DOCUMENT : OriginPlace.REPOSITORY;
}
