import type { EmulatorState } from '../core/state.ts'
import { showTyping } from '../phones/typing.ts'
import { type BinaryNode, childOf } from '../wire/nodes.ts'
import type { Connection } from './connection.ts'

/** A companion says that its user is typing to somebody, or has stopped. */
export function handleChatState(state: EmulatorState, connection: Connection, stanza: BinaryNode): void {
  const { companion } = connection
  const to = state.directory.resolve(stanza.attrs['to'])
  if (!companion || !to) return
  const fromJid = to.addressing === 'lid' ? companion.lidJid : companion.jid
  const isTyping = childOf(stanza, 'composing') !== undefined
  showTyping(state, { from: companion.account, fromJid, to: to.account, isTyping })
}
