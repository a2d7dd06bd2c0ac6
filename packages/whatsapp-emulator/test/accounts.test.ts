import { expect, test } from 'vitest'
import { Account } from '../src/accounts/account.ts'
import { ChatLog } from '../src/accounts/chat-log.ts'
import { Directory } from '../src/accounts/directory.ts'
import { PendingStanzas } from '../src/accounts/pending-stanzas.ts'
import { PreKeyPool } from '../src/accounts/pre-key-pool.ts'
import type { ChatMessage } from '../src/index.ts'
import { ANNA, SALON } from './support/numbers.ts'

const CHAT_CAPACITY = 2_000

test('a chat displays a message once, however often it comes, but the same id in both directions', () => {
  const chat = new ChatLog(ANNA)

  expect([chat.add(message('1')), chat.add(message('1')), chat.add(message('1', true))]).toEqual([true, false, true])
  expect(chat.toChat().messages).toHaveLength(2)
})

test('a chat is bounded: the oldest message goes, with what was known of it', () => {
  const chat = new ChatLog(ANNA)
  for (let index = 0; index <= CHAT_CAPACITY; index++) chat.add(message(String(index)))

  expect(chat.toChat().messages).toHaveLength(CHAT_CAPACITY)
  expect(chat.unread).toBe(CHAT_CAPACITY)
  expect(chat.add(message('0'))).toBe(true)
})

test('the status of an own message only advances', () => {
  const chat = new ChatLog(ANNA)
  chat.add(message('1', true))

  expect(chat.advance(['1', 'unknown'], 'read')).toBe(true)
  expect(chat.advance(['1'], 'delivered')).toBe(false)
  expect(chat.last?.status).toBe('read')
})

test('what was read once is not unread again', () => {
  const chat = new ChatLog(ANNA)
  for (const id of ['1', '2', '3']) chat.add(message(id))

  expect(chat.read(['2', 'unknown'])).toEqual(['2'])
  expect(chat.read()).toEqual(['1', '3'])
  expect(chat.read()).toEqual([])
})

test('typing ends with the message', () => {
  const chat = new ChatLog(ANNA)
  chat.setTyping(true)
  expect(chat.isTyping).toBe(true)

  chat.add(message('1', true))
  expect(chat.isTyping).toBe(true)
  chat.add(message('2'))
  expect(chat.isTyping).toBe(false)
})

test('stanzas wait in order until they are settled', () => {
  const pending = new PendingStanzas()
  for (const id of ['1', '2', '3']) pending.add(reference(id), stanza(id))

  pending.settle(reference('2'))
  pending.settle({ ...reference('1'), partner: SALON })

  expect([...pending].map(({ attrs }) => attrs['id'])).toEqual(['1', '3'])
})

test('a stanza that is added again goes to the end', () => {
  const pending = new PendingStanzas()
  for (const id of ['1', '2', '1']) pending.add(reference(id), stanza(id))

  expect([...pending].map(({ attrs }) => attrs['id'])).toEqual(['2', '1'])
})

test('receipts of different types wait each for its own ack', () => {
  const pending = new PendingStanzas()
  const receipt = { tag: 'receipt', id: '1', partner: ANNA }
  pending.add(receipt, stanza('delivered'))
  pending.add({ ...receipt, type: 'read' }, stanza('read'))

  pending.acknowledge(receipt)

  expect([...pending].map(({ attrs }) => attrs['id'])).toEqual(['read'])
})

test('the ack for what could not be decrypted does not settle the repetition', () => {
  const pending = new PendingStanzas()
  pending.add(reference('1'), stanza('1'), 1)

  pending.acknowledge(reference('1'))
  expect(pending.size).toBe(1)
  pending.acknowledge(reference('1'))
  expect(pending.size).toBe(0)
})

test('pre-keys are handed out once, in the order of their upload', () => {
  const pool = new PreKeyPool()
  const key = (id: number) => ({ id, key: Buffer.alloc(32, id) })
  pool.add([key(1), key(2)])
  pool.add([key(3)])

  expect([pool.take(), pool.take(), pool.size, pool.take(), pool.take()]).toEqual([
    key(1),
    key(2),
    1,
    key(3),
    undefined,
  ])
})

test('an account remembers the newest messages that it sent, and the newest retries', () => {
  const account = new Account(ANNA)
  const send = (id: string) =>
    account.rememberSent({ id, body: { conversation: id }, to: account, addressing: 'pn', isPeer: false })
  for (let index = 0; index < 300; index++) send(String(index))

  expect([account.findSent('43'), account.findSent('44')?.id, account.findSent('299')?.id]).toEqual([
    undefined,
    '44',
    '299',
  ])
  expect([account.countRetry('a'), account.countRetry('a'), account.countRetry('b')]).toEqual([1, 2, 1])
})

test('a number and its LID mean the same account, always with the same LID', () => {
  const directory = new Directory()
  const anna = directory.account(ANNA)

  expect(directory.resolve(`${ANNA}@s.whatsapp.net`)).toMatchObject({ account: anna, device: 0, addressing: 'pn' })
  expect(directory.resolve(`${anna.lid}:3@lid`)).toMatchObject({ account: anna, device: 3, addressing: 'lid' })
  expect(new Directory().account(ANNA).lid).toBe(anna.lid)
})

test('what is no person resolves to nobody', () => {
  const directory = new Directory()

  for (const jid of [undefined, '@s.whatsapp.net', '0123@s.whatsapp.net', '999@lid', '1-2@g.us', 'status@broadcast'])
    expect(directory.resolve(jid)).toBeUndefined()
})

function message(id: string, fromMe = false): ChatMessage {
  return { id, fromMe, text: id, type: 'conversation', at: new Date(0).toISOString(), status: 'sent' }
}

function reference(id: string) {
  return { tag: 'message', id, partner: ANNA }
}

function stanza(id: string) {
  return { tag: 'message', attrs: { id } }
}
