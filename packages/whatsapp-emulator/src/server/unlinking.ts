import type { Companion } from '../accounts/companion.ts'
import { abandon } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { endStream } from './stream-errors.ts'

/** Removes a companion from its number and ends its stream, if it has one, as a removed device. */
export function unlinkCompanion(
  state: EmulatorState,
  companion: Companion,
  by: 'phone' | 'companion' | 'server',
): void {
  abandon(state, companion)
  state.directory.removeCompanion(companion)
  if (companion.connection) endStream(companion.connection, '401')
  companion.connection = undefined
  state.events.emit('unlinked', { phone: companion.account.phone, jid: companion.jid, by })
  state.changes.changed()
}
