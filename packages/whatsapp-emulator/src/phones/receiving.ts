import type { Account } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import { deliver } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { bundleToRetryNodes } from '../signal/key-bundle.ts'
import { contentOf, decodeMessage, type MessageBody } from '../signal/message-codec.ts'
import type { Ciphertext } from '../signal/signal-device.ts'
import type { Addressing } from '../wire/jids.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'
import { answerPeerRequest } from './peer-requests.ts'
import { acknowledgeAtPhone } from './receipts.ts'

/** Phones give up on a message that they could not decrypt so many times. */
const MAX_RETRIES = 5

/** A companion's message as it arrives at a simulated phone. */
export interface Arrival {
  id: string
  from: Companion
  at: Account
  addressing: Addressing
  ciphertext: Ciphertext
  /** The chat that the message belongs to: `at` itself, or the recipient of an own message whose copy this is. */
  chatJid: string
  t: string
}

/** The phone decrypts, displays and acknowledges a message, or asks for it again. */
export async function receiveAtPhone(state: EmulatorState, arrival: Arrival): Promise<void> {
  const { at, from, ciphertext } = arrival
  let message: MessageBody
  try {
    message = decodeMessage(await at.device.decrypt(from.account.phone, from.id, ciphertext))
  } catch (error) {
    state.counters.decryptFailures++
    const reason = error instanceof Error ? error.message : String(error)
    state.events.emit('decryptFailure', { id: arrival.id, from: from.jid, to: at.phone, reason })
    if (state.behaviour.asksRetry) askRetry(state, arrival)
    return
  }
  state.counters.decrypted++
  // Baileys wraps what it asks its own phone like the copy of a sent message.
  const { protocolMessage } = message.deviceSentMessage?.message ?? message
  const request = protocolMessage?.peerDataOperationRequestMessage
  if (at === from.account && request) await answerPeerRequest(state, from, arrival.id, request)
  else if (at === from.account) displayOwnCopy(state, at, arrival.id, message)
  else displayMessage(state, arrival, message)
}

function displayMessage(state: EmulatorState, arrival: Arrival, message: MessageBody): void {
  const { id, at, from, addressing, ciphertext } = arrival
  const content = contentOf(message)
  let isNew = true
  if (state.behaviour.keepsBooks) {
    const chat = at.chatWith(from.account.phone)
    chat.addressing = addressing
    isNew = chat.add({ id, fromMe: false, ...content, at: new Date().toISOString(), status: 'delivered' })
    state.changes.changed()
  }
  if (isNew) {
    const { phone } = from.account
    state.events.emit('message', { id, from: phone, to: at.phone, ...content, ciphertextType: ciphertext.type })
  }
  acknowledgeAtPhone(state, at, from.account, id, addressing)
}

/** What a companion sent is displayed on its own number's phone too. */
function displayOwnCopy(state: EmulatorState, phone: Account, id: string, message: MessageBody): void {
  const { destinationJid, message: body } = message.deviceSentMessage ?? {}
  const partner = state.directory.resolve(destinationJid ?? undefined)
  if (!body || !partner || !state.behaviour.keepsBooks) return
  const chat = phone.chatWith(partner.account.phone)
  chat.add({ id, fromMe: true, ...contentOf(body), at: new Date().toISOString(), status: 'sent' })
  state.changes.changed()
}

/** Asks the companion for the message again, with the keys for a fresh session. */
function askRetry(state: EmulatorState, { id, at, from, addressing, chatJid, t }: Arrival): void {
  const count = at.countRetry(id)
  if (count > MAX_RETRIES) return
  const content: BinaryNode[] = [
    { tag: 'retry', attrs: { count: String(count), id, t, v: '1' } },
    ...bundleToRetryNodes(at.device.takeBundle()),
  ]
  const attrs = {
    from: at.jid(addressing),
    id,
    type: 'retry',
    t: nowInSeconds(),
    ...(at === from.account && { recipient: chatJid }),
  }
  deliver(state, from, { tag: 'receipt', attrs, content })
}
