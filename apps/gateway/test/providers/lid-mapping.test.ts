import { beforeEach, describe, expect, test, vi } from 'vitest'
import { completeAddress, LidMapping } from '#src/providers/baileys/lid-mapping.ts'
import { RatchetStore } from '#src/providers/baileys/ratchet-store.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'

const [PN, LID] = ['49171@s.whatsapp.net', '555@lid']
const askServer = vi.fn<(jids: string[]) => Promise<{ pn: string; lid: string }[] | undefined>>()
let ratchets: RatchetStore
let mapping: LidMapping

beforeEach(() => {
  askServer.mockReset()
  ratchets = new RatchetStore(new MemorySessionStore(), () => undefined)
  mapping = new LidMapping(ratchets, askServer)
})

describe('which LID belongs to which number', () => {
  test('is known in both directions once it was told, for each device', async () => {
    await mapping.storeLIDPNMappings([{ pn: PN, lid: LID }])
    expect(await mapping.getLIDForPN(PN)).toBe(LID)
    expect(await mapping.getLIDForPN('49171:4@s.whatsapp.net')).toBe('555:4@lid')
    expect(await mapping.getPNForLID('555:4@lid')).toBe('49171:4@s.whatsapp.net')
    expect(askServer).not.toHaveBeenCalled()
  })

  test('can be told in either order, and nonsense is not stored', async () => {
    await mapping.storeLIDPNMappings([
      { pn: LID, lid: PN },
      { pn: '123@g.us', lid: '777@lid' },
    ])
    expect(await mapping.getPNForLID(LID)).toBe('49171:0@s.whatsapp.net')
    expect(await mapping.getPNForLID('777@lid')).toBeNull()
  })

  test('is asked for once, and remembered', async () => {
    askServer.mockResolvedValue([{ pn: PN, lid: LID }])
    expect(await mapping.getLIDForPN(PN)).toBe(LID)
    expect(await mapping.getLIDForPN(PN)).toBe(LID)
    expect(askServer).toHaveBeenCalledTimes(1)
    expect(askServer).toHaveBeenCalledWith([PN])
  })

  test('a number without a LID is not asked for again and again, and found when it is told', async () => {
    askServer.mockResolvedValue([])
    expect(await mapping.getLIDForPN(PN)).toBeNull()
    expect(await mapping.getLIDForPN(PN)).toBeNull()
    expect(askServer).toHaveBeenCalledTimes(1)
    await mapping.storeLIDPNMappings([{ pn: PN, lid: LID }])
    expect(await mapping.getLIDForPN(PN)).toBe(LID)
  })

  test('a question that fails or is not answered fails no message, and is asked again', async () => {
    askServer.mockRejectedValueOnce(new Error('Connection Closed')).mockResolvedValueOnce(undefined)
    expect(await mapping.getLIDForPN(PN)).toBeNull()
    expect(await mapping.getLIDForPN(PN)).toBeNull()
    askServer.mockResolvedValueOnce([{ pn: PN, lid: LID }])
    expect(await mapping.getLIDForPN(PN)).toBe(LID)
  })

  test('completes an address without asking', async () => {
    expect(await completeAddress(ratchets, { phone: '49171' })).toEqual({ phone: '49171' })
    await mapping.storeLIDPNMappings([{ pn: PN, lid: LID }])
    expect(await completeAddress(ratchets, { phone: '49171' })).toEqual({ phone: '49171', lid: '555' })
    expect(await completeAddress(ratchets, { lid: '555' })).toEqual({ phone: '49171', lid: '555' })
    expect(askServer).not.toHaveBeenCalled()
  })
})
