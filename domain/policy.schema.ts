import { z } from 'zod';
import { problemOfCondition } from './condition.schema.ts';
import { durationField, parseYaml } from './file.schema.ts';

const name = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'expected a name of small letters, digits and dashes');
const role = z.string().regex(/^[a-z0-9][a-z0-9-]*$/i, 'expected a role such as responder or security-lead');
const words = z.string().trim().min(1, 'expected some text');
const exact = words.refine((text) => !/[*?]/.test(text), 'patterns are not understood here: name each one exactly');

const gateFields = {
  roles: z.array(role).min(1, 'somebody must be able to answer'),
  quorum: z.int().min(1).max(9),
  deadline: durationField,
  reminders: z.array(durationField).max(10),
  escalateTo: z.array(role),
  onSilence: z.enum(['hold', 'harmless', 'proceed']),
};
const gate = z.strictObject(gateFields);
const gateChange = z.strictObject(gateFields).partial();

/** A rule's own word on a gate, over the file's. */
export type GateChange = z.output<typeof gateChange>;

/** The policy file. Rules are tried in their order and the first whose condition holds decides; the last one must always hold. `docs/policy.md` explains it. */
export const policySchema = z
  .strictObject({
    v: z.literal(1),
    name: words,
    /** How long a plan stays valid, in milliseconds after reading. */
    planValid: durationField,
    /** Deliveries that count as acknowledged, so that silence counts. `record`: an entry in the incident's own record, open to everybody who may decide. */
    acknowledge: z.array(z.enum(['record'])).default([]),
    gates: z.strictObject({ outage: gate, irreversible: gate }),
    quorum: z.strictObject({
      /** At irreversible gates, by what the principal may do. */
      byPrivilege: z.strictObject({
        administrator: z.int().min(1),
        elevated: z.int().min(1),
        ordinary: z.int().min(1),
        unknown: z.int().min(1),
      }),
      /** Added where nobody who reported the leak signed. */
      unsignedReporter: z.int().min(0),
      /** No gate asks for more. */
      most: z.int().min(1),
    }),
    /** What is never touched unasked: exact names, or everything of an account, a kind or a tag of the inventory. */
    protected: z
      .array(
        z.union([
          exact,
          z.strictObject({ account: exact, why: words.exactOptional() }),
          z.strictObject({ kind: exact, why: words.exactOptional() }),
          z.strictObject({ tag: exact, why: words.exactOptional() }),
          z.strictObject({ name: exact, why: words.exactOptional() }),
        ]),
      )
      .default([]),
    /** Who signs a standing authorisation, and how many of them; two of approver and security-lead where it is not said, and never fewer than two. */
    standing: z
      .strictObject({ roles: z.array(z.enum(['approver', 'security-lead'])).min(1), quorum: z.int().min(2).max(9) })
      .exactOptional(),
    /** How old a person's signature on a report, or an issuer's webhook, may be when it comes. What is older is a claim. */
    signatureValid: durationField.prefault('7d'),
    /**
     * So many incidents may be acted on unasked within so long, for each account or reporter, or all told. A spent one makes `budget.spent` true. All whose proof nobody signed
     * are one reporter, since their names are their own word.
     */
    budgets: z
      .array(z.strictObject({ name, per: z.enum(['engine', 'account', 'reporter']), within: durationField, most: z.int().min(1) }))
      .default([]),
    /**
     * What reports that prove nothing yet may cost: so many looks at the provider within so long, the first `burst` of them at once and the others one after another. Beyond it a report is
     * recorded, shown, and waits its turn. `of`: mere claims, or reports with a sealed secret that nobody has tried yet.
     */
    looks: z
      .array(
        z.strictObject({
          name,
          of: z.enum(['claim', 'sealed']),
          per: z.enum(['engine', 'reporter']),
          within: durationField,
          most: z.int().min(1).max(100_000),
          burst: z.int().min(1),
        }),
      )
      .default([]),
    rules: z
      .array(
        z.strictObject({
          name,
          when: words,
          mode: z.enum(['act', 'ask', 'hold', 'pass']),
          reason: words,
          gates: z.strictObject({ outage: gateChange, irreversible: gateChange }).partial().default({}),
        }),
      )
      .min(1, 'a policy needs a rule'),
  })
  .superRefine((policy, context) => {
    const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
    const taken = new Set<string>();
    for (const list of ['budgets', 'looks'] as const) {
      for (const [at, each] of policy[list].entries()) {
        if (taken.has(each.name)) refuse([list, at, 'name'], `the name ${each.name} is taken by an earlier one`);
        taken.add(each.name);
        if (each.within < 1000) refuse([list, at, 'within'], 'expected 1s or more');
      }
    }
    for (const [at, { burst, most }] of policy.looks.entries())
      if (burst > most) refuse(['looks', at, 'burst'], 'more at once than in all');
    const names = new Set<string>();
    for (const [at, rule] of policy.rules.entries()) {
      if (names.has(rule.name)) refuse(['rules', at, 'name'], `the name ${rule.name} is taken by an earlier rule`);
      names.add(rule.name);
      const problem = problemOfCondition(rule.when);
      if (problem) refuse(['rules', at, 'when'], `rule ${rule.name}: ${problem}`);
      for (const kind of ['outage', 'irreversible'] as const) {
        const { deadline, reminders } = { ...policy.gates[kind], ...defined(rule.gates[kind]) };
        if (reminders.some((each) => each >= deadline) && rule.gates[kind])
          refuse(['rules', at, 'gates', kind], `rule ${rule.name}: a reminder comes after the deadline`);
      }
      if (rule.gates.irreversible?.onSilence === 'proceed')
        refuse(['rules', at, 'gates', 'irreversible', 'onSilence'], `rule ${rule.name}: silence never does what cannot be undone`);
    }
    const last = policy.rules.at(-1);
    if (last && last.when !== 'true') refuse(['rules', policy.rules.length - 1, 'when'], 'the last rule must always hold: when: "true"');
    for (const kind of ['outage', 'irreversible'] as const) {
      const { deadline, reminders } = policy.gates[kind];
      for (const [at, each] of reminders.entries())
        if (each >= deadline) refuse(['gates', kind, 'reminders', at], 'a reminder comes after the deadline');
    }
    if (policy.gates.irreversible.onSilence === 'proceed')
      refuse(['gates', 'irreversible', 'onSilence'], 'silence never does what cannot be undone');
  });

/** A policy as read. Durations are milliseconds. */
export type Policy = z.output<typeof policySchema>;

/** The members that are there: in a change, what is not said is not changed. */
export function defined<T extends object>(change: T | undefined): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }> {
  return Object.fromEntries(Object.entries(change ?? {}).filter(([, value]) => value !== undefined)) as never;
}

/**
 * Reads a policy file. Throws `file.syntax` or `file.invalid` with file, line, column and path; a condition that cannot be understood names its rule.
 */
export function parsePolicy(text: string, file: string): Policy {
  return parseYaml(text, file, policySchema);
}
