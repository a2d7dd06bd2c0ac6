import { sql } from 'kysely'
import { firstIdAt } from '#src/model/ids.ts'
import type { Database } from './database.ts'
import { UPTIME_RETENTION_DAYS } from './session-uptime.ts'
import { SENT_RETENTION_DAYS } from './writer/stored-session.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
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
const CLEARED_ALERT_DAYS = 90
const TURN_TRACE_DAYS = 30
/** Of processes that are gone and come back under another name. */
const NODE_DAYS = 30
/** Should it come back, it counts its lives anew: no lease may still name one of the former. */
const IS_FORGOTTEN = sql`not isfinite(seen_at) and not exists (select from session_lease where node_id = node.id)`
/** As long as their events. */
const DELIVERY_DAYS = EVENT_RETENTION_DAYS
/** A deleted session's messages are kept for so long. */
const DELETED_SESSION_DAYS = 30
/** Partitions are there before their day, also when nothing has run for a while. */
const PARTITION_DAYS_AHEAD = 3
/** Short transactions: nobody waits long for a lock. */
const ROWS_AT_ONCE = 5_000
const BLOCKS_AT_ONCE = 2_000
/** Not 24: who runs for some hours a day only comes to another part each day. */
const PARTS_OF_LARGE_TABLE = 25
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
  alertsDeleted: number
  turnTracesDeleted: number
  nodesDeleted: number
  deliveriesGivenUp: number
  deliveriesDeleted: number
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
  /** Rows of a table whose moment is so many days ago. */
  const deleteOld = (table: string, column: string, days: number, condition = sql`true`): Promise<number> =>
    repeat(() =>
      sql`delete from ${sql.table(table)} where ctid = any (array(
          select ctid from ${sql.table(table)} where ${sql.ref(column)} < ${daysAfter(now, -days)} and ${condition}
          limit ${ROWS_AT_ONCE}))`.execute(database.worker),
    )
  /**
   * As `deleteOld`, for tables that get rows with most messages: each hour another part of the table is read, block by
   * block, so that a row goes a day late at most. An index of the moments would cost something with each message.
   */
  const deleteOldOfPart = (table: 'journal' | 'sent_plaintext', days: number): Promise<number> =>
    deletePart(database, { table, before: daysAfter(now, -days), part: Math.floor(now.getTime() / HOUR_MS) })
  return {
    partitionsCreated: partitions?.created ?? 0,
    partitionsDropped: partitions?.dropped ?? 0,
    journalEntriesDeleted: await deleteOldOfPart('journal', CIPHERTEXT_RETENTION_DAYS),
    ciphertextHashesCleared: await repeat(() =>
      sql`update message set ciphertext_hash = null where id in (
          select id from message where ciphertext_hash is not null and id < ${firstIdAt(ciphertextsBefore)}
          order by id limit ${ROWS_AT_ONCE})`.execute(database.worker),
    ),
    sentPlaintextsDeleted: await deleteOldOfPart('sent_plaintext', SENT_RETENTION_DAYS),
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
    retiredKeysDeleted: await deleteOld('retired_signal_key', 'retired_at', RETIRED_KEY_DAYS),
    uptimeDaysDeleted: await deleteOld('session_uptime', 'day', UPTIME_RETENTION_DAYS),
    commandsDeleted: await deleteOld('session_command', 'created_at', COMMAND_DAYS),
    linkingAttemptsDeleted: await deleteOld('linking_attempt', 'created_at', LINKING_ATTEMPT_DAYS),
    bulkOperationsDeleted: await deleteOld('bulk_operation', 'finished_at', BULK_OPERATION_DAYS),
    alertsDeleted: await deleteOld('alert', 'cleared_at', CLEARED_ALERT_DAYS),
    turnTracesDeleted: await deleteOld('turn_trace', 'created_at', TURN_TRACE_DAYS),
    nodesDeleted: await deleteOld('node', 'started_at', NODE_DAYS, IS_FORGOTTEN),
    // Those of endpoints that are paused or disabled, which nobody tries.
    deliveriesGivenUp: await repeat(() =>
      sql`update webhook_delivery set state = 'dead', finished_at = now() where id in (
          select id from webhook_delivery where state = 'waiting' and give_up_at < ${now} and next_attempt_at < ${now}
          limit ${ROWS_AT_ONCE})`.execute(database.worker),
    ),
    // By id, which is by age, and at the same price however many there are: where freed space is used again, an index of
    // the moments by blocks comes to point everywhere.
    deliveriesDeleted: await repeat(() =>
      sql`delete from webhook_delivery where id in (
          select id from (select id, created_at from webhook_delivery order by id limit ${ROWS_AT_ONCE}) as oldest
          where created_at < ${daysAfter(now, -DELIVERY_DAYS)})`.execute(database.worker),
    ),
    sessionsRemoved: await removeDeletedSessions(database, daysAfter(now, -DELETED_SESSION_DAYS)),
  }
}

async function deletePart(
  { worker }: Database,
  { table, before, part }: { table: string; before: Date; part: number },
): Promise<number> {
  const { rows } = await sql<{ blocks: number }>`
    select (pg_relation_size(${table}::regclass) / current_setting('block_size')::int)::int as blocks`.execute(worker)
  const place = part % PARTS_OF_LARGE_TABLE
  const border = (parts: number) => ((rows[0]?.blocks ?? 0) * parts) / PARTS_OF_LARGE_TABLE
  const end = Math.ceil(border(place + 1))
  let total = 0
  for (let from = Math.floor(border(place)); from < end; from += BLOCKS_AT_ONCE) {
    const until = Math.min(end, from + BLOCKS_AT_ONCE)
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${until},0)`}::tid
        and created_at < ${before}`.execute(worker)
    total += Number(numAffectedRows)
  }
  return total
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
