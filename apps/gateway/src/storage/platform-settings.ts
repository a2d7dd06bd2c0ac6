import type { Kysely } from 'kysely'
import type { Schema } from './schema-types.ts'

/** Version of WhatsApp Web that is set for all sessions, null if none is. */
export async function readWaVersion(db: Kysely<Schema>): Promise<string | null> {
  const row = await db.selectFrom('platform').select('wa_version').executeTakeFirst()
  return row?.wa_version ?? null
}

export async function setWaVersion(db: Kysely<Schema>, waVersion: string | null): Promise<void> {
  await db.updateTable('platform').set({ wa_version: waVersion }).execute()
}
