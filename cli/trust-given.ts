import { resolve } from 'node:path';
import { fault } from '../domain/errors.ts';
import { KeyRole, type Trust } from '../domain/trust.ts';
import { type Call, text } from './command.ts';
import { readTextFile } from './engine.ts';

/** The auditor's own trust file; its signature has to hold against the root it names, or against the one the auditor has apart. */
export async function trustGiven(call: Call): Promise<Trust | undefined> {
  const named = text(call, 'trust');
  if (named === undefined) {
    if (text(call, 'root') !== undefined) throw fault('usage.invalid', { option: '--root', problem: 'goes with --trust' });
    return undefined;
  }
  const file = resolve(call.cwd, named);
  const { isSignedBy, parseTrust } = await import('../audit/trust.ts');
  const parsed = parseTrust(readTextFile(file), file);
  const root = text(call, 'root') ?? parsed.trust.keys.find((key) => key.role === KeyRole.ROOT)?.public;
  if (root === undefined || !isSignedBy(parsed, root)) throw fault('trust.bad-signature', { file });
  return parsed.trust;
}
