import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');

/** An edit of one source file before it is bundled. `find` must stand in it exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The code of both bundles. */
export interface Code {
  readonly engine: string;
  readonly workflows: string;
}

/** A watching incident looks about twice a day here and not every hour: nothing happens in between but more of the same. */
const harness: readonly Edit[] = [
  { file: 'workflows/leak-response.ts', find: 'const slowest = 3_600_000;', replace: 'const slowest = 40 * 3_600_000;' },
];

function patched(edits: readonly Edit[], used: Set<Edit>): Plugin {
  return {
    name: 'patched',
    setup(builder) {
      const byFile = new Map<string, Edit[]>();
      for (const edit of edits) byFile.set(resolve(root, edit.file), [...(byFile.get(resolve(root, edit.file)) ?? []), edit]);
      for (const file of byFile.keys()) {
        builder.onLoad({ filter: new RegExp(`^${file.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`) }, () => {
          let contents = readFileSync(file, 'utf8');
          for (const edit of byFile.get(file) ?? []) {
            const parts = contents.split(edit.find);
            if (parts.length !== 2) throw new Error(`${edit.file}: "${edit.find}" stands in it ${parts.length - 1} times, and not once`);
            contents = parts.join(edit.replace);
            used.add(edit);
          }
          return { contents, loader: 'ts' };
        });
      }
      builder.onResolve({ filter: /^__temporal_custom_payload_converter$/ }, () => ({
        path: resolve(root, 'workflows/payload-converter.ts'),
      }));
      builder.onResolve({ filter: /^__temporal_custom_failure_converter$/ }, () => ({
        path: resolve(root, 'workflows/failure-converter.ts'),
      }));
      builder.onResolve({ filter: /\/quiet\.ts$/ }, () => ({ path: resolve(here, 'no-debug.ts') }));
      // Temporal's workflow and activity libraries are bundled, for the sake of their clocks; everything else from npm is loaded once.
      builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point' || path.startsWith('__')) return undefined;
        if (path.startsWith('@temporalio/workflow') || path === '@temporalio/activity' || path === 'canonicalize') return undefined;
        return { path, external: true };
      });
    },
  };
}

/** Bundles the engine as it stands in the checkout, with the edits in it. Throws where an edit does not fit. */
export async function bundle(edits: readonly Edit[] = []): Promise<Code> {
  const used = new Set<Edit>();
  const all = [...harness, ...edits];
  const make = async (entry: string): Promise<string> => {
    const result = await build({
      entryPoints: [resolve(here, entry)],
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'node22',
      logLevel: 'silent',
      define: { 'import.meta.url': JSON.stringify(`file://${root}/workflows/index.ts`) },
      plugins: [patched(all, used)],
    });
    return result.outputFiles[0]?.text ?? '';
  };
  const [engine, workflows] = await Promise.all([make('entry-engine.ts'), make('entry-workflows.ts')]);
  for (const edit of all) if (!used.has(edit)) throw new Error(`${edit.file} is in neither bundle, so that nothing was changed in it`);
  return { engine, workflows };
}
