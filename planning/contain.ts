import type { Consumer } from '../domain/assessment.ts';
import { hashOf } from '../domain/canonical.ts';
import { type Draft, Gate, listed, type View, type Wanted } from './draft.ts';
import { controlOf, type Member, Standing, stampOf } from './facts.ts';
import { fenceIn, isFenced, wantsFence } from './fence.ts';
import { type KindKnowledge, type Principal, turnOff } from './kinds/kind.ts';
import { pulls } from './levers.ts';

/** So many credentials at once, or so deep a chain, is more than an engine should turn off unasked. */
export const widest = 200;
export const deepest = 8;

/** What of a containment concerns one principal. */
interface Group {
  readonly principal: Principal;
  readonly members: Member[];
}

/**
 * Plans what turns off or stops every credential of the incident that can still do harm: all classes of a principal in one burst, side by side, and the cut-off
 * after the disables, as a session may be minted until they are in effect. `root: false` leaves the leaked credential itself, its principal's deny and every cut-off of a role out:
 * where a person is asked first their turn comes after its consumers have moved.
 */
export function contain(view: View, draft: Draft, options: { readonly root: boolean } = { root: true }): Wanted[] {
  const { reach, knowledge, principal: leaked } = view;
  const { done } = reach;
  const wanted: Wanted[] = [];
  const groups = new Map<string, Group>();
  const group = (principal: Principal): Group => {
    const there = groups.get(principal.id);
    if (there) return there;
    const made: Group = { principal, members: [] };
    groups.set(principal.id, made);
    return made;
  };
  group(leaked);
  const beyond: Member[] = [];
  for (const member of reach.members) {
    if (!options.root && member.origin === 'leaked') continue;
    const { principal } = member;
    if (
      principal &&
      principal.account === view.account &&
      (knowledge.standsAlone(member.credential) || knowledge.stoppedBy(member.credential).length > 0)
    ) {
      group(principal).members.push(member);
    } else if (member.standing === Standing.STANDS || member.standing === Standing.UNKNOWN) beyond.push(member);
  }

  let width = 0;
  const burst: Wanted[] = [];
  const wide = (member: Pick<Member, 'depth'>): boolean => {
    const beyondAll = ++width > widest || member.depth > deepest;
    if (beyondAll) askWidth(view, draft);
    return beyondAll;
  };
  // A role's sessions are assumed with keys, so that whatever turns keys off comes before the stamp on the role.
  const users = [...groups.values()].filter(({ principal }) => principal.kind === 'user');
  const roles = [...groups.values()].filter(({ principal }) => principal.kind === 'role');
  for (const { principal, members } of users) {
    const own = principal.id === leaked.id;
    const disables: Wanted[] = [];
    let restamp = false;
    const gates = own && options.root ? wantsFence(view) : undefined;
    const fenced = own && (gates !== undefined || isFenced(view));
    for (const member of members) {
      const { standing } = member;
      const off = knowledge.standsAlone(member.credential) ? turnOff(knowledge, member.credential, principal) : undefined;
      if (off) {
        // Within the fence it goes on until its consumers have a new one.
        if (fenced && member.origin === 'leaked') continue;
        if (diesWithMaker(view, member)) continue;
        if (standing !== Standing.STANDS && standing !== Standing.UNKNOWN && standing !== Standing.STOPPED) continue;
        if (member.origin !== 'leaked' && member.credential.status === 'absent') continue;
        const tooWide = wide(member);
        if (member.origin === 'doubtful') askDoubt(view, draft, member);
        disables.push(
          draft.want({
            provider: knowledge.provider,
            account: principal.account,
            lever: off,
            ...(member.origin === 'leaked' && view.sealed ? { params: { sealed: { ...view.sealed } } } : {}),
            impact: member.origin === 'leaked' && view.consumers.length > 0 ? 'outage' : member.origin === 'doubtful' ? 'possible' : 'none',
            affects: member.origin === 'leaked' ? view.consumers.map((each) => each.id) : [],
            // Seen live again after it was turned off: somebody undid it, and it is turned off once more.
            again: standing === Standing.STANDS,
            standing: member.origin === 'leaked',
            ...(member.origin === 'doubtful' ? { gate: doubtGate(member) } : tooWide && !view.asking ? { gate: Gate.WIDTH } : {}),
          }),
        );
        continue;
      }
      if (standing === Standing.STANDS || standing === Standing.UNKNOWN) restamp ||= needsStamp(view, member, principal);
    }
    wanted.push(...disables);
    burst.push(...disables);
    const planned = disables.some((each) => each.state === 'planned');

    const denyLever = knowledge.deny(principal);
    const lives = knowledge.wakesFor(principal);
    const deny = own
      ? options.root && !fenced && wantsDeny(view)
      : denyLever !== undefined &&
        members.some((each) => each.madePrincipal && (each.standing === Standing.STANDS || each.standing === Standing.UNKNOWN));
    const denied =
      deny && denyLever
        ? draft.want({
            provider: knowledge.provider,
            account: principal.account,
            lever: denyLever,
            // Its undo, too, must not wake what was made before.
            ...(lives !== undefined && Number.isFinite(lives) && lives > 0 ? { params: { maxLifeSeconds: lives } } : {}),
            impact: own && view.consumers.length > 0 ? 'outage' : 'none',
            affects: own ? view.consumers.map((each) => each.id) : [],
          })
        : undefined;
    if (denied) wanted.push(denied);
    const fence = gates && fenceIn(view, draft, gates);
    if (fence) wanted.push(fence);

    // What can still be used though every control that should stop it is on, or whose time of issue nobody knows, is a person's to stop.
    if ((!denied || denied.state === 'done') && !fenced && (!own || options.root)) {
      for (const member of members) {
        const open = member.standing === Standing.STANDS || member.standing === Standing.UNKNOWN;
        if (open && !knowledge.standsAlone(member.credential) && !needsStamp(view, member, principal) && !diesWithMaker(view, member))
          beyond.push(member);
      }
    }

    const cutOff = knowledge.cutOff(principal);
    // A stamp before the leaked one is off would be passed by what is made after it; the fence refuses that until then.
    if (!cutOff || fenced) continue;
    const ever = done.steps.some(
      (each) => each.state === 'done' && each.step.action === `${knowledge.provider}/${cutOff.action}` && each.step.hold === cutOff.hold,
    );
    const first = own && options.root && !ever && alive(view.reach.root.standing) && knowledge.standsAlone(view.reach.root.credential);
    // Where the leaked one goes last, the cut-off of its principal comes after that: a session may be minted until then.
    if (own && !options.root) continue;
    if (planned || first || restamp) {
      // A disable at a question of its own, which a person may never answer, must not keep the cut-off from coming.
      const gate = draft.isProtected(cutOff) ? Gate.PROTECTED : view.asking ? Gate.OUTAGE : undefined;
      const awaited = disables.filter((each) => sameQuestion(draft, each, gate));
      wanted.push(
        draft.want({
          provider: knowledge.provider,
          account: principal.account,
          lever: cutOff,
          params: { keys: offKeys(view, draft, principal, awaited) },
          after: awaited,
          impact: own && done.active(knowledge.provider, denyLever) === undefined && !deny ? 'possible' : own ? 'none' : 'possible',
          affects: own ? view.consumers.map((each) => each.id) : [],
          again: true,
        }),
      );
    }
  }

  for (const { principal, members } of roles) {
    const open = members.filter(isOpen);
    beyond.push(...open.filter((member) => !needsStamp(view, member, principal)));
    if (!options.root || !open.some((member) => needsStamp(view, member, principal))) continue;
    const tooWide = wide(open.reduce((a, b) => (a.depth > b.depth ? a : b)));
    const stamped = cutOffRole(
      view,
      draft,
      { principal, members },
      { before: burst, ...(tooWide && !view.asking ? { gate: Gate.WIDTH } : {}) },
    );
    if (stamped) wanted.push(stamped);
  }

  for (const member of beyond) {
    if (diesWithMaker(view, member)) continue;
    const until = member.credential.expiresAt ? ` It expires by itself at ${member.credential.expiresAt}.` : '';
    wanted.push(
      draft.wantManual({
        action: 'contain',
        target: { credential: member.id },
        subject: member.id,
        title: `By hand: stop ${member.title}`,
        byHand: `Stop ${member.id}${member.principal ? ` (acts as ${member.principal.id})` : ''} at its system and see it refused: nothing that can be done to ${leaked.name} stops it.${until}`,
        question: `Has ${member.title}, which the leaked credential made, been stopped by hand and seen refused? No control on ${leaked.name} reaches it.${until}`,
        phase: 'contain',
        impact: 'possible',
        // Somebody signed that it was stopped, and it was seen live since.
        again: member.standing === Standing.STANDS,
      }),
    );
  }
  for (const circle of reach.circles)
    draft.note(`${listed([...circle])} mint each other in a circle and are contained together, none waiting for another.`);
  return wanted;
}

const isOpen = (member: Pick<Member, 'standing'>): boolean => member.standing === Standing.STANDS || member.standing === Standing.UNKNOWN;

/** The roles of which the leak holds sessions that a stamp would stop: what {@link contain} leaves out where the leaked credential goes last. */
export function cutOffRoles(view: View, draft: Draft, disabled: Wanted, before: readonly Wanted[]): Wanted[] {
  const groups = new Map<string, Group>();
  for (const member of view.reach.members) {
    const { principal } = member;
    if (principal?.kind !== 'role' || principal.account !== view.account || !isOpen(member) || !needsStamp(view, member, principal))
      continue;
    const group = groups.get(principal.id);
    if (group) group.members.push(member);
    else groups.set(principal.id, { principal, members: [member] });
  }
  return [...groups.values()].flatMap((group) => cutOffRole(view, draft, group, { after: [disabled], before }) ?? []);
}

/** Who acts as the role without using the leaked credential: a cut-off refuses them for nothing that they did. */
export function bystandersOf(
  view: Pick<View, 'everyone' | 'consumers' | 'knowledge' | 'account'>,
  role: Principal,
): { readonly all: readonly Consumer[]; readonly bystanders: readonly Consumer[] } {
  const all = view.everyone.filter((each) => each.assumes?.some((text) => view.knowledge.principal(text, view.account)?.id === role.id));
  const own = new Set(view.consumers.map((each) => each.id));
  return { all, bystanders: all.filter((each) => !own.has(each.id)) };
}

/**
 * Stamps a role. It refuses every session of it, also of those who have nothing to do with the leak, until they assume it again: where such are declared, people are asked,
 * whatever policy says of the leaked credential itself. `after` must be done first; of `before` what waits for no other question than this step does.
 */
function cutOffRole(
  view: View,
  draft: Draft,
  { principal, members }: Group,
  { after = [], before, gate }: { readonly after?: readonly Wanted[]; readonly before: readonly Wanted[]; readonly gate?: string },
): Wanted | undefined {
  const { knowledge } = view;
  const lever = knowledge.cutOff(principal);
  if (!lever) return undefined;
  const { all, bystanders } = bystandersOf(view, principal);
  const asked = bystanders.length > 0 ? roleGate(principal) : gate;
  if (bystanders.length > 0) {
    const open = members.filter(isOpen).length;
    draft.ask(
      roleGate(principal),
      'outage',
      `The leak holds ${open === 1 ? 'a session' : `${open} sessions`} of role ${principal.name}. Shall every session of it that was issued until now be refused? ${listed(bystanders.map((each) => `${each.name} (${each.owner}, ${each.contact})`))} ${bystanders.length === 1 ? 'acts' : 'act'} as it too and ${bystanders.length === 1 ? 'is' : 'are'} out until the role is assumed again: when a cached session would have ended, or at a restart.`,
      view.claim ? { ...view.verdict.gates.outage, onSilence: 'hold' } : view.verdict.gates.outage,
    );
  }
  const standing = draft.isProtected(lever) ? Gate.PROTECTED : (asked ?? (view.asking ? Gate.OUTAGE : undefined));
  const lives = members.flatMap(({ credential: { issuedAt, expiresAt } }) =>
    issuedAt && expiresAt ? [Math.ceil((Date.parse(expiresAt) - Date.parse(issuedAt)) / 1000)] : [],
  );
  const wanted = draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever,
    // A role may have allowed longer sessions when these were issued than it does now.
    ...(lives.length > 0 ? { params: { maxLifeSeconds: Math.max(...lives) } } : {}),
    after: [...after, ...before.filter((each) => sameQuestion(draft, each, standing))],
    impact: bystanders.length > 0 ? 'outage' : 'possible',
    affects: all.map((each) => each.id),
    again: true,
    ...(asked ? { gate: asked } : {}),
  });
  if (wanted.state === 'planned') {
    for (const consumer of bystanders)
      draft.predicted.push({
        consumer: consumer.id,
        because: `${consumer.name} acts as role ${principal.name}, whose sessions are refused, and is out until it assumes the role again.`,
        fromStep: wanted.id,
      });
  }
  return wanted;
}

const roleGate = (principal: Principal): string =>
  `g-role-${/^[A-Za-z0-9-]{1,40}$/.test(principal.name) ? principal.name : hashOf(principal.id).slice(7, 19)}`;

/**
 * The deny is for as long as the leaked credential may still be used. It stays once it is on, is not put on again after it was lifted or where consumers have a new credential
 * of the same principal, and is of no use where the leaked one was dead before anybody looked, or went last because people were asked.
 */
function wantsDeny({ reach, knowledge, principal }: View): boolean {
  const { done, root } = reach;
  const deny = knowledge.deny(principal);
  if (!deny) return false;
  if (
    [deny, knowledge.liftDeny(principal), knowledge.mint(principal, root.credential)].some((lever) =>
      done.active(knowledge.provider, lever),
    )
  )
    return false;
  // What was found to be stopped by nothing else is stopped by it, whatever became of the leaked one.
  const found = reach.members.some(
    (each) =>
      isOpen(each) &&
      each.principal?.id === principal.id &&
      !knowledge.standsAlone(each.credential) &&
      !knowledge.cutOff(principal) &&
      knowledge.stoppedBy(each.credential).includes(deny.action),
  );
  if (found) return true;
  return (
    knowledge.needsDeny(root.credential) &&
    alive(root.standing) &&
    (root.standing !== Standing.OFF || done.failures(knowledge.provider, deny) > 0)
  );
}

/**
 * Whether what is about to be done to what made it ends it too: it needs no step of its own, and the sweep looks whether it has gone. One that can be turned off in a way that can be
 * taken back is, since the end of its maker may be for a person to allow.
 */
export function diesWithMaker({ reach, knowledge }: Pick<View, 'reach'> & { readonly knowledge: KindKnowledge }, member: Member): boolean {
  const fatal = knowledge.diesBy(member.credential);
  if (fatal.length === 0 || member.origin === 'leaked') return false;
  if (member.principal && knowledge.disable(member.credential, member.principal)) return false;
  return reach.index.into(member.id, 'derives').some((from) => {
    const maker = reach.members.find((each) => each.id === from);
    if (!maker?.principal || !(isOpen(maker) || maker.standing === Standing.STOPPED)) return false;
    const lever = turnOff(knowledge, maker.credential, maker.principal);
    return lever !== undefined && fatal.includes(lever.action) && reach.done.refusedBy(knowledge.provider, lever) === undefined;
  });
}

const alive = (standing: Standing): boolean => standing !== Standing.DEAD && standing !== Standing.EXPIRED;

/** Whether a later stamp would stop it. One whose time of issue nobody knows is stamped after once, in the round that finds it. */
function needsStamp({ reach, knowledge, providerTime }: View, member: Member, principal: Principal): boolean {
  const cutOff = knowledge.cutOff(principal);
  if (!cutOff || !knowledge.stoppedBy(member.credential).includes(cutOff.action)) return false;
  const step = controlOf(reach.done, knowledge, cutOff);
  const stamp = step && stampOf(step, knowledge);
  if (stamp === undefined) return true;
  const issued = member.credential.issuedAt ? Date.parse(member.credential.issuedAt) : undefined;
  if (issued === undefined || issued > Date.parse(providerTime)) return member.fresh;
  return issued >= stamp;
}

function sameQuestion(draft: Draft, wanted: Wanted, gate: string | undefined): boolean {
  if (wanted.state !== 'planned') return false;
  const own = draft.steps.find((each) => each.id === wanted.id)?.gate;
  return own === undefined || own === gate;
}

/** Keys of the principal that are off once these steps are done: a cut-off is refused while one of them is on, as it would mint after any stamp. */
export function offKeys({ reach, knowledge }: View, draft: Draft, principal: Principal, awaited: readonly Wanted[]): string[] {
  const keys = new Set<string>();
  for (const wanted of awaited) {
    const step = wanted.state === 'planned' ? draft.steps.find((each) => each.id === wanted.id) : undefined;
    const member =
      step &&
      reach.members.find((each) => each.principal && pulls(step, knowledge.provider, turnOff(knowledge, each.credential, each.principal)));
    if (member && knowledge.isKey(member.credential)) keys.add(knowledge.nameOf(member.credential));
  }
  for (const member of reach.members) {
    if (member.principal?.id === principal.id && knowledge.isKey(member.credential) && member.standing === Standing.OFF)
      keys.add(knowledge.nameOf(member.credential));
  }
  return [...keys].sort();
}

function askWidth(view: View, draft: Draft): void {
  draft.ask(
    Gate.WIDTH,
    'protected',
    `The leak reaches more than ${widest} credentials, or further than ${deepest} mints from the leaked one. Shall the engine turn off these too?`,
    { ...view.verdict.gates.outage, onSilence: 'hold' },
  );
}

const doubtGate = (member: Member): string => `g-doubt-${member.id.slice(-8)}`;

function askDoubt(view: View, draft: Draft, member: Member): void {
  draft.ask(
    doubtGate(member),
    'outage',
    `${member.title} belongs to ${view.principal.name} too, and nobody can say whether the holder of the leak made it. Turning it off stops whoever uses it. Shall it be turned off?`,
    { ...view.verdict.gates.outage, onSilence: 'hold' },
  );
}
