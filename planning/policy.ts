import type { Hash } from '../domain/canonical.ts';
import { holds } from '../domain/condition.schema.ts';
import { fault } from '../domain/errors.ts';
import type { GateChange, Policy } from '../domain/policy.schema.ts';
import type { GateRule, Mode, Verdict } from '../domain/policy.ts';
import type { Situation } from '../domain/situation.ts';

type Kind = 'outage' | 'irreversible';

/**
 * What the policy says of a situation: the first rule whose condition holds. Pure. The quorum of a gate is the rule's; at irreversible gates at least what the principal's privilege asks
 * for; one more where nobody who reported it signed, since then nobody knows whether the reporter is among those who decide. It is never more than the policy's `most`, nor
 * than the people there are who may answer, as a gate that nobody can pass protects nothing; where that lowers it, the reason says so.
 */
export function judgeSituation(policy: Policy, situation: Situation, policyHash: Hash): Verdict {
  const shield = shieldOf(policy, situation);
  const seen: Situation = { ...situation, protected: situation.protected || shield.why !== undefined };
  const rule = policy.rules.find((each) => holds(each.when, seen));
  if (!rule) throw fault('engine.unexpected', { policy: policy.name, problem: 'no rule holds' });
  const remarks: string[] = [];
  const gateOf = (kind: Kind): GateRule => {
    const said = policy.gates[kind];
    const change: GateChange = rule.gates[kind] ?? {};
    const roles = change.roles ?? said.roles;
    const privilege = kind === 'irreversible' ? policy.quorum.byPrivilege[seen.privilege] : 1;
    const unsigned = seen.unsigned ? policy.quorum.unsignedReporter : 0;
    const asked = Math.max(change.quorum ?? said.quorum, privilege) + unsigned;
    const allowed = Math.min(asked, policy.quorum.most);
    const there = eligible(seen, roles);
    const quorum = Math.max(1, Math.min(allowed, there ?? allowed));
    if (quorum < asked) {
      remarks.push(
        quorum < allowed
          ? `At the ${kind} gate ${asked} should agree, and only ${there} ${there === 1 ? 'person holds' : 'people hold'} a role for it.`
          : `At the ${kind} gate ${asked} should agree; the policy asks for no more than ${policy.quorum.most}.`,
      );
    }
    return {
      roles,
      quorum,
      deadlineMs: change.deadline ?? said.deadline,
      reminderMs: change.reminders ?? said.reminders.filter((each) => each < (change.deadline ?? said.deadline)),
      escalateTo: change.escalateTo ?? said.escalateTo,
      onSilence: change.onSilence ?? said.onSilence,
    };
  };
  const gates = { outage: gateOf('outage'), irreversible: gateOf('irreversible') };
  // What was signed beforehand is for what is proven, open to anybody, and stopped in no way that can be taken back; everything else is asked about.
  const standing = rule.mode === 'act' && !seen.reversible && seen.exposure === 'public' && seen.proof === 'possession';
  if (standing && seen.withheld) remarks.push(`It is asked about: ${seen.withheld}.`);
  return {
    policy: policyHash,
    rule: rule.name,
    mode: rule.mode,
    reason: [rule.reason, ...(seen.protected && shield.why ? [`${shield.why}.`] : []), ...paged(rule.mode, seen), ...remarks].join(' '),
    gates,
    barred: situation.barred,
    protected: [...new Set([...shield.names, ...situation.protectedTargets])],
    planValidMs: policy.planValid,
    ...(situation.accounts ? { accounts: situation.accounts } : {}),
    ...(situation.self && situation.self.length > 0 ? { self: situation.self } : {}),
    ...(standing && situation.authorised ? { authorised: situation.authorised } : {}),
    ...(standing && situation.withheld ? { withheld: situation.withheld } : {}),
    ...(situation.budget.spent && situation.budgetName ? { budget: { spent: situation.budgetName } } : {}),
  };
}

/** In `protected`, an account as a whole. */
export const accountShield = (account: string): string => `account ${account}`;

/** The names that the policy protects, and why the situation is one of them; `why` is left out where it is none. */
function shieldOf(policy: Policy, situation: Situation): { readonly names: readonly string[]; readonly why?: string } {
  const identifiers = new Set(situation.identifiers);
  const names: string[] = [];
  let why: string | undefined;
  for (const entry of policy.protected) {
    const said = typeof entry !== 'string' && entry.why ? ` (${entry.why})` : '';
    if (typeof entry === 'string' || 'name' in entry) {
      const name = typeof entry === 'string' ? entry : entry.name;
      names.push(name);
      if (identifiers.has(name)) why ??= `${name} is protected by name${said}`;
    } else if ('account' in entry) {
      names.push(accountShield(entry.account));
      if (situation.account === entry.account) why ??= `the account ${entry.account} is protected${said}`;
    } else if ('kind' in entry) {
      if (situation.kind === entry.kind) why ??= `the kind ${entry.kind} is protected${said}`;
    } else {
      names.push(...(situation.tagged ?? []).flatMap((each) => (each.tags.includes(entry.tag) ? [each.name] : [])));
      if (situation.tags?.includes(entry.tag)) why ??= `what bears the tag ${entry.tag} is protected${said}`;
    }
  }
  return { names, ...(why ? { why } : {}) };
}

/** Where the engine only observes, everybody there is stands in the record by name. */
function paged(mode: Mode, { people }: Situation): string[] {
  if (mode !== 'hold' || !people) return [];
  const all = [...new Set(Object.values(people).flat())].sort();
  return all.length > 0 ? [`Paged: ${all.join(', ')}.`] : [];
}

/** How many people may answer; undefined where nobody told us who there is. */
function eligible(situation: Situation, roles: readonly string[]): number | undefined {
  if (!situation.people) return undefined;
  const who = new Set(roles.flatMap((role) => situation.people?.[role] ?? []));
  for (const barred of situation.barred) who.delete(barred);
  return who.size;
}
