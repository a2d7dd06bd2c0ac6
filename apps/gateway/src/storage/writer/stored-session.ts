import { sql } from 'kysely'
import type { Sealer } from '#src/model/sealing.ts'
import { KEY_KINDS, type SessionStore } from '#src/model/session-store.ts'
import { storableText } from '#src/model/storable-text.ts'
import type { Database } from '../database.ts'
import { journalContext, keyContext, sentContext } from './sealed-changes.ts'

/** What of a session stands in the database. */
export type StoredSession = Pick<SessionStore, 'readKeys' | 'findPlaintext' | 'findPending' | 'requestSent'>

/** How long a message is sent again, for devices that could not read it. */
export const SENT_RETENTION_DAYS = 7

/** More are not asked for at once. */
const MAX_PENDING = 50

export function storedSession({ worker }: Database, sessionId: string, sealer: Sealer): StoredSession {
  return {
    async readKeys(kind, ids) {
      const asked = new Map(ids?.map((id) => [storableText(id), id]))
      const isAsked = ids === undefined ? sql`true` : sql`id = any (${[...asked.keys()]}::text[])`
      const { rows } = await sql<{ id: string; value: Uint8Array }>`
        select id, value from signal_key
        where session_id = ${sessionId} and kind = ${KEY_KINDS[kind]} and ${isAsked}`.execute(worker)
      const opened = rows.map(async (row): Promise<[string, Uint8Array]> => {
        const id = asked.get(row.id) ?? row.id
        return [id, await sealer.open(row.value, keyContext(sessionId, kind, id))]
      })
      return new Map(await Promise.all(opened))
    },
    async findPlaintext(ciphertextHash) {
      const { rows } = await sql<{ plaintext: Uint8Array; is_sealed: boolean }>`
        select raw as plaintext, false as is_sealed from message
        where session_id = ${sessionId} and ciphertext_hash = ${ciphertextHash} and raw is not null
        union all
        select plaintext, true from journal where session_id = ${sessionId} and ciphertext_hash = ${ciphertextHash}
        limit 1`.execute(worker)
      const [row] = rows
      return row?.is_sealed ? sealer.open(row.plaintext, journalContext(sessionId, ciphertextHash)) : row?.plaintext
    },
    async findPending() {
      const { rows } = await sql<{ envelope: Record<string, string> }>`
        select envelope from message
        where session_id = ${sessionId} and envelope is not null
          and content->>'kind' = 'pending' and content->>'reason' in ('undecrypted', 'unavailable')
        order by id desc limit ${MAX_PENDING}`.execute(worker)
      return rows.map(({ envelope }) => envelope)
    },
    async requestSent({ whatsappId, device, recipients }) {
      const { rows } = await sql<{ recipient: string; plaintext: Uint8Array; requests: number }>`
        update sent_plaintext
        set requests = requests || jsonb_build_object(${device}::text, coalesce((requests->>${device}::text)::int, 0) + 1)
        where session_id = ${sessionId} and whatsapp_id = ${whatsappId}
          and created_at > now() - make_interval(days => ${SENT_RETENTION_DAYS})
          and (${recipients === undefined} or recipient = any (${[...(recipients ?? [])]}::text[]))
        returning recipient, plaintext, (requests->>${device}::text)::int as requests`.execute(worker)
      const [row] = rows
      return (
        row && { ...row, whatsappId, plaintext: await sealer.open(row.plaintext, sentContext(sessionId, whatsappId)) }
      )
    },
  }
}
