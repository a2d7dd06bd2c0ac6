import { vi } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { createTestDatabase, openTestDatabase, type TestDatabase } from './database.ts'

/** A database in which no time passes but what a test lets pass, together with this process's `Date`. */
export interface SimulatedTime extends AsyncDisposable {
  readonly testDatabase: TestDatabase
  /** Milliseconds, as `Date.now()`. */
  passTo(moment: number): Promise<void>
}

/** Another `now()` in front of the server's own, for statements and for the defaults of columns. Timers stay as they are. */
const DEFAULTS = `
  select format('alter table %s alter column %I set default %s', adrelid::regclass, attname, pg_get_expr(adbin, adrelid))
    as statement
  from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum
  where pg_get_expr(adbin, adrelid) ~ '\\mnow\\(\\)'`

export async function startSimulatedTime(): Promise<SimulatedTime> {
  await using resources = new AsyncDisposableStack()
  const own = resources.use(await createTestDatabase())
  const owner = await connect(connectionConfig(own.url))
  resources.defer(() => owner.end())
  const start = Date.now()
  const { rows: defaults } = await owner.query<{ statement: string }>(DEFAULTS)
  await owner.query(`
    create table public.simulated_clock (moment timestamptz not null);
    insert into public.simulated_clock values ('${new Date(start).toISOString()}');
    create function public.now() returns timestamptz language sql stable as 'select moment from public.simulated_clock';
    grant select on public.simulated_clock to public;
    set search_path = public, pg_catalog;
    ${defaults.map(({ statement }) => statement).join(';\n')}`)
  const url = new URL(own.url)
  url.searchParams.set('options', '-c search_path=public,pg_catalog')
  const testDatabase = resources.use(await openTestDatabase(url.href, own.masterKey))
  vi.useFakeTimers({ toFake: ['Date'], now: start })
  resources.defer(() => void vi.useRealTimers())
  const started = resources.move()
  return {
    testDatabase,
    async passTo(moment) {
      // First here: what comes due in the database finds this process at the same moment.
      vi.setSystemTime(moment)
      await owner.query('update public.simulated_clock set moment = $1', [new Date(moment)])
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}
