import { type Kysely, type Selectable, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Schema } from './schema-types.ts'

export type SessionCommandRow = Selectable<Schema['session_command']>

/** A command that nobody has taken up for so long is answered by whoever finds it: its session has no owner. */
const OVERDUE_SECONDS = 60

/** What the session's owner is asked to do and has not done yet, oldest first; without what nobody waits for any more. */
export const readWaitingCommands = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<SessionCommandRow[]> =>
  db
    .selectFrom('session_command')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .where('state', '=', 'waiting')
    .where('created_at', '>', sql<Date>`now() - make_interval(secs => ${OVERDUE_SECONDS})`)
    .orderBy('id')
    .execute()

/** The owner's answer; `errorCode` says why it could not be done. A part of the owner's fenced transaction. */
export async function answerCommand(
  companyId: string,
  db: Kysely<Schema>,
  commandId: string,
  errorCode: ErrorCode | null,
): Promise<void> {
  await db
    .updateTable('session_command')
    .set({ state: errorCode === null ? 'done' : 'failed', error_code: errorCode, done_at: sql<Date>`now()` })
    .where('company_id', '=', companyId)
    .where('id', '=', commandId)
    .where('state', '=', 'waiting')
    .execute()
}

/** Answers overdue commands of all sessions with `unavailable`. */
export async function answerOverdueCommands(db: Kysely<Schema>): Promise<void> {
  await sql`
    update session_command set state = 'failed', error_code = 'unavailable', done_at = now()
    where state = 'waiting' and created_at <= now() - make_interval(secs => ${OVERDUE_SECONDS})`.execute(db)
}
