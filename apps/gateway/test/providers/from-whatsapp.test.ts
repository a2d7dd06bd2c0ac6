import { MAX_TEXT_LENGTH, messageContent } from '@frontdesk/api-contract'
import { proto } from 'baileys'
import { describe, expect, test } from 'vitest'
import { decodeMessage, fromWhatsApp } from '#src/providers/baileys/from-whatsapp.ts'
import { toWhatsApp } from '#src/providers/baileys/to-whatsapp.ts'

const text = (value: string): proto.IMessage => ({ conversation: value })
const convert = (message: proto.IMessage) => fromWhatsApp(decodeMessage(proto.Message.encode(message).finish()))

describe('what a received message says', () => {
  test.each<[string, proto.IMessage]>([
    ['plain', text('hello')],
    ['with formatting or a link', { extendedTextMessage: { text: 'hello' } }],
    ['that disappears', { ephemeralMessage: { message: text('hello') } }],
    ['to be seen once', { viewOnceMessageV2: { message: { extendedTextMessage: { text: 'hello' } } } }],
    ['written on the phone', { deviceSentMessage: { destinationJid: 'x', message: text('hello') } }],
    ['in several wrappers', { deviceSentMessage: { message: { ephemeralMessage: { message: text('hello') } } } }],
    ['with a sender key', { ...text('hello'), senderKeyDistributionMessage: { groupId: 'x' } }],
  ])('a text %s', (_what, message) => {
    expect(convert(message)).toEqual({ kind: 'text', text: 'hello' })
  })

  test.each<[string, proto.IMessage]>([
    ['imageMessage', { imageMessage: { caption: 'look' } }],
    ['reactionMessage', { reactionMessage: { text: '👍' } }],
    ['documentMessage', { documentWithCaptionMessage: { message: { documentMessage: { caption: 'x' } } } }],
    ['locationMessage', { messageContextInfo: {}, locationMessage: { degreesLatitude: 1 } }],
    ['conversation', { conversation: '' }],
  ])('%s is not modelled yet', (whatsappType, message) => {
    expect(convert(message)).toEqual({ kind: 'unsupported', whatsappType })
  })

  test('a kind that even the protobufs do not know is kept as a message', () => {
    // Field 4000, a string: no such field exists.
    const raw = Buffer.from([0x82, 0xfa, 0x01, 0x03, 0x61, 0x62, 0x63])
    expect(fromWhatsApp(decodeMessage(raw))).toEqual({ kind: 'unsupported', whatsappType: 'unknown' })
  })

  test.each<[string, proto.IMessage]>([
    ['a revocation', { protocolMessage: { type: proto.Message.ProtocolMessage.Type.REVOKE } }],
    ['an edit', { editedMessage: { message: { protocolMessage: { editedMessage: text('better') } } } }],
    ['keys that the phone shares', { protocolMessage: { appStateSyncKeyShare: { keys: [] } } }],
    ['a sender key alone', { senderKeyDistributionMessage: { groupId: 'x' }, messageContextInfo: {} }],
  ])('%s is no message', (_what, message) => {
    expect(convert(message)).toBeUndefined()
  })

  test('hostile texts fit the message model: no control characters, no half of a pair, not over the limit', () => {
    const content = fromWhatsApp({ conversation: `\u0000\u202E\uD800${'a'.repeat(MAX_TEXT_LENGTH)}😀` })
    expect(messageContent.parse(content)).toEqual(content)
    expect(content?.kind === 'text' && content.text).toMatch(/^\uFFFDa+$/)
  })

  test.each([
    ['of which nothing can be seen', text('\u202E\u0000'), 'conversation'],
    ['that is empty', {}, 'unknown'],
    ['of nothing but wrappers', { ephemeralMessage: { message: {} } }, 'unknown'],
  ])('a message %s is kept, and shows that there is nothing to show', (_what, message, whatsappType) => {
    expect(convert(message)).toEqual({ kind: 'unsupported', whatsappType })
  })

  test('a text of the longest length is whole', () => {
    expect(convert(text('x'.repeat(MAX_TEXT_LENGTH)))).toEqual({ kind: 'text', text: 'x'.repeat(MAX_TEXT_LENGTH) })
  })

  test('a converter that fails does not fail the message', () => {
    const broken = Object.defineProperty({}, 'conversation', {
      get: () => {
        throw new Error('a bug')
      },
    })
    expect(fromWhatsApp(broken)).toEqual({ kind: 'unsupported', whatsappType: 'unknown' })
  })

  test('what is sent reads as it was meant', () => {
    const content = { kind: 'text', text: 'See you at ten.\nBring the dog 🐕' } as const
    expect(convert(toWhatsApp(content))).toEqual(content)
  })
})
