import { newId } from '#src/model/ids.ts'
import { KEY_KINDS } from '#src/model/session-store.ts'
import { storableText } from '#src/model/storable-text.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { putRestoredKeys, putRestoredSession, startRestored } from '#src/storage/restored-sessions.ts'
import { checkAuthState } from './check-auth-state.ts'
import { readAuthState } from './read-auth-state.ts'

const KEYS_AT_ONCE = 500

export interface ImportedSession {
  sessionId: string
  phone: string
  keys: number
}

/**
 * Takes a linked session over from another program that uses Baileys: as a new session of the company, which stays
 * paused unless it is to start. That program must not connect with it any more.
 * @throws FrontdeskError `import_invalid`, `session_not_linked`, `session_name_taken`, `session_number_taken`,
 * `not_found` for the company; nothing is changed then
 */
export async function importSession(
  { database, keyRing }: { database: Database; keyRing: Pick<KeyRing, 'sealerOf'> },
  { path, companyId, name, start }: { path: string; companyId: string; name: string; start: boolean },
): Promise<ImportedSession> {
  const state = await readAuthState(path)
  const account = checkAuthState(state)
  const sealer = await keyRing.sealerOf(companyId)
  const id = newId()
  const now = new Date()
  const keys = [{ kind: 'creds' as const, id: 'main', value: state.creds }, ...state.keys].map((key) => ({
    sessionId: id,
    kind: KEY_KINDS[key.kind],
    id: storableText(key.id),
    value: Buffer.from(JSON.stringify(key.value)),
  }))
  await database.worker.transaction().execute(async (db) => {
    const session = { id, name, provider: 'baileys' as const, settings: {}, proxy: null, createdAt: now, linkedAt: now }
    await putRestoredSession(companyId, db, { ...session, ...account }, sealer)
    for (let from = 0; from < keys.length; from += KEYS_AT_ONCE)
      await putRestoredKeys(db, keys.slice(from, from + KEYS_AT_ONCE), sealer)
    if (start) await startRestored(db, id)
    const { apiKeyId } = OPERATOR
    await appendAudit(db, { companyId, apiKeyId, action: 'session.imported', subjectId: id, detail: { name } })
    await appendEvents(db, [{ companyId, type: 'session.created', sessionId: id, subjectId: id }])
  })
  return { sessionId: id, phone: account.phone, keys: state.keys.length }
}
