import type { Hash } from '../domain/canonical.ts';
import { holds } from '../domain/condition.schema.ts';
import { fault } from '../domain/errors.ts';
import type { GateChange, Policy } from '../domain/policy.schema.ts';
import type { GateRule, Verdict } from '../domain/policy.ts';
import type { Situation } from '../domain/situation.ts';

type Kind = 'outage' | 'irreversible';

/**
 * What the policy says of a situation: the first rule whose condition holds. Pure. The quorum of a gate is the rule's; at irreversible gates at least what the principal's privilege asks
 * for; one more where nobody who reported it signed, since then nobody knows whether the reporter is among those who decide. It is never more than the policy's `most`, nor
 * than the people there are who may answer, as a gate that nobody can pass protects nothing; where that lowers it, the reason says so.
 */
export function judgeSituation(policy: Policy, situation: Situation, policyHash: Hash): Verdict {
  const identifiers = new Set(situation.identifiers);
  const seen: Situation = { ...situation, protected: situation.protected || policy.protected.some((each) => identifiers.has(each)) };
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
  return {
    policy: policyHash,
    rule: rule.name,
    mode: rule.mode,
    reason: [rule.reason, ...remarks].join(' '),
    gates,
    barred: situation.barred,
    protected: [...new Set([...policy.protected, ...situation.protectedTargets])],
    planValidMs: policy.planValid,
    ...(situation.accounts ? { accounts: situation.accounts } : {}),
  };
}

/** How many people may answer; undefined where nobody told us who there is. */
function eligible(situation: Situation, roles: readonly string[]): number | undefined {
  if (!situation.people) return undefined;
  const who = new Set(roles.flatMap((role) => situation.people?.[role] ?? []));
  for (const barred of situation.barred) who.delete(barred);
  return who.size;
}
