import type { Hash } from '../domain/canonical.ts';
import type { People, Trust } from '../domain/trust.ts';
import type { Edit, Register } from './register.ts';

/** What a judge judges by, each asked for anew every time. */
export interface Grounds {
  readonly trust: () => Trust;
  readonly people: () => People;
  readonly policy: () => { readonly policy: unknown; readonly hash: Hash };
}

/**
 * The same grounds, with every change of them entered in the register: at once, and whenever what comes back is another. The entry stands before whatever is
 * judged by it. An edit that nobody asked after while it lasted was judged by nowhere, and is not entered.
 */
export function noticingEdits<T extends Grounds>(grounds: T, register: Register): T {
  const seen = new Map<Edit['kind'], unknown>();
  const notice = (edit: Edit): void => {
    if (seen.get(edit.kind) === edit.content) return;
    seen.set(edit.kind, edit.content);
    register.note(edit).catch(() => {
      // The store is away: so is everything that would be judged meanwhile, and it is noted when it is asked for next.
      if (seen.get(edit.kind) === edit.content) seen.delete(edit.kind);
    });
  };
  const noticed = {
    ...grounds,
    trust: () => {
      const trust = grounds.trust();
      notice({ kind: 'trust', content: trust, serial: trust.serial });
      return trust;
    },
    people: () => {
      const people = grounds.people();
      notice({ kind: 'people', content: people });
      return people;
    },
    policy: () => {
      const found = grounds.policy();
      notice({ kind: 'policy', content: found.policy });
      return found;
    },
  };
  // At once: what a judge starts with is entered before its first incident, and the register's end is found now and not between a report and its first change.
  for (const ask of [noticed.trust, noticed.people, noticed.policy]) {
    try {
      ask();
    } catch {
      // Whoever asks in earnest is told.
    }
  }
  return noticed;
}
