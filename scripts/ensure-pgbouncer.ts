import { ensureProgram } from './ensure-program.ts'

export const ensurePgBouncer = (): string =>
  ensureProgram({
    name: 'PgBouncer',
    purpose: 'the tests behind a pooler',
    places: ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'],
    variable: 'PGBOUNCER_PATH',
    debianPackage: 'pgbouncer',
  })
