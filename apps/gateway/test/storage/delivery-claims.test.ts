import { sql } from 'kysely'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { claimDeliveries } from '#src/storage/delivery-claims.ts'
import { createTestDatabase } from '../support/database.ts'

const testDatabase = await createTestDatabase()
const { worker } = testDatabase.database
afterAll(() => testDatabase[Symbol.asyncDispose]())

let companyId: string
let endpointId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  endpointId = newId()
  await sql`
    insert into webhook_endpoint (id, company_id, url, ordering, secrets)
    values (${endpointId}, ${companyId}, 'https://example.com', 'chat', '')`.execute(worker)
})

const happen = (chats: readonly string[]) =>
  sql`
    insert into event (company_id, type, data)
    select ${companyId}, 'message.received', jsonb_build_object('contactId', chat)
    from unnest(${[...chats]}::text[]) with ordinality as happened (chat, place) order by place`.execute(worker)
const claimChats = async (room: number) => {
  const claimed = await claimDeliveries(worker, [{ endpointId, room }])
  return claimed.map(({ event }) => event.data['contactId'])
}

test('of chats in order only the first delivery of each is claimed, those that are due for longest first', async () => {
  await happen(['c', 'c', 'b', 'c', 'a', 'b'])
  expect(await claimChats(2)).toEqual(['c', 'b'])
  expect(await claimChats(2)).toEqual(['a'])
  expect(await claimChats(2)).toEqual([])
})

test('a chat that is held up holds up no other, however much of it has been due for longest', async () => {
  await happen([...Array.from({ length: 700 }, () => 'held up'), 'b', 'a', 'b'])
  expect(await claimChats(1)).toEqual(['held up'])
  expect(await claimChats(16)).toEqual(['b', 'a'])
  expect(await claimChats(16)).toEqual([])
})
