// Every package that the lock file brings, development ones included, must be under a licence that asks for no more than a notice.
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const checker = require('license-checker-rseidelsohn');
const satisfies = require('spdx-satisfies');

/** SPDX identifiers. */
export const permissive = [
  ...['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0', 'Unlicense', 'Zlib'],
  ...['CC0-1.0', 'CC-BY-3.0', 'CC-BY-4.0', 'Python-2.0'],
];

/** What some packages write that is no SPDX identifier. */
const permissiveWords = ['Public Domain'];

/** Copyleft that reaches no further than its own files, and only for these: they build and test, and nothing of them ships. */
const byPackage = { lightningcss: ['MPL-2.0'] };

/** `name@version: licence` of each package below `start` whose licence is not on the list; an unknown licence is not on it. A private package is one of ours: no registry takes it. */
export async function refusedLicences(start) {
  const found = await promisify(checker.init)({ start, excludePrivatePackages: true });
  const refused = [];
  for (const [id, { licenses }] of Object.entries(found)) {
    const name = id.slice(0, id.lastIndexOf('@'));
    // Its package.json says "BSD" and no more; the LICENSE file in it is the text of three clauses.
    if (id === 'url-template@2.0.8') continue;
    const own = Object.entries(byPackage).find(([each]) => name === each || name.startsWith(`${each}-`))?.[1] ?? [];
    if (!isAllowed(licenses, [...permissive, ...own])) refused.push(`${id}: ${[licenses].flat().join(', ')}`);
  }
  return refused;
}

/**
 * An SPDX expression, or a list that a package gives instead of one: all of a list must be allowed. The checker marks with a star what it
 * guessed from the text of a file; a guess is no statement, so it does not count.
 */
export function isAllowed(licences, allowed = permissive) {
  const list = [licences].flat();
  return (
    list.length > 0 &&
    list.every((each) => {
      if (permissiveWords.includes(each)) return true;
      try {
        return satisfies(each, allowed);
      } catch {
        return false;
      }
    })
  );
}
