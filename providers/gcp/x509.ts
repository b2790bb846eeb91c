import { createSign, type KeyObject, randomBytes } from 'node:crypto';

/** DER, as far as a certificate needs it (ITU-T X.690). */
function node(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
const sequence = (...parts: readonly Buffer[]) => node(0x30, ...parts);
const attribute = (oid: readonly number[], value: string) =>
  node(0x31, sequence(node(0x06, Buffer.from(oid)), node(0x0c, Buffer.from(value))));

/** Object identifiers in their encoded form: `id-at-commonName`, `id-at-organizationName`, `id-at-organizationalUnitName`, `sha256WithRSAEncryption`. */
const commonName = [0x55, 0x04, 0x03];
const organization = [0x55, 0x04, 0x0a];
const unit = [0x55, 0x04, 0x0b];
const sha256Rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];

/** A time as X.509 has it: two digits of the year until 2049, four from 2050 (RFC 5280, section 4.1.2.5). */
function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return text < '2050' ? node(0x17, Buffer.from(text.slice(2))) : node(0x18, Buffer.from(text));
}

export interface Subject {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** At most 64 characters each (RFC 5280, appendix A, upper bounds). */
  readonly commonName: string;
  readonly organization?: string;
  readonly unit?: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * A self-signed X.509 certificate in PEM, version 1: the form in which Google takes the public half of a key that somebody else made. Node can read certificates and makes none,
 * and a library for this would be more code than the page that it takes.
 */
export function selfSigned(subject: Subject): string {
  const name = sequence(
    attribute(commonName, subject.commonName),
    ...(subject.organization === undefined ? [] : [attribute(organization, subject.organization)]),
    ...(subject.unit === undefined ? [] : [attribute(unit, subject.unit)]),
  );
  const algorithm = sequence(node(0x06, Buffer.from(sha256Rsa)), node(0x05));
  const serial = randomBytes(16);
  // A serial number is positive and its first byte not zero.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const body = sequence(
    node(0x02, serial),
    algorithm,
    name,
    sequence(time(subject.notBefore), time(subject.notAfter)),
    name,
    subject.publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = createSign('sha256').update(body).sign(subject.privateKey);
  const whole = sequence(body, algorithm, node(0x03, Buffer.from([0]), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
