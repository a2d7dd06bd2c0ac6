import type { Account, SentMessage } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import type { ChatMessage } from '../control/control.ts'
import { deliver } from '../core/delivery.ts'
import { takeBundle } from '../core/key-bundles.ts'
import type { EmulatorState } from '../core/state.ts'
import { contentOf, encodeMessage, type MessageBody } from '../signal/message-codec.ts'
import type { Addressing } from '../wire/jids.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { newMessageId, nowInSeconds } from '../wire/stanza-id.ts'
import { acknowledgeAtPhone } from './receipts.ts'

/** So many bytes before its end a ciphertext holds nothing but encrypted text, whether it opens a session or not. */
const CORRUPTION_OFFSET = 20

/**
 * A phone sends a message: to each companion of the recipient with its own Signal session, and to each companion of its
 * own number as a copy. Both phones display it.
 */
export async function sendFromPhone(
  state: EmulatorState,
  from: Account,
  message: SentMessage,
  { isCorrupt = false } = {},
): Promise<void> {
  const { to } = message
  from.rememberSent(message)
  if (to.hasNoDevices) {
    display(state, from, to, message, true)
    return
  }
  const stanzas: [Companion, BinaryNode][] = []
  if (to !== from)
    for (const companion of to.companions.values())
      stanzas.push([
        companion,
        companion.faults?.takeUnavailable()
          ? unavailableStanza(from, message)
          : await encryptedStanza(state, from, message, companion, { isCorrupt }),
      ])
  for (const companion of from.companions.values())
    stanzas.push([companion, await encryptedStanza(state, from, message, companion)])
  displayAtBoth(state, from, message)
  for (const [companion, stanza] of stanzas) deliver(state, companion, stanza)
  if (to !== from) acknowledgeAtPhone(state, to, from, message.id, message.addressing)
}

/** Both phones display the message: as sent here, as received there. */
export function displayAtBoth(state: EmulatorState, from: Account, message: SentMessage): void {
  display(state, from, message.to, message, true)
  if (message.to !== from) display(state, message.to, from, message, false)
}

/** A phone sends something to its own companion that no chat shows: app-state keys, history, what was asked of it. */
export async function sendToOwnCompanion(state: EmulatorState, companion: Companion, body: MessageBody): Promise<void> {
  const { account } = companion
  const message: SentMessage = { id: newMessageId(), body, to: account, addressing: 'pn', isPeer: true }
  account.rememberSent(message)
  deliver(state, companion, await encryptedStanza(state, account, message, companion))
}

/**
 * Encrypts a message of a phone for one companion, opening a Signal session where there is none. `retryCount` says that
 * the companion has asked for it again.
 */
export async function encryptedStanza(
  state: EmulatorState,
  from: Account,
  message: SentMessage,
  companion: Companion,
  { isCorrupt = false, retryCount }: { isCorrupt?: boolean; retryCount?: number } = {},
): Promise<BinaryNode> {
  const { phone } = companion.account
  const isOwnCopy = companion.account === from && !message.isPeer
  const body = isOwnCopy
    ? { deviceSentMessage: { destinationJid: message.to.jid(message.addressing), message: message.body } }
    : message.body
  await from.device.ensureSession(phone, companion.id, () => takeBundle(state, companion))
  const ciphertext = await from.device.encrypt(phone, companion.id, encodeMessage(body))
  if (isCorrupt) flipBit(ciphertext.body)
  const attrs = {
    v: '2',
    type: ciphertext.type,
    ...(retryCount !== undefined && { count: String(retryCount) }),
  }
  const content = [{ tag: 'enc', attrs, content: ciphertext.body }]
  return { tag: 'message', attrs: stanzaAttrs(from, message, isOwnCopy), content }
}

/** The message is announced and its content is kept back, as WhatsApp does with what this companion cannot have yet. */
function unavailableStanza(from: Account, message: SentMessage): BinaryNode {
  return { tag: 'message', attrs: stanzaAttrs(from, message, false), content: [{ tag: 'unavailable', attrs: {} }] }
}

function stanzaAttrs(from: Account, message: SentMessage, isOwnCopy: boolean): Record<string, string> {
  const { id, to, addressing, isPeer } = message
  const other: Addressing = addressing === 'lid' ? 'pn' : 'lid'
  return {
    from: from.jid(addressing),
    id,
    t: nowInSeconds(),
    type: 'text',
    notify: from.name,
    ...(addressing === 'lid' && { addressing_mode: 'lid' }),
    // The partner's other address: of the sender in a chat with somebody, of the recipient in a copy of an own message.
    ...(isOwnCopy
      ? { recipient: to.jid(addressing), [`peer_recipient_${other}`]: to.jid(other) }
      : { [`sender_${other}`]: from.jid(other) }),
    ...(isPeer && { category: 'peer' }),
  }
}

function display(state: EmulatorState, on: Account, partner: Account, message: SentMessage, fromMe: boolean): void {
  if (!state.behaviour.keepsBooks) return
  const status = fromMe ? statusOfSent(partner) : 'delivered'
  const chat = on.chatWith(partner.phone)
  if (!fromMe) chat.addressing = message.addressing
  chat.add({ id: message.id, fromMe, ...contentOf(message.body), at: new Date().toISOString(), status })
  state.changes.changed()
}

function statusOfSent(to: Account): ChatMessage['status'] {
  return to.hasNoDevices ? 'pending' : 'sent'
}

function flipBit(ciphertext: Buffer): void {
  const offset = ciphertext.length - CORRUPTION_OFFSET
  ciphertext.writeUInt8(ciphertext.readUInt8(offset) ^ 1, offset)
}
