import { generateKeyPairSync } from 'node:crypto';

/** Self-signed certificates for a hundred years, whose private halves nobody has kept. */
export const certificates = [
  [
    '-----BEGIN CERTIFICATE-----',
    'MIIBgDCCASegAwIBAgIURNyMZBbu8Ro8u/CkeSbbfLouSdkwCgYIKoZIzj0EAwIw',
    'FTETMBEGA1UEAwwKcHJhY3RpY2UtMTAgFw0yNjExMjQyMDUxMTZaGA8yMTI2MTAz',
    'MTIwNTExNlowFTETMBEGA1UEAwwKcHJhY3RpY2UtMTBZMBMGByqGSM49AgEGCCqG',
    'SM49AwEHA0IABDAF/4VCLpP3nUnybFOaKpZRbb5F/6cQGt7V99sJCGvgEAyA2VjE',
    'nJrC4Bbgbk61NYR0ZA/tHeu7EXFMRdAJH0ejUzBRMB0GA1UdDgQWBBQc3U6vwyCC',
    'nIO8fV1fSo0bdZEu9zAfBgNVHSMEGDAWgBQc3U6vwyCCnIO8fV1fSo0bdZEu9zAP',
    'BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIH2raEIIcX2Id65k0lNi',
    'QfB6MSs79INi0g3jN67WvzTRAiAVemcgQIEyaS/IumaGa6NeZ65HQ/qwQC+gPWol',
    '2ZMNrA==',
    '-----END CERTIFICATE-----',
  ].join('\n'),
  [
    '-----BEGIN CERTIFICATE-----',
    'MIIBgTCCASegAwIBAgIUZq+gIWsuoB5Nd0GZoxbxqMWQXnwwCgYIKoZIzj0EAwIw',
    'FTETMBEGA1UEAwwKcHJhY3RpY2UtMjAgFw0yNjExMjQyMDUxMTZaGA8yMTI2MTAz',
    'MTIwNTExNlowFTETMBEGA1UEAwwKcHJhY3RpY2UtMjBZMBMGByqGSM49AgEGCCqG',
    'SM49AwEHA0IABAwLG8QoT/IWJLAILIY2KH9AspLwwK0cFfnDzAM2FUzcdgxgjbFS',
    'XJFKGVFIxMXV1uiQDIVB2ltklUGTBBomqQqjUzBRMB0GA1UdDgQWBBRcPzmmHoAR',
    '8D0Z2DZX/IFVmL/L5TAfBgNVHSMEGDAWgBRcPzmmHoAR8D0Z2DZX/IFVmL/L5TAP',
    'BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDfxcyXr5eo1CMcIgr0',
    'vK5cu8ZdNjM0Xrc8THh214fm5QIgL4COYdMd8G3gr2yEtgKSKoFO8AH4kd0Kv+Ax',
    'XymeTkQ=',
    '-----END CERTIFICATE-----',
  ].join('\n'),
  [
    '-----BEGIN CERTIFICATE-----',
    'MIIBgTCCASegAwIBAgIUaCfZeP2hlw6ibMAWGu+g048HQZQwCgYIKoZIzj0EAwIw',
    'FTETMBEGA1UEAwwKcHJhY3RpY2UtMzAgFw0yNjExMjQyMDUxMTZaGA8yMTI2MTAz',
    'MTIwNTExNlowFTETMBEGA1UEAwwKcHJhY3RpY2UtMzBZMBMGByqGSM49AgEGCCqG',
    'SM49AwEHA0IABHhwDoQV5f40gCSOFMqme4p4N/LrAA0mV59hunrSI+ijgGOJ3cxz',
    'xhzxgHsKgoGncs5YtPaTFB7xPnRPiShrzWqjUzBRMB0GA1UdDgQWBBRh203nsQdf',
    'G9qv7FXmjLsrHBhQeTAfBgNVHSMEGDAWgBRh203nsQdfG9qv7FXmjLsrHBhQeTAP',
    'BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIG1lTHibdBLlcPVlzAjV',
    'qYiwC0ZXskN8IdRQyKqHzDv2AiEA2wh+Qt2L/ssUB5r9MREKMlUS9QEj+/f6Kub+',
    '8WorOSs=',
    '-----END CERTIFICATE-----',
  ].join('\n'),
] as const;

/** An RSA public key as `ssh-keygen` writes one (RFC 4253, section 6.6). */
export function sshKey(): string {
  const { n = '', e = '' } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes]);
  const number = (text: string) => {
    const bytes = Buffer.from(text, 'base64url');
    return field((bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
  };
  return `ssh-rsa ${Buffer.concat([field(Buffer.from('ssh-rsa')), number(e), number(n)]).toString('base64')}`;
}
