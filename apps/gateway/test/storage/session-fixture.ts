import { createHash, randomBytes, randomInt } from 'node:crypto'
import { sql } from 'kysely'
import { newId } from '#src/model/ids.ts'
import type { KeyChange, KeyKind, ReceivedMessage } from '#src/model/session-store.ts'
import type { StoreError } from '#src/model/store-error.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import type { Lease } from '#src/storage/leases.ts'
import type { OwnedSession } from '#src/storage/writer/owned-session.ts'
import type { CommittedChanges, Writer } from '#src/storage/writer/writer.ts'
import { claimLease } from '../support/claim-lease.ts'
import type { TestDatabase } from '../support/database.ts'

/** A message that could be read. */
type ReadMessage = ReceivedMessage & { ciphertextHash: Uint8Array; raw: Uint8Array }

/** A session that a test owns, with one contact. */
export interface SessionFixture {
  companyId: string
  sessionId: string
  contactId: string
  lease: Lease
  store: OwnedSession
  /** What `onFailed` was told. */
  failures: StoreError[]
  /** What the writer has announced for this session. */
  news: CommittedChanges[]
  /** A message of the contact. */
  message(text: string, changes?: Partial<ReadMessage>): ReadMessage
  /** Publishes one message and waits for its commit. */
  receive(text: string, changes?: Partial<ReadMessage>): Promise<ReadMessage>
  storedTexts(): Promise<string[]>
  storedEvents(): Promise<{ type: string; subject_id: string; data: Record<string, unknown> }[]>
}

export async function openTestSession(testDatabase: TestDatabase, writer: Writer): Promise<SessionFixture> {
  const { database, keyRing } = testDatabase
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const contactId = await createContactBook(database, companyId).contactOf({ phone: randomPhone() })
  const lease = await claimLease(database, newId(), sessionId)
  const failures: StoreError[] = []
  const news: CommittedChanges[] = []
  const sealer = await keyRing.sealerOf(companyId)
  const store = writer.openSession({ ...lease, sealer, onFailed: (error) => failures.push(error) })
  writer.onCommitted((batch) => news.push(...batch.filter((changes) => changes.sessionId === sessionId)))
  const message: SessionFixture['message'] = (text, changes) => ({
    id: newId(),
    contactId,
    direction: 'inbound',
    origin: 'customer',
    whatsappId: randomBytes(8).toString('hex').toUpperCase(),
    ciphertextHash: createHash('sha256').update(randomBytes(8)).digest(),
    raw: Buffer.from(text),
    envelope: { from: 'someone' },
    content: { kind: 'text', text },
    isOffline: false,
    sentAt: new Date(),
    ...changes,
  })
  return {
    companyId,
    sessionId,
    contactId,
    lease,
    store,
    failures,
    news,
    message,
    async receive(text, changes) {
      const received = message(text, changes)
      await store.committed(store.publish({ messages: [received] }))
      return received
    },
    async storedTexts() {
      const { rows } = await sql<{ text: string }>`
        select content->>'text' as text from message where session_id = ${sessionId} order by id`.execute(
        database.worker,
      )
      return rows.map(({ text }) => text)
    },
    async storedEvents() {
      const { rows } = await sql<{ type: string; subject_id: string; data: Record<string, unknown> }>`
        select type, subject_id, data from event where session_id = ${sessionId} order by transaction, id`.execute(
        database.worker,
      )
      return rows
    },
  }
}

export const keyChange = (kind: KeyKind, id: string, value: string): KeyChange => ({
  kind,
  id,
  encode: () => Buffer.from(value),
})

export const randomPhone = (): string => `49151${randomInt(10_000_000, 99_999_999)}`
