import { sql } from 'kysely'
import type { Store } from '../support/store.ts'
import type { CompanySystem } from './company-system.ts'
import type { Displays } from './displays.ts'
import { firstOutOfOrder } from './in-order.ts'
import type { KillTraffic } from './kill-traffic.ts'

export interface Books {
  traffic: KillTraffic
  system: CompanySystem
  displays: Displays
}

/** Something that must not be, as whoever looks for the reason wants to read it. */
export interface Finding {
  what: 'lost' | 'duplicated' | 'outOfOrder' | 'undecryptable' | 'webhooksMissing'
  /** With the ids that lead further. */
  about: string
  /** When the message was written or sent; undefined where nobody knows. */
  atMs?: number | undefined
}

/** Whether everything has arrived that is to arrive: as far as it can be seen from outside. */
export function isAllThere({ traffic, system, displays }: Books): boolean {
  const isTold = (whatsappId: string, type: string) => system.told.get(whatsappId)?.has(type) === true
  const isDisplayed = (text: string) => displays.byText.get(text)?.every((id) => isTold(id, 'message.queued')) === true
  return (
    traffic.written.every(({ text, whatsappId }) => system.seen.has(text) && isTold(whatsappId, 'message.received')) &&
    traffic.accepted.every(({ text }) => isDisplayed(text)) &&
    [...system.turns.values()].every(({ answer }) => isDisplayed(answer))
  )
}

/** Compares what customers wrote and saw, and what companies sent and were told, with each other and with the database. */
export async function compareBooks(books: Books, store: Store): Promise<Finding[]> {
  const rows = await readMessages(store)
  return [
    ...inboxFindings(books, rows),
    ...responderFindings(books),
    ...displayFindings(books, rows),
    ...orderFindings(books, rows),
    ...(await webhookFindings(books, store)),
    ...books.displays.undecryptable.map((each) => ({ what: 'undecryptable' as const, ...each })),
    ...books.traffic.refused.map((about) => ({ what: 'lost' as const, about: `refused: ${about}` })),
  ]
}

type MessageRow = Awaited<ReturnType<typeof readMessages>>[number]

const readMessages = ({ database }: Store) =>
  database.worker
    .selectFrom('message')
    .select([
      'id',
      'whatsapp_id as whatsappId',
      'direction',
      'status',
      'content',
      'error_code as code',
      'turn_id as turnId',
    ])
    .orderBy('id')
    .execute()

/** A customer's message is in the inbox once, as it was written. */
function inboxFindings({ traffic }: Books, rows: readonly MessageRow[]): Finding[] {
  const copies = Map.groupBy(inboundOf(rows), ({ whatsappId }) => whatsappId)
  return traffic.written.flatMap(({ text, whatsappId, atMs }): Finding[] => {
    const found = copies.get(whatsappId) ?? []
    const about = `${text} (${whatsappId})`
    if (found.length === 0) return [{ what: 'lost', about: `not in the inbox: ${about}`, atMs }]
    if (found.length > 1) return [{ what: 'duplicated', about: `${found.length} times in the inbox: ${about}`, atMs }]
    return found.flatMap(({ id, content }): Finding[] =>
      content.kind === 'text' && content.text === text
        ? []
        : [{ what: 'undecryptable', about: `as ${content.kind} in the inbox: ${about}, message ${id}`, atMs }],
    )
  })
}

/** It is put before the responder, in one turn. */
function responderFindings({ traffic, system }: Books): Finding[] {
  const turns = new Map<string, number>()
  for (const { texts } of system.turns.values()) for (const text of texts) turns.set(text, (turns.get(text) ?? 0) + 1)
  return traffic.written.flatMap(({ text, whatsappId, atMs }): Finding[] => {
    const count = turns.get(text) ?? 0
    const about = `${text} (${whatsappId})`
    if (count === 0) return [{ what: 'lost', about: `never put before the responder: ${about}`, atMs }]
    return count === 1 ? [] : [{ what: 'duplicated', about: `in ${count} turns: ${about}`, atMs }]
  })
}

/** What was accepted for sending, and each answer, is displayed once, and the database knows of it. */
function displayFindings({ traffic, system, displays }: Books, rows: readonly MessageRow[]): Finding[] {
  const stored = new Map(rows.filter(({ direction }) => direction === 'outbound').map((row) => [row.whatsappId, row]))
  const judge = (text: string, name: string, atMs?: number): Finding[] => {
    const ids = displays.byText.get(text) ?? []
    const about = `${text} ${name}, as ${ids.join(' and ') || 'nothing'}`
    if (ids.length === 0) return [{ what: 'lost', about: `never displayed: ${about}`, atMs }]
    if (ids.length > 1) return [{ what: 'duplicated', about: `displayed ${ids.length} times: ${about}`, atMs }]
    const row = stored.get(ids[0] ?? '')
    const isSent = row?.status === 'sent' || row?.status === 'delivered' || row?.status === 'read'
    return isSent
      ? []
      : [{ what: 'lost', about: `displayed, and stored as ${row?.status ?? 'nothing'}: ${about}`, atMs }]
  }
  return [
    ...traffic.accepted.flatMap(({ text, id, atMs }) => judge(text, `message ${id}`, atMs)),
    ...[...system.turns].flatMap(([id, { answer }]) => judge(answer, `turn ${id}`)),
  ]
}

/** In each chat, in the order in which customers wrote and the API accepted: in the inbox, for the responder, on display. */
function orderFindings({ traffic, system, displays }: Books, rows: readonly MessageRow[]): Finding[] {
  const customers = new Map(traffic.written.map(({ text, chat }) => [text, chat.customer]))
  const turns = [...system.turns.values()]
  const written = byCustomer(traffic.written.map(({ text, chat }) => [chat.customer, text]))
  const accepted = byCustomer(traffic.accepted.map(({ text, chat }) => [chat.customer, text]))
  const inbox = byCustomer(inboundOf(rows).map(({ content }) => [customers.get(textOf(content)), textOf(content)]))
  const asked = byCustomer(turns.flatMap(({ texts }) => texts.map((text) => [customers.get(text), text] as const)))
  const answers = byCustomer(turns.map(({ texts, answer }) => [customers.get(texts[0] ?? ''), answer]))
  const compare = (where: string, expected: Map<string, string[]>, actual: Map<string, string[]>): Finding[] =>
    [...expected].flatMap(([customer, texts]): Finding[] => {
      const wrong = firstOutOfOrder(texts, actual.get(customer) ?? [])
      return wrong === undefined ? [] : [{ what: 'outOfOrder', about: `${where}, customer ${customer}: ${wrong}` }]
    })
  return [
    ...compare('in the inbox', written, inbox),
    ...compare('before the responder', written, asked),
    ...compare('on display, sent by the API', accepted, displays.byCustomer),
    ...compare('on display, answers', answers, displays.byCustomer),
  ]
}

/** Every event that companies asked for has come, and there is one about every message. */
async function webhookFindings({ traffic, system, displays }: Books, { database }: Store): Promise<Finding[]> {
  const deliveries = await database.worker
    .selectFrom('webhook_delivery')
    .select([
      sql<string>`format('%s-%s', event_transaction, event_id)`.as('event'),
      'event_type as type',
      'state',
      'created_at as createdAt',
    ])
    .execute()
  return [
    ...deliveries.flatMap(({ event, type, state, createdAt }): Finding[] =>
      system.events.has(event) && state === 'delivered'
        ? []
        : [
            {
              what: 'webhooksMissing',
              about: `${type} ${event} is ${state}, ${system.events.has(event) ? '' : 'not '}received`,
              atMs: createdAt.getTime(),
            },
          ],
    ),
    ...traffic.written.flatMap(({ text, whatsappId, atMs }): Finding[] =>
      system.told.get(whatsappId)?.has('message.received')
        ? []
        : [{ what: 'webhooksMissing', about: `nothing of ${text} (${whatsappId})`, atMs }],
    ),
    ...[...displays.byText].flatMap(([text, ids]): Finding[] =>
      ids.every((id) => system.told.get(id)?.has('message.queued'))
        ? []
        : [{ what: 'webhooksMissing', about: `nothing of ${text}` }],
    ),
  ]
}

const inboundOf = (rows: readonly MessageRow[]) => rows.filter(({ direction }) => direction === 'inbound')

const textOf = (content: MessageRow['content']): string => (content.kind === 'text' ? content.text : '')

function byCustomer(texts: readonly (readonly [customer: string | undefined, text: string])[]): Map<string, string[]> {
  const groups = Map.groupBy(texts, ([customer]) => customer ?? 'unknown')
  return new Map([...groups].map(([customer, group]) => [customer, group.map(([, text]) => text)]))
}
