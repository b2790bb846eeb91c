// Checks who imports whom, by dependency-cruiser and the drawing in .dependency-cruiser.mjs. TypeScript 7 has no compiler interface for
// other programs, and a second `typescript` package would fight for the name `tsc`; so dependency-cruiser is lent the TypeScript 6 that
// @ts-morph/common carries inside. It only parses: what it reads are imports, which both versions write alike.
import { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const parser = 'tourniquet:typescript';
const manifest = 'tourniquet:typescript/package.json';

registerHooks({
  resolve(specifier, context, next) {
    const forCruiser = context.parentURL?.includes('/dependency-cruiser/');
    if (forCruiser && specifier === 'typescript') return { url: parser, format: 'commonjs', shortCircuit: true };
    if (forCruiser && specifier === 'typescript/package.json') return { url: manifest, format: 'json', shortCircuit: true };
    return next(specifier, context);
  },
  load(url, context, next) {
    if (url === parser) {
      return {
        format: 'commonjs',
        shortCircuit: true,
        source: `module.exports = require(${JSON.stringify(require.resolve('@ts-morph/common'))}).ts`,
      };
    }
    if (url === manifest) {
      return {
        format: 'json',
        shortCircuit: true,
        source: JSON.stringify({ name: 'typescript', version: require('@ts-morph/common').ts.version }),
      };
    }
    return next(url, context);
  },
});

await import(pathToFileURL(join(import.meta.dirname, '..', 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruiser.mjs')).href);
