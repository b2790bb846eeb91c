/** A secret that was found where it does not belong. */
export interface Finding {
  readonly place: string;
  readonly secret: string;
  readonly form: string;
}

/**
 * The spellings by which a secret would be recognised: as it is, backwards, in hex, escaped for an address, and in base64 at each of the three places at which it can begin
 * within a longer text. Of base64 only the characters that depend on nothing but the secret are kept.
 */
export function formsOf(secret: string): readonly { readonly form: string; readonly text: string }[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  const forms = [
    { form: 'plain', text: secret },
    { form: 'reversed', text: [...secret].reverse().join('') },
    { form: 'hex', text: hex },
    { form: 'hex', text: hex.toUpperCase() },
    { form: 'escaped', text: encodeURIComponent(secret) },
  ];
  for (const shift of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes]);
    const all = whole.toString('base64').replace(/=+$/, '');
    const text = all.slice(shift === 0 ? 0 : shift + 1, whole.length % 3 === 0 ? undefined : -1);
    forms.push({ form: 'base64', text }, { form: 'base64', text: text.replaceAll('+', '-').replaceAll('/', '_') });
  }
  return forms;
}

/** Every secret, by its name, that stands in the bytes in one of those spellings. */
export function findIn(place: string, bytes: Buffer, secrets: Readonly<Record<string, string>>): readonly Finding[] {
  const text = bytes.toString('latin1');
  return Object.entries(secrets).flatMap(([secret, value]) =>
    formsOf(value)
      .filter((each) => text.includes(each.text))
      .map(({ form }) => ({ place, secret, form })),
  );
}
