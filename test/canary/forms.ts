/** A secret that was found where it does not belong. */
export interface Finding {
  readonly kind: string;
  readonly place: string;
  /** The secret's name, never itself. */
  readonly secret: string;
  readonly form: string;
}

/** The ways in which a secret may be spelt: what a hunt has to find, each by its name. */
export const formNames = [
  'plain',
  'base64',
  'base64url',
  'hex',
  'url-escaped',
  'json-escaped',
  'reversed',
  'first half',
  'second half',
] as const;
export type FormName = (typeof formNames)[number];

/** Shorter pieces than this would be found by chance. */
const shortest = 8;

/**
 * The spellings by which a secret would be recognised. Of base64 there are three, by the place at which the secret begins within a longer text, and of each only the characters
 * that depend on nothing but the secret. Escapes are those of a library (what must be escaped) and of the over-careful (everything).
 */
export function formsOf(secret: string): readonly { readonly form: FormName; readonly text: string }[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  const everyByte = (before: string, digits: string): string => digits.replaceAll(/../g, (pair) => before + pair);
  const half = Math.ceil(secret.length / 2);
  const forms: { form: FormName; text: string }[] = [
    { form: 'plain', text: secret },
    { form: 'reversed', text: [...secret].reverse().join('') },
    { form: 'hex', text: hex },
    { form: 'hex', text: hex.toUpperCase() },
    { form: 'url-escaped', text: encodeURIComponent(secret) },
    { form: 'url-escaped', text: everyByte('%', hex) },
    { form: 'url-escaped', text: everyByte('%', hex.toUpperCase()) },
    { form: 'json-escaped', text: JSON.stringify(secret).slice(1, -1) },
    { form: 'json-escaped', text: JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/') },
    { form: 'json-escaped', text: everyByte('\\u00', hex) },
    { form: 'first half', text: secret.slice(0, half) },
    { form: 'second half', text: secret.slice(half) },
  ];
  for (const shift of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes]);
    const all = whole.toString('base64').replace(/=+$/, '');
    const text = all.slice(shift === 0 ? 0 : shift + 1, whole.length % 3 === 0 ? undefined : -1);
    forms.push({ form: 'base64', text }, { form: 'base64url', text: text.replaceAll('+', '-').replaceAll('/', '_') });
  }
  return forms.filter(({ text }) => text.length >= shortest);
}

/** Looks for many secrets in many bytes, in one pass each. */
export class Needles {
  readonly #first = new Uint8Array(2 ** 21);
  readonly #byStart = new Map<number, { readonly secret: string; readonly form: FormName; readonly bytes: Buffer }[]>();

  /** Secrets by name. One that is too short to be told from chance is refused, so that nobody believes it was looked for. */
  constructor(secrets: Readonly<Record<string, string>>) {
    for (const [secret, value] of Object.entries(secrets)) {
      if (value.length < 2 * shortest) throw new Error(`${secret} is too short to hunt for`);
      const seen = new Set<string>();
      for (const { form, text } of formsOf(value)) {
        if (seen.has(text)) continue;
        seen.add(text);
        const bytes = Buffer.from(text, 'utf8');
        const start = startOf(bytes, 0);
        this.#first[start >> 3] = (this.#first[start >> 3] ?? 0) | (1 << (start & 7));
        const list = this.#byStart.get(start);
        if (list) list.push({ secret, form, bytes });
        else this.#byStart.set(start, [{ secret, form, bytes }]);
      }
    }
  }

  /** Every secret and spelling that stands in the bytes; each once. */
  in(bytes: Uint8Array): readonly { readonly secret: string; readonly form: FormName }[] {
    const found = new Map<string, { secret: string; form: FormName }>();
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 2 < buffer.length; at++) {
      const start = startOf(buffer, at);
      if (((this.#first[start >> 3] ?? 0) & (1 << (start & 7))) === 0) continue;
      for (const { secret, form, bytes: needle } of this.#byStart.get(start) ?? []) {
        if (at + needle.length <= buffer.length && buffer.compare(needle, 0, needle.length, at, at + needle.length) === 0)
          found.set(`${secret}|${form}`, { secret, form });
      }
    }
    return [...found.values()];
  }
}

/** The first three bytes as one number. */
function startOf(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}
