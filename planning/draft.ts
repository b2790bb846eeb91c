import type { Consumer, Store } from '../domain/assessment.ts';
import type { CredentialRef, Residual } from '../domain/credential.ts';
import { liftedBy, liftOf } from '../domain/lifts.ts';
import { type ActionManifest, actionOf, type ProviderManifest } from '../domain/manifest.ts';
import type { GateReason, PlanGate, PlanStep, PredictedOutage } from '../domain/plan.ts';
import type { GateRule, Verdict } from '../domain/policy.ts';
import type { SealedRef } from '../domain/report.ts';
import type { Reach } from './facts.ts';
import type { KindKnowledge, Lever, Principal } from './kinds/kind.ts';
import { isCutOff } from './levers.ts';

/** How an account may be used, and how fast it is, where its configuration says so. */
export interface AccountTerms {
  readonly provider: string;
  readonly account: string;
  readonly mode: 'observe' | 'propose' | 'act';
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What every part of the planner looks at. */
export interface View {
  readonly round: number;
  readonly verdict: Verdict;
  readonly claim: boolean;
  /** Nothing that changes anything goes ungated. */
  readonly asking: boolean;
  readonly reach: Reach;
  readonly knowledge: KindKnowledge;
  readonly principal: Principal;
  readonly account: string;
  readonly providerTime: string;
  readonly slots: { readonly used: number; readonly limit: number } | undefined;
  readonly stores: readonly Store[];
  readonly consumers: readonly Consumer[];
  /** Every consumer that the inventory knows of in these accounts, whatever it uses. */
  readonly everyone: readonly Consumer[];
  /** Secrets that the leak read, by the names that the log has for them. */
  readonly secretsRead: readonly string[];
  readonly manifests: Readonly<Record<string, ProviderManifest>>;
  readonly protectedTargets: ReadonlySet<string>;
  /** The leaked credential by the name that it was reported by, which is all that a worker takes a standing authorisation for. */
  readonly reported: CredentialRef;
  /** What is in use and would die with the leaked credential if that action ended it, by node id. */
  readonly casualties: (action: string) => readonly string[];
  /** The leaked secret, sealed, where it was proven real. */
  readonly sealed: SealedRef | undefined;
  readonly swept: 'yes' | 'no' | 'unknown';
  /** Seconds: how long a change takes to be effective at the provider, and how far its logs are behind. */
  readonly propagation: number;
  readonly logLag: number;
}

/** Where a wanted step stands: done in an earlier round, planned now, refused by a person, or impossible since what it needs is. */
export type Wanted =
  | { readonly state: 'done'; readonly id: string; readonly made?: Readonly<Record<string, string>> }
  | { readonly state: 'planned'; readonly id: string }
  | { readonly state: 'refused'; readonly by: string }
  | { readonly state: 'blocked' };

/** What a step is asked to be. `after` are what must be done before it. */
export interface Wish {
  readonly provider: string;
  readonly account: string;
  readonly lever: Lever;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly after?: readonly Wanted[];
  readonly impact: PlanStep['impact'];
  readonly affects?: readonly string[];
  /** A gate of its own instead of the one its kind asks for. */
  readonly gate?: string;
  /** Promised with its date in a plan that people have seen, and harmless: it is not asked again. */
  readonly promised?: boolean;
  /** It contains the leaked credential itself and cannot be undone: what people signed beforehand may be the leave for it. */
  readonly standing?: boolean;
  /** Planned though an earlier round has done it. */
  readonly again?: boolean;
}

export const Gate = {
  OUTAGE: 'g-outage',
  IRREVERSIBLE: 'g-irreversible',
  PROTECTED: 'g-protected',
  READABLE: 'g-readable-store',
  CASCADE: 'g-cascade',
  WIDTH: 'g-width',
  BY_HAND: 'g-by-hand',
} as const;

/** A step that has failed this often is not tried again unasked: it becomes one that a person does by hand. */
export const mostFailures = 3;

const lastEight = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(-8)
    .replace(/^-/, '');

/** Puts values in the place of `{name}`; what has no value stays as it is, so that nobody types a command with a hole in it unknowingly. */
export function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : whole;
  });
}

/** A plan in the making. */
export class Draft {
  readonly view: Pick<View, 'round' | 'verdict' | 'claim' | 'asking' | 'manifests' | 'protectedTargets' | 'casualties' | 'reported'> & {
    readonly reach: Reach;
  };
  readonly steps: PlanStep[] = [];
  readonly questions = new Map<string, { readonly reason: GateReason; readonly question: string; readonly rule: GateRule }>();
  readonly notes: string[] = [];
  readonly predicted: PredictedOutage[] = [];
  readonly residuals: Residual[] = [];
  readonly #ids = new Set<string>();

  constructor(view: Draft['view']) {
    this.view = view;
  }

  /** The step, unless it is done, refused, or hangs on one that is. */
  want(wish: Wish): Wanted {
    const { provider, lever } = wish;
    const { done } = this.view.reach;
    const refusedBy = done.refusedBy(provider, lever);
    if (!wish.again) {
      const before = done.active(provider, lever);
      if (before) return { state: 'done', id: before.step.id, ...(before.made ? { made: before.made } : {}) };
    }
    if (refusedBy !== undefined) {
      // What a refusal leaves standing is owed an answer; what it leaves unmade is not.
      const phase = this.manifestOf(provider, lever.action)?.phase;
      const words = `${lever.action.replaceAll('-', ' ')} on ${lever.subject} was refused`;
      if (phase === 'contain' || phase === 'revoke') this.accept(`${words}: it stays as it is`, lever.subject, refusedBy);
      else this.note(`${words} by ${refusedBy}.`);
      return { state: 'refused', by: refusedBy };
    }
    const after = wish.after ?? [];
    if (after.some((each) => each.state === 'refused' || each.state === 'blocked')) return { state: 'blocked' };
    const needs = [...new Set(after.flatMap((each) => (each.state === 'planned' ? [each.id] : [])))];
    const manifest = this.manifestOf(provider, lever.action);
    if (this.isOwn(lever)) return this.#byHand(wish, needs, manifest, 'The engine itself stands on it, and never touches it.');
    if (!manifest || (provider !== 'manual' && done.failures(provider, lever) >= mostFailures)) return this.#byHand(wish, needs, manifest);
    const values = { ...lever.target, ...wish.params };
    const title = fill(manifest.title, values);
    const id = this.newId(lever);
    this.steps.push({
      id,
      action: `${provider}/${lever.action}`,
      provider,
      account: wish.account,
      target: lever.target,
      params: wish.params ?? {},
      title: title === manifest.title ? `${title}: ${lever.subject}` : title,
      phase: manifest.phase,
      needs,
      reversibility: manifest.reversibility,
      impact: wish.impact,
      affects: wish.affects ?? [],
      ...this.#gateOf(wish, manifest),
      ...(lever.hold !== undefined && manifest.scope === 'principal' ? { hold: lever.hold, ...this.#liftsOf(provider, manifest) } : {}),
      byHand: fill(manifest.byHand, values),
      ...(manifest.byHandUndo === undefined ? {} : { byHandUndo: fill(manifest.byHandUndo, values) }),
    });
    return { state: 'planned', id };
  }

  /** A step that only a person can do. It counts when somebody signs that it is done. */
  wantManual(wish: {
    readonly action: string;
    readonly target: Readonly<Record<string, string>>;
    readonly subject: string;
    readonly title: string;
    readonly byHand: string;
    readonly question: string;
    readonly phase: PlanStep['phase'];
    readonly impact: PlanStep['impact'];
    readonly affects?: readonly string[];
    readonly after?: readonly Wanted[];
    readonly gate?: string;
    readonly again?: boolean;
  }): Wanted {
    const lever: Lever = { action: wish.action, target: { account: 'manual', ...wish.target }, subject: wish.subject };
    const { done } = this.view.reach;
    const before = wish.again ? undefined : done.active('manual', lever);
    if (before) return { state: 'done', id: before.step.id };
    const refusedBy = done.refusedBy('manual', lever);
    if (refusedBy !== undefined) {
      this.accept(`"${wish.title}" was refused and is left undone`, wish.subject, refusedBy);
      return { state: 'refused', by: refusedBy };
    }
    const after = wish.after ?? [];
    if (after.some((each) => each.state === 'refused' || each.state === 'blocked')) return { state: 'blocked' };
    const id = this.newId(lever);
    const gate = wish.gate ?? `g-${id}`;
    if (!this.questions.has(gate)) this.ask(gate, 'manual', wish.question, { ...this.view.verdict.gates.outage, onSilence: 'hold' });
    this.steps.push({
      id,
      action: `manual/${wish.action}`,
      provider: 'manual',
      account: 'manual',
      target: lever.target,
      params: { words: wish.byHand },
      title: wish.title,
      phase: wish.phase,
      needs: [...new Set(after.flatMap((each) => (each.state === 'planned' ? [each.id] : [])))],
      reversibility: 'reversible',
      impact: wish.impact,
      affects: wish.affects ?? [],
      gate,
      byHand: wish.byHand,
    });
    return { state: 'planned', id };
  }

  /** Declares a gate; the first question stands. */
  ask(id: string, reason: GateReason, question: string, rule: GateRule): void {
    if (!this.questions.has(id)) this.questions.set(id, { reason, question, rule });
  }

  note(words: string): void {
    if (!this.notes.includes(words)) this.notes.push(words);
  }

  accept(what: string, target: string, by: string): void {
    if (!this.residuals.some((each) => each.what === what)) this.residuals.push({ what, target, acceptedBy: by });
  }

  manifestOf(provider: string, action: string): ActionManifest | undefined {
    const manifest = this.view.manifests[provider];
    return manifest && actionOf(manifest, action);
  }

  /** The gates that steps stand at, in the order of the steps. */
  gates(): PlanGate[] {
    const { verdict } = this.view;
    const used = [...new Set(this.steps.flatMap((each) => (each.gate ? [each.gate] : [])))];
    return used.map((id) => {
      const asked = this.questions.get(id);
      if (!asked) throw new TypeError(`the planner asks nothing at ${id}`);
      return { id, reason: asked.reason, question: asked.question, rule: asked.rule, barred: verdict.barred };
    });
  }

  newId(lever: Lever): string {
    const base = `r${this.view.round}-${lever.action}-${lastEight(lever.subject)}`;
    let id = base;
    for (let n = 2; this.#ids.has(id); n++) id = `${base}-${n}`;
    this.#ids.add(id);
    return id;
  }

  /** True where the target, or the principal behind it, is what the engine itself stands on. */
  isOwn(lever: Lever): boolean {
    const self = this.view.verdict.self ?? [];
    if (self.length === 0) return false;
    const named = new Set(Object.entries(lever.target).flatMap(([name, value]) => (name === 'account' ? [] : [value])));
    return self.some((each) => named.has(each) || each === lever.hold);
  }

  /** True where the target, or the principal behind it, is one that must not be touched unasked. */
  isProtected(lever: Lever): boolean {
    const { protectedTargets } = this.view;
    if (protectedTargets.size === 0) return false;
    return (
      Object.entries(lever.target).some(([name, value]) => name !== 'account' && protectedTargets.has(value)) ||
      protectedTargets.has(lever.hold ?? '\n') ||
      (lever.target.account !== undefined && protectedTargets.has(`account ${lever.target.account}`))
    );
  }

  /** What the step takes off, or what takes it off again, where only the manifest knows. */
  #liftsOf(provider: string, manifest: ActionManifest): Pick<PlanStep, 'lifts' | 'liftedBy'> {
    const { name, lifts } = manifest;
    const lift = this.view.manifests[provider]?.actions.find((each) => each.lifts === name)?.name;
    return {
      ...(lifts !== undefined && liftedBy(name) !== lifts ? { lifts } : {}),
      ...(lift !== undefined && liftOf[name] !== lift ? { liftedBy: lift } : {}),
    };
  }

  #gateOf(wish: Wish, manifest: ActionManifest): Pick<PlanStep, 'gate' | 'authorisation'> {
    if (wish.gate === Gate.READABLE) return { gate: wish.gate };
    const { authorised } = this.view.verdict;
    if (
      wish.standing &&
      Object.values(this.view.reported.locator).every((each) => Object.values(wish.lever.target).includes(each)) &&
      authorised &&
      manifest.reversibility === 'irreversible' &&
      !wish.gate &&
      !this.view.asking &&
      !this.isProtected(wish.lever)
    ) {
      const hurt = this.view.casualties(wish.lever.action);
      return { ...(hurt.length > 0 ? { gate: Gate.CASCADE } : {}), authorisation: authorised.authorisation };
    }
    if (manifest.reversibility === 'irreversible') return { gate: Gate.IRREVERSIBLE };
    if (!manifest.watches && this.isProtected(wish.lever)) return { gate: Gate.PROTECTED };
    if (wish.gate) return { gate: wish.gate };
    if (this.view.asking && !wish.promised) return { gate: Gate.OUTAGE };
    return {};
  }

  #byHand(wish: Wish, needs: readonly string[], manifest: ActionManifest | undefined, because?: string): Wanted {
    const { lever, provider } = wish;
    const words = manifest
      ? fill(manifest.byHand, { ...lever.target, ...wish.params })
      : `Do by hand what no provider here can: ${lever.action.replaceAll('-', ' ')} for ${lever.subject} at ${provider}.`;
    const why = because ?? (manifest ? `It has failed ${mostFailures} times and is not tried again.` : 'No provider here can do it.');
    return this.wantManual({
      action: 'by-hand',
      target: {
        of: `${provider}/${lever.action}`,
        subject: lever.subject,
        ...(wish.params?.mint ? { mint: String(wish.params.mint) } : {}),
      },
      subject: `${lever.action}-${lever.subject}`,
      title: `By hand: ${lever.action.replaceAll('-', ' ')} ${lever.subject}`,
      byHand: words,
      question: `Has "${lever.action.replaceAll('-', ' ')}" on ${lever.subject} been done by hand? ${why}`,
      phase: manifest?.phase ?? 'contain',
      impact: wish.impact,
      affects: wish.affects ?? [],
      after: needs.map((id) => ({ state: 'planned', id })),
      // Stamped by hand once, and something was issued since.
      again: wish.again === true && isCutOff(this.view.reach.knowledge, { action: `${provider}/${lever.action}`, provider }),
    });
  }
}

/** Names as people list them: `a, b and c`. */
export function listed(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? 'nobody';
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
