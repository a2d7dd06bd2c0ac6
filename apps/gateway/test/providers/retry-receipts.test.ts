import { type AuthenticationCreds, type BinaryNode, initAuthCreds, proto } from 'baileys'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { baileysLogger } from '#src/providers/baileys/baileys-logger.ts'
import { RetryReceipts } from '#src/providers/baileys/retry-receipts.ts'
import { SharedCaches } from '#src/providers/baileys/shared-caches.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'

const [CUSTOMER, CUSTOMER_LID, ME] = ['49171@s.whatsapp.net', '5@lid', '49170:3@s.whatsapp.net']
const relayMessage = vi.fn(async () => '')
const assertSessions = vi.fn(async () => true)
const injectE2ESession = vi.fn(async () => undefined)
const onStoreFailure = vi.fn()
let store: MemorySessionStore
let retries: RetryReceipts

beforeEach(() => {
  for (const mock of [relayMessage, assertSessions, injectE2ESession, onStoreFailure]) mock.mockClear()
  store = new MemorySessionStore()
  const plaintext = proto.Message.encode({ conversation: 'hello' }).finish()
  store.sent.set('A', { whatsappId: 'A', recipient: CUSTOMER, plaintext })
  retries = new RetryReceipts({
    creds: { ...initAuthCreds(), me: { id: ME, lid: '999:3@lid' } } as AuthenticationCreds,
    store,
    completeAddress: async (address: WhatsAppAddress) =>
      address.phone === '49171' || address.lid === '5' ? { phone: '49171', lid: '5' } : address,
    counters: new SharedCaches().of('session').msgRetryCounterCache,
    socket: () => ({ relayMessage, assertSessions, signalRepository: { injectE2ESession } }) as never,
    logger: baileysLogger(undefined),
    onStoreFailure,
  })
})

const receiptOf = (from: string, attrs: Record<string, string> = {}): BinaryNode => ({
  tag: 'receipt',
  attrs: { id: 'A', type: 'retry', from, ...attrs },
  content: [{ tag: 'retry', attrs: { count: '2', id: 'A', t: '1', v: '1' } }],
})

/** A receipt arrives, and Baileys looks up how often it has answered. */
async function ask(from: string, attrs?: Record<string, string>): Promise<number | undefined> {
  const receipt = receiptOf(from, attrs)
  retries.note(receipt)
  return await retries.counters.get<number>(`${receipt.attrs['id']}:${from}`)
}

describe('a device that asks for a message again', () => {
  test.each([
    ['by number', CUSTOMER],
    ['by LID', CUSTOMER_LID],
    ['from another device', '5:7@lid'],
    ['of the own account', '49170@s.whatsapp.net'],
  ])('gets the very message, %s, for itself alone; Baileys adds nothing', async (_how, jid) => {
    expect(await ask(jid)).toBe(Number.POSITIVE_INFINITY)
    expect(relayMessage).toHaveBeenCalledExactlyOnceWith(CUSTOMER, expect.objectContaining({ conversation: 'hello' }), {
      messageId: 'A',
      participant: { jid, count: 2 },
    })
  })

  test('gets nothing that was sent to somebody else, or never; Baileys adds nothing there either', async () => {
    expect(await ask('49199@s.whatsapp.net')).toBe(Number.POSITIVE_INFINITY)
    expect(await ask(CUSTOMER, { id: 'UNKNOWN' })).toBe(Number.POSITIVE_INFINITY)
    expect(relayMessage).not.toHaveBeenCalled()
    expect(assertSessions).not.toHaveBeenCalled()
  })

  test('gets it ten times, whichever its address', async () => {
    for (let index = 0; index < 12; index++) await ask(index % 2 === 0 ? CUSTOMER : CUSTOMER_LID)
    expect(relayMessage).toHaveBeenCalledTimes(10)
    await ask('5:7@lid')
    expect(relayMessage).toHaveBeenCalledTimes(11)
  })

  test('has its keys fetched once an hour, and a receipt that comes twice at once is answered once', async () => {
    const receipt = receiptOf(CUSTOMER)
    retries.note(receipt)
    retries.note(receipt)
    await Promise.all([retries.counters.get(`A:${CUSTOMER}`), retries.counters.get(`A:${CUSTOMER}`)])
    expect(relayMessage).toHaveBeenCalledTimes(1)
    await ask(CUSTOMER)
    expect(relayMessage).toHaveBeenCalledTimes(2)
    expect(assertSessions).toHaveBeenCalledExactlyOnceWith([CUSTOMER], true)
  })

  test('is answered with the old session when the server gives no keys', async () => {
    assertSessions.mockRejectedValueOnce(new Error('Timed Out'))
    await ask(CUSTOMER)
    expect(relayMessage).toHaveBeenCalledTimes(1)
  })

  test('whose answer fails harms nobody; a store that fails ends the session', async () => {
    relayMessage.mockRejectedValueOnce(new Error('Connection Closed'))
    expect(await ask(CUSTOMER)).toBe(Number.POSITIVE_INFINITY)
    expect(onStoreFailure).not.toHaveBeenCalled()
    const failure = new Error('database')
    vi.spyOn(store, 'requestSent').mockRejectedValueOnce(failure)
    await ask(CUSTOMER)
    expect(onStoreFailure).toHaveBeenCalledExactlyOnceWith(failure)
  })
})

test('what Baileys counts of its own requests is untouched', async () => {
  const { counters } = retries
  await counters.set('B:undefined', 3)
  expect(await counters.get('B:undefined')).toBe(3)
  await counters.del('B:undefined')
  expect(await counters.get('B:undefined')).toBeUndefined()
})
