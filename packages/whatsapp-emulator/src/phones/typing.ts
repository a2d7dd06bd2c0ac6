import type { Account } from '../accounts/account.ts'
import type { EmulatorState } from '../core/state.ts'

export interface Typing {
  from: Account
  /** The address under which `from` is known in this chat. */
  fromJid: string
  to: Account
  isTyping: boolean
}

/** Shows somebody as typing on a phone, and to its companions that are connected: nobody is told later. */
export function showTyping(state: EmulatorState, { from, fromJid, to, isTyping }: Typing): void {
  if (state.behaviour.keepsBooks) {
    to.chatWith(from.phone).setTyping(isTyping)
    state.changes.changed()
  }
  const content = [{ tag: isTyping ? 'composing' : 'paused', attrs: {} }]
  for (const companion of to.companions.values())
    if (companion.connection?.isActive)
      companion.connection.send({ tag: 'chatstate', attrs: { from: fromJid }, content })
  state.events.emit('typing', { from: from.phone, to: to.phone, isTyping })
}
