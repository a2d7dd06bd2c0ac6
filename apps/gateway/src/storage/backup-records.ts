import { webhookOrdering } from '@frontdesk/api-contract'
import { type Kysely, sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Sealer } from '#src/model/sealing.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema-types.ts'
import { companySecretContext, proxyContext, signalKeyContext, webhookSecretsContext } from './sealed-columns.ts'
import { listWebhookEndpoints } from './webhook-endpoints.ts'

const KEYS_AT_ONCE = 500
const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'))
const moment = z.iso.datetime().nullable()

/** What a backup holds, one after the other: secrets are opened here, and sealed as a whole by the file. */
export const backupRecord = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('company'),
    id: z.uuid(),
    name: z.string(),
    settings: z.record(z.string(), z.unknown()),
    createdAt: z.iso.datetime(),
  }),
  z.object({
    type: z.literal('contact'),
    id: z.uuid(),
    name: z.string().nullable(),
    mergedInto: z.uuid().nullable(),
    optedOutAt: moment.optional(),
    createdAt: z.iso.datetime(),
  }),
  z.object({
    type: z.literal('alias'),
    kind: z.enum(['phone', 'lid']),
    value: z.string(),
    contactId: z.uuid(),
    createdAt: z.iso.datetime(),
  }),
  z.object({ type: z.literal('secret'), name: z.string(), hint: z.string(), value: bytes }),
  z.object({
    type: z.literal('webhookEndpoint'),
    id: z.uuid(),
    url: z.string(),
    eventTypes: z.array(z.string()).nullable(),
    ordering: webhookOrdering,
    isEnabled: z.boolean(),
    /** The signing secrets and the custom headers. */
    secrets: bytes,
    createdAt: z.iso.datetime(),
  }),
  z.object({
    type: z.literal('session'),
    id: z.uuid(),
    name: z.string(),
    provider: z.literal('baileys'),
    settings: z.record(z.string(), z.unknown()),
    proxy: bytes.nullable(),
    isWanted: z.boolean(),
    linkedAt: moment,
    phone: z.string().nullable(),
    lid: z.string().nullable(),
    createdAt: z.iso.datetime(),
  }),
  z.object({ type: z.literal('key'), sessionId: z.uuid(), kind: z.int(), id: z.string(), value: bytes }),
  /** Always the last one. */
  z.object({ type: z.literal('end'), sessions: z.int(), keys: z.int() }),
])
export type BackupRecord = z.input<typeof backupRecord>
export type ReadBackupRecord = z.output<typeof backupRecord>
export type SessionRecord = Extract<ReadBackupRecord, { type: 'session' }>

/**
 * A company's credentials, keys and settings as they were at one moment; `work` reads them one after the other.
 * @throws FrontdeskError `not_found`
 */
export async function readBackupRecords<T>(
  { worker }: Database,
  companyId: string,
  sealer: Sealer,
  work: (records: AsyncIterable<BackupRecord>) => Promise<T>,
): Promise<T> {
  return await worker
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute((db) => work(recordsOf(db, companyId, sealer)))
}

async function* recordsOf(db: Transaction<Schema>, companyId: string, sealer: Sealer): AsyncGenerator<BackupRecord> {
  const company = await db
    .selectFrom('company')
    .select(['id', 'name', 'settings', 'created_at'])
    .where('id', '=', companyId)
    .executeTakeFirst()
  if (company === undefined) throw new FrontdeskError('not_found')
  const { id, name, settings } = company
  yield { type: 'company', id, name, settings, createdAt: company.created_at.toISOString() }
  yield* contactRecords(db, companyId)
  yield* secretRecords(db, companyId, sealer)
  yield* endpointRecords(db, companyId, sealer)
  const sessions = await db
    .selectFrom('session')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .execute()
  let keys = 0
  for (const session of sessions) {
    const proxy = session.proxy && (await sealer.open(session.proxy, proxyContext(session.id)))
    yield {
      type: 'session',
      id: session.id,
      name: session.name,
      provider: session.provider,
      settings: session.settings,
      proxy: proxy && Buffer.from(proxy).toString('base64'),
      isWanted: session.desired === 'running',
      linkedAt: session.linked_at?.toISOString() ?? null,
      phone: session.phone,
      lid: session.lid,
      createdAt: session.created_at.toISOString(),
    }
    for await (const key of keyRecords(db, session.id, sealer)) {
      keys += 1
      yield key
    }
  }
  yield { type: 'end', sessions: sessions.length, keys }
}

/** Those that others were merged into come first. */
async function* contactRecords(db: Transaction<Schema>, companyId: string): AsyncGenerator<BackupRecord> {
  for (const isMerged of [false, true]) {
    for (let after: string | undefined; ; ) {
      const rows = await db
        .selectFrom('contact')
        .selectAll()
        .where('company_id', '=', companyId)
        .where('merged_into', isMerged ? 'is not' : 'is', null)
        .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
        .orderBy('id')
        .limit(KEYS_AT_ONCE)
        .execute()
      for (const { id, name, merged_into, opted_out_at, created_at } of rows)
        yield {
          ...{ type: 'contact', id, name, mergedInto: merged_into },
          optedOutAt: opted_out_at?.toISOString() ?? null,
          createdAt: created_at.toISOString(),
        }
      if (rows.length > 0) yield* aliasRecords(db, rows)
      if (rows.length < KEYS_AT_ONCE) break
      after = rows.at(-1)?.id
    }
  }
}

async function* aliasRecords(
  db: Transaction<Schema>,
  contacts: readonly { id: string }[],
): AsyncGenerator<BackupRecord> {
  const ids = contacts.map(({ id }) => id)
  const rows = await db.selectFrom('contact_alias').selectAll().where('contact_id', 'in', ids).execute()
  for (const { kind, value, contact_id, created_at } of rows)
    yield { type: 'alias', kind, value, contactId: contact_id, createdAt: created_at.toISOString() }
}

async function* secretRecords(
  db: Transaction<Schema>,
  companyId: string,
  sealer: Sealer,
): AsyncGenerator<BackupRecord> {
  const rows = await db.selectFrom('company_secret').selectAll().where('company_id', '=', companyId).execute()
  for (const { name, hint, value } of rows) {
    const opened = await sealer.open(value, companySecretContext(companyId, name))
    yield { type: 'secret', name, hint, value: Buffer.from(opened).toString('base64') }
  }
}

async function* endpointRecords(db: Kysely<Schema>, companyId: string, sealer: Sealer): AsyncGenerator<BackupRecord> {
  for (const { id, url, event_types, ordering, is_enabled, secrets, created_at } of await listWebhookEndpoints(
    companyId,
    db,
  )) {
    const opened = await sealer.open(secrets, webhookSecretsContext(id))
    yield {
      ...{ type: 'webhookEndpoint', id, url, eventTypes: event_types, ordering, isEnabled: is_enabled },
      secrets: Buffer.from(opened).toString('base64'),
      createdAt: created_at.toISOString(),
    }
  }
}

async function* keyRecords(db: Kysely<Schema>, sessionId: string, sealer: Sealer): AsyncGenerator<BackupRecord> {
  for (let [kind, id] = [-1, '']; ; ) {
    const { rows } = await sql<{ kind: number; id: string; value: Uint8Array }>`
      select kind, id, value from signal_key where session_id = ${sessionId} and (kind, id) > (${kind}, ${id})
      order by kind, id limit ${KEYS_AT_ONCE}`.execute(db)
    for (const row of rows) {
      const value = await sealer.open(row.value, signalKeyContext(sessionId, row.kind, row.id))
      yield { type: 'key', sessionId, kind: row.kind, id: row.id, value: Buffer.from(value).toString('base64') }
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < KEYS_AT_ONCE) return
    kind = last.kind
    id = last.id
  }
}
