import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{apps,packages}/*/test/**/*.test.ts', '{benchmarks,scripts}/test/**/*.test.ts'],
    // Tests start servers, databases and browsers: real parts take their time on a small machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // One database server for the run; each test file gets a database of its own on it.
    globalSetup: ['apps/gateway/test/support/global-setup.ts'],
    setupFiles: ['scripts/write-coverage.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Node runs the sources itself, as it does in production, so that V8's own coverage of every process, spawned
    // ones included, speaks of the same lines.
    experimental: { viteModuleRunner: false },
  },
})
