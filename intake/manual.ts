import { awsKeyIdPattern, readAwsKeyId } from '../domain/aws-key-id.ts';
import { OriginPlace, ReportFormat } from '../domain/report.ts';
import { Secret } from '../domain/secret.ts';
import { draftOf, type Finding, type IntakeOptions, learnFrom, type ReportDraft } from './draft.ts';
import { identify } from './identify.ts';
import { awsSecretsIn, Scrubber, shapedSecretsIn } from './scrub.ts';
import { awsSecret } from './trufflehog.ts';

/** What a person says by hand. `secret` is what was typed or piped in; it may hold the key id, the secret, or both. */
export interface ByHand extends IntakeOptions {
  readonly secret?: Secret;
  /** What the reporter calls it, where no key id says what it is. */
  readonly kind?: string;
}

/**
 * The draft of a report by hand. The note and the secret are looked through for a key id and its secret; two that could belong together are paired
 * only where there is one of each. Never fails: a report that names nothing is kept as unidentified.
 */
export function draftByHand(hand: ByHand): ReportDraft {
  const text = hand.secret?.reveal().trim() ?? '';
  const found = findingOf(text, hand);
  const scrubber = new Scrubber();
  learnFrom(found, scrubber);
  for (const secret of awsSecretsIn(`${text}\n${hand.note ?? ''}`)) scrubber.learn(secret);
  return draftOf(found, hand, scrubber);
}

/** The drafts of a free text, such as a ticket or a chat message: one for each key id or recognised secret in it, or one for the whole. */
export function draftsOfText(text: string, options: IntakeOptions): ReportDraft[] {
  const ids = keyIdsIn(text);
  const whole = draftByHand({ ...options, secret: new Secret(text), note: options.note ?? text });
  if (ids.length < 2) return [whole];
  const scrubber = new Scrubber();
  for (const secret of awsSecretsIn(text)) scrubber.learn(secret);
  return ids.map((id) =>
    draftOf(base({ ...options, note: options.note ?? text }, { accessKeyId: id }), { ...options, note: options.note ?? text }, scrubber),
  );
}

function findingOf(text: string, hand: ByHand): Finding {
  const stated = hand.keyId === undefined ? undefined : readAwsKeyId(hand.keyId)?.id;
  const ids = stated !== undefined ? [stated] : [...new Set([...keyIdsIn(text), ...keyIdsIn(hand.note ?? '')])];
  const secrets = [...new Set([...awsSecretsIn(text), ...awsSecretsIn(hand.note ?? '')])];
  const id = ids.length === 1 ? ids[0] : undefined;
  if (id !== undefined) {
    // Beside a key id that was stated, one word is the secret, whatever it looks like; within prose only the usual form is.
    const word = secrets.length === 0 && text !== '' && text !== id && !/\s/.test(text) ? text : undefined;
    const secret = secrets.length === 1 ? secrets[0] : word;
    const token = text.match(/(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{100,}={0,2}/)?.[0];
    return base(hand, { accessKeyId: id, ...(secret === undefined ? {} : { secret: awsSecret(secret, token) }) });
  }
  // A key file is one credential, whatever stands in it that would be one by itself.
  const whole = text === '' ? undefined : identify(text);
  if (whole !== undefined && Object.keys(whole.credential.locator).length > 0) return base(hand, { secret: new Secret(text) });
  const shaped = shapedSecretsIn(text);
  const [only] = shaped;
  if (shaped.length === 1 && only !== undefined) return base(hand, { secret: new Secret(only) });
  // Prose that is its own note is no secret; what was typed as the secret is one, blanks and all.
  const typed = text !== '' && hand.note?.trim() !== text;
  return base(hand, typed ? { secret: new Secret(text) } : {});
}

function keyIdsIn(text: string): string[] {
  return [...new Set([...text.matchAll(new RegExp(awsKeyIdPattern, 'g'))].map(([id]) => id))];
}

function base(hand: ByHand, found: Pick<Finding, 'accessKeyId' | 'secret'>): Finding {
  return {
    format: ReportFormat.MANUAL,
    tool: 'by hand',
    detector: hand.kind ?? (found.secret === undefined ? 'unidentified' : 'secret'),
    where: OriginPlace.UNKNOWN,
    origin: {},
    claims: {},
    ...found,
  };
}
