import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sealFor } from '../audit/sealing.ts';
import { openDirectoryDrop, type SealedDrop } from '../audit/store.ts';
import type { CredentialRef } from '../domain/credential.ts';
import { fault } from '../domain/errors.ts';
import type { SealedRef } from '../domain/report.ts';
import type { Secret } from '../domain/secret.ts';
import { KeyRole, type Trust } from '../domain/trust.ts';

/**
 * Seals a secret and puts it where the engine finds it. Undefined where nobody here could open it: no worker of ours serves that system and account.
 * The secret is then not sent at all, and the report goes as a claim.
 */
export interface Seal {
  (secret: Secret, credential: CredentialRef, account?: string): Promise<SealedRef | undefined>;
  /** The engine it seals for. */
  readonly engine?: string;
}

/** Seals to the keys of a verified trust file, into the drop of a directory. The reporter needs no key and no right to read the drop. */
export function sealInto(options: { readonly trust: Trust; readonly drop: string | SealedDrop }): Seal {
  const drop = typeof options.drop === 'string' ? openDirectoryDrop(options.drop) : options.drop;
  const seal = async (secret: Secret, credential: CredentialRef, account?: string): Promise<SealedRef | undefined> => {
    const provider = credential.kind.split('.', 1)[0] ?? '';
    const now = Date.now();
    const served = new Set(
      options.trust.keys
        .filter(
          (key) => key.role === KeyRole.SEALING && key.provider === provider && Date.parse(key.from) <= now && now < Date.parse(key.until),
        )
        .map((key) => key.account ?? ''),
    );
    // A key id of the old form names no account; with one account of the system there is nobody else to seal to.
    const [only] = served;
    const to = account ?? (served.size === 1 ? only : undefined);
    if (to === undefined || !served.has(to)) return undefined;
    const { bytes, keyId } = await sealFor(options.trust, { provider, account: to }, credential, secret);
    try {
      return { hash: await drop.put(bytes), keyId };
    } catch (cause) {
      throw fault('report.no-secret-store', { drop: typeof options.drop === 'string' ? options.drop : 'the drop' }, cause);
    }
  };
  return Object.assign(seal, { engine: options.trust.engine });
}

/**
 * The fingerprint key of an engine: 32 bytes that lie in the sealed drop beside the blobs, so that every reporter of that engine names one secret alike.
 * Whoever needs it first makes it. Undefined where it can be neither read nor made; a secret that names no credential is then known by its place.
 */
export function fingerprintKeyIn(drop: string): Uint8Array | undefined {
  const path = join(drop, 'fingerprint.key');
  const read = (): Uint8Array | undefined => {
    try {
      const bytes = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64');
      return bytes.length === 32 ? new Uint8Array(bytes) : undefined;
    } catch {
      return undefined;
    }
  };
  const there = read();
  if (there !== undefined) return there;
  const made = join(drop, `.fingerprint-${randomBytes(6).toString('hex')}`);
  try {
    mkdirSync(drop, { recursive: true, mode: 0o700 });
    writeFileSync(made, `${randomBytes(32).toString('base64')}\n`, { flag: 'wx', mode: 0o644 });
    // A link is taken once and whole: of two who make it at the same time, one wins and both read the winner's.
    linkSync(made, path);
  } catch {
    // Somebody else was first, or nothing may be written here; reading tells which.
  } finally {
    rmSync(made, { force: true });
  }
  return read();
}
