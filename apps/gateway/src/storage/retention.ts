import { sql } from 'kysely'
import { firstIdAt } from '#src/model/ids.ts'
import type { Database } from './database.ts'
import { UPTIME_RETENTION_DAYS } from './session-uptime.ts'
import { SENT_RETENTION_DAYS } from './writer/stored-session.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const EVENT_RETENTION_DAYS = 7
/** WhatsApp delivers what it holds for an offline device for so long; a ciphertext can come again until then. */
const CIPHERTEXT_RETENTION_DAYS = 14
/** Neither a sender nor the phone gives out again what is older. */
const PENDING_DAYS = 14
/** A logout that was a mistake is noticed in so long. */
const RETIRED_KEY_DAYS = 7
const COMMAND_DAYS = 1
/** Only the last hour counts. */
const LINKING_ATTEMPT_DAYS = 1
const BULK_OPERATION_DAYS = 7
/** A deleted session's messages are kept for so long. */
const DELETED_SESSION_DAYS = 30
/** Partitions are there before their day, also when nothing has run for a while. */
const PARTITION_DAYS_AHEAD = 3
/** Short transactions: nobody waits long for a lock. */
const ROWS_AT_ONCE = 5_000
/** Any constant of ours: several nodes do not make the same partition at once. */
const LOCK = 4_606_172_378

export interface MaintenanceResult {
  partitionsCreated: number
  partitionsDropped: number
  journalEntriesDeleted: number
  ciphertextHashesCleared: number
  sentPlaintextsDeleted: number
  pendingGivenUp: number
  retiredKeysDeleted: number
  uptimeDaysDeleted: number
  commandsDeleted: number
  linkingAttemptsDeleted: number
  bulkOperationsDeleted: number
  sessionsRemoved: number
}

/**
 * Makes the event log's next partitions and removes what has outlived its use. To be called at the start and every hour;
 * what one call leaves undone the next one does.
 */
export async function maintain(
  database: Database,
  now: Date,
  options: { eventRetentionDays?: number } = {},
): Promise<MaintenanceResult> {
  const retentionDays = options.eventRetentionDays ?? EVENT_RETENTION_DAYS
  const ciphertextsBefore = daysAfter(now, -CIPHERTEXT_RETENTION_DAYS)
  const partitions = await database.worker.transaction().execute(async (db) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db)
    // It locks the whole event log for a moment: rather later than in front of a queue of writers.
    await sql`set local lock_timeout = '5s'`.execute(db)
    const { rows } = await sql<{ created: number; dropped: number }>`
      select create_event_partitions(${dayOf(now)}, ${dayOf(daysAfter(now, PARTITION_DAYS_AHEAD))}) as created,
        drop_event_partitions(${dayOf(daysAfter(now, -retentionDays))}) as dropped`.execute(db)
    return rows[0]
  })
  return {
    partitionsCreated: partitions?.created ?? 0,
    partitionsDropped: partitions?.dropped ?? 0,
    journalEntriesDeleted: await repeat(() =>
      sql`delete from journal where ctid = any (array(
          select ctid from journal where created_at < ${ciphertextsBefore} limit ${ROWS_AT_ONCE}))`.execute(
        database.worker,
      ),
    ),
    ciphertextHashesCleared: await repeat(() =>
      sql`update message set ciphertext_hash = null where id in (
          select id from message where ciphertext_hash is not null and id < ${firstIdAt(ciphertextsBefore)}
          order by id limit ${ROWS_AT_ONCE})`.execute(database.worker),
    ),
    sentPlaintextsDeleted: await repeat(() =>
      sql`delete from sent_plaintext where ctid = any (array(
          select ctid from sent_plaintext where created_at < ${daysAfter(now, -SENT_RETENTION_DAYS)}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    pendingGivenUp: await repeat(() =>
      sql`with given_up as (
          update message set content = jsonb_set(content, '{reason}', '"undecryptable"') where id in (
            select id from message
            where content->>'kind' = 'pending' and content->>'reason' in ('undecrypted', 'unavailable')
              and id < ${firstIdAt(daysAfter(now, -PENDING_DAYS))}
            order by id limit ${ROWS_AT_ONCE})
          returning company_id, session_id, id, contact_id, direction
        )
        insert into event (company_id, type, session_id, subject_id, data)
        select company_id, 'message.undecryptable', session_id, id,
          jsonb_build_object('contactId', contact_id, 'direction', direction)
        from given_up`.execute(database.worker),
    ),
    retiredKeysDeleted: await repeat(() =>
      sql`delete from retired_signal_key where ctid = any (array(
          select ctid from retired_signal_key where retired_at < ${daysAfter(now, -RETIRED_KEY_DAYS)}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    uptimeDaysDeleted: await repeat(() =>
      sql`delete from session_uptime where ctid = any (array(
          select ctid from session_uptime where day < ${dayOf(daysAfter(now, -UPTIME_RETENTION_DAYS))}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    commandsDeleted: await repeat(() =>
      sql`delete from session_command where ctid = any (array(
          select ctid from session_command where created_at < ${daysAfter(now, -COMMAND_DAYS)}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    linkingAttemptsDeleted: await repeat(() =>
      sql`delete from linking_attempt where ctid = any (array(
          select ctid from linking_attempt where created_at < ${daysAfter(now, -LINKING_ATTEMPT_DAYS)}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    bulkOperationsDeleted: await repeat(() =>
      sql`delete from bulk_operation where ctid = any (array(
          select ctid from bulk_operation where finished_at < ${daysAfter(now, -BULK_OPERATION_DAYS)}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    ),
    sessionsRemoved: await removeDeletedSessions(database, daysAfter(now, -DELETED_SESSION_DAYS)),
  }
}

/** With their messages, which go first and in parts: a session can have many. */
async function removeDeletedSessions({ worker }: Database, deletedBefore: Date): Promise<number> {
  const sessions = await worker.selectFrom('session').select('id').where('deleted_at', '<', deletedBefore).execute()
  for (const { id } of sessions) {
    await repeat(() =>
      sql`delete from message where ctid = any (array(
          select ctid from message where session_id = ${id} limit ${ROWS_AT_ONCE}))`.execute(worker),
    )
    await worker.deleteFrom('session').where('id', '=', id).execute()
  }
  return sessions.length
}

async function repeat(step: () => Promise<{ numAffectedRows?: bigint }>): Promise<number> {
  for (let total = 0; ; ) {
    const affected = Number((await step()).numAffectedRows ?? 0n)
    total += affected
    if (affected < ROWS_AT_ONCE) return total
  }
}

const daysAfter = (moment: Date, days: number): Date => new Date(moment.getTime() + days * DAY_MS)

/** The day in UTC, as Postgres reads a date. */
const dayOf = (moment: Date): string => moment.toISOString().slice(0, 10)
