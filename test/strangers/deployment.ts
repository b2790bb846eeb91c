import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const example = join(root, 'examples', 'provider-acme');

/** A folder as somebody deploys the engine in: the engine and packages of theirs in `node_modules`. */
export interface Deployment {
  readonly folder: string;
  /** Lays a package down, by file. */
  install(name: string, files: Readonly<Record<string, string>>): void;
  remove(): void;
}

export function deployment(): Deployment {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-deployment-'));
  const install: Deployment['install'] = (name, files) => {
    for (const [file, text] of Object.entries(files)) {
      const path = join(folder, 'node_modules', name, file);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, text);
    }
  };
  const door = (path: string): string => `export * from ${JSON.stringify(pathToFileURL(join(root, path)).href)};\n`;
  install('tourniquet-engine', {
    'package.json': JSON.stringify({
      name: 'tourniquet-engine',
      type: 'module',
      exports: { './provider': './provider.js', './testing': './testing.js' },
    }),
    'provider.js': door('providers/index.ts'),
    'testing.js': door('test/conformance/index.ts'),
  });
  return { folder, install, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The example as it is published: JavaScript in `dist`, as node runs no TypeScript below `node_modules`. */
export function built(): Readonly<Record<string, string>> {
  const warn = process.emitWarning;
  process.emitWarning = () => undefined;
  try {
    return {
      'package.json': readFileSync(join(example, 'package.json'), 'utf8'),
      ...Object.fromEntries(
        readdirSync(example)
          .filter((file) => file.endsWith('.ts'))
          .map((file) => [
            `dist/${file.replace(/\.ts$/, '.js')}`,
            stripTypeScriptTypes(readFileSync(join(example, file), 'utf8')).replaceAll(/(from '\.\/[a-z-]+)\.ts'/g, "$1.js'"),
          ]),
      ),
    };
  } finally {
    process.emitWarning = warn;
  }
}
