import { conversationState } from '@frontdesk/api-contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { type Answering, type Happening, nextAnswering } from '#src/services/conversations/conversation-state.ts'
import { Conversations } from '#src/services/conversations/conversations.ts'
import { handoffTimes } from '#src/services/conversations/handoff-times.ts'
import { closeTurn } from '#src/storage/answer-turn.ts'
import { returnConversations } from '#src/storage/conversations.ts'
import type { Lease } from '#src/storage/leases.ts'
import { openTurn } from '#src/storage/turns.ts'
import { claimLease } from '../../support/claim-lease.ts'
import { createTestDatabase } from '../../support/database.ts'
import { createContact, storeInbound } from '../support/messages.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

let companyId: string
let sessionId: string
let lease: Lease
beforeAll(async () => {
  companyId = await testDatabase.createCompany()
  sessionId = await testDatabase.createSession(companyId)
  lease = await claimLease(database, newId(), sessionId)
})

const HOUR_MS = 3_600_000
const now = new Date()
const inHours = (hours: number) => new Date(now.getTime() + hours * HOUR_MS)

/** All that a conversation can be, as far as it makes a difference. */
const all: Answering[] = conversationState.options.flatMap((state) => {
  const returns = state === 'waiting' || state === 'human' ? [null, inHours(-1), inHours(3)] : [null]
  return returns.flatMap((returnsAt) =>
    [null, 'Lena'].map((assignee): Answering => ({ state, reason: 'rule', detail: 'so', returnsAt, assignee })),
  )
})

const wrote = inHours(-0.1)
const until = new Date(wrote.getTime() + handoffTimes().pauseMs)
const happenings: Happening[] = [
  { kind: 'customer_wrote', at: now },
  { kind: 'time_passed', at: now },
  { kind: 'handed_over', reason: 'responder', detail: 'wants a refund', returnsAt: inHours(1) },
  { kind: 'person_wrote', at: now, until, agent: null },
  { kind: 'person_wrote', at: now, until, agent: 'Ben' },
  ...conversationState.options.flatMap((state) => [
    { kind: 'set_by_api', state, returnsAt: null, assignee: null } as const,
    {
      kind: 'set_by_api',
      state,
      returnsAt: state === 'bot' || state === 'closed' ? null : inHours(5),
      assignee: 'Mo',
    } as const,
  ]),
]

interface Place {
  contactId: string
  conversationId: string
}

/** The same as it really happens. */
async function happen({ contactId, conversationId }: Place, happening: Happening): Promise<void> {
  const { worker } = database
  const openTurnNow = async () => {
    await storeInbound(database, { companyId, sessionId, contactId }, ['hi'])
    const opening = { turnId: newId(), contactId, contactIds: [contactId], limit: 50 }
    await openTurn(worker, lease, opening)
  }
  switch (happening.kind) {
    case 'customer_wrote':
      await openTurnNow()
      break
    case 'time_passed':
      await returnConversations(worker, { now: happening.at, limit: 1000 })
      break
    case 'handed_over': {
      const turnId = newId()
      await worker
        .insertInto('turn')
        .values({ id: turnId, company_id: companyId, session_id: sessionId, contact_id: contactId })
        .execute()
      await worker.updateTable('turn').set({ conversation_id: conversationId }).where('id', '=', turnId).execute()
      const { reason, detail, returnsAt } = happening
      const handoff = { reason, returnsAt, ...(detail !== null && { detail }) }
      await closeTurn(database, lease, { turnId, responder: 'rules', messages: [], handoff })
      break
    }
    case 'person_wrote':
      await worker
        .insertInto('message')
        .values({
          ...{ id: newId(), company_id: companyId, session_id: sessionId, contact_id: contactId },
          ...{ direction: 'outbound', whatsapp_id: newWhatsAppId(), content: '{"kind":"text","text":"Here."}' },
          ...(happening.agent === null
            ? { origin: 'phone', status: 'sent', envelope: '{"id":"1"}', sent_at: wrote }
            : { origin: 'api', status: 'queued', agent: happening.agent, created_at: wrote }),
        })
        .execute()
      break
    case 'set_by_api': {
      const { state, returnsAt, assignee } = happening
      const conversations = new Conversations({ database, onTakenOver: () => undefined })
      const change = { state, returnsAt: returnsAt?.toISOString() ?? null, assignee }
      await conversations.update(companyId, conversationId, change, { apiKeyId: null })
    }
  }
}

async function create({ state, reason, detail, returnsAt, assignee }: Answering): Promise<Place> {
  const contactId = await createContact(database, companyId)
  const conversationId = newId()
  await database.worker
    .insertInto('conversation')
    .values({
      ...{ id: conversationId, company_id: companyId, session_id: sessionId, contact_id: contactId },
      ...{ state, reason, detail, returns_at: returnsAt, assignee },
    })
    .execute()
  return { contactId, conversationId }
}

async function read({ conversationId }: Place): Promise<Answering> {
  const row = await database.worker
    .selectFrom('conversation')
    .select(['state', 'reason', 'detail', 'returns_at as returnsAt', 'assignee'])
    .where('id', '=', conversationId)
    .executeTakeFirstOrThrow()
  return row
}

describe.each(happenings)('$kind $agent $state', (happening) => {
  test.each(all)('in a conversation that is $state until $returnsAt with $assignee', async (before) => {
    const place = await create(before)
    await happen(place, happening)
    expect(await read(place)).toEqual(nextAnswering(before, happening))
  })
})

test('nobody but the bot is handed a conversation by time', () => {
  for (const before of all) {
    const after = nextAnswering(before, { kind: 'time_passed', at: now })
    expect(after === before || after.state === 'bot').toBe(true)
  }
})

test('only a conversation that waits for a person, or is with one, has a moment at which it goes back', () => {
  for (const before of all) {
    for (const happening of happenings) {
      const { state, returnsAt } = nextAnswering(before, happening)
      expect(returnsAt === null || state === 'waiting' || state === 'human').toBe(true)
    }
  }
})
