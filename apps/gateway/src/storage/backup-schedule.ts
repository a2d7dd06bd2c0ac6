import { sql } from 'kysely'
import type { Database } from './database.ts'

/** Any constant of ours: of several processes each claims another company. */
const LOCK = 4_606_172_379
/** A backup that was begun and not finished, because it failed or its process ended, is tried again after so long. */
const AGAIN_MS = 60 * 60 * 1000

/** Takes the company whose backup has been due for the longest time, as this process' work. Undefined if none is due. */
export async function claimDueBackup({ worker }: Database, everyMs: number): Promise<string | undefined> {
  return await worker.transaction().execute(async (db) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db)
    const { rows } = await sql<{ company_id: string }>`
      insert into company_backup (company_id, begun_at)
      select company.id, clock_timestamp() from company left join company_backup backup on backup.company_id = company.id
      where backup.begun_at is null or backup.begun_at < clock_timestamp() - make_interval(secs => case
        when backup.finished_at >= backup.begun_at then ${everyMs}::float8 else least(${everyMs}, ${AGAIN_MS})::float8
      end / 1000)
      order by backup.begun_at nulls first, company.id limit 1
      on conflict (company_id) do update set begun_at = excluded.begun_at
      returning company_id`.execute(db)
    return rows[0]?.company_id
  })
}

export async function noteBackup({ worker }: Database, companyId: string, isDone: boolean): Promise<void> {
  await worker
    .updateTable('company_backup')
    .set(isDone ? { finished_at: sql<Date>`clock_timestamp()`, failures: 0 } : { failures: sql<number>`failures + 1` })
    .where('company_id', '=', companyId)
    .execute()
}
