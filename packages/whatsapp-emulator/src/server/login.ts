import type { proto } from 'baileys'
import { deliverOffline } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { sendFirstLoginMessages } from '../phones/first-login.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { startLinking } from './linking.ts'
import { endStream, failLogin } from './stream-errors.ts'

/** The handshake is complete: a new companion asks to be linked, a linked one logs in. */
export function onClientPayload(state: EmulatorState, connection: Connection, payload: proto.ClientPayload): void {
  if (payload.devicePairingData) startLinking(state, connection, payload.devicePairingData)
  else logIn(state, connection, payload)
}

function logIn(state: EmulatorState, connection: Connection, payload: proto.ClientPayload): void {
  const companion = state.directory.companionByNoiseKey(connection.noiseKey)
  if (!companion || companion.account.phone !== String(payload.username) || companion.id !== payload.device) {
    failLogin(connection, '401')
    return
  }
  if (companion.connection) endStream(companion.connection, '440')
  companion.faults?.forgetHeld()
  companion.connection = connection
  connection.companion = companion
  state.counters.logins++
  connection.send({
    tag: 'success',
    attrs: { t: nowInSeconds(), props: '27', companion_enc_static: '', location: 'emu', lid: companion.lidJid },
  })
  state.events.emit('login', { phone: companion.account.phone, jid: companion.jid })
  state.changes.changed()
}

/** The companion is ready for its messages. */
export async function activate(state: EmulatorState, connection: Connection): Promise<void> {
  const { companion } = connection
  if (!companion || connection.isActive) return
  connection.isActive = true
  deliverOffline(companion)
  // Without pre-keys the companion has not finished its registration: then it is not the first login yet.
  if (companion.hasHistory || !state.behaviour.sendsHistory || companion.preKeys.size === 0) return
  companion.hasHistory = true
  await sendFirstLoginMessages(state, companion)
}
