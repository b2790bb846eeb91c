import { casualtiesOf, isOneWay } from '../domain/authorisation.ts';
import type { Plan, PlanStep } from '../domain/plan.ts';
import { Mode } from '../domain/policy.ts';
import { Proof } from '../domain/report.ts';
import { bystandersOf, diesWithMaker } from './contain.ts';
import { concerning, isHarmless, type Member, reachOf, Standing, stampOf, sweptOf } from './facts.ts';
import type { PlanInput } from './input.ts';
import { type Part, type Principal, turnOff } from './kinds/kind.ts';
import { actionName, does, isLiftOfCutOff, pulls } from './levers.ts';
import { viewOf } from './plan.ts';
import { issuersOf, stubborn, wakesNothingAt, waysInto } from './rotate.ts';

/** The order rules of the design by number, and what every plan must be besides. */
export const RuleName = {
  WELL_FORMED: 'well-formed',
  EVIDENCE_FIRST: '1-evidence-before-change',
  CHILDREN_FIRST: '2-children-before-parent',
  MAKE_BEFORE_BREAK: '3-make-before-break',
  CONSUMERS_BEFORE_REVOKE: '4-stores-consumers-revoke',
  IRREVERSIBLE_GATED: '5-irreversible-last-and-gated',
  ONE_HOLD: '6-one-hold-per-principal',
  CUT_OFF_AFTER_DISABLE: '7-cut-off-after-disable',
  LIFT_LAST: '8-lift-wakes-nobody',
  OUTAGE_SPELLED_OUT: '9-outage-spelled-out',
  EXACT_TARGETS: '10-exact-targets',
  SWEPT_FIRST: '11-swept-before-rotation',
  READ_SECRETS_NAMED: '12-read-secrets-named',
  NO_LEAKY_STORE: '13-no-replacement-to-a-reader',
  ASKED_FIRST: 'asked-where-policy-asks',
  REFUSED_STAYS: 'refused-is-not-planned-again',
} as const;
export type RuleName = (typeof RuleName)[keyof typeof RuleName];

/** A rule that a plan breaks, at which step, and how. */
export interface BrokenRule {
  readonly rule: RuleName;
  readonly step: string;
  readonly words: string;
}

/**
 * Every order rule that the plan breaks; empty for a good plan. Whoever is shown a plan can ask this of it, whoever made it: it believes nothing but the records the plan stands on.
 */
export function brokenRules(plan: Plan, input: PlanInput): readonly BrokenRule[] {
  const broken: BrokenRule[] = [];
  const breaks = (rule: RuleName, step: PlanStep | string, words: string) =>
    broken.push({ rule, step: typeof step === 'string' ? step : step.id, words });
  const { assessment, inventory, verdict } = input;
  const { finding } = assessment;
  const reach = reachOf(assessment, input.done, input.manifests);
  const { root, members, done, knowledge } = reach;
  const steps = new Map(plan.steps.map((each) => [each.id, each]));
  const gates = new Map(plan.gates.map((each) => [each.id, each]));

  // A plan whose needs lead nowhere or in a circle has no order to check.
  if (steps.size !== plan.steps.length) breaks(RuleName.WELL_FORMED, '', 'two steps have one id');
  for (const step of plan.steps) {
    for (const need of step.needs) if (!steps.has(need)) breaks(RuleName.WELL_FORMED, step, `needs ${need}, which is not in the plan`);
    if (step.gate && !gates.has(step.gate)) breaks(RuleName.WELL_FORMED, step, `stands at ${step.gate}, which is not in the plan`);
  }
  const before = closure(plan.steps);
  if (!before) {
    breaks(RuleName.WELL_FORMED, '', 'steps need each other in a circle');
    return broken;
  }
  const precedes = (first: PlanStep, second: PlanStep): boolean => before.get(second.id)?.has(first.id) ?? false;
  const doing = (...parts: Part[]): PlanStep[] => plan.steps.filter((each) => parts.some((part) => does(knowledge, part, each)));
  const manifestOf = (step: PlanStep) =>
    input.manifests[step.provider]?.actions.find((each) => `${step.provider}/${each.name}` === step.action);
  const changes = (step: PlanStep): boolean => step.provider !== 'manual' && manifestOf(step)?.watches !== true;
  const memberOf = (step: PlanStep): Member | undefined => members.find((each) => isNamedBy(step, each.credential, finding.provider));
  const onOne = (step: Pick<PlanStep, 'action' | 'provider'>) =>
    does(knowledge, 'disable', step) || does(knowledge, 'remove', step) || does(knowledge, 'watchOldQuiet', step);
  const principalOf = (step: PlanStep) => knowledge?.principal(step.hold, step.account) ?? memberOf(step)?.principal;
  const isSame = (one: PlanStep, other: PlanStep): boolean =>
    one.target.user !== undefined && other.target.user !== undefined
      ? one.target.user === other.target.user
      : principalOf(one)?.id === principalOf(other)?.id;
  const deletes = doing('remove');
  // What has no other way is turned off by being removed, and is both.
  const disables = plan.steps.filter((each) => {
    const member = does(knowledge, 'remove', each) ? memberOf(each) : undefined;
    return (
      does(knowledge, 'disable', each) ||
      (knowledge !== undefined && member?.principal !== undefined && !knowledge.disable(member.credential, member.principal))
    );
  });
  const [mints, denies, fences, lifts] = [doing('mint'), doing('deny'), doing('fence'), doing('liftDeny', 'liftFence')];
  const stamps = doing('cutOff');
  const cuts = stamps.filter((each) => each.target.role === undefined);
  const roleCuts = stamps.filter((each) => each.target.role !== undefined);
  // A deny that nothing narrower replaces is lifted by its date, as a cut-off is.
  const isDated = (step: PlanStep) =>
    isLiftOfCutOff(knowledge, step) || (knowledge?.actions.cutOff.length === 0 && does(knowledge, 'liftDeny', step));
  const uncuts = plan.steps.filter((each) => isLiftOfCutOff(knowledge, each));
  const changing = plan.steps.filter(changes);
  const onRoot = (step: PlanStep) => memberOf(step)?.origin === 'leaked';
  const rootAlive = root.standing === Standing.STANDS || root.standing === Standing.UNKNOWN;
  const { stores, consumers } = concerning(inventory, root.principal, finding, input.manifests);
  const outside = input.verdict.mode === Mode.ACT && assessment.proof !== Proof.CLAIM;

  if (input.snapshotHash && changing.length > 0 && plan.snapshot !== input.snapshotHash)
    breaks(RuleName.EVIDENCE_FIRST, changing[0] as PlanStep, 'changes something, and the plan names no snapshot taken before');

  for (const step of [...mints, ...deletes.filter((each) => onRoot(each) && !disables.includes(each))]) {
    for (const member of members) {
      if (member.origin === 'leaked' || member.origin === 'doubtful' || isHarmless(member.standing)) continue;
      // What only a cut-off stops, of the principal or of a role, is stopped when the leaked one is off, and so before it is removed; a new one may be made before.
      const withRoot =
        mints.includes(step) &&
        !outside &&
        rootAlive &&
        knowledge !== undefined &&
        !knowledge.standsAlone(member.credential) &&
        (member.principal?.id === root.principal?.id || member.principal?.kind === 'role') &&
        knowledge.stoppedBy(member.credential).length > 0;
      const dies = knowledge !== undefined && diesWithMaker({ reach, knowledge }, member);
      const stopped = withRoot || dies || plan.steps.some((each) => stops(each, member) && precedes(each, step));
      if (!stopped) breaks(RuleName.CHILDREN_FIRST, step, `the leaked one is replaced or removed while ${member.title} stands`);
    }
  }
  for (const step of [...disables, ...denies, ...fences]) {
    if (plan.purpose !== 'contain') continue;
    if (step.needs.length > 0) breaks(RuleName.CHILDREN_FIRST, step, 'waits for another step, though containment is one burst');
  }

  const slots = viewOf(input)?.slots;
  const breaking = [...disables, ...deletes].filter((each) => onRoot(each) && rootAlive);
  const room =
    slots === undefined || slots.used < slots.limit || deletes.some((each) => !onRoot(each) && mints.some((mint) => precedes(each, mint)));
  for (const step of breaking) {
    for (const mint of mints) {
      if (room && precedes(step, mint))
        breaks(RuleName.MAKE_BEFORE_BREAK, step, 'turns the old one off before there is a new one, though both could be');
      if (!room && step.gate === undefined) breaks(RuleName.MAKE_BEFORE_BREAK, step, 'breaks before it makes, and nobody is asked');
    }
  }

  for (const step of plan.steps) {
    if (does(knowledge, 'watchNewUse', step)) {
      const consumer = consumers.find((each) => each.id === step.target.consumer);
      const store = stores.find((each) => each.id === consumer?.store);
      const deliveries = plan.steps.filter(
        (each) =>
          (each.action.endsWith('/distribute-secret') && each.target.path === store?.path && each.account === store?.account) ||
          (each.action === 'manual/deliver' && each.target.store === store?.id),
      );
      for (const each of deliveries)
        if (!precedes(each, step)) breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, `looks for the new one before ${store?.id} has it`);
    }
    if (step.action.endsWith('/distribute-secret')) {
      const staged = plan.steps.find((each) => each.id === step.params.stage);
      if (staged && !precedes(staged, step)) breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, 'delivers before the new one is staged');
      if (!staged && !input.done.some((each) => each.state === 'done' && each.step.id === step.params.stage))
        breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, 'delivers what nobody staged');
    }
    if (step.action.endsWith('/stage-secret')) {
      const mint = plan.steps.find((each) => each.id === step.params.mint);
      if (mint && !precedes(mint, step)) breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, 'stages before the new one is made');
    }
  }
  if (!outside && plan.purpose === 'rotate') {
    const verify = doing('watchNewUse', 'watchOldQuiet');
    for (const step of breaking) {
      const first = mints.some((mint) => precedes(step, mint));
      if (first) continue;
      for (const each of verify)
        if (!precedes(each, step)) breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, `turns the old one off before ${each.title}`);
      for (const consumer of consumers) {
        const seen =
          verify.some((each) => each.target.consumer === consumer.id) ||
          input.done.some(
            (each) => each.state === 'done' && (each.step.target.consumer === consumer.id || each.step.action.startsWith('manual/')),
          ) ||
          plan.steps.some((each) => each.provider === 'manual' && precedes(each, step));
        if (!seen)
          breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, `turns the old one off, and nobody has seen ${consumer.name} on the new one`);
      }
    }
  }

  for (const step of plan.steps) {
    const manifest = manifestOf(step);
    if (manifest && manifest.reversibility !== step.reversibility)
      breaks(RuleName.IRREVERSIBLE_GATED, step, `is ${manifest.reversibility} and says it is ${step.reversibility}`);
    if ((manifest?.reversibility ?? step.reversibility) !== 'irreversible') continue;
    const gate = step.gate ? gates.get(step.gate) : undefined;
    if (step.authorisation !== undefined) {
      const { authorised } = verdict;
      const hurt = casualtiesOf(assessment, input.manifests[finding.provider], actionName(step));
      if (authorised?.authorisation !== step.authorisation || !onRoot(step) || !outside || plan.purpose !== 'contain')
        breaks(RuleName.IRREVERSIBLE_GATED, step, 'names a standing authorisation that is no leave for it');
      if (assessment.exposure !== 'public' || assessment.proof !== Proof.POSSESSION)
        breaks(RuleName.IRREVERSIBLE_GATED, step, 'names a standing authorisation, and the leak is not proven and public');
      if (!isOneWay(input.manifests[finding.provider], root.credential, actionName(step)))
        breaks(RuleName.IRREVERSIBLE_GATED, step, 'names a standing authorisation, though there is another way');
      if (hurt.length > 0 && (gate?.reason !== 'irreversible' || gate.rule.deadlineMs < (authorised?.cascadeMs ?? 0)))
        breaks(RuleName.IRREVERSIBLE_GATED, step, `takes ${hurt.join(', ')} along, and people are not asked first`);
      for (const id of hurt)
        if (gate && !gate.question.includes(reach.index.nodes.get(id)?.title ?? id))
          breaks(RuleName.IRREVERSIBLE_GATED, step, `its question does not name ${id}`);
      continue;
    }
    if (gate?.reason !== 'irreversible') breaks(RuleName.IRREVERSIBLE_GATED, step, 'cannot be undone and is not asked about as such');
    else if (gate.rule.onSilence === 'proceed') breaks(RuleName.IRREVERSIBLE_GATED, step, 'cannot be undone and would be done in silence');
    else if (!gate.question.includes(calledBy(step)))
      breaks(RuleName.IRREVERSIBLE_GATED, step, 'is not named in the question asked about it');
    if (mints.some((mint) => precedes(step, mint))) continue;
    for (const other of plan.steps) {
      if (does(knowledge, 'watchNewUse', other) && onRoot(step) && !precedes(other, step))
        breaks(RuleName.IRREVERSIBLE_GATED, step, `is done before ${other.title}, which can still go wrong`);
      if (
        other !== step &&
        does(knowledge, 'disable', other) &&
        memberOf(other) !== undefined &&
        memberOf(other) === memberOf(step) &&
        !precedes(other, step)
      )
        breaks(RuleName.IRREVERSIBLE_GATED, step, 'removes what could have been turned off first');
    }
  }

  for (const step of plan.steps) {
    const manifest = manifestOf(step);
    if (manifest?.scope !== 'principal') {
      if (step.hold) breaks(RuleName.ONE_HOLD, step, 'goes through a hold though it hits no principal');
      continue;
    }
    const principal = knowledge?.principal(step.hold, step.account);
    if (!step.hold || !principal || !pullsHold(step, principal))
      breaks(RuleName.ONE_HOLD, step, 'hits a whole principal and does not go through its hold');
    const control = principal && (does(knowledge, 'liftFence', step) ? knowledge?.fence?.(principal) : knowledge?.deny(principal));
    if (lifts.includes(step) && knowledge && principal && !done.active(knowledge.provider, control))
      breaks(RuleName.ONE_HOLD, step, 'lifts a deny that this incident did not put on');
  }

  for (const cut of cuts) {
    for (const step of disables) {
      if (!isSame(step, cut) || (step.gate !== undefined && step.gate !== cut.gate)) continue;
      if (!precedes(step, cut)) breaks(RuleName.CUT_OFF_AFTER_DISABLE, cut, `is stamped before ${step.title} is in effect`);
    }
  }
  for (const cut of roleCuts) {
    for (const step of disables) {
      if (step.gate !== undefined && step.gate !== cut.gate) continue;
      if (!precedes(step, cut)) breaks(RuleName.CUT_OFF_AFTER_DISABLE, cut, `is stamped before ${step.title} is in effect`);
    }
  }
  for (const step of disables) {
    const principal = principalOf(step);
    // Where there is no such control there is none to lay.
    if (knowledge && principal && !knowledge.cutOff(principal)) continue;
    const laid = cuts.some((each) => isSame(each, step)) || fencedIn(principal);
    const refused = input.done.some((each) => each.refusedBy && does(knowledge, 'cutOff', each.step) && isSame(each.step, step));
    if (!laid && !refused && step.gate === undefined)
      breaks(RuleName.CUT_OFF_AFTER_DISABLE, step, 'turns a key off and leaves its sessions');
  }

  for (const step of fences) {
    const declared = new Set(consumers.flatMap((each) => [...each.networks, ...(each.vpcs ?? [])]));
    const letIn = [step.params.networks, step.params.vpcs].flatMap((each) => (Array.isArray(each) ? each : []));
    if (letIn.length === 0 || letIn.some((each) => !declared.has(each)))
      breaks(RuleName.EXACT_TARGETS, step, 'lets in what no consumer of the principal declares');
    for (const consumer of consumers)
      if (!letIn.some((each) => consumer.networks.includes(each) || consumer.vpcs?.includes(each)))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `shuts ${consumer.name} out`);
    if (!outside) breaks(RuleName.ASKED_FIRST, step, 'fences in where people are asked first');
  }
  // A leaked one that a fence leaves on is turned off as carefully as where people are asked first.
  if (plan.purpose === 'rotate' && root.standing === Standing.STOPPED && fencedIn(root.principal)) {
    const verify = doing('watchNewUse', 'watchOldQuiet');
    for (const step of disables.filter(onRoot)) {
      if (mints.some((mint) => precedes(step, mint))) continue;
      for (const each of verify)
        if (!precedes(each, step)) breaks(RuleName.CONSUMERS_BEFORE_REVOKE, step, `turns the old one off before ${each.title}`);
    }
  }

  for (const step of lifts) {
    const principal = knowledge?.principal(step.hold, step.account);
    const cut = knowledge && principal ? done.active(knowledge.provider, knowledge.cutOff(principal)) : undefined;
    if (knowledge && principal && !knowledge.cutOff(principal)) {
      const denied = done.active(knowledge.provider, knowledge.deny(principal));
      if (denied && wakesNothingAt({ knowledge, principal }, denied) > Date.parse(finding.providerTime))
        breaks(RuleName.LIFT_LAST, step, 'lifts the deny before what was made before it has expired');
      for (const member of members) {
        const waits = member.standing === Standing.STOPPED && member.principal?.id === principal.id;
        if (waits || !isHarmless(member.standing)) breaks(RuleName.LIFT_LAST, step, `lifting the deny would wake ${member.title}`);
      }
      continue;
    }
    const early = cuts.some((each) => isSame(each, step) && precedes(each, step));
    if (!cut && !early) breaks(RuleName.LIFT_LAST, step, 'lifts the deny with no cut-off in place');
    const stamp = cut && knowledge ? stampOf(cut, knowledge) : undefined;
    for (const member of members) {
      if (!knowledge || member.principal?.id !== principal?.id) {
        if (!isHarmless(member.standing)) breaks(RuleName.LIFT_LAST, step, `lifts the deny while ${member.title} stands`);
        continue;
      }
      if (member.standing === Standing.DEAD || member.standing === Standing.EXPIRED || member.standing === Standing.OFF) continue;
      const cutToo =
        knowledge.stoppedBy(member.credential).includes((principal && knowledge.cutOff(principal)?.action) ?? '') &&
        stamp !== undefined &&
        member.credential.issuedAt !== undefined &&
        Date.parse(member.credential.issuedAt) < stamp;
      if (member.standing !== Standing.STOPPED || !cutToo) breaks(RuleName.LIFT_LAST, step, `lifting the deny would wake ${member.title}`);
    }
    if (!mints.some((each) => precedes(each, step)) && mints.length > 0)
      breaks(RuleName.LIFT_LAST, step, 'lifts the deny before there is a new key');
  }
  for (const step of uncuts) {
    const due = input.done
      .filter((each) => each.residual?.until && each.step.hold === step.hold)
      .reduce((latest, each) => Math.max(latest, Date.parse(each.residual?.until ?? '')), Number.NEGATIVE_INFINITY);
    if (!Number.isFinite(due) || due > Date.parse(finding.providerTime))
      breaks(RuleName.LIFT_LAST, step, 'lifts the cut-off before the last session from before it has expired');
    for (const { principal, standing, credential, title } of members) {
      if (principal?.id !== step.hold || standing !== Standing.STOPPED || !credential.expiresAt) continue;
      if (Date.parse(credential.expiresAt) > Date.parse(finding.providerTime))
        breaks(RuleName.LIFT_LAST, step, `lifting the cut-off would wake ${title}`);
    }
  }

  for (const step of disables.filter(onRoot)) {
    if (!rootAlive) continue;
    const hurt = plan.purpose === 'contain' || mints.some((mint) => precedes(step, mint)) ? consumers : consumers.filter(stubborn);
    for (const consumer of hurt) {
      if (step.impact !== 'outage' || !step.affects.includes(consumer.id))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `does not say that ${consumer.name} is out`);
      const question = step.gate ? gates.get(step.gate)?.question : undefined;
      if (question !== undefined && step.gate === 'g-outage' && !question.includes(consumer.name))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `its question does not name ${consumer.name}`);
      if (!plan.predicted.some((each) => each.consumer === consumer.id))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `no outage of ${consumer.name} is predicted`);
    }
  }
  const view = viewOf(input);
  for (const step of roleCuts) {
    const role = knowledge?.principal(step.hold, step.account);
    if (!view || !role) continue;
    for (const consumer of bystandersOf(view, role).bystanders) {
      const gate = step.gate ? gates.get(step.gate) : undefined;
      if (step.impact !== 'outage' || !step.affects.includes(consumer.id))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `does not say that ${consumer.name}, which acts as the role too, is out`);
      if (!gate) breaks(RuleName.ASKED_FIRST, step, `refuses ${consumer.name}, which has nothing to do with the leak, unasked`);
      else if (gate.reason === 'outage' && !gate.question.includes(consumer.name))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `its question does not name ${consumer.name}`);
      if (!plan.predicted.some((each) => each.consumer === consumer.id && each.fromStep === step.id))
        breaks(RuleName.OUTAGE_SPELLED_OUT, step, `no outage of ${consumer.name} is predicted`);
    }
  }
  for (const each of plan.predicted) {
    if (!steps.has(each.fromStep) && !input.done.some((other) => other.step.id === each.fromStep))
      breaks(RuleName.OUTAGE_SPELLED_OUT, each.fromStep, 'an outage is predicted from a step that there is not');
    if (each.untilStep && !steps.has(each.untilStep))
      breaks(RuleName.OUTAGE_SPELLED_OUT, each.untilStep, 'an outage is predicted until a step that there is not');
  }

  const guarded = new Set([...verdict.protected, ...inventory.protectedTargets]);
  const written = new Set(stores.map((each) => `${each.account}\n${each.path}`));
  for (const step of plan.steps) {
    for (const [name, value] of Object.entries(step.target)) {
      if (value === '' || (step.provider !== 'manual' && /[*?]/.test(value)))
        breaks(RuleName.EXACT_TARGETS, step, `its ${name} is no exact name`);
      const gate = step.gate ? gates.get(step.gate) : undefined;
      if (changes(step) && name !== 'account' && guarded.has(value) && gate?.reason !== 'protected' && gate?.reason !== 'irreversible')
        breaks(RuleName.EXACT_TARGETS, step, `touches ${value}, which is protected, unasked`);
    }
    if (!changes(step)) continue;
    if (finding.canary) breaks(RuleName.EXACT_TARGETS, step, 'touches a canary');
    if (does(knowledge, 'disable', step) || does(knowledge, 'remove', step)) {
      const member = memberOf(step);
      const node = [...reach.index.nodes.values()].find(({ credential }) => credential && isNamedBy(step, credential, finding.provider));
      const ours = node !== undefined && reach.ours.has(node.id);
      const inTheWay = deletes.includes(step) && node?.credential?.live.state === 'no' && mints.some((mint) => precedes(step, mint));
      if (ours || (!member && !inTheWay))
        breaks(RuleName.EXACT_TARGETS, step, `touches ${calledBy(step)}, which is none of the incident's`);
      if (knowledge && member?.principal) {
        const own = [knowledge.disable(member.credential, member.principal), knowledge.remove(member.credential, member.principal)];
        if (!own.some((lever) => pulls(step, knowledge.provider, lever)))
          breaks(RuleName.EXACT_TARGETS, step, `names ${Object.values(step.target).join(' ')}, which the key does not act as`);
      }
      if (member?.origin === 'doubtful' && step.gate === undefined)
        breaks(RuleName.EXACT_TARGETS, step, 'turns off a key that may be anybody’s, unasked');
    }
    if (step.target.path !== undefined && !written.has(`${step.account}\n${step.target.path}`))
      breaks(RuleName.EXACT_TARGETS, step, `writes to ${step.target.path}, which holds nothing of the principal`);
    if (
      step.target.role !== undefined &&
      !members.some((each) => each.principal?.kind === 'role' && each.principal.name === step.target.role)
    )
      breaks(RuleName.EXACT_TARGETS, step, `touches role ${step.target.role}, of which the leak has no session`);
    if (
      knowledge &&
      step.hold !== undefined &&
      step.target.user === undefined &&
      step.target.role === undefined &&
      !members.some((each) => each.principal?.id === step.hold)
    )
      breaks(RuleName.EXACT_TARGETS, step, `touches ${step.hold}, whom the leak does not reach`);
    if (step.target.user !== undefined && !members.some((each) => each.principal?.name === step.target.user))
      breaks(RuleName.EXACT_TARGETS, step, `touches ${step.target.user}, whom the leak does not reach`);
  }

  const contained = input.done.some(
    (each) => each.state === 'done' && each.step.provider !== 'manual' && (each.step.phase === 'contain' || each.step.phase === 'revoke'),
  );
  for (const step of [...mints, ...lifts]) {
    if (isDated(step) && verdict.mode === Mode.PASS) continue;
    if (contained && sweptOf(assessment, input.done, input.manifests) !== 'yes')
      breaks(RuleName.SWEPT_FIRST, step, 'replaces before a sweep that counts has found nothing more');
    if (outside && members.some((each) => each.fresh && !isHarmless(each.standing)))
      breaks(RuleName.SWEPT_FIRST, step, 'replaces in the round in which something new was found');
    if (outside && rootAlive && !input.done.some((each) => !onOne(each.step) && each.refusedBy))
      breaks(RuleName.SWEPT_FIRST, step, 'replaces before the leaked one is contained');
  }

  for (const secret of finding.secretsRead)
    if (!plan.notes.some((each) => each.includes(secret))) breaks(RuleName.READ_SECRETS_NAMED, '', `${secret} was read and is not named`);

  for (const step of plan.steps) {
    const gate = step.gate ? gates.get(step.gate) : undefined;
    if (step.action.endsWith('/stage-secret') || step.action.endsWith('/distribute-secret')) {
      for (const store of stores) {
        if (store.path !== step.target.path || store.account !== step.account) continue;
        for (const { who } of waysInto({ reach, secretsRead: finding.secretsRead }, store)) {
          if (gate?.reason === 'protected' && gate.question.includes(store.path) && gate.rule.onSilence === 'hold') continue;
          breaks(RuleName.NO_LEAKY_STORE, step, `puts the new one where ${who}, which is not contained, can read it`);
        }
      }
    }
    if (mints.includes(step) && issuersOf({ reach }).length > 0 && gate?.reason !== 'protected')
      breaks(RuleName.NO_LEAKY_STORE, step, 'has the new one made by what is not contained');
  }

  for (const step of changing) {
    if ((assessment.proof === Proof.CLAIM || verdict.mode === Mode.ASK) && step.gate === undefined && !isDated(step))
      breaks(RuleName.ASKED_FIRST, step, 'is done unasked');
    if (verdict.mode === Mode.HOLD || (verdict.mode === Mode.PASS && !isDated(step)))
      breaks(RuleName.ASKED_FIRST, step, `changes something though policy says ${verdict.mode}`);
    if (finding.ours.state === 'no') breaks(RuleName.ASKED_FIRST, step, 'touches what is not ours');
    if (input.rolledBack && !isDated(step)) breaks(RuleName.ASKED_FIRST, step, 'changes something after a rollback');
    const gate = step.gate ? gates.get(step.gate) : undefined;
    if (assessment.proof === Proof.CLAIM && gate && gate.rule.onSilence !== 'hold')
      breaks(RuleName.ASKED_FIRST, step, 'would be done in silence on a mere claim');
  }

  for (const step of plan.steps) {
    const key = JSON.stringify([step.action, Object.entries(step.target).sort()]);
    const refused = input.done.find(
      (each) => each.refusedBy && JSON.stringify([each.step.action, Object.entries(each.step.target).sort()]) === key,
    );
    if (refused) breaks(RuleName.REFUSED_STAYS, step, `was refused by ${refused.refusedBy}`);
  }
  return broken;

  /** What the step's credential is called, where it is one that we know. */
  function calledBy(step: PlanStep): string {
    const credential =
      memberOf(step)?.credential ??
      [...reach.index.nodes.values()].find((each) => each.credential && isNamedBy(step, each.credential, finding.provider))?.credential;
    return step.target.accessKeyId ?? (credential && knowledge?.nameOf(credential)) ?? '';
  }

  /** Whether the plan, or an earlier one, has fenced a principal in. */
  function fencedIn(principal: Principal | undefined): boolean {
    if (!knowledge || !principal) return false;
    return fences.some((each) => each.hold === principal.id) || done.active(knowledge.provider, knowledge.fence?.(principal)) !== undefined;
  }

  /** Whether a step that hits a whole principal hits the one that its hold names. */
  function pullsHold(step: PlanStep, principal: Principal): boolean {
    if (!knowledge) return false;
    const fence = [knowledge.fence?.(principal), knowledge.liftFence?.(principal)];
    return [
      knowledge.deny(principal),
      knowledge.liftDeny(principal),
      knowledge.cutOff(principal),
      knowledge.liftCutOff(principal),
      ...fence,
    ].some((lever) => pulls(step, knowledge.provider, lever));
  }

  function stops(step: PlanStep, member: Member): boolean {
    if (step.action === 'manual/contain') return step.target.credential === member.id;
    const of = step.action === 'manual/by-hand' ? (step.target.of?.split('/')[1] ?? '') : undefined;
    if (!knowledge || !member.principal) return false;
    const off = knowledge.standsAlone(member.credential) ? turnOff(knowledge, member.credential, member.principal) : undefined;
    if (of !== undefined && of === off?.action) return step.target.subject === off.subject;
    if (of !== undefined)
      return (
        step.target.subject === member.principal.name &&
        knowledge.stoppedBy(member.credential).includes(of) &&
        !knowledge.standsAlone(member.credential)
      );
    if (off && step.action === `${knowledge.provider}/${off.action}`) return isNamedBy(step, member.credential, knowledge.provider);
    const name = actionName(step);
    return (
      step.hold === member.principal.id &&
      knowledge.stoppedBy(member.credential).includes(name) &&
      !knowledge.standsAlone(member.credential)
    );
  }
}

/** Whether a step's target holds all that a credential is called by. */
function isNamedBy(step: PlanStep, credential: Member['credential'], provider: string): boolean {
  if (step.provider !== provider || step.hold !== undefined) return false;
  const named = new Set(Object.values(step.target));
  const names = Object.values(credential.locator);
  return names.length > 0 && names.every((each) => named.has(each));
}

/** For each step everything that is done before it; undefined where the needs go in a circle. */
function closure(steps: readonly PlanStep[]): ReadonlyMap<string, ReadonlySet<string>> | undefined {
  const byId = new Map(steps.map((each) => [each.id, each]));
  const done = new Map<string, Set<string>>();
  const open = new Set<string>();
  const visit = (id: string): Set<string> | undefined => {
    const known = done.get(id);
    if (known) return known;
    if (open.has(id)) return undefined;
    open.add(id);
    const all = new Set<string>();
    for (const need of byId.get(id)?.needs ?? []) {
      if (!byId.has(need)) continue;
      const further = visit(need);
      if (!further) return undefined;
      all.add(need);
      for (const each of further) all.add(each);
    }
    open.delete(id);
    done.set(id, all);
    return all;
  };
  for (const { id } of steps) if (!visit(id)) return undefined;
  return done;
}
