import type { SessionSettings } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** What a session is to be connected with, as it stands now. */
export interface SessionConfiguration {
  /** What was set for it, in the order in which the later goes before the earlier: platform, company, session. */
  overrides: readonly SessionSettings[]
  /** The proxy's URL, sealed. */
  proxy: Uint8Array | null
  /** What was asked for; null when the settings decide. */
  linkingMethod: 'qr' | 'pairing_code' | null
  /** The number that a pairing code is asked for. */
  linkingPhone: string | null
  /** The number that is linked, or was linked last. */
  phone: string | null
  /** Messages wait to be sent. */
  messagesWait: boolean
}

/** For a session's owner, at each connect: whatever was changed meanwhile holds then. Undefined for a session that is gone. */
export async function readSessionConfiguration(
  db: Kysely<Schema>,
  sessionId: string,
): Promise<SessionConfiguration | undefined> {
  const row = await db
    .selectFrom('session')
    .innerJoin('company', 'company.id', 'session.company_id')
    .leftJoin('platform', (join) => join.onTrue())
    .select([
      'session.settings as own',
      'session.proxy',
      'session.linking_method',
      'session.linking_phone',
      'session.phone',
      sql<boolean>`exists (select from message where session_id = session.id and status = 'queued')`.as(
        'messages_wait',
      ),
      'company.settings as company',
      'platform.wa_version',
    ])
    .where('session.id', '=', sessionId)
    .executeTakeFirst()
  if (row === undefined) return undefined
  // Checked when it was stored.
  const { sessions = {} } = row.company as { sessions?: SessionSettings }
  return {
    overrides: [row.wa_version === null ? {} : { waVersion: row.wa_version }, sessions, row.own],
    proxy: row.proxy,
    linkingMethod: row.linking_method,
    linkingPhone: row.linking_phone,
    phone: row.phone,
    messagesWait: row.messages_wait,
  }
}
