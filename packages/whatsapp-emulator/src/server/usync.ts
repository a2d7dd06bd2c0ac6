import type { Account } from '../accounts/account.ts'
import type { EmulatorState } from '../core/state.ts'
import { phoneNumberJid } from '../wire/jids.ts'
import { type BinaryNode, bytesOf, childOf, childrenOf, childrenTagged } from '../wire/nodes.ts'
import type { Connection } from './connection.ts'

/** "Who are these people?": their devices, their LIDs, and whether they are on WhatsApp at all. */
export function answerUsync(state: EmulatorState, _connection: Connection, iq: BinaryNode): BinaryNode[] {
  const usync = childOf(iq, 'usync')
  const asked = new Set(childrenOf(childOf(usync, 'query')).map((protocol) => protocol.tag))
  const users = childrenTagged(childOf(usync, 'list'), 'user').map((user) => answerFor(state, user, asked))
  const result = { tag: 'result', attrs: {}, content: [] }
  const content = [result, { tag: 'list', attrs: {}, content: users }]
  return [{ tag: 'usync', attrs: { ...usync?.attrs }, content }]
}

function answerFor(state: EmulatorState, user: BinaryNode, asked: Set<string>): BinaryNode {
  const jid = user.attrs['jid'] ?? phoneNumberJid(askedNumber(user))
  const addressee = state.directory.resolve(jid)
  const account = addressee?.account
  const isOnWhatsApp = account !== undefined && !account.hasNoDevices
  const content: BinaryNode[] = []
  if (asked.has('contact')) content.push({ tag: 'contact', attrs: { type: isOnWhatsApp ? 'in' : 'out' } })
  if (asked.has('devices')) content.push(deviceList(isOnWhatsApp ? account : undefined))
  if (asked.has('lid') && isOnWhatsApp && addressee?.addressing === 'pn')
    content.push({ tag: 'lid', attrs: { val: account.jid('lid') } })
  return { tag: 'user', attrs: { jid }, content }
}

function askedNumber(user: BinaryNode): string {
  return (bytesOf(childOf(user, 'contact'))?.toString() ?? '').replace(/\D/g, '')
}

function deviceList(account: Account | undefined): BinaryNode {
  const phone = { tag: 'device', attrs: { id: '0' } }
  const companions = [...(account?.companions.keys() ?? [])].map((id) => ({
    tag: 'device',
    attrs: { id: String(id), 'key-index': String(id) },
  }))
  const devices = account ? [phone, ...companions] : []
  const content = [{ tag: 'device-list', attrs: { hash: '2:emulator' }, content: devices }]
  return { tag: 'devices', attrs: {}, content }
}
