import type { Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Schema } from './schema-types.ts'

export type ApiKeyRow = Selectable<Schema['api_key']>

export interface NewApiKey {
  id: string
  /** Null for a platform key. */
  companyId: string | null
  name: string
  /** SHA-256 of the key. */
  hash: Uint8Array
  hint: string
  expiresAt: Date | null
}

/** Any transaction-level lock of ours that is not taken elsewhere: two first starts make one platform key. */
const FIRST_PLATFORM_KEY_LOCK = 4_606_172_378

export const insertApiKey = (db: Kysely<Schema>, key: NewApiKey): Promise<ApiKeyRow> =>
  db
    .insertInto('api_key')
    .values({
      id: key.id,
      company_id: key.companyId,
      name: key.name,
      hash: key.hash,
      hint: key.hint,
      expires_at: key.expiresAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow()

/** The key of any company or the platform, unless it was revoked. As the worker: whose it is follows from it. */
export const findApiKeyByHash = (db: Kysely<Schema>, hash: Uint8Array): Promise<ApiKeyRow | undefined> =>
  db.selectFrom('api_key').selectAll().where('hash', '=', hash).where('revoked_at', 'is', null).executeTakeFirst()

export const listApiKeys = (companyId: string, db: Kysely<Schema>): Promise<ApiKeyRow[]> =>
  db.selectFrom('api_key').selectAll().where('company_id', '=', companyId).orderBy('id').execute()

/** Revokes a key, also one that was revoked before. Undefined when the company has no such key. */
export const revokeApiKey = (
  companyId: string,
  db: Kysely<Schema>,
  apiKeyId: string,
): Promise<Pick<ApiKeyRow, 'hash'> | undefined> =>
  db
    .updateTable('api_key')
    .set({ revoked_at: sql<Date>`coalesce(revoked_at, now())` })
    .where('company_id', '=', companyId)
    .where('id', '=', apiKeyId)
    .returning('hash')
    .executeTakeFirst()

/** Whether a platform key was ever made. Serialises with others that ask until the transaction ends. */
export async function hasPlatformKey(db: Kysely<Schema>): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${FIRST_PLATFORM_KEY_LOCK})`.execute(db)
  const key = await db.selectFrom('api_key').select('id').where('company_id', 'is', null).limit(1).executeTakeFirst()
  return key !== undefined
}
