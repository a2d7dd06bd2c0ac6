import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
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
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: ['{apps,packages}/*/test/**/*.test.ts', '{benchmarks,scripts}/test/**/*.test.ts'],
          provide: { connection: 'direct' },
        },
      },
      {
        extends: true,
        test: {
          // The same tests again, with PgBouncer in transaction mode between: what speaks to the database itself.
          name: 'pooled',
          include: [
            'apps/gateway/test/storage/{contacts,database,events,key-ring,leases,retention,row-level-security}.test.ts',
            'apps/gateway/test/storage/{writer,writer-failures,writer-order}.test.ts',
            'apps/gateway/test/services/outbox/accept.test.ts',
          ],
          provide: { connection: 'pooled' },
        },
      },
    ],
  },
})
