/** A shape by which a secret is recognised wherever it stands. `name` is what kinds are called after, whatever tool found it. */
interface Shape {
  readonly name: string;
  readonly pattern: RegExp;
}

/**
 * Shapes with a prefix or frame of their own, so that a match is a secret with next to no doubt. The prefixes are the issuers' published ones.
 * Order matters: what contains others comes first.
 */
const shapes: readonly Shape[] = [
  { name: 'private-key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g },
  {
    name: 'github-token',
    pattern: /(?<![A-Za-z0-9_])ghs_[1-9][0-9]{0,15}_eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g,
  },
  { name: 'github-token', pattern: /(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})(?![A-Za-z0-9_])/g },
  { name: 'gitlab-token', pattern: /(?<![A-Za-z0-9_])gl(?:pat|ptt|dt|rt|cbt|agent)-[A-Za-z0-9_.-]{20,300}/g },
  { name: 'slack-token', pattern: /(?<![A-Za-z0-9_])(?:xoxe\.)?x(?:ox[abeoprs]|app)-[A-Za-z0-9-]{10,250}/g },
  { name: 'slack-webhook', pattern: /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+/]{20,100}/g },
  { name: 'google-api-key', pattern: /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g },
  { name: 'stripe-key', pattern: /(?<![A-Za-z0-9_])(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,250}/g },
  { name: 'anthropic-key', pattern: /(?<![A-Za-z0-9_-])sk-ant-[A-Za-z0-9_-]{20,250}/g },
  { name: 'openai-key', pattern: /(?<![A-Za-z0-9_-])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,250}/g },
  { name: 'vault-token', pattern: /(?<![A-Za-z0-9_.])hv[sbr]\.[A-Za-z0-9_-]{20,300}/g },
  // What stands before and behind `Q~` is how Entra writes client secrets; their length has changed and may again.
  { name: 'entra-secret', pattern: /(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])/g },
  { name: 'google-token', pattern: /(?<![A-Za-z0-9_.-])ya29\.[A-Za-z0-9._-]{20,}/g },
  { name: 'npm-token', pattern: /(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g },
  { name: 'pypi-token', pattern: /pypi-AgEI[A-Za-z0-9_-]{40,1000}/g },
  { name: 'sendgrid-key', pattern: /(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}/g },
  { name: 'huggingface-token', pattern: /(?<![A-Za-z0-9_])hf_[A-Za-z0-9]{30,60}(?![A-Za-z0-9])/g },
  { name: 'jwt', pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g },
];

const awsSecretPattern = /(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g;

/**
 * Whether forty characters look like an AWS secret access key. AWS publishes no form; a random one lacks an upper-case letter, a lower-case letter or
 * a digit less than once in five hundred times, and a Git hash or a path lacks one of them nearly always.
 */
export function looksLikeAwsSecret(text: string): boolean {
  return /^[A-Za-z0-9/+]{40}$/.test(text) && /[A-Z]/.test(text) && /[a-z]/.test(text) && /[0-9]/.test(text) && !/^[0-9a-fA-F]+$/.test(text);
}

/** Every distinct string in a text that looks like an AWS secret access key. */
export function awsSecretsIn(text: string): string[] {
  return [...new Set((text.match(awsSecretPattern) ?? []).filter(looksLikeAwsSecret))];
}

/** Every distinct string in a text that has a secret's own prefix or frame. */
export function shapedSecretsIn(text: string): string[] {
  return [...new Set(shapes.flatMap((shape) => text.match(shape.pattern) ?? []))];
}

/** The name of the shape that a whole secret has; undefined where none fits. */
export function shapeOf(secret: string): string | undefined {
  const trimmed = secret.trim();
  for (const shape of shapes) {
    const found = trimmed.match(shape.pattern);
    if (found?.length === 1 && found[0] === trimmed) return shape.name;
  }
  return undefined;
}

const gone = '[secret taken out]';

/**
 * SECRET: takes secrets out of every text that is kept. `known` are the secrets this report is about, all of them for all of its texts: what one entry
 * calls a secret another may quote. Recognised shapes, passwords in addresses and assignments to names such as `password` go as well.
 */
export class Scrubber {
  readonly #known = new Map<string, string[]>();

  /** Has to be called for every secret of a report before the first text is scrubbed. Below four characters a secret cannot be told from prose. */
  learn(secret: string): void {
    for (const form of new Set([
      secret,
      secret.trim(),
      encodeURIComponent(secret.toWellFormed()),
      Buffer.from(secret).toString('base64'),
    ])) {
      if (form.length < 4) continue;
      const head = form.slice(0, 4);
      const list = this.#known.get(head) ?? [];
      if (!list.includes(form)) list.push(form);
      // The longest first, so that a secret that contains another goes whole.
      this.#known.set(
        head,
        list.sort((a, b) => b.length - a.length),
      );
    }
  }

  /** The text without secrets, well-formed, without control characters, and at most `limit` characters long. Undefined stays undefined. */
  clean(text: string, limit = 500): string {
    let out = this.#withoutKnown(text);
    for (const shape of shapes) out = out.replace(shape.pattern, gone);
    out = out
      .replace(awsSecretPattern, (match) => (looksLikeAwsSecret(match) ? gone : match))
      .replace(/(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{100,}={0,2}/g, gone)
      .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@"']*@/gi, '$1')
      .replace(
        /((?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)["']?\s*[=:]\s*["']?)([^\s"',;]{6,})/gi,
        (match, name, value) => (/^\[secret/.test(value) || /^(?:AKIA|ASIA)[A-Z0-9]{16}$/.test(value) ? match : `${name}${gone}`),
      )
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to go, newline and tab apart.
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ');
    return out.length > limit ? `${out.slice(0, limit - 1).toWellFormed()}…` : out;
  }

  #withoutKnown(text: string): string {
    if (this.#known.size === 0) return text;
    let out = '';
    let from = 0;
    for (let at = 0; at + 4 <= text.length; at += 1) {
      const found = this.#known.get(text.slice(at, at + 4))?.find((form) => text.startsWith(form, at));
      if (found === undefined) continue;
      out += text.slice(from, at) + gone;
      at += found.length - 1;
      from = at + 1;
    }
    return out + text.slice(from);
  }
}
