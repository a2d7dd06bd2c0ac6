import type { BinaryNode } from 'baileys'
import { describe, expect, test } from 'vitest'
import { ciphertextsOf, plaintextsOf, readMessageStanza } from '#src/providers/baileys/message-stanza.ts'
import { readReceiptStanza } from '#src/providers/baileys/receipt-stanza.ts'

const ME = { id: '491700000001:3@s.whatsapp.net', lid: '999:3@lid' }
const message = (attrs: Record<string, string>): BinaryNode => ({
  tag: 'message',
  attrs: { id: 'A', t: '1000', ...attrs },
})
const receipt = (attrs: Record<string, string>, items: string[] = []): BinaryNode => ({
  tag: 'receipt',
  attrs: { id: 'A', t: '1000', ...attrs },
  content: [{ tag: 'list', attrs: {}, content: items.map((id) => ({ tag: 'item', attrs: { id } })) }],
})

describe('a message stanza', () => {
  test.each([
    ['by number', { from: '49171@s.whatsapp.net' }, { phone: '49171' }],
    ['by number, with the LID', { from: '49171@s.whatsapp.net', sender_lid: '5@lid' }, { phone: '49171', lid: '5' }],
    ['by LID, with the number', { from: '5@lid', sender_pn: '49171@s.whatsapp.net' }, { phone: '49171', lid: '5' }],
    ['from a second device', { from: '49171:4@s.whatsapp.net' }, { phone: '49171' }],
  ])('of a customer, %s', (_what, attrs, partner) => {
    const stanza = readMessageStanza(message({ ...attrs, notify: 'Ada' }), ME)
    expect(stanza).toMatchObject({ isOwn: false, chat: { whatsappId: 'A', partner, partnerName: 'Ada' } })
    expect(stanza.sentAt).toEqual(new Date(1_000_000))
  })

  test('of the own phone belongs to the chat with its recipient', () => {
    const attrs = {
      from: '491700000001@s.whatsapp.net',
      recipient: '49171@s.whatsapp.net',
      peer_recipient_lid: '5@lid',
    }
    const stanza = readMessageStanza(message({ ...attrs, notify: 'The owner', sender_lid: '999@lid' }), ME)
    expect(stanza).toMatchObject({ isOwn: true, chat: { partner: { phone: '49171', lid: '5' } } })
    expect(stanza.chat?.partnerName).toBeUndefined()
  })

  test.each([
    ['a group', { from: '123-456@g.us', participant: '49171@s.whatsapp.net' }],
    ['the status', { from: 'status@broadcast', participant: '49171@s.whatsapp.net' }],
    ['a newsletter', { from: '123@newsletter' }],
    ['the own phone about itself', { from: '491700000001@s.whatsapp.net', category: 'peer' }],
    ['the own phone to nobody', { from: '491700000001@s.whatsapp.net' }],
    ["WhatsApp's announcements", { from: '0@s.whatsapp.net' }],
    ['nowhere', { from: 'nonsense' }],
  ])('of %s belongs to no chat', (_what, attrs) => {
    expect(readMessageStanza(message(attrs), ME).chat).toBeUndefined()
  })

  test("takes a stranger's id, however long", () => {
    const long = readMessageStanza(message({ from: '49171@s.whatsapp.net', id: 'x'.repeat(5000) }), ME).chat?.whatsappId
    const other = readMessageStanza(message({ from: '49171@s.whatsapp.net', id: 'x'.repeat(5001) }), ME).chat
      ?.whatsappId
    expect(long?.length).toBeLessThanOrEqual(128)
    expect(other).not.toBe(long)
  })

  test('a time that makes no sense is now', () => {
    const { sentAt } = readMessageStanza(message({ from: '49171@s.whatsapp.net', t: 'never' }), ME)
    expect(Math.abs(sentAt.getTime() - Date.now())).toBeLessThan(60_000)
  })

  test('hands out its parts', () => {
    const [first, second, plain] = [Buffer.of(1), Buffer.of(2), Buffer.of(3)]
    const stanza = {
      ...message({}),
      content: [
        { tag: 'enc', attrs: {}, content: first },
        { tag: 'plaintext', attrs: {}, content: plain },
        { tag: 'enc', attrs: {}, content: second },
      ],
    }
    expect(ciphertextsOf(stanza)).toEqual([first, second])
    expect(plaintextsOf(stanza)).toEqual([plain])
    expect(ciphertextsOf(message({}))).toEqual([])
  })
})

describe('a receipt', () => {
  test.each([
    [{}, 'delivered'],
    [{ type: 'inactive' }, 'delivered'],
    [{ type: 'read' }, 'read'],
    [{ type: 'played' }, 'played'],
  ])('%o', (attrs, status) => {
    const update = readReceiptStanza(receipt({ from: '49171@s.whatsapp.net', ...attrs }, ['B', 'C']), ME)
    expect(update).toEqual({ whatsappIds: ['A', 'B', 'C'], status, at: new Date(1_000_000) })
  })

  test.each([
    ['of an own device', { from: '491700000001@s.whatsapp.net', recipient: '49171@s.whatsapp.net', type: 'sender' }],
    ['of an own device, by LID', { from: '999@lid' }],
    ['for reading on the own phone', { from: '49171@s.whatsapp.net', type: 'read-self' }],
    ['that asks again', { from: '49171@s.whatsapp.net', type: 'retry' }],
    ['of a group', { from: '123@g.us', participant: '49171@s.whatsapp.net' }],
    ['of an unknown type', { from: '49171@s.whatsapp.net', type: 'constructor' }],
  ])('%s changes no status', (_what, attrs) => {
    expect(readReceiptStanza(receipt(attrs), ME)).toBeUndefined()
  })
})
