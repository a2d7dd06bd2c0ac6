import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { TestSession } from './support/test-session.ts'

let emulator: Emulator
let provider: Provider

beforeAll(async () => {
  emulator = await startEmulator()
  provider = createBaileysProvider({ emulator })
})
afterAll(() => emulator.close())

describe('linking', () => {
  test('a phone that scans the QR code brings the session online, after the restart that the server asks for', async () => {
    const phone = '491700000001'
    const session = new TestSession({ provider, store: new MemorySessionStore() })
    const first = session.open()
    const code = await until(() => first.events.codes[0])
    expect(code.expiresAt.getTime()).toBeGreaterThan(Date.now())
    const { lid } = await emulator.scanQr({ phone, qr: code.qr })
    await until(() => first.events.closings[0])
    expect(first.events.linkedAs).toEqual([expect.objectContaining({ phone, lid: lid.split('@')[0]?.split(':')[0] })])
    expect(first.events.closings).toEqual([{ reason: 'restart_required', detail: expect.any(String) }])
    expect(first.events.onlineAs).toEqual([])

    const second = await session.online()
    expect(second.events.onlineAs).toEqual([expect.objectContaining({ phone })])
    expect(second.events.codes).toEqual([])
    await second.connection.close()
    expect(second.events.closings).toEqual([{ reason: 'closed_by_us', detail: expect.any(String) }])
  })
})
