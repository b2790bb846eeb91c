import { templateFor } from '../providers/manual/manifest.ts';
import type { Draft } from './draft.ts';
import type { PlanInput } from './input.ts';

/** A credential of somebody else's account: whoever issued it is told, and nothing else is ours to do. */
export function tellOwner(input: PlanInput, draft: Draft): void {
  const { finding } = input.assessment;
  const { root } = draft.view.reach;
  draft.note(
    `${root.title} belongs to the account ${finding.account}, which is none of ours: its owner is unknown to us, and nothing is done to it.`,
  );
  draft.wantManual({
    action: 'tell-owner',
    target: { credential: root.id },
    subject: root.id,
    title: `By hand: tell whoever owns ${root.title}`,
    byHand: `Find out who owns the account ${finding.account} (its issuer's abuse desk knows) and tell them that ${root.id} has leaked. Send no secret.`,
    question: `Has the owner of the account ${finding.account} been told that ${root.title} has leaked?`,
    phase: 'contain',
    impact: 'none',
  });
}

/** No provider handles it: a person does everything, in words, and signs for each part. Until then it is not contained. */
export function byHandOnly(input: PlanInput, draft: Draft): void {
  const { assessment, inventory } = input;
  const words = templateFor(assessment.credential.kind);
  const { root } = draft.view.reach;
  const owner = inventory.owner ? ` Its owner is ${inventory.owner}.` : ' Nobody is known to own it: find out who does first.';
  draft.note(
    draft.view.reach.knowledge
      ? `Whose ${root.title} is could not be found out, so the engine cannot act on it.${owner}`
      : `No provider here handles ${assessment.credential.kind}, so a person does what is to be done.${owner}`,
  );
  if (words.survives.length > 0) draft.note(`What survives its end: ${words.survives.join(' ')}`);
  const contained = draft.wantManual({
    action: 'contain',
    target: { credential: root.id },
    subject: root.id,
    title: `By hand: make ${root.title} useless, and see it refused`,
    byHand: `${words.contain} It is ${root.id}.${words.takesAlong ? ` ${words.takesAlong}` : ''} Proof: ${words.proof}${owner}`,
    question: `Has ${root.title} been turned off by hand, and been seen refused?${owner}`,
    phase: 'contain',
    impact: 'possible',
  });
  const replaced = draft.wantManual({
    action: 'replace',
    target: { principal: root.id },
    subject: root.id,
    title: `By hand: give whatever uses ${root.title} a new one`,
    byHand: `${words.replace}${owner}`,
    question: `Has whatever used ${root.title} been given a new one, or does nothing need one?`,
    phase: 'distribute',
    impact: 'possible',
    after: [contained],
  });
  draft.wantManual({
    action: 'sweep',
    target: { credential: root.id },
    subject: root.id,
    title: `By hand: look for what was done with ${root.title}`,
    byHand: `${words.sweep} Since ${assessment.exposedSince ?? 'the day it leaked'}. Report each new credential found.`,
    question: `Have the logs been read for what was made, read and left behind with ${root.title}?`,
    phase: 'verify',
    impact: 'none',
    after: [replaced],
  });
}
