import type { SessionSettings } from '@frontdesk/api-contract'
import { type Kysely, sql, type Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Sealer } from '#src/model/sealing.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'
import { proxyContext, signalKeyContext } from './sealed-columns.ts'
import { isUniqueViolation } from './unique-violation.ts'

/** States in which no process keeps the session connected. */
const AT_REST = ['created', 'paused', 'logged_out', 'banned', 'conflict', 'failed'] as const

/** A session whose credentials come from elsewhere: a backup, or another program. */
export interface RestoredSession {
  id: string
  name: string
  provider: 'baileys'
  settings: SessionSettings
  /** In clear. */
  proxy: Uint8Array | null
  linkedAt: Date | null
  phone: string | null
  lid: string | null
  createdAt: Date
}

export interface RestoredKey {
  sessionId: string
  kind: number
  id: string
  value: Uint8Array
}

/**
 * Puts a linked session in the place of what stands under its id, without keys. It stays paused. Whoever owned it writes
 * nothing any more.
 * @throws FrontdeskError `session_running`, `session_name_taken`, `session_number_taken`
 */
export async function putRestoredSession(
  companyId: string,
  db: Transaction<Schema>,
  { id, name, provider, settings, proxy, linkedAt, phone, lid, createdAt }: RestoredSession,
  sealer: Sealer,
): Promise<void> {
  const existing = await db
    .selectFrom('session')
    .select(['company_id', 'desired', 'state'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (existing !== undefined && existing.company_id !== companyId) throw new FrontdeskError('backup_of_another_company')
  if (existing?.desired === 'running' || (existing && !AT_REST.some((state) => state === existing.state)))
    throw new FrontdeskError('session_running', `It is the session ${id}.`)
  const values = {
    name,
    desired: 'stopped' as const,
    state: linkedAt === null ? ('created' as const) : ('paused' as const),
    reason: null,
    state_since: new Date(),
    settings: storableJson(settings),
    proxy: proxy && sealer.seal(proxy, proxyContext(id)),
    linked_at: linkedAt,
    phone,
    lid,
    linking_code: null,
    linking_code_expires_at: null,
    deleted_at: null,
  }
  try {
    await db
      .insertInto('session')
      .values({ id, company_id: companyId, provider, created_at: createdAt, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    if (error.constraint === 'session_phone') throw new FrontdeskError('session_number_taken')
    throw new FrontdeskError('session_name_taken', `It is the name ${name}.`)
  }
  // With the next epoch the former owner cannot give it back any more: it is free from now on.
  await sql`update session_lease set epoch = epoch + 1, node_incarnation = 0 where session_id = ${id}`.execute(db)
  await db.deleteFrom('signal_key').where('session_id', '=', id).execute()
}

/** Adds keys of restored sessions, sealed. */
export async function putRestoredKeys(db: Kysely<Schema>, keys: readonly RestoredKey[], sealer: Sealer): Promise<void> {
  if (keys.length === 0) return
  const rows = keys.map(({ sessionId, kind, id, value }) => ({
    session_id: sessionId,
    kind,
    id,
    value: sealer.seal(value, signalKeyContext(sessionId, kind, id)),
  }))
  await db.insertInto('signal_key').values(rows).execute()
}

/** Has a session run that was restored in this transaction. */
export async function startRestored(db: Transaction<Schema>, sessionId: string): Promise<void> {
  await db.updateTable('session').set({ desired: 'running' }).where('id', '=', sessionId).execute()
}
