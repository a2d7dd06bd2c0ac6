import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { newId } from '#src/model/ids.ts'
import type { KeyChange, KeyKind, ReceivedMessage } from '#src/model/session-store.ts'
import type { StoreError } from '#src/model/store-error.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import { claimLease, type Lease } from '#src/storage/leases.ts'
import type { OwnedSession } from '#src/storage/writer/owned-session.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import type { TestDatabase } from '../support/database.ts'

/** A session that this test owns, with one contact. */
export interface SessionFixture {
  companyId: string
  sessionId: string
  contactId: string
  lease: Lease
  store: OwnedSession
  failures: StoreError[]
  /** A message of the contact. */
  message(text: string, changes?: Partial<ReceivedMessage>): ReceivedMessage
  storedTexts(): Promise<string[]>
}

export async function openTestSession(
  { database, keyRing, createCompany, createSession }: TestDatabase,
  writer: Writer,
): Promise<SessionFixture> {
  const companyId = await createCompany()
  const sessionId = await createSession(companyId)
  const contactId = await createContactBook(database, companyId).contactOf({ phone: randomPhone() })
  const lease = await claimLease(database, newId(), sessionId)
  const failures: StoreError[] = []
  const store = writer.openSession({
    ...lease,
    sealer: await keyRing.sealerOf(companyId),
    onFailed: (error) => failures.push(error),
  })
  return {
    companyId,
    sessionId,
    contactId,
    lease,
    store,
    failures,
    message: (text, changes) => ({
      id: newId(),
      contactId,
      direction: 'inbound',
      origin: 'customer',
      whatsappId: randomBytes(8).toString('hex').toUpperCase(),
      ciphertextHash: createHash('sha256').update(text).update(randomBytes(8)).digest(),
      raw: Buffer.from(text),
      envelope: { from: 'someone' },
      content: { kind: 'text', text },
      isOffline: false,
      sentAt: new Date(),
      ...changes,
    }),
    async storedTexts() {
      const { rows } = await sql<{ text: string }>`
        select content->>'text' as text from message where session_id = ${sessionId} order by id`.execute(
        database.worker,
      )
      return rows.map(({ text }) => text)
    },
  }
}

export const keyChange = (kind: KeyKind, id: string, value: string): KeyChange => ({
  kind,
  id,
  encode: () => Buffer.from(value),
})

export const randomPhone = (): string => `4915${Math.floor(Math.random() * 1e9)}`
