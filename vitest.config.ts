import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { enterPracticeEnvironment } from './scripts/environment.mjs';

// Here as well as in scripts/test.mjs, so that a test run by an editor or by vitest itself cannot reach a real account either.
enterPracticeEnvironment();
process.env['TZ'] = 'UTC';

/** What the package publishes, for the example that is written against nothing else. */
const published = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      'tourniquet-engine/provider': published('providers/index.ts'),
      'tourniquet-engine/testing': published('test/conformance/index.ts'),
    },
  },
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', '.tools/**', '.tourniquet/**'],
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['test/setup/global.ts'],
    env: { TZ: 'UTC' },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
