import { generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { isHash } from '../../domain/canonical.ts';
import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import { Secret } from '../../domain/secret.ts';
import type { Action, Probed, Reverted, StepContext } from '../contract.ts';
import { type GcpAccount, type KeyRow, markOf, readCertificate, readKeys, seen } from './account.ts';
import type { Calls } from './api.ts';
import { removeKey } from './delete-key.ts';
import { manifest } from './manifest.ts';
import { accountGone } from './service-account.ts';
import { selfSigned } from './x509.ts';

/** The keys that stood before the mint, and when that was, by Google's clock. */
export interface UploadBefore {
  readonly keys: readonly string[];
  readonly at: string;
}

/** Google keeps no more of them for one account, disabled ones included (IAM, "Quotas and limits"). */
const mostKeys = 10;
const makePair = promisify(generateKeyPair);

/** A key that this step has uploaded, and where its private half is sealed. */
interface Uploaded {
  readonly row: KeyRow;
  readonly sealed: string;
  readonly keyId: string;
}

/**
 * Makes a key pair, seals its private half to whoever hands it out, and only then uploads the public one. The certificate names the step and the sealed blob, so that a try whose answer was lost is found by
 * its certificate, and nothing is made a second time: an upload has no secret in its answer that could be lost with it.
 * Params: `sealTo` (`{provider, account}`). Made: `privateKeyId`, `clientEmail`, `sealed`, `keyId`, `boundTo`. What is sealed is a key file without `private_key_id`, which Google chooses when the
 * half is already sealed, bound to the text in `boundTo`.
 * The undo deletes the key, and not before every consumer can have the old one again; where no key from before is on, it is a conflict, and nothing is deleted.
 */
export function uploadKey(account: GcpAccount): Action<UploadBefore> {
  return {
    manifest: actionOf(manifest, 'upload-key') as ActionManifest,

    async capture(target, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const rows = await readKeys(account, calls, serviceAccount);
      if (!rows) throw fault('provider.gone', { serviceAccount });
      return { keys: rows.map((row) => row.id).sort(), at: calls.at };
    },

    async apply(target, before, context) {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const sealTo = sealToOf(context);
      const calls = account.step(context);
      const rows = await readKeys(account, calls, serviceAccount);
      if (!rows) throw fault('provider.gone', { serviceAccount });
      const [standing] = await uploadedBy(account, calls, serviceAccount, rows, before, context);
      const answer = (outcome: 'changed' | 'already', of: Uploaded) => ({
        outcome,
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        made: {
          privateKeyId: of.row.id,
          clientEmail: serviceAccount,
          sealed: of.sealed,
          keyId: of.keyId,
          boundTo: boundTo(serviceAccount, context),
        },
        facts: { expiresAt: of.row.expiresAt ?? 'unknown' },
      });
      if (standing) {
        await settle(account, calls, serviceAccount, before, context, standing.row.id);
        return answer('already', standing);
      }
      if (rows.length >= mostKeys)
        throw fault('provider.conflict', { serviceAccount, keys: rows.length, because: 'no more keys fit on the account' });
      const { publicKey, privateKey } = await makePair('rsa', { modulusLength: 2048 });
      const file = {
        type: 'service_account',
        project_id: account.project,
        private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        client_email: serviceAccount,
        token_uri: 'https://oauth2.googleapis.com/token',
        universe_domain: 'googleapis.com',
      };
      context.signal.throwIfAborted();
      const sealed = await context.sealing.seal(new Secret(JSON.stringify(file)), sealTo, boundTo(serviceAccount, context));
      const day = 86_400_000;
      const certificate = selfSigned({
        privateKey,
        publicKey,
        commonName: markOf(context),
        organization: sealed.keyId,
        unit: sealed.hash.slice('sha256:'.length),
        // Clocks differ, and a certificate that is not valid yet is refused.
        notBefore: calls.now - 300_000,
        notAfter: calls.now + account.limits.uploadedKeyDays * day,
      });
      try {
        await calls.write('iam.serviceAccountKeys.create', ({ iam, options }) =>
          iam.projects.serviceAccounts.keys.upload(
            { name: account.accountName(serviceAccount), requestBody: { publicKeyData: Buffer.from(certificate).toString('base64') } },
            options,
          ),
        );
      } catch (error) {
        const code = codeOf(error);
        // What was certainly not uploaded will never be used, and the next try makes another.
        if (!['provider.uncertain', 'provider.unavailable'].includes(code)) await context.sealing.shred(sealed.hash).catch(() => undefined);
        // Google says by the same code that an account is full and that it was asked too often.
        if (code === 'provider.throttled' && ((await readKeys(account, calls, serviceAccount)) ?? []).length >= mostKeys)
          throw fault('provider.conflict', { serviceAccount, because: 'no more keys fit on the account' });
        throw error;
      }
      return answer('changed', await settle(account, calls, serviceAccount, before, context, undefined));
    },

    async probe(target, before, context): Promise<Probed> {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const read = async () => (await readKeys(account, calls, serviceAccount)) ?? [];
      let rows = await read();
      const answer = (observation: Probed['observation']) => ({ observation, requestIds: [...calls.requestIds] });
      const made = madeBy(context);
      const found =
        made === undefined
          ? await uploadedBy(account, calls, serviceAccount, rows, before, context)
          : rows.filter((row) => row.id === made).map((row) => ({ row }));
      const [first, ...more] = found;
      if (first === undefined) return answer(no(calls.at, 'administrator', `${serviceAccount} has no key that this step made`));
      if (more.length > 0)
        return answer(unknown(calls.at, 'administrator', `${serviceAccount} has ${found.length} keys with the mark of this step`));
      // A new key may need a minute until it is known everywhere; the propagation time is what the account entry says of that.
      const age = calls.now - Date.parse(first.row.createdAt);
      if (age < context.timing.propagationMs + 1000) {
        await context.sleep(context.timing.propagationMs);
        rows = await read();
      }
      const row = rows.find((each) => each.id === first.row.id);
      if (row === undefined || row.disabled)
        return answer(no(calls.at, 'administrator', `key ${first.row.id} of ${serviceAccount} is ${row ? 'disabled' : 'absent'}`));
      return {
        observation: seen(calls, `key ${row.id} of ${serviceAccount} is enabled, and known for the propagation time`),
        effectiveAt: calls.atMost,
        requestIds: [...calls.requestIds],
      };
    },

    async revert(target, before, context): Promise<Reverted> {
      const { serviceAccount } = await account.targetOf(target, 'serviceAccount');
      const calls = account.step(context);
      const gone = (): Reverted => ({ outcome: 'absent', requestIds: calls.requestIds, observation: accountGone(calls, serviceAccount) });
      const rows = await readKeys(account, calls, serviceAccount);
      if (!rows) return gone();
      const done = (outcome: 'changed' | 'already'): Reverted => ({
        outcome,
        requestIds: calls.requestIds,
        observation: yes(calls.at, 'administrator', `${serviceAccount} has no key that this step made`),
      });
      const made = madeBy(context);
      const ours = new Set((await uploadedBy(account, calls, serviceAccount, rows, before, context)).map(({ row }) => row.id));
      if (made !== undefined && rows.some((row) => row.id === made)) ours.add(made);
      if (ours.size === 0) return done('already');
      // A key of which no answer ever told has been handed to nobody.
      const handedOut = made !== undefined;
      if (handedOut) await handBack(context);
      // Read after the wait, since it is what stands then that the deletion leaves.
      const left = await readKeys(account, calls, serviceAccount);
      if (!left) return gone();
      const doomed = left.filter((row) => ours.has(row.id));
      const off = doomed.find((row) => row.disabled);
      if (off) throw fault('provider.conflict', { serviceAccount, keyId: off.id, because: 'somebody has turned off the key that we made' });
      const works = left.some((row) => !row.disabled && before.keys.includes(row.id));
      if (handedOut && doomed.length > 0 && before.keys.length > 0 && !works) {
        throw fault('provider.conflict', {
          serviceAccount,
          because: 'none of the keys from before is enabled, so that nothing would be left that works',
        });
      }
      let removed = 0;
      for (const { id } of doomed) {
        context.signal.throwIfAborted();
        if (await removeKey(account, calls, serviceAccount, id)) removed++;
      }
      return done(removed > 0 ? 'changed' : 'already');
    },
  };
}

/** What the sealed private half is bound to. */
function boundTo(serviceAccount: string, context: StepContext): string {
  return `mint:${serviceAccount}:${markOf(context)}`;
}

function sealToOf(context: StepContext): { provider: string; account: string } {
  const to = context.params.sealTo as { provider?: unknown; account?: unknown } | undefined;
  if (typeof to?.provider !== 'string' || typeof to.account !== 'string') throw fault('provider.invalid', { missing: 'sealTo' });
  return { provider: to.provider, account: to.account };
}

function madeBy(context: StepContext): string | undefined {
  return context.made[context.step]?.privateKeyId;
}

/** Waits until whoever reads the key we made has had the one from before again. A consumer that never reads again is not waited for; it has not read our key either. */
async function handBack(context: StepContext): Promise<void> {
  const seconds = context.inventory.consumers.map(({ rereads }) => (rereads === 'never' ? 0 : rereads));
  const { propagationMs, marginMs } = context.timing;
  await context.sleep(propagationMs + marginMs + Math.max(0, ...seconds) * 1000);
}

/** The keys since the capture whose certificate bears this step's mark, and where their private halves are. */
async function uploadedBy(
  account: GcpAccount,
  calls: Calls,
  serviceAccount: string,
  rows: readonly KeyRow[],
  before: UploadBefore,
  context: StepContext,
): Promise<readonly Uploaded[]> {
  const mark = markOf(context);
  const found: Uploaded[] = [];
  for (const row of rows) {
    if (before.keys.includes(row.id) || row.origin !== 'USER_PROVIDED') continue;
    const pem = await readCertificate(account, calls, serviceAccount, row.id);
    const subject = pem === undefined ? new Map<string, string>() : subjectOf(pem);
    if (subject.get('CN') !== mark) continue;
    const sealed = `sha256:${subject.get('OU') ?? ''}`;
    const keyId = subject.get('O') ?? '';
    if (!isHash(sealed) || keyId === '') continue;
    found.push({ row, sealed, keyId });
  }
  return found.sort((a, b) => a.row.createdAt.localeCompare(b.row.createdAt) || a.row.id.localeCompare(b.row.id));
}

function subjectOf(pem: string): Map<string, string> {
  try {
    const { subject } = new X509Certificate(pem);
    return new Map(subject.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  } catch {
    return new Map();
  }
}

/**
 * Waits until a listing shows all that was uploaded, since one may be behind, and leaves one key of this step: a try before may have made another that was not in its listing yet, and of two with the same
 * mark either will do, as neither has been handed to anybody.
 */
async function settle(
  account: GcpAccount,
  calls: Calls,
  serviceAccount: string,
  before: UploadBefore,
  context: StepContext,
  keep: string | undefined,
): Promise<Uploaded> {
  await context.sleep(context.timing.propagationMs);
  const rows = await readKeys(account, calls, serviceAccount);
  if (!rows) throw fault('provider.gone', { serviceAccount });
  const all = await uploadedBy(account, calls, serviceAccount, rows, before, context);
  const mine = all.find(({ row }) => row.id === keep) ?? all[0];
  if (mine === undefined)
    throw fault('provider.uncertain', { call: 'iam.serviceAccountKeys.create', serviceAccount, said: 'the key is in no listing' });
  for (const { row, sealed } of all) {
    if (row.id === mine.row.id) continue;
    context.signal.throwIfAborted();
    await removeKey(account, calls, serviceAccount, row.id);
    if (isHash(sealed)) await context.sealing.shred(sealed).catch(() => undefined);
  }
  return mine;
}
