import { createHash, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { publicKeysFile, signatureEnding, signedTextOf } from '../../audit/cloudtrail.ts';

const bucket = 'trail';
const account = '112233445566';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const compact = (iso: string): string => `${iso.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
const day = (iso: string): string => iso.slice(0, 10).replaceAll('-', '/');

/** Writes a trail as CloudTrail delivers it: log files by the hour, each hour's digest signed and naming the one before. Only the last digest's signature stands beside it. */
export class TrailFiles {
  readonly folder: string;
  readonly region: string;
  readonly #key: KeyObject;
  readonly fingerprint: string;
  #before: { readonly object: string; readonly hash: string; readonly signature: string } | undefined;

  constructor(folder: string, region = 'us-east-1') {
    this.folder = folder;
    this.region = region;
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#key = privateKey;
    const value = publicKey.export({ type: 'pkcs1', format: 'der' });
    this.fingerprint = createHash('md5').update(value).digest('hex');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, publicKeysFile),
      JSON.stringify({ PublicKeyList: [{ Value: value.toString('base64'), Fingerprint: this.fingerprint }] }),
    );
  }

  /** One digest over these files of records, each the text of an event. Gives the paths of the log files and of the digest below the folder. */
  add(from: string, to: string, logs: readonly (readonly string[])[]): { readonly logs: readonly string[]; readonly digest: string } {
    const stem = `AWSLogs/${account}`;
    const logFiles = logs.map((records, at) => {
      const object = `${stem}/CloudTrail/${this.region}/${day(to)}/${account}_CloudTrail_${this.region}_${compact(to)}_${at}.json.gz`;
      const text = `{"Records":[${records.join(',')}]}`;
      this.#write(object, text);
      return { s3Bucket: bucket, s3Object: object, hashValue: sha256(text), hashAlgorithm: 'SHA-256' };
    });
    const object = `${stem}/CloudTrail-Digest/${this.region}/${day(to)}/${account}_CloudTrail-Digest_${this.region}_trail_${this.region}_${compact(to)}.json.gz`;
    const before = this.#before;
    const body = {
      awsAccountId: account,
      digestStartTime: from,
      digestEndTime: to,
      digestS3Bucket: bucket,
      digestS3Object: object,
      digestPublicKeyFingerprint: this.fingerprint,
      digestSignatureAlgorithm: 'SHA256withRSA',
      previousDigestS3Bucket: before ? bucket : null,
      previousDigestS3Object: before?.object ?? null,
      previousDigestHashValue: before?.hash ?? null,
      previousDigestHashAlgorithm: 'SHA-256',
      previousDigestSignature: before?.signature ?? null,
      logFiles,
    };
    const text = JSON.stringify(body);
    const hash = sha256(text);
    const signature = createSign('sha256')
      .update(signedTextOf({ ...body, hash }))
      .sign(this.#key)
      .toString('hex');
    this.#write(object, text);
    writeFileSync(join(this.folder, `${object}${signatureEnding}`), signature);
    this.#before = { object, hash, signature };
    return { logs: logFiles.map((each) => each.s3Object), digest: object };
  }

  #write(object: string, text: string): void {
    const file = join(this.folder, object);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, gzipSync(text));
  }
}
