import type { Consumer, Store } from '../domain/assessment.ts';
import type { DoneStep } from '../domain/plan.ts';
import { contain, cutOffRoles, diesWithMaker, offKeys } from './contain.ts';
import { type Draft, fill, Gate, listed, mostFailures, type View, type Wanted } from './draft.ts';
import { isGone, isHarmless, type Member, Standing, stampOf } from './facts.ts';
import { isFenced } from './fence.ts';
import { reach as reachFrom } from './graph.ts';
import { type Lever, turnOff } from './kinds/kind.ts';
import { does, pulls } from './levers.ts';

/** Whatever the manifest of a store's system must be able to do for its store to be written to. */
const storeActions = ['stage-secret', 'distribute-secret', 'watch-readers'] as const;

const named = (consumers: readonly Consumer[]): string => listed(consumers.map((each) => each.name));

/** Consumers that notice a change of key however carefully it is made: they never look again, or cannot hold two at once. */
export const stubborn = (consumer: Consumer): boolean => consumer.rereads === 'never' || !consumer.overlap;

/**
 * Plans the replacement: make before break wherever two can be valid at once, stores before consumers, consumers before the old one goes, and what cannot
 * be undone last. After a containment the old one is off already, so the deny is lifted as soon as there is a new one; where a person is asked first the old one goes last.
 */
export function rotate(view: View, draft: Draft): void {
  if (!view.knowledge.standsAlone(view.reach.root.credential)) {
    draft.note(`${view.reach.root.title} is made anew by whoever uses it, from a credential of its own, so there is nothing to replace.`);
    // What stopped it is taken off all the same, once there is nothing left for it to stop.
    if (!view.knowledge.cutOff(view.principal)) liftDeny(view, draft, { state: 'done', id: '' });
    return;
  }
  const { reach, knowledge, principal, stores } = view;
  const { root, done } = reach;
  const off = root.standing === Standing.OFF || (root.standing === Standing.STOPPED && !isFenced(view));
  const before = off ? [] : contain(view, draft, { root: false });

  const automatic = stores.filter((store) => storeActions.every((action) => draft.manifestOf(store.provider, action)));
  const first = automatic[0];
  const mintLever = knowledge.mint(principal, root.credential);
  const byMachine =
    first !== undefined &&
    mintLever !== undefined &&
    done.failures(knowledge.provider, mintLever) < mostFailures &&
    draft.manifestOf(knowledge.provider, mintLever.action) !== undefined;

  // Whoever makes the new one by hand makes room for it as well.
  const room = byMachine ? findRoom(view, draft, off, before) : { freed: [], brokenFirst: false };

  let moved: Wanted[];
  let minted: Wanted;
  if (!byMachine || first === undefined || mintLever === undefined) {
    minted = replaceByHand(view, draft, before);
    moved = [minted];
  } else {
    const earlier = liveMint(view);
    minted = draft.want({
      provider: knowledge.provider,
      account: principal.account,
      lever: mintLever,
      params: { sealTo: { provider: first.provider, account: first.account } },
      after: [...before, ...room.freed],
      impact: 'none',
      again: earlier === undefined,
      ...leakyGate(view, draft, []),
    });
    const lift = off ? liftDeny(view, draft, minted) : undefined;
    if (off) liftFence(view, draft, minted);
    moved = deliver(view, draft, { minted, lift, automatic, first });
  }

  if (!off && !room.brokenFirst) {
    // Behind a fence the thief goes on trying the old one, so that it is never quiet; whoever is let in has been seen on the new one.
    const watch = isFenced(view) ? undefined : knowledge.watchOldQuiet(root.credential, principal);
    const quiet =
      watch &&
      draft.want({
        provider: knowledge.provider,
        account: principal.account,
        lever: watch,
        after: moved,
        impact: 'none',
        // A quiet that was seen while somebody had still to move says nothing.
        again: moved.some((each) => each.state === 'planned'),
      });
    const settled = quiet === undefined ? moved : quiet.state === 'planned' ? [quiet] : [...moved, quiet];
    const disabled = disableRoot(view, draft, [...before, ...settled]);
    const cut = cutOff(view, draft, [disabled], before);
    removeAll(view, draft, [disabled, ...cut, ...cutOffRoles(view, draft, disabled, before)]);
  } else {
    if (!byMachine && off) {
      liftDeny(view, draft, minted);
      liftFence(view, draft, minted);
    }
    removeAll(view, draft, moved);
  }
  predict(view, draft, off || room.brokenFirst);
}

/** The last mint whose credential is not known to have died since. */
function liveMint({ reach, knowledge, principal }: View): string | undefined {
  const step = reach.done.active(knowledge.provider, knowledge.mint(principal, reach.root.credential));
  if (!step) return undefined;
  for (const id of reach.ours) {
    const credential = reach.index.nodes.get(id)?.credential;
    if (credential && step.made && knowledge.madeBy(credential, step.made) && credential.live.state === 'no') return undefined;
  }
  return step.step.id;
}

/**
 * Makes a slot free where all are taken: by deleting one that is dead anyway, the leaked one first, one that is evidence last; where none is dead the leaked one is broken before the new one is made.
 */
function findRoom(
  view: View,
  draft: Draft,
  off: boolean,
  before: readonly Wanted[],
): { readonly freed: readonly Wanted[]; readonly brokenFirst: boolean } {
  const { reach, knowledge, principal, slots } = view;
  if (liveMint(view) !== undefined || !slots || slots.used < slots.limit) return { freed: [], brokenFirst: false };
  const dead = deadKeys(view);
  const rank = (member: Pick<Member, 'origin'> | undefined) => (member === undefined ? 1 : member.origin === 'leaked' ? 0 : 2);
  const order = [...dead].sort((a, b) => rank(a.member) - rank(b.member) || a.id.localeCompare(b.id, 'en'));
  for (const candidate of order) {
    const freed = remove(view, draft, candidate, []);
    if (freed.state === 'planned') return { freed: [freed], brokenFirst: false };
  }
  // Nor is the leaked one broken first for a deletion that somebody has refused already, or that hangs on what was: its consumers would be out, and nothing new could be made.
  const roles = reach.members.flatMap(({ principal: of, standing }) => (of?.kind === 'role' && !isHarmless(standing) ? [of] : []));
  const refused = [knowledge.remove(reach.root.credential, principal), ...[principal, ...roles].map((each) => knowledge.cutOff(each))].some(
    (lever) => reach.done.refusedBy(knowledge.provider, lever) !== undefined,
  );
  if (order.length > 0 || off || refused) {
    draft.note(
      `Both places for a key of ${principal.name} are taken and no deletion is allowed, so no new key can be made until a person frees one.`,
    );
    return { freed: [{ state: 'blocked' }], brokenFirst: false };
  }
  if (reach.root.standing === Standing.DEAD) return { freed: [], brokenFirst: false };
  const disabled = disableRoot(view, draft, before, true);
  const cut = cutOff(view, draft, [disabled], before);
  const stamped = cutOffRoles(view, draft, disabled, before);
  const lever = knowledge.remove(reach.root.credential, principal);
  // Where removing is what turns it off, that has made the room.
  if (!lever || draft.steps.some((each) => pulls(each, knowledge.provider, lever))) return { freed: [disabled], brokenFirst: true };
  const freed = draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever,
    after: [...before, disabled, ...cut, ...stamped],
    impact: 'outage',
    affects: view.consumers.map((each) => each.id),
    again: reach.root.standing === Standing.STANDS,
  });
  return { freed: [freed], brokenFirst: true };
}

interface Dead {
  readonly id: string;
  readonly title: string;
  readonly member: Member | undefined;
  readonly credential: Member['credential'];
}

/** Keys of the principal that are there and turned off: the incident's, and bystanders that nobody uses. Ours are not among them. */
function deadKeys({ reach, knowledge, principal }: View): readonly Dead[] {
  const there: Dead[] = [];
  // The end of one of another kind makes no room.
  const takesAPlace = (credential: Member['credential']) =>
    knowledge.standsAlone(credential) && credential.kind === reach.root.credential.kind;
  const ids = new Set<string>();
  for (const member of reach.members) {
    ids.add(member.id);
    if (member.principal?.id !== principal.id || !takesAPlace(member.credential)) continue;
    if (!isGone(member.credential) && (member.standing === Standing.OFF || member.standing === Standing.DEAD)) {
      there.push({ id: member.id, title: member.title, member, credential: member.credential });
    }
  }
  for (const node of reach.index.nodes.values()) {
    const { credential } = node;
    if (!credential || ids.has(node.id) || reach.ours.has(node.id) || !takesAPlace(credential)) continue;
    if (credential.live.state !== 'no' || isGone(credential)) continue;
    if (knowledge.principal(credential.principal ?? reach.index.out(node.id, 'acts-as')[0], principal.account)?.id !== principal.id)
      continue;
    there.push({ id: node.id, title: node.title, member: undefined, credential });
  }
  return there;
}

function remove(view: View, draft: Draft, key: Pick<Dead, 'credential' | 'member'>, after: readonly Wanted[]): Wanted {
  const principal = key.member?.principal ?? view.principal;
  const lever = view.knowledge.remove(key.credential, principal);
  if (!lever) return { state: 'blocked' };
  return draft.want({
    provider: view.knowledge.provider,
    account: principal.account,
    lever,
    after,
    impact: 'none',
  });
}

/** Every key of the incident that is off, or will be, is asked about: the leaked one after all that can be undone, the others as evidence of their own. */
function removeAll(view: View, draft: Draft, after: readonly Wanted[]): void {
  const { reach, knowledge } = view;
  for (const member of reach.members) {
    if (!knowledge.standsAlone(member.credential) || member.principal?.account !== view.account || member.origin === 'doubtful') continue;
    const lever = knowledge.remove(member.credential, member.principal);
    if (!lever || draft.steps.some((each) => pulls(each, knowledge.provider, lever))) continue;
    if (isGone(member.credential) || diesWithMaker(view, member)) continue;
    // What only the deny stops is stopped once the leaked one is off, by the round that sees it; until then the leaked one is not removed.
    if (member.origin === 'leaked' && reach.members.some((each) => waitsForDeny(view, each))) continue;
    const turnedOff = knowledge.disable(member.credential, member.principal);
    const disable = draft.steps.find((each) => pulls(each, knowledge.provider, turnedOff));
    const own: Wanted[] = disable ? [{ state: 'planned', id: disable.id }] : [];
    remove(
      view,
      draft,
      { credential: member.credential, member },
      member.origin === 'leaked' ? [...after, ...own] : [...after.filter((each) => each.state === 'planned'), ...own],
    );
  }
}

/** Whether it lives, and is stopped by nothing but a deny that nothing narrower replaces. */
function waitsForDeny(view: View, member: Member): boolean {
  const { knowledge, principal } = view;
  const deny = knowledge.cutOff(principal) ? undefined : knowledge.deny(principal);
  if (!deny || isHarmless(member.standing) || member.origin === 'leaked' || member.principal?.id !== principal.id) return false;
  return (
    !knowledge.standsAlone(member.credential) &&
    !diesWithMaker(view, member) &&
    knowledge.stoppedBy(member.credential).includes(deny.action)
  );
}

function disableRoot(view: View, draft: Draft, after: readonly Wanted[], early = false): Wanted {
  const { reach, knowledge, principal, consumers } = view;
  const hurt = consumers.filter(stubborn);
  const lever = turnOff(knowledge, reach.root.credential, principal);
  if (!lever) return { state: 'blocked' };
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever,
    ...(view.sealed ? { params: { sealed: { ...view.sealed } } } : {}),
    after,
    impact: early ? (consumers.length > 0 ? 'outage' : 'possible') : hurt.length > 0 || view.stores.length === 0 ? 'outage' : 'possible',
    affects: (early || hurt.length === 0 ? consumers : hurt).map((each) => each.id),
    again: reach.root.standing === Standing.STANDS,
  });
}

/** Stamped once every key of the principal is off that is turned off at the same question. `before` are containments of what the leak made. Nothing where there is no such control. */
function cutOff(view: View, draft: Draft, own: readonly Wanted[], before: readonly Wanted[]): readonly Wanted[] {
  const { knowledge, principal, consumers, reach } = view;
  const lever = knowledge.cutOff(principal);
  if (!lever) return [];
  const ofPrincipal = reach.members.flatMap((each) =>
    each.principal?.name === principal.name ? [knowledge.disable(each.credential, each.principal)] : [],
  );
  const siblings = before.filter((each) => {
    const step = each.state === 'planned' ? draft.steps.find((other) => other.id === each.id) : undefined;
    return step !== undefined && step.gate === Gate.OUTAGE && ofPrincipal.some((other) => pulls(step, knowledge.provider, other));
  });
  const after = [...own, ...siblings];
  return [
    draft.want({
      provider: knowledge.provider,
      account: principal.account,
      lever,
      params: { keys: offKeys(view, draft, principal, after) },
      after,
      impact: 'possible',
      affects: consumers.map((each) => each.id),
      again: after.some((each) => each.state === 'planned'),
    }),
  ];
}

/** Staging, delivery and the watch over readers for every store; then every consumer seen on the new one. */
function deliver(
  view: View,
  draft: Draft,
  on: { readonly minted: Wanted; readonly lift: Wanted | undefined; readonly automatic: readonly Store[]; readonly first: Store },
): Wanted[] {
  const { knowledge, principal, stores, consumers } = view;
  const { minted } = on;
  const mint = minted.state === 'planned' || minted.state === 'done' ? minted.id : '';
  const moved: Wanted[] = [];
  const delivered: Wanted[] = [];
  let firstDelivered: Wanted | undefined;
  // The sealed new one can be opened by one worker only; stores of other workers get it from the first by hand.
  const own = (store: Store) => on.automatic.includes(store) && store.provider === on.first.provider && store.account === on.first.account;
  for (const store of [...stores].sort((a, b) => Number(own(b)) - Number(own(a)))) {
    const readers = consumers.filter((each) => each.store === store.id);
    const gate = leakyGate(view, draft, [store]);
    let there: Wanted;
    if (own(store)) {
      const target = { account: store.account, path: store.path };
      const lever = (action: string) => ({ action, target, subject: store.path });
      const fits = (action: string, key: string, id: string) =>
        view.reach.done.active(store.provider, lever(action))?.step.params[key] === id;
      const staged = draft.want({
        provider: store.provider,
        account: store.account,
        lever: lever('stage-secret'),
        params: { mint },
        after: [minted],
        impact: 'none',
        again: !fits('stage-secret', 'mint', mint),
        ...gate,
      });
      const stage = staged.state === 'planned' || staged.state === 'done' ? staged.id : '';
      const hurt = readers.filter((each) => !each.overlap);
      there = draft.want({
        provider: store.provider,
        account: store.account,
        lever: lever('distribute-secret'),
        params: { stage, mint },
        after: [staged],
        impact: hurt.length > 0 && view.asking ? 'outage' : 'none',
        affects: hurt.map((each) => each.id),
        again: !fits('distribute-secret', 'stage', stage),
        ...gate,
      });
      firstDelivered ??= there;
    } else {
      there = draft.wantManual({
        action: 'deliver',
        target: { store: store.id, mint },
        subject: store.id,
        title: `By hand: put the new key of ${principal.name} into ${store.id}`,
        byHand: `Copy the new key of ${principal.name} from ${on.first.path} (${on.first.provider} ${on.first.account}) to ${store.path} (${store.provider} ${store.account}), without showing it.`,
        question: `Is the new key of ${principal.name} in ${store.path} (${store.provider} ${store.account}), from which ${named(readers)} ${readers.length === 1 ? 'reads' : 'read'} it? The engine cannot write there.`,
        phase: 'distribute',
        impact: 'none',
        affects: readers.map((each) => each.id),
        after: [firstDelivered ?? minted],
      });
    }
    delivered.push(there);
    const restarted = new Map<string, Wanted>();
    for (const consumer of readers) {
      if (consumer.rereads !== 'never') continue;
      restarted.set(
        consumer.id,
        draft.wantManual({
          action: 'restart',
          target: { consumer: consumer.id, mint },
          subject: consumer.id,
          title: `By hand: restart ${consumer.name} so that it reads its new key`,
          byHand: `Restart ${consumer.name} (${consumer.owner}, ${consumer.contact}): it reads ${store.path} only when it starts.`,
          question: `Has ${consumer.name} been restarted, so that it holds the new key? It reads its store only when it starts, and stays on the old key until then. Ask ${consumer.owner} (${consumer.contact}).`,
          phase: 'distribute',
          impact: 'outage',
          affects: [consumer.id],
          after: [there],
        }),
      );
    }
    let read = there;
    if (own(store) && readers.length > 0) {
      const distribute = there.state === 'planned' || there.state === 'done' ? there.id : '';
      const lever = { action: 'watch-readers', target: { account: store.account, path: store.path }, subject: store.path };
      read = draft.want({
        provider: store.provider,
        account: store.account,
        lever,
        params: { distribute },
        after: [there, ...restarted.values()],
        impact: 'none',
        again: view.reach.done.active(store.provider, lever)?.step.params.distribute !== distribute,
        ...gate,
      });
    }
    for (const consumer of readers) {
      const lever = knowledge.watchNewUse(principal, consumer.id, view.reach.root.credential);
      const held = [read, ...(on.lift ? [on.lift] : []), ...[restarted.get(consumer.id)].filter((each) => each !== undefined)];
      if (!lever) {
        moved.push(
          draft.wantManual({
            action: 'see-new-use',
            target: { consumer: consumer.id, mint },
            subject: consumer.id,
            title: `By hand: see ${consumer.name} use its new key`,
            byHand: `Look whether ${consumer.name} (${consumer.owner}, ${consumer.contact}) works with the new key of ${principal.name}: nothing here can see that.`,
            question: `Has ${consumer.name} been seen to work with the new key of ${principal.name}? Nothing here can see that; ask ${consumer.owner} (${consumer.contact}).`,
            phase: 'verify',
            impact: 'none',
            affects: [consumer.id],
            after: held,
          }),
        );
        continue;
      }
      moved.push(
        draft.want({
          provider: knowledge.provider,
          account: principal.account,
          lever,
          params: { mint },
          after: held,
          impact: 'none',
          again: view.reach.done.active(knowledge.provider, lever)?.step.params.mint !== mint,
          ...gate,
        }),
      );
    }
  }
  return moved.length > 0 ? [...moved, ...delivered] : [...delivered, ...(on.lift ? [on.lift] : [])];
}

/** Nobody knows where the credential is kept, so nobody can be given a new one but by somebody who does. */
function replaceByHand(view: View, draft: Draft, after: readonly Wanted[]): Wanted {
  const { principal, stores, consumers, slots } = view;
  const full = slots !== undefined && slots.used >= slots.limit;
  const why =
    stores.length === 0
      ? `No store is known that holds the key of ${principal.name}, so the engine cannot deliver a new one.`
      : `The engine cannot make or deliver a new key of ${principal.name} into ${listed(stores.map((each) => each.path))}.`;
  draft.note(`${why} A person must.`);
  const lever = view.knowledge.mint(principal, view.reach.root.credential);
  const template = lever && draft.manifestOf(view.knowledge.provider, lever.action)?.byHand;
  const mintedByHand =
    view.reach.root.credential.kind === 'aws.access-key'
      ? `aws iam create-access-key --user-name ${principal.name}`
      : template && fill(template, lever.target);
  return draft.wantManual({
    action: 'replace',
    target: { principal: principal.id },
    subject: principal.name,
    title: `By hand: make a new key of ${principal.name} and deliver it to whoever uses it`,
    byHand: `${why}${full ? ' Both places for a key are taken: one must go first.' : ''} Make one${mintedByHand === undefined ? '' : ` (${mintedByHand})`}, give it to ${consumers.length > 0 ? named(consumers) : 'whatever uses the old one'}, and see it used.`,
    question: `${why} Has whatever needs one been given a new key by hand, or does nothing need one?`,
    phase: 'distribute',
    impact: consumers.length > 0 ? 'outage' : 'possible',
    affects: consumers.map((each) => each.id),
    after,
  });
}

/**
 * Takes the deny off once there is a new credential. Everything it stopped must be dead or stopped without it: the narrower cut-off stays until the last session from before it has expired.
 */
export function liftDeny(view: View, draft: Draft, minted: Wanted): Wanted | undefined {
  const { reach, knowledge, principal } = view;
  const denied = reach.done.active(knowledge.provider, knowledge.deny(principal));
  if (!denied) return undefined;
  if (!knowledge.cutOff(principal)) return liftWhenExpired(view, draft, minted, denied);
  return liftBehindCutOff(view, draft, minted, 'deny', knowledge.liftDeny(principal));
}

/** Takes the fence off once the leaked one is off and what it made is cut off: nothing refuses the making of sessions beneath a fence, and each would wake. */
function liftFence(view: View, draft: Draft, minted: Wanted): Wanted | undefined {
  const { reach, knowledge, principal } = view;
  if (!reach.done.active(knowledge.provider, knowledge.fence?.(principal))) return undefined;
  return liftBehindCutOff(view, draft, minted, 'fence', knowledge.liftFence?.(principal));
}

function liftBehindCutOff(view: View, draft: Draft, minted: Wanted, what: 'deny' | 'fence', lever: Lever | undefined): Wanted {
  const { reach, knowledge, principal, consumers } = view;
  const cut = reach.done.active(knowledge.provider, knowledge.cutOff(principal));
  const stamp = cut && stampOf(cut, knowledge);
  const waking = reach.members.filter((member) => wakes(view, member, stamp));
  if (!cut || waking.length > 0) {
    const ends = waking.map((each) => each.credential.expiresAt);
    const until =
      ends.every((each) => each !== undefined) && ends.length > 0
        ? ends.reduce((a, b) => ((a as string) > (b as string) ? a : b))
        : undefined;
    draft.note(
      cut
        ? `The ${what} on ${principal.name} stays: lifting it would wake ${listed(waking.map((each) => each.title))}.`
        : `The ${what} on ${principal.name} stays: without a cut-off, lifting it would wake every session made before it.`,
    );
    if (until)
      draft.residuals.push({
        what: `the ${what} on ${principal.name}, as lifting it would wake ${listed(waking.map((each) => each.title))}`,
        target: principal.id,
        until,
      });
    return { state: 'blocked' };
  }
  if (!lever) return { state: 'blocked' };
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever,
    params: { keys: offKeys(view, draft, principal, []) },
    after: [minted],
    impact: 'none',
    affects: consumers.map((each) => each.id),
  });
}

/**
 * Where there is no narrower control the deny is all that stops what was made before it, seen or unseen: it stays until nothing that it stopped is alive, and the longest that any of it may live has
 * passed since it took effect. An identity that is turned on again has its earlier tokens accepted again (Google Cloud IAM, "Disable and enable service accounts"; OpenBao's entities too).
 */
function liftWhenExpired(view: View, draft: Draft, minted: Wanted, denied: DoneStep): Wanted {
  const { reach, knowledge, principal, consumers } = view;
  const lever = knowledge.liftDeny(principal);
  const what = `the deny on ${principal.name}`;
  const due = wakesNothingAt(view, denied);
  const waking = reach.members.filter(
    (each) => !isHarmless(each.standing) || (each.standing === Standing.STOPPED && each.principal?.id === principal.id),
  );
  const ends = [due, ...waking.map(({ credential: { expiresAt } }) => (expiresAt ? Date.parse(expiresAt) : Number.POSITIVE_INFINITY))];
  const until = Math.max(...ends);
  if (lever && waking.length === 0 && due <= Date.parse(view.providerTime)) {
    return draft.want({
      provider: knowledge.provider,
      account: principal.account,
      lever,
      promised: true,
      params: { keys: offKeys(view, draft, principal, []) },
      after: [minted],
      impact: 'none',
      affects: consumers.map((each) => each.id),
    });
  }
  const why =
    waking.length > 0
      ? `lifting it would wake ${listed(waking.map((each) => each.title))}`
      : 'what was made before it may still be alive, and lifting it would wake that';
  if (!lever) draft.note(`${what[0]?.toUpperCase()}${what.slice(1)} stays: nothing here lifts it.`);
  else if (Number.isFinite(until)) {
    draft.note(`${what[0]?.toUpperCase()}${what.slice(1)} stays until ${new Date(until).toISOString()}: ${why}.`);
    draft.residuals.push({ what: `${what}, as ${why}`, target: principal.id, until: new Date(until).toISOString() });
  } else draft.note(`${what[0]?.toUpperCase()}${what.slice(1)} stays: ${why}, and nobody knows until when.`);
  return { state: 'blocked' };
}

/** When nothing can be alive any more that only the deny stops, in milliseconds; infinite where that is not known. */
export function wakesNothingAt({ knowledge, principal }: Pick<View, 'knowledge' | 'principal'>, denied: DoneStep): number {
  const seconds = knowledge.wakesFor(principal) ?? 0;
  const since = denied.effectiveAt ? Date.parse(denied.effectiveAt) : Number.POSITIVE_INFINITY;
  return since + seconds * 1000;
}

/** Whether it could be used again if the deny went. */
function wakes({ knowledge, principal }: View, member: Member, stamp: number | undefined): boolean {
  if (!isHarmless(member.standing)) return true;
  if (member.standing !== Standing.STOPPED || member.principal?.id !== principal.id) return false;
  const cutOff = knowledge.cutOff(principal)?.action ?? '';
  if (!knowledge.stoppedBy(member.credential).includes(cutOff) || stamp === undefined) return true;
  return !member.credential.issuedAt || Date.parse(member.credential.issuedAt) >= stamp;
}

/** The ids by which a graph may call a store of the inventory. */
export const storeNodes = (store: Store): readonly string[] => [
  store.id,
  `store:${store.id}`,
  `${store.provider}:${store.account}/${store.path}`,
  `${store.provider}:${store.path}`,
];

/** A way by which what is put into a store leaks at once: who, and how in words that fit into a question. */
export interface Way {
  readonly who: string;
  readonly how: string;
}

/**
 * Every way by which the leak can still read the store: what of the incident is not contained and reads it itself, by the graph or by the inventory's word; what can assume a role that
 * does, as it has done; and a secret it has read whose holder does, which nothing that is done to the leaked credential takes back.
 */
export function waysInto(view: Pick<View, 'reach' | 'secretsRead'>, store: Store): readonly Way[] {
  const { index, members, knowledge, root } = view.reach;
  const nodes = new Set(storeNodes(store));
  const declared = store.readableBy ?? [];
  const principals = new Set(declared.flatMap((text) => knowledge?.principal(text, root.principal?.account ?? '')?.id ?? []));
  const reads = (member: Member): boolean =>
    (member.principal !== undefined && principals.has(member.principal.id)) ||
    [member.id, ...index.out(member.id, 'acts-as')].some((id) => index.out(id, 'unlocks').some((to) => nodes.has(to)));
  const ways: Way[] = [];
  const open = new Map(members.filter((member) => !isHarmless(member.standing)).map((member) => [member.id, member]));
  const readers = members.filter(reads);
  for (const reader of readers) {
    if (open.has(reader.id)) ways.push({ who: reader.title, how: `whoever holds ${reader.title} can read ${store.path}` });
  }
  const byRole = readers.filter((reader) => reader.principal?.kind === 'role');
  const above = reachFrom(
    byRole.map((reader) => reader.id),
    (id) => index.into(id, 'derives'),
  );
  for (const id of above.keys()) {
    const member = open.get(id);
    if (!member || readers.includes(member)) continue;
    const role = byRole[0]?.principal?.name;
    ways.push({
      who: member.title,
      how: `whoever holds ${member.title} can assume role ${role} again, as was done with it, and that role can read ${store.path}`,
    });
  }
  for (const secret of view.secretsRead) {
    if (!declared.some((text) => isSameSecret(text, secret))) continue;
    ways.push({
      who: `whoever read ${secret}`,
      how: `whoever read the secret ${secret}, as the log shows, can read ${store.path} with it`,
    });
  }
  return ways;
}

/** A secret by name, or by an ARN, which ends in the name, a dash and six characters that AWS made up. */
function isSameSecret(declared: string, read: string): boolean {
  const nameOf = (text: string): string => (/^arn:[^:]*:secretsmanager:/.test(text) ? text.replace(/^.*:secret:/, '') : text);
  const plain = (text: string): string => (text.startsWith('arn:') ? nameOf(text).replace(/-[A-Za-z0-9]{6}$/, '') : text);
  return declared === read || nameOf(declared) === nameOf(read) || plain(declared) === plain(read);
}

/** Who of the incident can still be used and issues credentials of the leaked one's kind. */
export function issuersOf(view: Pick<View, 'reach'>): readonly Member[] {
  const { index, members, root } = view.reach;
  return members.filter((member) => !isHarmless(member.standing) && index.out(member.id, 'issues').includes(root.id));
}

/** Where somebody who is not contained could read the new one, or makes it, only a person lets it go there, told the way it would leak. */
function leakyGate(view: View, draft: Draft, stores: readonly Store[]): { readonly gate?: string } {
  const sought = stores.length > 0 ? stores : view.stores;
  const ways = sought.flatMap((store) => waysInto(view, store).map(({ how }) => how));
  if (stores.length === 0) ways.push(...issuersOf(view).map((member) => `${member.title} makes it`));
  if (ways.length === 0) return {};
  draft.ask(
    Gate.READABLE,
    'protected',
    `${[...new Set(ways)].map((way) => way[0]?.toUpperCase() + way.slice(1)).join('; ')}, and is not contained. A new key of ${view.principal.name} would leak that way at once. Shall it be made and delivered all the same?`,
    { ...view.verdict.gates.outage, onSilence: 'hold' },
  );
  return { gate: Gate.READABLE };
}

/** What each consumer loses. Seconds are the machine's own; what a person takes to answer comes on top and is said. */
function predict(view: View, draft: Draft, broken: boolean): void {
  const { reach, knowledge, principal, propagation } = view;
  const off = turnOff(knowledge, reach.root.credential, principal);
  const started = [knowledge.deny(principal), off]
    .flatMap((lever) => reach.done.active(knowledge.provider, lever) ?? [])
    .sort((a, b) => Date.parse(a.effectiveAt ?? '') - Date.parse(b.effectiveAt ?? ''))[0];
  const disable = draft.steps.find((each) => pulls(each, knowledge.provider, off));
  for (const consumer of view.consumers) {
    const until = draft.steps.find((each) => does(knowledge, 'watchNewUse', each) && each.target.consumer === consumer.id);
    const from = started?.step.id ?? disable?.id;
    if (broken) {
      if (
        !from ||
        (!until && started && reach.done.active(knowledge.provider, knowledge.watchNewUse(principal, consumer.id, reach.root.credential)))
      )
        continue;
      const asked = until ? gatesBefore(draft, until.id) : [];
      const soFar = started?.effectiveAt ? Math.max(0, (Date.parse(view.providerTime) - Date.parse(started.effectiveAt)) / 1000) : 0;
      const seconds = consumer.rereads === 'never' || !until ? undefined : Math.ceil(soFar + 2 * propagation + consumer.rereads);
      draft.predicted.push({
        consumer: consumer.id,
        because:
          consumer.rereads === 'never'
            ? `${consumer.name} is out since the old key was turned off, and until somebody restarts it with the new one.`
            : !until
              ? `${consumer.name} is out since the old key was turned off, and until somebody gives it a new one by hand.`
              : `${consumer.name} is out from the moment the old key is turned off until it reads the new one${asked.length > 0 ? '; the time until a person answers comes on top' : ''}.`,
        fromStep: from,
        ...(until ? { untilStep: until.id } : {}),
        ...(seconds === undefined ? {} : { seconds }),
      });
    } else if (stubborn(consumer) && disable) {
      draft.predicted.push({
        consumer: consumer.id,
        because:
          consumer.rereads === 'never'
            ? `${consumer.name} never looks at its store again: it is out while it is restarted, or once the old key is turned off.`
            : `${consumer.name} cannot hold two keys at once, and may be out while it changes over.`,
        fromStep:
          consumer.rereads === 'never'
            ? disable.id
            : (draft.steps.find((each) => each.action.endsWith('/distribute-secret'))?.id ?? disable.id),
        ...(until ? { untilStep: until.id } : {}),
        ...(consumer.rereads === 'never' ? {} : { seconds: Math.ceil(propagation + consumer.rereads) }),
      });
    }
  }
}

/** Gates at which a step, or anything it needs, waits. */
function gatesBefore(draft: Draft, id: string): string[] {
  const byId = new Map(draft.steps.map((each) => [each.id, each]));
  const seen = new Set<string>();
  const gates = new Set<string>();
  const queue = [id];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const step = byId.get(at);
    if (step?.gate) gates.add(step.gate);
    queue.push(...(step?.needs ?? []));
  }
  return [...gates];
}
