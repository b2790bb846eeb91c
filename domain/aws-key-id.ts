/**
 * What an AWS access key id says by itself, without a network. The id is not secret.
 * Source of the prefixes: IAM User Guide, "Unique identifiers". The account is in the id because ids made since 2019 carry it in bits 7 to 46 of
 * the base32 part; older ids (fifth character I or J) do not, and AWS does not document the layout.
 */
export const AwsKeyIdType = {
  /** A long-term key of an IAM user or of the root user. */
  LONG_TERM: 'long-term',
  /** A temporary key made by STS. */
  SESSION: 'session',
  /** An STS service bearer token. */
  BEARER: 'bearer',
} as const;
export type AwsKeyIdType = (typeof AwsKeyIdType)[keyof typeof AwsKeyIdType];

export interface AwsKeyId {
  readonly id: string;
  readonly type: AwsKeyIdType;
  /** Twelve digits; undefined where the id is of the old layout and does not hold it. */
  readonly account?: string;
  /** True where the account is known to sell canaries: the key is bait, and looking at it alarms its owner. */
  readonly canary: boolean;
}

const types: Readonly<Record<string, AwsKeyIdType>> = { AKIA: 'long-term', ASIA: 'session', ABIA: 'bearer' };
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * Accounts that are known to sell bait: canarytokens.org and look-alikes, as published by secret scanners. A list like this is never complete, so
 * `canary: false` does not say that a key is no bait.
 */
const canaryAccounts: ReadonlySet<string> = new Set([
  '052310077262',
  '171436882533',
  '534261010715',
  '595918472158',
  '717712589309',
  '819147034852',
  '992382622183',
  '044858866125',
  '251535659677',
  '344043088457',
  '351906852752',
  '390477818340',
  '426127672474',
  '427150556519',
  '439872796651',
  '445142720921',
  '465867158099',
  '637958123769',
  '693412236332',
  '732624840810',
  '735421457923',
  '959235150393',
  '982842642351',
]);

/** Matches one access key id with nothing before or after it that could belong to a longer word. */
export const awsKeyIdPattern = /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA)[A-Z0-9]{16}(?![A-Za-z0-9])/;

/** The account in a key id of sixteen base32 characters after the prefix: twelve digits, or undefined where it holds none. */
function accountIn(id: string): string | undefined {
  const fifth = id[4];
  if (fifth === 'I' || fifth === 'J') return undefined;
  let bits = 0n;
  // Ten characters are fifty bits; the layout wants the first forty-eight.
  for (const character of id.slice(4, 14)) {
    const value = alphabet.indexOf(character);
    if (value < 0) return undefined;
    bits = (bits << 5n) | BigInt(value);
  }
  const account = ((bits >> 2n) & 0x7fffffffff80n) >> 7n;
  return account > 999_999_999_999n ? undefined : account.toString().padStart(12, '0');
}

/** Reads a text that is one access key id and nothing else (blanks around it apart); undefined for anything else, user and role ids included. */
export function readAwsKeyId(text: string): AwsKeyId | undefined {
  const id = text.trim();
  if (id.length !== 20 || !awsKeyIdPattern.test(id)) return undefined;
  const type = types[id.slice(0, 4)];
  if (type === undefined) return undefined;
  const account = accountIn(id);
  return { id, type, ...(account === undefined ? {} : { account }), canary: account !== undefined && canaryAccounts.has(account) };
}
