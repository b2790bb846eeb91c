import { dirname, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { Configuration } from './configuration.ts';
import { durationField, parseYaml } from './file.schema.ts';

const path = z.string().min(1, 'expected a path');
/** A name, scoped or not, as package clients take it: no path, no version, no address. So only what was installed on purpose is loaded. */
const packageName = z
  .string()
  .max(214)
  .regex(/^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/, 'expected the name of an installed package, such as tourniquet-provider-acme');
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
    providers: z.array(z.strictObject({ package: packageName })).exactOptional(),
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
    const packages = new Set<string>();
    value.providers?.forEach((entry, index) => {
      if (packages.has(entry.package))
        context.addIssue({ code: 'custom', path: ['providers', index, 'package'], message: 'the package stands here a second time' });
      packages.add(entry.package);
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

/** The JSON Schema of tourniquet.yaml as it is written, for editors. What spans several members (a name that stands twice) only the engine says. */
export function configurationJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configurationFileSchema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === (durationField as z.core.$ZodType)) {
        jsonSchema.pattern = '^(0|[1-9][0-9]*)(ms|s|m|h|d)$';
        jsonSchema.description = 'a duration such as 500ms, 4s, 15m, 36h or 7d';
      }
    },
  });
  const described = schema as { properties?: Record<string, { description?: string }> };
  for (const [name, words] of Object.entries(meanings)) {
    const member = described.properties?.[name];
    if (member) member.description = words;
  }
  return { ...schema, $id: 'tourniquet.schema.json', title: 'tourniquet.yaml' };
}

/** What each member is for, as an editor shows it. */
const meanings: Readonly<Record<keyof z.input<typeof configurationFileSchema>, string>> = {
  v: 'the version of this file’s form',
  engine: 'this engine’s id, as trust.yaml has it too: decisions, plans and seals are bound to it',
  temporal: 'where Temporal answers; by default its own variables and profiles say so',
  store: 'the directory of records and evidence, shared by judge, provider workers and whoever exports',
  drop: 'where reporters drop sealed secrets; by default the folder sealed in the store',
  trust: 'the file of keys and roles; relative paths are taken from the folder of this file',
  people: 'the file of people',
  policy: 'the file of the policy',
  inventory: 'the file of consumers and stores',
  root: 'the root’s public key, base64 of 32 bytes: a trust file of another root is refused',
  accounts: 'the accounts that are acted on, each by a worker of its own with a credentials file of its own',
  recheck: 'how often an incident that is being watched looks again',
  codec: 'whether payloads in Temporal are sealed',
  issuers: 'whose webhooks count as an issuer’s word, each with the file of the secret that it signs with',
  self: 'further names of what the engine itself stands on, besides what its workers find',
  providers: 'providers that are not part of the engine, by the name of their package, installed where the engine is',
  pace: 'how patient the engine is with what does not answer',
};

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
