import type { proto } from 'baileys'
import type { CompanionConnection } from '../accounts/companion.ts'
import { deliverOffline } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { updateUptime } from '../core/uptime.ts'
import { takeLoginRefusal } from '../faults/login-refusal.ts'
import { sendFirstLoginMessages } from '../phones/first-login.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { startLinking } from './linking.ts'
import { failLogin } from './stream-errors.ts'

/** The handshake is complete: a new companion asks to be linked, a linked one logs in. */
export function onClientPayload(state: EmulatorState, connection: Connection, payload: proto.ClientPayload): void {
  if (isOutdated(state, payload)) failLogin(connection, { reason: '405' })
  else if (payload.devicePairingData) register(state, connection, payload.devicePairingData)
  else logIn(state, connection, payload)
}

function register(
  state: EmulatorState,
  connection: Connection,
  data: proto.ClientPayload.IDevicePairingRegistrationData,
): void {
  const refusal = takeLoginRefusal(state)
  if (refusal) failLogin(connection, refusal)
  else startLinking(state, connection, data)
}

function logIn(state: EmulatorState, connection: Connection, payload: proto.ClientPayload): void {
  const companion = state.directory.companionByNoiseKey(connection.noiseKey)
  if (!companion || companion.account.phone !== String(payload.username) || companion.id !== payload.device) {
    failLogin(connection, { reason: '401' })
    return
  }
  const refusal = takeLoginRefusal(state, companion.account)
  if (refusal) {
    failLogin(connection, refusal)
    return
  }
  if (companion.connection) replaceConnection(state, companion.connection)
  companion.faults?.forgetHeld()
  companion.connection = connection
  connection.companion = companion
  state.counters.logins++
  companion.uptime.logins++
  updateUptime(state, [companion])
  connection.send({
    tag: 'success',
    attrs: { t: nowInSeconds(), props: '27', companion_enc_static: '', location: 'emu', lid: companion.lidJid },
  })
  state.events.emit('login', { phone: companion.account.phone, jid: companion.jid })
  state.changes.changed()
}

/** A connection through which nothing goes any more is dead for its owner too: that is no second one. */
function replaceConnection(state: EmulatorState, connection: CompanionConnection): void {
  if (!connection.isStalled) state.counters.replacedLogins++
  connection.replace()
}

function isOutdated({ behaviour }: EmulatorState, { userAgent }: proto.ClientPayload): boolean {
  const { primary, secondary, tertiary } = userAgent?.appVersion ?? {}
  const version = [primary ?? 0, secondary ?? 0, tertiary ?? 0]
  const difference = version
    .map((part, index) => part - (behaviour.oldestVersion[index] ?? 0))
    .find((part) => part !== 0)
  return difference !== undefined && difference < 0
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
