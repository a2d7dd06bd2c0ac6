import type { Companion } from '../accounts/companion.ts'
import { deliver } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { receiveAtPhone } from '../phones/receiving.ts'
import type { Ciphertext } from '../signal/signal-device.ts'
import { type BinaryNode, bytesOf, childOf, childrenTagged } from '../wire/nodes.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { isIdentityOf } from './signed-identity.ts'

/** A companion sends a message: the server acknowledges it and brings each part to the device that it is for. */
export async function handleMessage(state: EmulatorState, connection: Connection, stanza: BinaryNode): Promise<void> {
  const { companion } = connection
  if (!companion) throw new Error('A message arrived before the login')
  state.counters.messagesFromCompanions++
  const isPeer = stanza.attrs['category'] === 'peer'
  const refusal = isPeer ? undefined : companion.faults?.takeRefusal()
  acknowledge(state, connection, companion, stanza, refusal)
  if (refusal !== undefined) return
  const parts = partsOf(stanza)
  if (!provesIdentity(companion, stanza, parts)) {
    const reason = 'A pre-key message came without the identity that the phone has signed'
    state.events.emit('violation', { jid: companion.jid, reason })
    return
  }
  for (const { jid, enc } of parts) await bringPart(state, companion, stanza, jid, enc)
}

interface Part {
  jid: string
  enc: BinaryNode
}

/** One ciphertext for each device, or a single one when a message is repeated for one device. */
function partsOf(stanza: BinaryNode): Part[] {
  const participants = childOf(stanza, 'participants')
  const holders: [string | undefined, BinaryNode][] = participants
    ? childrenTagged(participants, 'to').map((to) => [to.attrs['jid'], to])
    : [[stanza.attrs['to'], stanza]]
  return holders.flatMap(([jid, holder]) => {
    const enc = childOf(holder, 'enc')
    return jid !== undefined && enc ? [{ jid, enc }] : []
  })
}

async function bringPart(
  state: EmulatorState,
  companion: Companion,
  stanza: BinaryNode,
  jid: string,
  enc: BinaryNode,
): Promise<void> {
  const addressee = state.directory.resolve(jid)
  if (!addressee || addressee.account.hasNoDevices) return
  if (addressee.device !== 0) {
    const recipient = addressee.account.companions.get(addressee.device)
    if (recipient) deliver(state, recipient, forwarded(companion, recipient, addressee.addressing, stanza, enc))
    return
  }
  await receiveAtPhone(state, {
    id: stanza.attrs['id'] ?? '',
    from: companion,
    at: addressee.account,
    addressing: addressee.addressing,
    ciphertext: ciphertextOf(enc),
    chatJid: stanza.attrs['recipient'] ?? stanza.attrs['to'] ?? '',
    t: nowInSeconds(),
  })
}

/** From companion to companion: of another number, or of the same one, which gets a copy of what was sent. */
function forwarded(
  from: Companion,
  to: Companion,
  addressing: 'pn' | 'lid',
  stanza: BinaryNode,
  enc: BinaryNode,
): BinaryNode {
  const identity = childOf(stanza, 'device-identity')
  const chatJid = stanza.attrs['recipient'] ?? stanza.attrs['to'] ?? ''
  const attrs: Record<string, string> = {
    from: addressing === 'lid' ? from.lidJid : from.jid,
    id: stanza.attrs['id'] ?? '',
    t: nowInSeconds(),
    type: stanza.attrs['type'] ?? 'text',
    notify: from.account.name,
    ...(addressing === 'lid' && { addressing_mode: 'lid' }),
    ...(from.account === to.account
      ? { recipient: chatJid }
      : addressing === 'lid'
        ? { sender_pn: from.jid }
        : { sender_lid: from.lidJid }),
  }
  const content = enc.attrs['type'] === 'pkmsg' && identity ? [enc, identity] : [enc]
  return { tag: 'message', attrs, content }
}

function acknowledge(
  state: EmulatorState,
  connection: Connection,
  companion: Companion,
  stanza: BinaryNode,
  error: string | undefined,
): void {
  const { id = '', to = '' } = stanza.attrs
  const ack = { tag: 'ack', attrs: { class: 'message', id, from: to, t: nowInSeconds(), ...(error && { error }) } }
  const fate = companion.faults?.nextAck() ?? { delayMs: 0 }
  if (companion.faults?.isOver) companion.faults = undefined
  if (fate === 'lost') return
  if (fate.delayMs > 0) state.timers.after(fate.delayMs, () => connection.send(ack))
  else connection.send(ack)
}

function provesIdentity(companion: Companion, stanza: BinaryNode, parts: Part[]): boolean {
  if (companion.isIdentityProven || !parts.some(({ enc }) => enc.attrs['type'] === 'pkmsg')) return true
  const identity = bytesOf(childOf(stanza, 'device-identity'))
  companion.isIdentityProven = identity !== undefined && isIdentityOf(companion, identity)
  return companion.isIdentityProven
}

function ciphertextOf(enc: BinaryNode): Ciphertext {
  const body = bytesOf(enc)
  const { type } = enc.attrs
  if (!body || (type !== 'pkmsg' && type !== 'msg')) throw new Error(`A phone cannot read <enc type="${type ?? ''}">`)
  return { type, body }
}
