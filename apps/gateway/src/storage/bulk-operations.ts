import type { BulkAction, BulkFailure, SessionState } from '@frontdesk/api-contract'
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'

export type BulkOperationRow = Selectable<Schema['bulk_operation']>

/** How many failures are told one by one. */
const FAILURES_TOLD = 100

export interface NewBulkOperation {
  id: string
  /** Null for the operator's. */
  companyId: string | null
  apiKeyId: string | null
  action: BulkAction
  sessionIds: readonly string[]
}

export const insertBulkOperation = (
  db: Kysely<Schema>,
  { id, companyId, apiKeyId, action, sessionIds }: NewBulkOperation,
): Promise<BulkOperationRow> =>
  db
    .insertInto('bulk_operation')
    .values({
      id,
      company_id: companyId,
      api_key_id: apiKeyId,
      action,
      session_ids: [...sessionIds],
      finished_at: sessionIds.length === 0 ? new Date() : null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()

/** The company's operation; with null, one of the operator's. */
export const findBulkOperation = (
  companyId: string | null,
  db: Kysely<Schema>,
  id: string,
): Promise<BulkOperationRow | undefined> =>
  db
    .selectFrom('bulk_operation')
    .selectAll()
    .where('id', '=', id)
    .where('company_id', 'is not distinct from', companyId)
    .executeTakeFirst()

export interface SessionFilter {
  companyId?: string | undefined
  state?: SessionState | undefined
  reason?: string | undefined
}

/** Sessions that an action for many changes: none that nobody wants to run is started by a restart, nor linked by a start. */
const APPLIES: Readonly<Record<BulkAction, ReturnType<typeof sql<SqlBool>>>> = {
  start: sql`linked_at is not null and desired <> 'running'`,
  pause: sql`desired = 'running'`,
  restart: sql`linked_at is not null and desired = 'running'`,
  logout: sql`linked_at is not null and desired <> 'logged_out'`,
  delete: sql`true`,
}

/** The ids of all sessions that the action applies to, oldest first. */
export async function listSessionsFor(
  db: Kysely<Schema>,
  action: BulkAction,
  { companyId, state, reason }: SessionFilter,
): Promise<string[]> {
  const rows = await db
    .selectFrom('session')
    .select('id')
    .where('deleted_at', 'is', null)
    .where('desired', '<>', 'deleted')
    .where(APPLIES[action])
    .$if(companyId !== undefined, (query) => query.where('company_id', '=', companyId ?? ''))
    .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'created'))
    .$if(reason !== undefined, (query) => query.where('reason', '=', reason ?? ''))
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}

/** Those of the company's sessions that are there. */
export async function listExistingSessions(
  companyId: string,
  db: Kysely<Schema>,
  sessionIds: readonly string[],
): Promise<string[]> {
  const rows = await db
    .selectFrom('session')
    .select('id')
    .where('company_id', '=', companyId)
    .where('deleted_at', 'is', null)
    .where(sql<SqlBool>`id = any (${[...sessionIds]}::uuid[])`)
    .execute()
  return rows.map(({ id }) => id)
}

export interface BulkStep {
  operationId: string
  action: BulkAction
  apiKeyId: string | null
  /** The session that is next. */
  sessionId: string
  /** Undefined when the session is gone, or is not of the company that asked. */
  companyId: string | undefined
}

/** The next step of the operation that has waited longest, kept from other processes until the transaction ends. */
export async function takeBulkStep(db: Kysely<Schema>): Promise<BulkStep | undefined> {
  const { rows } = await sql<BulkStep>`
    with step as (
      select id, action, api_key_id, company_id, session_ids[done + failed + 1] as session_id
      from bulk_operation where finished_at is null
      order by stepped_at limit 1 for update skip locked
    )
    select step.id as "operationId", step.action, step.api_key_id as "apiKeyId", step.session_id as "sessionId",
      session.company_id as "companyId"
    from step left join session
      on session.id = step.session_id and session.company_id = coalesce(step.company_id, session.company_id)`.execute(
    db,
  )
  const [step] = rows
  return step && { ...step, companyId: step.companyId ?? undefined }
}

/** Goes on to the next session. A part of the step's transaction. */
export async function endBulkStep(
  db: Kysely<Schema>,
  operationId: string,
  failure: BulkFailure | undefined,
): Promise<void> {
  await sql`
    update bulk_operation set
      done = done + ${failure === undefined ? 1 : 0},
      failed = failed + ${failure === undefined ? 0 : 1},
      failures = case when ${failure !== undefined} and failed < ${FAILURES_TOLD}
        then failures || ${storableJson([failure ?? null])}::jsonb else failures end,
      stepped_at = clock_timestamp(),
      finished_at = case when done + failed + 1 = cardinality(session_ids) then clock_timestamp() end
    where id = ${operationId}`.execute(db)
}
