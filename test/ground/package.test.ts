import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { play } from '../audit/engine.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;
let app: string;
let packed: readonly string[];

function run(command: string, args: readonly string[], cwd: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(command, args, { cwd, encoding: 'utf8', input: '', maxBuffer: 2 ** 26 });
}
/** The npm that runs the tests, or the one on PATH. */
function npm(args: readonly string[], cwd: string): string {
  const path = process.env.npm_execpath;
  const { status, stdout, stderr } = path ? run(process.execPath, [path, ...args], cwd) : run('npm', args, cwd);
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What npm lays down for somebody whose own protobufjs is 7: ours must find its 8, though theirs is at the top. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tourniquet-package-'));
  app = join(folder, 'app');
  mkdirSync(app);
  const built = run(process.execPath, [join(root, 'scripts', 'build.mjs')], root);
  if (built.status !== 0) throw new Error(`${built.stdout}${built.stderr}`);
  const [answer] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)) as {
    files: { path: string }[];
  }[];
  packed = (answer?.files ?? []).map(({ path }) => path);
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  writeFileSync(
    join(app, 'package.json'),
    JSON.stringify({ name: 'app', private: true, type: 'module', dependencies: { protobufjs: '7.6.6' } }),
  );
  npm(['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', join(folder, tarball ?? '')], app);
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the package, installed where protobufjs 7 is at the top', () => {
  it('holds JavaScript, types, the workflow bundle and the default policy, and neither sources nor tests', () => {
    for (const each of [
      'LICENSE',
      'dist/cli/main.js',
      'dist/client/index.js',
      'dist/client/index.d.ts',
      'dist/workers/main.js',
      'dist/workflow-bundle.cjs',
      'policies/default.yaml',
    ]) {
      expect(packed).toContain(each);
    }
    expect(packed.filter((path) => /(?<!\.d)\.(ts|mts)$/.test(path))).toEqual([]);
    expect(
      packed.filter((path) => path.includes('.test.') || (path.startsWith('dist/test/') && !path.startsWith('dist/test/conformance/'))),
    ).toEqual([]);
    expect(packed.filter((path) => /(^|\/)(\.tourniquet|\.tools|\.env|node_modules|keys|secrets)(\/|$)/.test(path))).toEqual([]);
  });

  it('is there with protobufjs 7 above it', () => {
    expect((JSON.parse(readFileSync(join(app, 'node_modules', 'protobufjs', 'package.json'), 'utf8')) as { version: string }).version).toBe(
      '7.6.6',
    );
  });

  it('gives its client and its provider contract', () => {
    const told = run(
      process.execPath,
      [
        '-e',
        "Promise.all([import('tourniquet-engine/client'), import('tourniquet-engine/provider')]).then(([c]) => console.log(typeof c.createClient))",
      ],
      app,
    );
    expect(told.stderr).toBe('');
    expect(told.stdout.trim()).toBe('function');
  });

  it('reads a history from protobuf in the client’s own process', () => {
    const script = `
      import proto from '@temporalio/proto';
      import { createRequire } from 'node:module';
      const History = proto.temporal.api.history.v1.History;
      const bytes = History.encode({ events: [{ eventId: 1, eventType: 1, workflowExecutionStartedEventAttributes: { workflowType: { name: 'leakResponse' } } }] }).finish();
      console.log(History.decode(bytes).events[0].workflowExecutionStartedEventAttributes.workflowType.name);`;
    writeFileSync(join(app, 'history.mjs'), script);
    expect(run(process.execPath, ['history.mjs'], app).stdout.trim()).toBe('leakResponse');
  });

  it('has types that a strict consumer can use', () => {
    writeFileSync(
      join(app, 'use.ts'),
      "import { createClient, type TourniquetClient } from 'tourniquet-engine/client';\nimport type {} from 'tourniquet-engine/provider';\nexport const make: (...args: Parameters<typeof createClient>) => unknown = createClient;\nexport type C = TourniquetClient;\n",
    );
    const tsc = run(
      process.execPath,
      [
        join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
        ...'--noEmit --strict --exactOptionalPropertyTypes --module nodenext --target es2024 --skipLibCheck use.ts'.split(' '),
      ],
      app,
    );
    expect(tsc.stdout).toBe('');
    expect(tsc.status).toBe(0);
  });

  it('brings a command that tells what it can do, and leaves its user their own node', () => {
    const told = run(join(app, 'node_modules', '.bin', 'tourniquet'), ['--help'], app);
    expect(told.stderr).toBe('');
    expect(told.stdout).toContain('Usage: tourniquet');
    expect(told.status).toBe(0);
    expect(readdirSync(join(app, 'node_modules', '.bin'))).not.toContain('node');
  });

  it('verifies an audit bundle in a folder with no configuration, and says what it could not authenticate', async () => {
    const bundle = join(app, 'bundle.zip');
    const trust = join(app, 'trust.yaml');
    await play('acme/private', async (played) => {
      await played.until((now) => now.gates.some((gate) => gate.state === 'open'));
      writeFileSync(bundle, (await played.export(false)).zip);
      copyFileSync(played.trust.paths.trust, trust);
    });
    const tourniquet = join(app, 'node_modules', '.bin', 'tourniquet');
    const verified = run(tourniquet, ['audit', 'verify', bundle, '--trust', trust], app);
    expect(verified.stdout + verified.stderr).toContain('✓ verified');
    expect(verified.status).toBe(0);
    const alone = run(tourniquet, ['audit', 'verify', bundle], app);
    expect(alone.stdout + alone.stderr).toContain('consistent, not authenticated');
    expect(alone.status).toBe(9);
  }, 90_000);
});
