import { casualtiesOf } from '../domain/authorisation.ts';
import type { CredentialNode, Residual } from '../domain/credential.ts';
import type { Plan, PlanStep } from '../domain/plan.ts';
import { Mode } from '../domain/policy.ts';
import { Proof } from '../domain/report.ts';
import { contain } from './contain.ts';
import { type AccountTerms, Draft, Gate, listed, type View } from './draft.ts';
import { concerning, containedExtent, isHarmless, type Member, reachOf, Standing, sweptOf } from './facts.ts';
import type { PlanInput } from './input.ts';
import type { KindKnowledge, Principal } from './kinds/kind.ts';
import { does, isCutOff, isLiftOfCutOff, pulls } from './levers.ts';
import { byHandOnly, tellOwner } from './manual.ts';
import { liftDeny, rotate } from './rotate.ts';

export type { PlanInput } from './input.ts';

type Content = Pick<Plan, 'purpose' | 'gates' | 'steps' | 'predicted' | 'residuals' | 'notes'>;

/**
 * The plan of a round: what is to be done next, given what is known and done. A pure function: the same input gives the same bytes of canonical JSON. An
 * empty plan has purpose `nothing` and says why in its notes.
 */
export function planRound(input: PlanInput): Plan {
  const content = contentOf(input);
  return {
    v: 1,
    engine: input.engine,
    incident: input.incident,
    run: input.run,
    round: input.round,
    credential: input.assessment.credential,
    purpose: content.steps.length === 0 ? 'nothing' : content.purpose,
    mode: input.verdict.mode,
    assessment: input.assessmentHash,
    verdict: input.verdictHash,
    ...(input.snapshotHash ? { snapshot: input.snapshotHash } : {}),
    gates: content.gates,
    steps: content.steps,
    predicted: content.predicted,
    residuals: content.residuals,
    notes: content.notes,
    issuedAt: input.now,
    expiresAt: new Date(Date.parse(input.now) + input.verdict.planValidMs).toISOString(),
  };
}

function contentOf(input: PlanInput): Content {
  const { assessment, verdict } = input;
  const { finding } = assessment;
  const bare = bareView(input);
  const draft = new Draft(bare);
  const finish = (purpose: Plan['purpose']): Content => {
    draft.residuals.unshift(
      ...standingResiduals(input, draft.view.reach).filter((each) => !draft.residuals.some((other) => other.what === each.what)),
    );
    gateQuestions(input, draft);
    return {
      purpose,
      gates: draft.gates(),
      steps: draft.steps,
      predicted: draft.predicted,
      residuals: draft.residuals,
      notes: draft.notes,
    };
  };

  if (assessment.finding.secretsRead.length > 0)
    draft.note(
      `The log shows that these were read with it, and each is an incident of its own: ${assessment.finding.secretsRead.join(', ')}.`,
    );

  const view = viewOf(input, bare);
  if (input.rolledBack) {
    if (view) release(view, draft, input);
    if (draft.steps.length === 0)
      draft.note('The incident was rolled back: nothing more is done but to lift what must stand until its date.');
    return finish('release');
  }
  if (finding.canary) {
    draft.note(
      `${draft.view.reach.root.title} is a canary: it is left as it is, and who touched it is for detection to follow. ${verdict.reason}`,
    );
    return finish('nothing');
  }
  if (verdict.mode === Mode.PASS) {
    draft.note(verdict.reason);
    if (view) release(view, draft, input);
    return finish('release');
  }
  if (finding.ours.state === 'no') {
    tellOwner(input, draft);
    return finish('manual');
  }
  if (!view) {
    const { standing } = draft.view.reach.root;
    if (draft.view.reach.knowledge && (standing === Standing.DEAD || standing === Standing.EXPIRED)) deadNote(input, draft);
    else byHandOnly(input, draft);
    return finish('manual');
  }
  const terms = termsOf(input).find((each) => each.provider === finding.provider && each.account === finding.account);
  if (terms?.mode === 'observe') {
    const would = new Draft(draft.view);
    respond(view, would, input);
    draft.note(
      `The account ${finding.account} is only observed. ${would.steps.length > 0 ? `In mode act this would be done: ${would.steps.map((each) => each.title).join('; ')}.` : 'Nothing would be done.'}`,
    );
    return finish('nothing');
  }
  if (verdict.mode === Mode.HOLD || terms?.mode === 'propose') {
    killSheet(
      view,
      draft,
      input,
      verdict.mode === Mode.HOLD
        ? verdict.reason
        : `The account ${finding.account} is in mode propose: a person does what the engine would.`,
    );
    return finish('manual');
  }
  const purpose = respond(view, draft, input);
  return finish(purpose);
}

/** The round's work on a credential that a provider looks after. */
function respond(view: View, draft: Draft, input: PlanInput): Plan['purpose'] {
  const { reach } = view;
  const { root } = reach;
  const deadBefore = root.standing === Standing.DEAD && !touched(view, input);
  const act = input.verdict.mode === Mode.ACT && !view.claim;
  const stands = reach.members.some((each) => !isHarmless(each.standing));

  if (deadBefore) {
    if (reach.members.some((each) => each.origin !== 'leaked' && !isHarmless(each.standing))) contain(view, draft);
    if (draft.steps.length > 0) return 'contain';
    deadNote(input, draft);
    return 'nothing';
  }

  // What stands is stopped first where nobody needs to be asked, and in any case where the old one is off and something new has turned up.
  if (act || root.standing === Standing.OFF) {
    contain(view, draft);
    if (draft.steps.length > 0) {
      predictContainment(view, draft);
      return 'contain';
    }
  }
  const contained = reach.done.steps.some(
    (each) => each.state === 'done' && (each.step.phase === 'contain' || each.step.phase === 'revoke') && each.step.provider !== 'manual',
  );
  if (contained && view.swept !== 'yes') {
    draft.note(
      view.swept === 'unknown'
        ? `Waiting for the logs to pass the last containment, as until then nobody can say whether the sweep is whole: ${input.assessment.swept.state === 'unknown' ? input.assessment.swept.why : 'the sweep does not count yet'}.`
        : 'The sweep is not whole: it found that the logs have not passed the last containment.',
    );
    return 'nothing';
  }
  const found = input.round > 1 ? reach.members.filter((each) => each.fresh && each.origin !== 'leaked') : [];
  if (contained && found.length > 0) {
    draft.note(
      `The sweep found ${listed(found.map((each) => each.title))}, stopped already; it is swept once more before anything is replaced.`,
    );
    return 'nothing';
  }
  if (act && stands) {
    draft.note(
      `${listed(reach.members.filter((each) => !isHarmless(each.standing)).map((each) => each.title))} still ${reach.members.filter((each) => !isHarmless(each.standing)).length === 1 ? 'stands' : 'stand'}: no replacement is made before that is stopped.`,
    );
    return 'nothing';
  }
  rotate(view, draft);
  if (draft.steps.length > 0) return 'rotate';
  release(view, draft, input);
  if (draft.steps.length > 0) return 'release';
  const extent = containedExtent(input.assessment, input.done, input.manifests);
  draft.note(
    extent === 'yes'
      ? 'Nothing is left to do: what the leak reached is dead or stopped, and the sweep found nothing more.'
      : `Nothing more can be planned; contained: ${extent}.`,
  );
  return 'nothing';
}

/** Whether a step of ours turned it off, rather than somebody before us. */
function touched({ reach, knowledge, principal }: View, input: PlanInput): boolean {
  const levers = [knowledge.disable(reach.root.credential, principal), knowledge.remove(reach.root.credential, principal)];
  return (
    levers.some((lever) => reach.done.active(knowledge.provider, lever)) ||
    input.done.some(
      (each) =>
        each.state === 'done' &&
        each.step.provider === 'manual' &&
        (each.step.target.credential === reach.root.id || each.step.action === 'manual/by-hand'),
    )
  );
}

function deadNote({ assessment }: PlanInput, draft: Draft): void {
  const { root } = draft.view.reach;
  draft.note(`${root.title} is dead already, so there is nothing to contain.`);
  draft.note(
    assessment.swept.state === 'yes'
      ? 'Its life was swept: nothing that it made still stands.'
      : `Its life is not swept yet, so what it made is not known: ${assessment.swept.state === 'unknown' ? assessment.swept.why : assessment.swept.evidence}.`,
  );
}

/** Lifts cut-offs whose last possible session has expired, by the provider's clock. */
function release(view: View, draft: Draft, input: PlanInput): void {
  const { knowledge, reach } = view;
  const alive = reach.members.filter(
    (each) => knowledge.standsAlone(each.credential) && (each.standing === Standing.STANDS || each.standing === Standing.UNKNOWN),
  );
  if (alive.length > 0 && !input.rolledBack) return;
  // A deny that nothing narrower replaces is dated as well.
  if (!input.rolledBack && input.verdict.mode === Mode.PASS && !knowledge.cutOff(view.principal))
    liftDeny(view, draft, { state: 'done', id: '' });
  for (const [id, due] of cutOffs(input, reach.members, knowledge)) {
    const principal = knowledge.principal(id, view.account);
    // Where there is no narrower control, what an undo has left standing is the deny.
    const lever = principal && (knowledge.liftCutOff(principal) ?? knowledge.liftDeny(principal));
    if (!principal || !lever || Date.parse(due) > Date.parse(view.providerTime)) continue;
    draft.want({
      provider: knowledge.provider,
      account: principal.account,
      lever,
      promised: true,
      params: { until: [due] },
      impact: 'none',
      again: true,
    });
  }
}

/**
 * Cut-offs that still stand, by principal, and until when: not before the last credential that it is known to stop has expired. One that an undo has left standing counts as well.
 */
function cutOffs(input: PlanInput, members: readonly Member[], knowledge: KindKnowledge | undefined): ReadonlyMap<string, string> {
  const standing = new Map<string, string>();
  for (const { step, state, residual } of input.done) {
    if (!step.hold) continue;
    if (
      state === 'done' &&
      (isLiftOfCutOff(knowledge, step) || (knowledge?.actions.cutOff.length === 0 && does(knowledge, 'liftDeny', step)))
    )
      standing.delete(step.hold);
    else if (residual?.until && (isCutOff(knowledge, step) || state === 'undone')) {
      const there = standing.get(step.hold);
      if (!there || Date.parse(residual.until) > Date.parse(there)) standing.set(step.hold, residual.until);
    }
  }
  for (const { principal, standing: stands, credential } of members) {
    const there = principal && standing.get(principal.id);
    if (!there || stands !== Standing.STOPPED || !credential.expiresAt) continue;
    if (Date.parse(credential.expiresAt) > Date.parse(there)) standing.set(principal.id, credential.expiresAt);
  }
  return standing;
}

/** What must stand on, and until when: from the steps that left it, less what was lifted since. */
function standingResiduals(input: PlanInput, { members, knowledge }: View['reach']): Residual[] {
  const stamped = new Map<string, { readonly residual: Residual; readonly until: string }>();
  const dates = cutOffs(input, members, knowledge);
  const out = new Map<string, Residual>();
  for (const { step, residual } of input.done) {
    if (!residual) continue;
    if (step.hold && residual.until) {
      // One control, stamped again, leaves one residual: the latest.
      const there = stamped.get(step.hold);
      if (there && Date.parse(there.until) >= Date.parse(residual.until)) continue;
      stamped.set(step.hold, { residual, until: residual.until });
    } else out.set(`${residual.what}\n${residual.target}`, residual);
  }
  for (const [hold, { residual }] of stamped) {
    const until = dates.get(hold);
    if (until) out.set(hold, { ...residual, until });
  }
  return [...out.values()];
}

/** What the engine would do, for a person to do by hand. */
function killSheet(view: View, draft: Draft, input: PlanInput, why: string): void {
  draft.note(why);
  // A person may touch what the engine itself stands on.
  const would = new Draft({ ...draft.view, asking: false, verdict: { ...draft.view.verdict, self: [] } });
  const purpose = respond({ ...view, asking: false }, would, input);
  if (would.steps.length === 0) {
    for (const note of would.notes) draft.note(note);
    return;
  }
  const ids = new Map<string, string>();
  draft.ask(Gate.BY_HAND, 'manual', `Have these been done by hand: ${would.steps.map((each) => each.title).join('; ')}? ${why}`, {
    ...input.verdict.gates.outage,
    onSilence: 'hold',
  });
  for (const step of would.steps) {
    const named = step.provider === 'manual' ? undefined : Object.entries(step.target).findLast(([name]) => name !== 'account')?.[1];
    const subject = step.target.accessKeyId ?? step.target.user ?? step.target.role ?? step.target.path ?? named ?? step.id;
    const wanted = draft.wantManual({
      action: 'by-hand',
      target: { of: step.action, round: String(input.round), ...step.target, account: step.account },
      subject: `${step.action.split('/')[1]}-${subject}`,
      title: `By hand: ${step.title}`,
      byHand: step.byHand,
      question: '',
      phase: step.phase,
      impact: step.impact,
      affects: step.affects,
      after: step.needs.flatMap((need) => (ids.has(need) ? [{ state: 'planned' as const, id: ids.get(need) as string }] : [])),
      gate: Gate.BY_HAND,
    });
    if (wanted.state === 'planned') ids.set(step.id, wanted.id);
  }
  draft.predicted.push(
    ...would.predicted.flatMap(({ untilStep, ...each }) => {
      const from = ids.get(each.fromStep);
      const until = untilStep && ids.get(untilStep);
      return from ? [{ ...each, fromStep: from, ...(until ? { untilStep: until } : {}) }] : [];
    }),
  );
  draft.note(`This is the kill sheet of a plan to ${purpose}: nothing in it is done by the engine.`);
}

/** What the containment costs each consumer, as far as the machine alone decides. */
function predictContainment(view: View, draft: Draft): void {
  const from = draft.steps.find((each) => each.impact === 'outage' && !isCutOff(view.knowledge, each));
  if (!from) return;
  const full = view.slots !== undefined && view.slots.used >= view.slots.limit;
  for (const consumer of view.consumers) {
    const endless = consumer.rereads === 'never';
    const seconds = endless ? undefined : Math.ceil(3 * view.propagation + view.logLag + (consumer.rereads as number));
    draft.predicted.push({
      consumer: consumer.id,
      because: `${consumer.name} uses what is turned off, and is out until a sweep has found nothing more and it reads a new key${
        endless ? ', for which somebody must restart it' : ''
      }.${full ? ` Both places for a key of ${view.principal.name} are taken: until a person approves a deletion no new key can be made, and that time comes on top.` : ''}`,
      fromStep: from.id,
      ...(seconds === undefined ? {} : { seconds }),
    });
  }
}

/** Whole sentences at the gates that cover many steps. */
function gateQuestions(input: PlanInput, draft: Draft): void {
  const at = (gate: string) => draft.steps.filter((each) => each.gate === gate);
  const names = new Map(input.inventory.consumers.map((each) => [each.id, each]));
  const called = (ids: Iterable<string>) => listed([...new Set(ids)].map((id) => names.get(id)?.name ?? id));
  const { outage, irreversible } = input.verdict.gates;
  const onHold = { ...outage, onSilence: 'hold' as const };

  const asked = at(Gate.OUTAGE);
  if (asked.length > 0) {
    const root = draft.view.reach;
    const { knowledge } = root;
    const disables = asked.filter((each) => does(knowledge, 'disable', each));
    const cut = (knowledge?.actions.cutOff.length ?? 0) > 0;
    const roles = asked.filter((each) => each.target.role !== undefined && isCutOff(knowledge, each));
    const mint = asked.some((each) => does(knowledge, 'mint', each));
    const delivered = asked.filter((each) => each.action.endsWith('/distribute-secret')).map((each) => each.target.path ?? '');
    const watched = asked.filter((each) => does(knowledge, 'watchNewUse', each)).flatMap((each) => each.target.consumer ?? []);
    const hurt = asked.filter((each) => each.impact === 'outage').flatMap((each) => each.affects);
    const perhaps = asked.filter((each) => each.impact === 'possible').flatMap((each) => each.affects);
    const sentences = [
      mint && delivered.length > 0
        ? `Shall ${root.root.title} be replaced: a new key made and delivered to ${listed(delivered)}?`
        : `Shall the engine act on ${root.root.title}: ${asked.map((each) => each.title).join('; ')}?`,
      ...(watched.length > 0
        ? [`${called(watched)} ${new Set(watched).size === 1 ? 'is' : 'are'} watched until seen on the new key.`]
        : []),
      ...(disables.length > 0
        ? [
            `Then ${listed(disables.map((each) => memberOn(root, each)?.name ?? ''))} ${disables.length === 1 ? 'is' : 'are'} turned off${cut ? ', and sessions issued before are refused' : ''}.`,
          ]
        : []),
      ...(roles.length > 0
        ? [
            `Sessions of ${listed(roles.map((each) => `role ${each.target.role}`))} issued until then are refused as well, as the leak holds some: whoever else acts as ${roles.length === 1 ? 'it' : 'one of them'} has to assume it again.`,
          ]
        : []),
      ...stubbornWords(hurt, names),
      ...(hurt.length === 0 && perhaps.length > 0
        ? [`No outage is predicted for ${called(perhaps)}; a use that nobody declared would be cut.`]
        : []),
      ...(draft.view.claim ? ['All that stands behind this is a claim: nobody has shown that the secret is out.'] : []),
    ];
    draft.ask(Gate.OUTAGE, 'outage', sentences.join(' '), draft.view.claim ? onHold : outage);
  }
  const removed = at(Gate.IRREVERSIBLE);
  if (removed.length > 0) {
    const { knowledge } = draft.view.reach;
    const words = removed.map((each) => {
      const { member, name, of } = memberOn(draft.view.reach, each) ?? {};
      const key = name ?? Object.values(each.target).at(-1) ?? '';
      const what =
        member?.origin === 'leaked'
          ? 'the leaked key'
          : member?.origin === 'doubtful'
            ? 'whose it is nobody can say'
            : member
              ? 'made while the leak was open, and evidence of it'
              : 'turned off, used by nobody, and in the way of a new key';
      return `${key} of ${of ?? 'its principal'} (${what})`;
    });
    const waiting = draft.predicted.filter(
      (each) =>
        draft.steps.some(
          (step) => does(knowledge, 'mint', step) && step.needs.some((need) => removed.some((other) => other.id === need)),
        ) && each.consumer,
    );
    const because = draft.manifestOf(removed[0]?.provider ?? '', removed[0]?.action.split('/')[1] ?? '')?.irreversibleBecause;
    draft.ask(
      Gate.IRREVERSIBLE,
      'irreversible',
      [
        `Shall ${listed(words)} be deleted?`,
        `This cannot be undone${because ? `: ${because.replace(/\.$/, '')}` : ''}.`,
        ...(waiting.length > 0
          ? [
              `Until it is answered ${called(waiting.map((each) => each.consumer))} cannot be given a new key, as all places for one are taken.`,
            ]
          : []),
        ...(removed.some((each) => each.impact === 'outage')
          ? [
              `${called(removed.flatMap((each) => each.affects))} ${removed.flatMap((each) => each.affects).length === 1 ? 'is' : 'are'} out from then until the new key is there.`,
            ]
          : []),
      ].join(' '),
      irreversible,
    );
  }
  const authorised = input.verdict.authorised;
  for (const step of at(Gate.CASCADE)) {
    if (!authorised) continue;
    const { index, root } = draft.view.reach;
    const hurt = draft.view.casualties(step.action.slice(step.provider.length + 1)).map((id) => index.nodes.get(id)?.title ?? id);
    const because = draft.manifestOf(step.provider, step.action.slice(step.provider.length + 1))?.irreversibleBecause;
    const name = memberOn(draft.view.reach, step)?.name ?? root.id;
    draft.ask(
      Gate.CASCADE,
      'irreversible',
      `Shall ${root.title} (${name}) be ended for good? ${listed(hurt)} ${hurt.length === 1 ? 'is' : 'are'} in use and would die with it. This cannot be undone${because ? `: ${because.replace(/\.$/, '')}` : ''}. After silence it is done, under the standing authorisation ${authorised.id}, which is good until ${authorised.expires}.`,
      { ...irreversible, deadlineMs: authorised.cascadeMs, reminderMs: remindersWithin(authorised.cascadeMs), onSilence: 'proceed' },
    );
  }
  for (const step of draft.steps)
    if (step.authorisation !== undefined && step.gate === undefined && authorised)
      draft.note(
        `"${step.title}" cannot be undone and nobody is asked: the standing authorisation ${authorised.id} (${authorised.authorisation}), good until ${authorised.expires}, is the leave for it.`,
      );
  const guarded = at(Gate.PROTECTED);
  if (guarded.length > 0)
    draft.ask(
      Gate.PROTECTED,
      'protected',
      `Shall the engine touch what is protected: ${guarded.map((each) => each.title).join('; ')}? ${called(guarded.flatMap((each) => each.affects))} would notice.`,
      onHold,
    );
}

/** Which credential a step turns off or removes, and how it is called; a bystander's is named by the step alone. */
function memberOn(
  { members, knowledge, index, root }: View['reach'],
  step: PlanStep,
): { readonly member?: Member; readonly name: string; readonly of: string } | undefined {
  if (!knowledge) return undefined;
  const on = (credential: CredentialNode, principal: Principal | undefined) =>
    principal !== undefined &&
    [knowledge.disable(credential, principal), knowledge.remove(credential, principal)].some((lever) =>
      pulls(step, knowledge.provider, lever),
    );
  for (const member of members)
    if (on(member.credential, member.principal))
      return { member, name: knowledge.nameOf(member.credential), of: member.principal?.name ?? 'its principal' };
  for (const { id, credential } of index.nodes.values()) {
    if (!credential) continue;
    const principal = knowledge.principal(credential.principal ?? index.out(id, 'acts-as')[0], root.principal?.account ?? '');
    if (on(credential, principal)) return { name: knowledge.nameOf(credential), of: principal?.name ?? 'its principal' };
  }
  return undefined;
}

/** Twice while there is time: after a third, and after two. */
const remindersWithin = (ms: number): readonly number[] => [Math.floor(ms / 3), Math.floor((2 * ms) / 3)].filter((each) => each > 0);

function stubbornWords(hurt: readonly string[], names: ReadonlyMap<string, PlanInput['inventory']['consumers'][number]>): string[] {
  const sentences: string[] = [];
  for (const id of new Set(hurt)) {
    const consumer = names.get(id);
    if (!consumer) continue;
    sentences.push(
      consumer.rereads === 'never'
        ? `${consumer.name} never looks at its store again: it is out from then until somebody restarts it (${consumer.owner}, ${consumer.contact}).`
        : !consumer.overlap
          ? `${consumer.name} cannot hold two keys at once and may be out while it changes over (${consumer.owner}, ${consumer.contact}).`
          : `${consumer.name} is out from then until it reads a new key (${consumer.owner}, ${consumer.contact}).`,
    );
  }
  return sentences;
}

/** The terms of the accounts: as the verdict's record has them, else as they were handed in. */
function termsOf(input: PlanInput): readonly AccountTerms[] {
  return input.verdict.accounts ?? input.accounts ?? [];
}

function bareView(input: PlanInput) {
  const { assessment, verdict } = input;
  const claim = assessment.proof === Proof.CLAIM;
  return {
    round: input.round,
    verdict,
    claim,
    asking: claim || verdict.mode !== Mode.ACT,
    manifests: input.manifests,
    protectedTargets: new Set([...verdict.protected, ...input.inventory.protectedTargets]),
    reach: reachOf(assessment, input.done, input.manifests),
    reported: assessment.credential,
    casualties: (action: string) => casualtiesOf(assessment, input.manifests[assessment.finding.provider], action),
  };
}

/** Everything the planner needs of a credential that it knows how to act on; undefined where it does not. */
export function viewOf(input: PlanInput, bare: ReturnType<typeof bareView> = bareView(input)): View | undefined {
  const { assessment } = input;
  const { finding } = assessment;
  const { knowledge, root } = bare.reach;
  const manifest = input.manifests[finding.provider];
  if (!knowledge?.handles(root.credential) || !manifest || root.principal?.kind !== 'user' || root.principal.account !== finding.account)
    return undefined;
  const { stores, consumers } = concerning(input.inventory, root.principal, finding, input.manifests);
  const timing = termsOf(input).find((each) => each.provider === finding.provider && each.account === finding.account)?.settings?.timing as
    | Readonly<Record<string, unknown>>
    | undefined;
  const seconds = (name: string, otherwise: number) => (typeof timing?.[name] === 'number' ? timing[name] : otherwise) / 1000;
  const limit = manifest.kinds.find((each) => each.kind === assessment.credential.kind)?.overlap;
  const slots =
    finding.slots ?? (typeof limit === 'number' ? { used: countKeys(bare.reach, root.principal.id, finding.account), limit } : undefined);
  return {
    ...bare,
    knowledge,
    principal: root.principal,
    account: finding.account,
    providerTime: finding.providerTime,
    slots,
    stores,
    consumers,
    everyone: input.inventory.consumers,
    secretsRead: finding.secretsRead,
    sealed: assessment.sealed,
    swept: sweptOf(assessment, input.done, input.manifests),
    propagation: seconds('propagationMs', manifest.propagationMs),
    logLag: seconds('logLagMs', Math.max(0, ...manifest.logs.map((log) => log.usualLagMs))),
  };
}

function countKeys(reach: View['reach'], principal: string, account: string): number {
  const { knowledge } = reach;
  let count = 0;
  for (const { credential } of reach.index.nodes.values()) {
    if (!credential || !knowledge?.standsAlone(credential)) continue;
    if (credential.live.state === 'no' && credential.status === undefined) continue;
    if (credential.kind !== reach.root.credential.kind) continue;
    if ((knowledge.principal(credential.principal, account)?.id ?? credential.principal) === principal) count++;
  }
  return count;
}
