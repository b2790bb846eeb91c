import * as list from '../scripts/environment.mjs';

/**
 * A copy of `base` in which nothing leads to a real account: no `AWS_*`, `VAULT_*`, `BAO_*`, `GOOGLE_*`, `GH_*`, `GITHUB_*`, `TEMPORAL_*`,
 * `CLOUDSDK_*`; the home folder, where the profiles lie, is an empty folder of the practice world (`.tourniquet/home` below the working folder,
 * made if it is missing, unless `home` or an enclosing practice world names another); the AWS profile files are the null device, the
 * metadata service is off, and loopback goes past any proxy. Everything the lab starts gets this, plus what it is told by name.
 */
export function practiceEnvironment(
  base: NodeJS.ProcessEnv = process.env,
  options: { readonly home?: string } = {},
): Record<string, string> {
  return list.practiceEnvironment(base, options);
}

/** Puts the present process into the practice environment, for good: for `start` and `up`, before anything reads a variable. */
export function enterPracticeEnvironment(options: { readonly home?: string } = {}): void {
  list.enterPracticeEnvironment(options);
}

/** True of a variable that the practice environment drops. */
export const isDropped = (name: string): boolean => list.isDropped(name);
