import { type OutgoingContent, outgoingContent } from '@frontdesk/api-contract'
import { sql } from 'kysely'
import type { Sealer } from '#src/model/sealing.ts'
import { KEY_KINDS, type KeyKind } from '#src/model/session-store.ts'
import { storableText } from '#src/model/storable-text.ts'
import type { Database } from '../database.ts'
import { journalContext, keyContext } from './sealed-changes.ts'

/** What of a session stands in the database. */
export interface StoredSession {
  readKeys(kind: KeyKind, ids: readonly string[]): Promise<Map<string, Uint8Array>>
  findPlaintext(ciphertextHash: Uint8Array): Promise<Uint8Array | undefined>
  findSentContent(whatsappId: string): Promise<OutgoingContent | undefined>
}

export function storedSession({ worker }: Database, sessionId: string, sealer: Sealer): StoredSession {
  return {
    async readKeys(kind, ids) {
      const asked = new Map(ids.map((id) => [storableText(id), id]))
      const { rows } = await sql<{ id: string; value: Uint8Array }>`
        select id, value from signal_key
        where session_id = ${sessionId} and kind = ${KEY_KINDS[kind]} and id = any (${[...asked.keys()]}::text[])`.execute(
        worker,
      )
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
    async findSentContent(whatsappId) {
      const row = await worker
        .selectFrom('message')
        .select('content')
        .where('session_id', '=', sessionId)
        .where('direction', '=', 'outbound')
        .where('whatsapp_id', '=', storableText(whatsappId))
        .executeTakeFirst()
      // What the owner has sent from the phone can be of a kind that cannot be sent from here.
      return row && outgoingContent.safeParse(row.content).data
    },
  }
}
