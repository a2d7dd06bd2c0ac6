import { MAX_TEXT_LENGTH, type MessageContent } from '@frontdesk/api-contract'
import { proto } from 'baileys'
import { PROTOCOL_MESSAGE } from '#src/model/answerable.ts'
import { sanitizeText } from '#src/model/text.ts'

/** Fields that only wrap the message proper: it may disappear, be seen once, replace an older one, be an own copy. */
const WRAPPERS = [
  'deviceSentMessage',
  'ephemeralMessage',
  'viewOnceMessage',
  'viewOnceMessageV2',
  'viewOnceMessageV2Extension',
  'documentWithCaptionMessage',
  'editedMessage',
  'associatedChildMessage',
] as const satisfies (keyof proto.IMessage)[]

/** Deeper nesting is nobody's message. */
const MAX_WRAPPERS = 8

/** Fields that say something about the message, or are for the Signal protocol alone. */
const ACCOMPANYING = new Set(['messageContextInfo', 'senderKeyDistributionMessage', 'deviceSentMessage'])

/** Reads a decrypted message, padding removed. Throws when it is no protobuf: such a message cannot be shown by anyone. */
export const decodeMessage = (raw: Uint8Array): proto.Message => proto.Message.decode(raw)

/** The message proper, out of its wrappers. */
export function unwrapMessage(message: proto.IMessage): proto.IMessage {
  let unwrapped = message
  for (let depth = 0; depth < MAX_WRAPPERS; depth++) {
    const wrapper = WRAPPERS.find((field) => unwrapped[field]?.message)
    const inner = wrapper && unwrapped[wrapper]?.message
    if (!inner) break
    unwrapped = inner
  }
  return unwrapped
}

/**
 * What a received message says. Nothing for what no person wrote: protocol messages (revocations, edits, key shares,
 * history) and distributions of sender keys. Never throws: what cannot be converted is `unsupported`, its raw form kept.
 */
export function fromWhatsApp(message: proto.IMessage): MessageContent | undefined {
  try {
    return contentOf(unwrapMessage(message))
  } catch {
    // A converter's bug must not lose the message: the raw form is kept and can be converted again.
    return { kind: 'unsupported', whatsappType: 'unknown' }
  }
}

/** The content of a message that no person wrote, for the row that was shown for it while it could not be read. */
export const unshown = (message: proto.IMessage): MessageContent => ({
  kind: 'unsupported',
  whatsappType: unwrapMessage(message).protocolMessage ? PROTOCOL_MESSAGE : 'unknown',
})

function contentOf(message: proto.IMessage): MessageContent | undefined {
  if (message.protocolMessage) return undefined
  const text = shown(message.conversation || message.extendedTextMessage?.text || '')
  if (text) return { kind: 'text', text }
  const fields = Object.keys(message)
  const field = fields.find((name) => !ACCOMPANYING.has(name))
  if (field !== undefined) return { kind: 'unsupported', whatsappType: field }
  // A kind that is newer than these protobufs decodes to nothing at all.
  return message.senderKeyDistributionMessage ? undefined : { kind: 'unsupported', whatsappType: 'unknown' }
}

/**
 * A text without what deceives readers. No client of WhatsApp writes more than the limit. A text that is longer all the same is shown up to it, so that every
 * reader of the message model can rely on the limit, and kept whole in the raw form.
 */
const shown = (text: string): string => sanitizeText(text).slice(0, MAX_TEXT_LENGTH).toWellFormed()
