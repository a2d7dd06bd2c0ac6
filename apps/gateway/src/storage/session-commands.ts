import { type Kysely, type Selectable, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Schema } from './schema-types.ts'

/** Nobody waits any longer for what has not been done in so long: its session had no owner. */
const OVERDUE_SECONDS = 60

/** What the session's owner is asked to do and has not done yet. */
export interface WaitingCommand extends Pick<Selectable<Schema['session_command']>, 'id' | 'kind'> {
  isOverdue: boolean
}

/** Oldest first. */
export const readWaitingCommands = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<WaitingCommand[]> =>
  db
    .selectFrom('session_command')
    .select([
      'id',
      'kind',
      sql<boolean>`created_at < now() - make_interval(secs => ${OVERDUE_SECONDS})`.as('isOverdue'),
    ])
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .where('state', '=', 'waiting')
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
