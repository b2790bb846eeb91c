import { dirname, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { Configuration } from './configuration.ts';
import { durationField, parseYaml } from './file.schema.ts';

const path = z.string().min(1, 'expected a path');
const account = z.strictObject({
  provider: z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected the name of a provider, such as aws or vault'),
  account: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'expected 1 to 100 letters, digits and . _ -, with a letter or digit first'),
  mode: z.enum(['observe', 'propose', 'act']),
  credentials: path,
  settings: z.record(z.string(), z.unknown()).default({}),
  unaskedPerHour: z.int().min(0).max(100_000).exactOptional(),
});

/** tourniquet.yaml as written: durations as text, paths relative to the file, everything that has a usual value optional. */
export const configurationFileSchema = z
  .strictObject({
    v: z.literal(1),
    engine: z.string().regex(/^eng_[a-z0-9]{4,64}$/, 'expected eng_ and 4 to 64 lower-case letters and digits'),
    temporal: z
      .strictObject({
        address: z
          .string()
          .regex(/^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'expected host:port')
          .exactOptional(),
        namespace: z.string().min(1).default('default'),
        profile: z.string().min(1).exactOptional(),
      })
      .prefault({}),
    store: z.strictObject({ directory: path }),
    drop: z.strictObject({ directory: path }).exactOptional(),
    trust: path.default('trust.yaml'),
    people: path.default('people.yaml'),
    policy: path.default('policy.yaml'),
    inventory: path.default('inventory.yaml'),
    root: z.string().refine((text) => {
      const raw = Buffer.from(text, 'base64');
      return raw.length === 32 && raw.toString('base64') === text;
    }, "expected the root's public key, 32 bytes in base64"),
    accounts: z.array(account).default([]),
    recheck: durationField.prefault('5m'),
    codec: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    issuers: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,60}$/, 'expected small letters, digits and dashes'),
          scheme: z.literal('github-webhook'),
          secret: path,
        }),
      )
      .exactOptional(),
    self: z.array(z.string().min(1)).exactOptional(),
    pace: z
      .strictObject({
        heartbeat: durationField.prefault('30s'),
        retryCeiling: durationField.prefault('30s'),
        stuckAfter: durationField.prefault('10m'),
      })
      .prefault({}),
  })
  .superRefine((value, context) => {
    const names = new Set<string>();
    value.issuers?.forEach(({ name }, index) => {
      if (names.has(name)) context.addIssue({ code: 'custom', path: ['issuers', index, 'name'], message: 'the name is taken' });
      names.add(name);
    });
    const seen = new Set<string>();
    value.accounts.forEach((entry, index) => {
      const name = `${entry.provider}/${entry.account}`;
      if (seen.has(name))
        context.addIssue({ code: 'custom', path: ['accounts', index, 'account'], message: 'the account stands here a second time' });
      seen.add(name);
    });
    if (value.pace.heartbeat < 2000) context.addIssue({ code: 'custom', path: ['pace', 'heartbeat'], message: 'expected 2s or more' });
    if (value.pace.retryCeiling < 100)
      context.addIssue({ code: 'custom', path: ['pace', 'retryCeiling'], message: 'expected 100ms or more' });
    if (value.pace.stuckAfter < 1000) context.addIssue({ code: 'custom', path: ['pace', 'stuckAfter'], message: 'expected 1s or more' });
    if (value.recheck < 1) context.addIssue({ code: 'custom', path: ['recheck'], message: 'expected more than nothing' });
  });

/**
 * Reads the text of tourniquet.yaml; `file` is its path, and relative paths in it are taken from its folder. Throws `file.syntax` or `file.invalid`
 * with file, line, column and path of the first problem. Looks at no other file.
 */
export function parseConfiguration(text: string, file: string): Configuration {
  const { recheck, drop, store, pace, ...read } = parseYaml(text, file, configurationFileSchema);
  const folder = dirname(resolve(file));
  const absolute = (name: string): string => (isAbsolute(name) ? name : resolve(folder, name));
  const directory = absolute(store.directory);
  return {
    ...read,
    store: { directory },
    drop: { directory: drop === undefined ? resolve(directory, 'sealed') : absolute(drop.directory) },
    trust: absolute(read.trust),
    people: absolute(read.people),
    policy: absolute(read.policy),
    inventory: absolute(read.inventory),
    accounts: read.accounts.map((entry) => ({ ...entry, credentials: absolute(entry.credentials) })),
    ...(read.issuers ? { issuers: read.issuers.map((each) => ({ ...each, secret: absolute(each.secret) })) } : {}),
    recheckMs: recheck,
    pace: { heartbeatMs: pace.heartbeat, retryCeilingMs: pace.retryCeiling, stuckAfterMs: pace.stuckAfter },
  };
}
