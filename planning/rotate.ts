import type { Consumer, Store } from '../domain/assessment.ts';
import { contain, cutOffRoles, offKeys } from './contain.ts';
import { type Draft, Gate, listed, mostFailures, type View, type Wanted } from './draft.ts';
import { isGone, isHarmless, type Member, Standing, stampOf } from './facts.ts';
import { reach as reachFrom } from './graph.ts';

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
    return;
  }
  const { reach, knowledge, principal, stores } = view;
  const { root, done } = reach;
  const off = root.standing === Standing.OFF || root.standing === Standing.STOPPED;
  const before = off ? [] : contain(view, draft, { root: false });

  const automatic = stores.filter((store) => storeActions.every((action) => draft.manifestOf(store.provider, action)));
  const first = automatic[0];
  const mintLever = knowledge.mint(principal);
  const byMachine =
    first !== undefined &&
    done.failures(knowledge.provider, mintLever) < mostFailures &&
    draft.manifestOf(knowledge.provider, mintLever.action) !== undefined;

  // Whoever makes the new one by hand makes room for it as well.
  const room = byMachine ? findRoom(view, draft, off, before) : { freed: [], brokenFirst: false };

  let moved: Wanted[];
  let minted: Wanted;
  if (!byMachine || first === undefined) {
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
    moved = deliver(view, draft, { minted, lift, automatic, first });
  }

  if (!off && !room.brokenFirst) {
    const quiet = draft.want({
      provider: knowledge.provider,
      account: principal.account,
      lever: knowledge.watchOldQuiet(root.credential, principal),
      after: moved,
      impact: 'none',
      // A quiet that was seen while somebody had still to move says nothing.
      again: moved.some((each) => each.state === 'planned'),
    });
    const disabled = disableRoot(view, draft, quiet.state === 'planned' ? [...before, quiet] : [...before, ...moved, quiet]);
    const cut = cutOff(view, draft, [disabled], before);
    removeAll(view, draft, [disabled, cut, ...cutOffRoles(view, draft, disabled, before)]);
  } else {
    if (!byMachine && off) liftDeny(view, draft, minted);
    removeAll(view, draft, moved);
  }
  predict(view, draft, off || room.brokenFirst);
}

/** The last mint whose credential is not known to have died since. */
function liveMint({ reach, knowledge, principal }: View): string | undefined {
  const step = reach.done.active(knowledge.provider, knowledge.mint(principal));
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
  const freed = draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever: knowledge.remove(reach.root.credential, principal),
    after: [...before, disabled, cut, ...stamped],
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
  const ids = new Set<string>();
  for (const member of reach.members) {
    ids.add(member.id);
    if (member.principal?.id !== principal.id || !knowledge.standsAlone(member.credential)) continue;
    if (!isGone(member.credential) && (member.standing === Standing.OFF || member.standing === Standing.DEAD)) {
      there.push({ id: member.id, title: member.title, member, credential: member.credential });
    }
  }
  for (const node of reach.index.nodes.values()) {
    const { credential } = node;
    if (!credential || ids.has(node.id) || reach.ours.has(node.id) || !knowledge.standsAlone(credential)) continue;
    if (credential.live.state !== 'no' || isGone(credential)) continue;
    if (knowledge.principal(credential.principal ?? reach.index.out(node.id, 'acts-as')[0], principal.account)?.id !== principal.id)
      continue;
    there.push({ id: node.id, title: node.title, member: undefined, credential });
  }
  return there;
}

function remove(view: View, draft: Draft, key: Pick<Dead, 'credential' | 'member'>, after: readonly Wanted[]): Wanted {
  const principal = key.member?.principal ?? view.principal;
  return draft.want({
    provider: view.knowledge.provider,
    account: principal.account,
    lever: view.knowledge.remove(key.credential, principal),
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
    if (
      draft.steps.some(
        (each) => each.action === `${knowledge.provider}/${lever.action}` && each.target.accessKeyId === lever.target.accessKeyId,
      )
    )
      continue;
    if (isGone(member.credential)) continue;
    const disable = draft.steps.find(
      (each) => each.action === `${knowledge.provider}/disable-key` && each.target.accessKeyId === lever.target.accessKeyId,
    );
    const own: Wanted[] = disable ? [{ state: 'planned', id: disable.id }] : [];
    remove(
      view,
      draft,
      { credential: member.credential, member },
      member.origin === 'leaked' ? [...after, ...own] : [...after.filter((each) => each.state === 'planned'), ...own],
    );
  }
}

function disableRoot(view: View, draft: Draft, after: readonly Wanted[], early = false): Wanted {
  const { reach, knowledge, principal, consumers } = view;
  const hurt = consumers.filter(stubborn);
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever: knowledge.disable(reach.root.credential, principal),
    ...(view.sealed ? { params: { sealed: { ...view.sealed } } } : {}),
    after,
    impact: early ? (consumers.length > 0 ? 'outage' : 'possible') : hurt.length > 0 || view.stores.length === 0 ? 'outage' : 'possible',
    affects: (early || hurt.length === 0 ? consumers : hurt).map((each) => each.id),
    again: reach.root.standing === Standing.STANDS,
  });
}

/** Stamped once every key of the principal is off that is turned off at the same question. `before` are containments of what the leak made. */
function cutOff(view: View, draft: Draft, own: readonly Wanted[], before: readonly Wanted[]): Wanted {
  const { knowledge, principal, consumers } = view;
  const action = `${knowledge.provider}/${knowledge.disable(view.reach.root.credential, principal).action}`;
  const siblings = before.filter((each) => {
    const step = each.state === 'planned' ? draft.steps.find((other) => other.id === each.id) : undefined;
    return step !== undefined && step.action === action && step.target.user === principal.name && step.gate === Gate.OUTAGE;
  });
  const after = [...own, ...siblings];
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever: knowledge.cutOff(principal),
    params: { keys: offKeys(view, draft, principal, after) },
    after,
    impact: 'possible',
    affects: consumers.map((each) => each.id),
    again: after.some((each) => each.state === 'planned'),
  });
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
      const lever = knowledge.watchNewUse(principal, consumer.id);
      moved.push(
        draft.want({
          provider: knowledge.provider,
          account: principal.account,
          lever,
          params: { mint },
          after: [read, ...(on.lift ? [on.lift] : []), ...[restarted.get(consumer.id)].filter((each) => each !== undefined)],
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
  return draft.wantManual({
    action: 'replace',
    target: { principal: principal.id },
    subject: principal.name,
    title: `By hand: make a new key of ${principal.name} and deliver it to whoever uses it`,
    byHand: `${why}${full ? ' Both places for a key are taken: one must go first.' : ''} Make one (aws iam create-access-key --user-name ${principal.name}), give it to ${consumers.length > 0 ? named(consumers) : 'whatever uses the old one'}, and see it used.`,
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
function liftDeny(view: View, draft: Draft, minted: Wanted): Wanted | undefined {
  const { reach, knowledge, principal, consumers } = view;
  if (!reach.done.active(knowledge.provider, knowledge.deny(principal))) return undefined;
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
        ? `The deny on ${principal.name} stays: lifting it would wake ${listed(waking.map((each) => each.title))}.`
        : `The deny on ${principal.name} stays: without a cut-off, lifting it would wake every session made before it.`,
    );
    if (until)
      draft.residuals.push({
        what: `the deny on ${principal.name}, as lifting it would wake ${listed(waking.map((each) => each.title))}`,
        target: principal.id,
        until,
      });
    return { state: 'blocked' };
  }
  return draft.want({
    provider: knowledge.provider,
    account: principal.account,
    lever: knowledge.liftDeny(principal),
    params: { keys: offKeys(view, draft, principal, []) },
    after: [minted],
    impact: 'none',
    affects: consumers.map((each) => each.id),
  });
}

/** Whether it could be used again if the deny went. */
function wakes({ knowledge, principal }: View, member: Member, stamp: number | undefined): boolean {
  if (!isHarmless(member.standing)) return true;
  if (member.standing !== Standing.STOPPED || member.principal?.id !== principal.id) return false;
  if (!knowledge.stoppedBy(member.credential).includes('cut-off-sessions') || stamp === undefined) return true;
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
  const action = (name: string) =>
    draft.steps.find(
      (each) =>
        each.action === `${knowledge.provider}/${name}` &&
        (each.target.accessKeyId ?? reach.root.credential.locator.accessKeyId) === reach.root.credential.locator.accessKeyId,
    );
  const started = [knowledge.deny(principal), knowledge.disable(reach.root.credential, principal)]
    .flatMap((lever) => reach.done.active(knowledge.provider, lever) ?? [])
    .sort((a, b) => Date.parse(a.effectiveAt ?? '') - Date.parse(b.effectiveAt ?? ''))[0];
  const disable = action('disable-key');
  for (const consumer of view.consumers) {
    const until = draft.steps.find((each) => each.action === `${knowledge.provider}/watch-new-use` && each.target.consumer === consumer.id);
    const from = started?.step.id ?? disable?.id;
    if (broken) {
      if (!from || (!until && started && reach.done.active(knowledge.provider, knowledge.watchNewUse(principal, consumer.id)))) continue;
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
