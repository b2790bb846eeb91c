import { createRequire } from 'node:module';

/** These print what they send: node-vault the body of every write, follow-redirects (beneath it) the headers with our token. */
const talkative = ['node-vault', 'follow-redirects', 'axios'];

interface Debug {
  (name: string): { readonly enabled: boolean };
  disable(): string;
  enable(names: string): void;
}

/**
 * SECRET: takes the libraries that print secrets out of DEBUG, for this process and for those it starts, and returns the names that had been on.
 * Both the variable and every loaded copy of `debug` are changed, as a copy reads the variable once only.
 */
export function silence(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const without = talkative.map((name) => `-${name}`);
  const silenced = new Set<string>();
  for (const debug of copies()) {
    for (const name of talkative) if (debug(name).enabled) silenced.add(name);
    const names = debug.disable();
    if (names !== '') debug.enable([names, ...without].join(','));
  }
  const asked = environment.DEBUG;
  if (asked !== undefined && asked !== '' && !without.every((name) => asked.split(/[\s,]+/).includes(name))) {
    environment.DEBUG = [asked, ...without].join(',');
  }
  return [...silenced];
}

/** Each copy of `debug` that node-vault, axios and follow-redirects would load, wherever npm has put it. */
function copies(): readonly Debug[] {
  const found = new Set<Debug>();
  let from: string = import.meta.url;
  for (const name of ['node-vault', 'axios', 'follow-redirects']) {
    try {
      from = createRequire(from).resolve(name);
      found.add(createRequire(from)('debug') as Debug);
    } catch {
      // A library that is not there prints nothing.
    }
  }
  return [...found];
}
