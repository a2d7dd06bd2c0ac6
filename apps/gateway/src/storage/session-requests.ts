import type { SessionSettings } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { DesiredState, Schema, SessionCommandKind } from './schema-types.ts'
import type { SessionRow } from './sessions.ts'
import { isUniqueViolation } from './unique-violation.ts'

/** The session, kept from other changes until the transaction ends. Undefined also for one that is gone. */
export const lockSession = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<SessionRow | undefined> =>
  db
    .selectFrom('session')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()

/** What a company changes of its session. What is left out stays. */
export interface SessionChange {
  name?: string
  desired?: DesiredState
  settings?: SessionSettings
  /** The URL, sealed. */
  proxy?: Uint8Array | null
  /** Null: as the settings say. */
  linkingMethod?: 'qr' | 'pairing_code' | null
  linkingPhone?: string
  /** What was to be scanned or typed is not valid any more. */
  forgetsCode?: boolean
}

/** Changes a session that is there. @throws FrontdeskError `session_name_taken` */
export async function updateSession(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  change: SessionChange,
): Promise<SessionRow> {
  const { name, desired, settings, proxy, linkingMethod, linkingPhone, forgetsCode } = change
  try {
    return await db
      .updateTable('session')
      .set({
        ...(name !== undefined && { name }),
        ...(desired !== undefined && { desired }),
        ...(settings !== undefined && { settings: storableJson(settings) }),
        ...(proxy !== undefined && { proxy }),
        ...(linkingMethod !== undefined && { linking_method: linkingMethod }),
        ...(linkingPhone !== undefined && { linking_phone: linkingPhone }),
        ...(forgetsCode === true && { linking_code: null, linking_code_expires_at: null }),
      })
      .where('company_id', '=', companyId)
      .where('id', '=', sessionId)
      .returningAll()
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isUniqueViolation(error)) throw new FrontdeskError('session_name_taken')
    throw error
  }
}

/** Asks the session's owner for something beyond what is desired of the session. */
export async function requestCommand(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  kind: SessionCommandKind,
): Promise<void> {
  await db
    .insertInto('session_command')
    .values({ id: newId(), company_id: companyId, session_id: sessionId, kind })
    .execute()
}

/**
 * Counts an attempt to link, one company's attempts one after the other. Undefined if it may go on; otherwise nothing is
 * counted, and it is the moment from which on the company may try again.
 */
export async function countLinkingAttempt(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  perHour: number,
): Promise<Date | undefined> {
  await sql`select pg_advisory_xact_lock(hashtextextended('linking attempts of ' || ${companyId}, 0))`.execute(db)
  const { rows } = await sql<{ retry_at: Date }>`
    select created_at + interval '1 hour' as retry_at from linking_attempt
    where company_id = ${companyId} and created_at > clock_timestamp() - interval '1 hour'
    order by created_at desc offset ${perHour - 1} limit 1`.execute(db)
  if (rows[0] !== undefined) return rows[0].retry_at
  await db
    .insertInto('linking_attempt')
    .values({ company_id: companyId, session_id: sessionId, created_at: sql<Date>`clock_timestamp()` })
    .execute()
  return undefined
}
