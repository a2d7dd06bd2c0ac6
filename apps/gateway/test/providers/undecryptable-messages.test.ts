import type { BinaryNode } from 'baileys'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SharedCaches } from '#src/providers/baileys/shared-caches.ts'
import { UndecryptableMessages } from '#src/providers/baileys/undecryptable-messages.ts'

const askPhone = vi.fn(async () => undefined)
const askedPhone = new SharedCaches().of('session').placeholderResendCache
const findPending = vi.fn(async (): Promise<Record<string, string>[]> => [])
let messages: UndecryptableMessages

const stanza = (id: string, attrs: Record<string, string> = {}): BinaryNode => ({
  tag: 'message',
  attrs: { id, from: '49171@s.whatsapp.net', t: '1000', ...attrs },
})

const newConnection = () =>
  new UndecryptableMessages({ askedPhone, askPhone, findPending, me: () => ({ id: '49170:3@s.whatsapp.net' }) })

beforeEach(() => {
  vi.useFakeTimers()
  askPhone.mockClear()
  messages = newConnection()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a message that cannot be read', () => {
  test('is asked of the phone some seconds later, and not before, by Baileys', async () => {
    await messages.failed(stanza('A'))
    expect(await askedPhone.get('A')).toBe(true)
    await vi.advanceTimersByTimeAsync(4000)
    expect(askPhone).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(2000)
    expect(askPhone).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ id: 'A', remoteJid: '49171@s.whatsapp.net' }),
    )
  })

  test('is not asked for when it came again', async () => {
    await messages.failed(stanza('A'))
    messages.resolved(stanza('A'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(askPhone).not.toHaveBeenCalled()
  })

  test('is asked for once, however often it fails', async () => {
    await messages.failed(stanza('A'))
    await messages.failed(stanza('A'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(askPhone).toHaveBeenCalledTimes(1)
  })

  test('of the phone itself is not asked for, nor anything after the end, nor without bound', async () => {
    await messages.failed(stanza('A', { category: 'peer' }))
    await messages.failed(stanza('B'))
    messages.close()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(askPhone).not.toHaveBeenCalled()

    for (let index = 0; index < 1000; index++) await messages.failed(stanza(`C${index}`))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(askPhone.mock.calls.length).toBeLessThanOrEqual(256)
  })

  test('a phone that cannot be asked harms nobody', async () => {
    askPhone.mockRejectedValueOnce(new Error('Connection Closed'))
    await messages.failed(stanza('A'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(askPhone).toHaveBeenCalledTimes(1)
  })

  test('is asked of the phone again by a later connection, but not within an hour', async () => {
    findPending.mockResolvedValue([stanza('PENDING').attrs])
    await messages.resume()
    await vi.advanceTimersByTimeAsync(0)
    expect(askPhone).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ id: 'PENDING', fromMe: false }))
    await newConnection().resume()
    await vi.advanceTimersByTimeAsync(0)
    expect(askPhone).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(3_600_001)
    await newConnection().resume()
    await vi.advanceTimersByTimeAsync(0)
    expect(askPhone).toHaveBeenCalledTimes(2)
  })
})
