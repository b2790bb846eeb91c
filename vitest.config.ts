import { defineConfig } from 'vitest/config';
import { enterPracticeEnvironment } from './scripts/environment.mjs';

// Here as well as in scripts/test.mjs, so that a test run by an editor or by vitest itself cannot reach a real account either.
enterPracticeEnvironment();
process.env['TZ'] = 'UTC';

export default defineConfig({
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
