import type { CommandDefinition } from '../command.ts';

/** Every command by its name. Each is loaded only when it is called, since a command line should answer at once. */
export const commands: Readonly<Record<string, () => Promise<{ readonly command: CommandDefinition }>>> = {
  init: () => import('./init.ts'),
  up: () => import('./up.ts'),
  down: () => import('./down.ts'),
  start: () => import('./start.ts'),
  report: () => import('./report.ts'),
  list: () => import('./list.ts'),
  show: () => import('./show.ts'),
  plan: () => import('./plan.ts'),
  approve: () => import('./approve.ts'),
  reject: () => import('./reject.ts'),
  rollback: () => import('./rollback.ts'),
  watch: () => import('./watch.ts'),
  'audit export': () => import('./audit-export.ts'),
  'audit verify': () => import('./audit-verify.ts'),
  'audit replay': () => import('./audit-replay.ts'),
  'audit gaps': () => import('./audit-gaps.ts'),
  'key new': () => import('./key-new.ts'),
  'key list': () => import('./key-list.ts'),
  'decision sign': () => import('./decision-sign.ts'),
  doctor: () => import('./doctor.ts'),
  help: () => import('./help.ts'),
};
