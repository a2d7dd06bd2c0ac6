import type { MessageContent } from '@frontdesk/api-contract'
import { newId } from '#src/model/ids.ts'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import type { Database } from '#src/storage/database.ts'

/** A contact that is known by its phone number. */
export async function createContact(database: Database, companyId: string, phone = randomPhone()): Promise<string> {
  const id = newId()
  await database.worker.insertInto('contact').values({ id, company_id: companyId, name: 'Ada' }).execute()
  await database.worker
    .insertInto('contact_alias')
    .values({ company_id: companyId, kind: 'phone', value: phone, contact_id: id })
    .execute()
  return id
}

export const randomPhone = (): string => `49176${Math.random().toString().slice(2, 10)}`

export interface Place {
  companyId: string
  sessionId: string
  contactId: string
}

/** Inbound messages as the writer commits them, oldest first. Nobody is told. */
export async function storeInbound(
  database: Database,
  { companyId, sessionId, contactId }: Place,
  texts: readonly (string | MessageContent)[],
  moment: { sentAt?: Date; isAnswerable?: boolean } = {},
): Promise<ReceivedMessage[]> {
  const { sentAt = new Date(), isAnswerable = true } = moment
  const messages = texts.map(
    (text): ReceivedMessage => ({
      id: newId(),
      contactId,
      direction: 'inbound',
      origin: 'customer',
      whatsappId: newWhatsAppId(),
      ciphertextHash: new Uint8Array(32),
      raw: new Uint8Array(),
      envelope: {},
      content: typeof text === 'string' ? { kind: 'text', text } : text,
      isOffline: false,
      sentAt,
    }),
  )
  await database.worker
    .insertInto('message')
    .values(
      messages.map((message) => ({
        id: message.id,
        company_id: companyId,
        session_id: sessionId,
        contact_id: contactId,
        direction: 'inbound' as const,
        origin: 'customer' as const,
        whatsapp_id: message.whatsappId,
        status: 'received' as const,
        content: JSON.stringify(message.content),
        is_answerable: isAnswerable,
        created_at: sentAt,
        sent_at: sentAt,
      })),
    )
    .execute()
  return messages
}

export const readOutbound = (database: Database, sessionId: string) =>
  database.worker
    .selectFrom('message')
    .select(['id', 'status', 'content', 'whatsapp_id', 'turn_id', 'attempts', 'error_code', 'contact_id'])
    .where('session_id', '=', sessionId)
    .where('direction', '=', 'outbound')
    .orderBy('id')
    .execute()

export const readTurns = (database: Database, sessionId: string) =>
  database.worker.selectFrom('turn').selectAll().where('session_id', '=', sessionId).orderBy('id').execute()

/** The company's events about its chats, oldest first: type, subject and data. */
export const readEvents = (database: Database, companyId: string) =>
  database.worker
    .selectFrom('event')
    .select(['type', 'subject_id', 'session_id', 'data'])
    .where('company_id', '=', companyId)
    .orderBy('id')
    .execute()
