/** Unit tests: the engine and the command line under plain Node, components under jsdom. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Two cores are the common case; engine tests are CPU-bound.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'engine',
          environment: 'node',
          include: ['src/**/*.test.ts', '{guests,bench,scripts}/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'ui',
          environment: 'jsdom',
          include: ['src/ui/**/*.test.tsx'],
        },
      },
    ],
  },
});
