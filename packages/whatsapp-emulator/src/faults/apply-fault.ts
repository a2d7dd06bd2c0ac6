import type { Companion } from '../accounts/companion.ts'
import type { Fault, StreamErrorCode } from '../control/control.ts'
import { ControlError } from '../control/control-error.ts'
import type { EmulatorState } from '../core/state.ts'
import { updateUptime } from '../core/uptime.ts'
import { endStream } from '../server/stream-errors.ts'
import { unlinkCompanion } from '../server/unlinking.ts'
import { CompanionFaults } from './companion-faults.ts'
import { setLoginRefusal } from './login-refusal.ts'

/** Makes something go wrong; what clients do about each is in `docs/faults.md`. Throws `ControlError`. */
export function applyFault(state: EmulatorState, fault: Fault): void {
  switch (fault.kind) {
    case 'stream_error':
      for (const companion of connected(state, fault.phone)) breakStream(state, companion, fault.code)
      break
    case 'stream_end':
      for (const { connection } of connected(state, fault.phone)) {
        connection?.send({ tag: 'xmlstreamend', attrs: {} })
        connection?.end()
      }
      break
    case 'drop':
      for (const { connection } of connected(state, fault.phone)) connection?.terminate()
      break
    case 'stall':
      for (const companion of connected(state, fault.phone)) {
        companion.connection?.stall()
        updateUptime(state, [companion])
      }
      break
    case 'corrupt_frame':
      for (const { connection } of connected(state, fault.phone)) connection?.sendCorruptFrame()
      break
    case 'delay_acks':
      for (const faults of faultsOf(state, fault.phone))
        faults.delayedAcks = { count: fault.count, delayMs: fault.delayMs }
      break
    case 'lose_acks':
      for (const faults of faultsOf(state, fault.phone)) faults.lostAcks = fault.count
      break
    case 'duplicate':
      for (const faults of faultsOf(state, fault.phone)) faults.duplicates = fault.count
      break
    case 'reorder':
      for (const faults of faultsOf(state, fault.phone)) faults.reorders = fault.count
      break
    case 'refuse_messages':
      for (const faults of faultsOf(state, fault.phone))
        faults.refusedMessages = { count: fault.count, error: fault.error }
      break
    case 'unavailable_messages':
      for (const faults of faultsOf(state, fault.phone)) faults.unavailableMessages = fault.count
      break
    case 'no_devices':
      state.directory.account(fault.phone).hasNoDevices = fault.isOn ?? true
      break
    case 'refuse_linking':
      state.directory.account(fault.phone).linkingRefusal = fault.isOn ? (fault.how ?? 'throttled') : undefined
      break
    case 'lose_sessions':
      state.directory.account(fault.phone).device.loseSessions()
      break
    case 'refuse_connections':
      state.refusal = fault.isOn ? (fault.how ?? 'reset') : undefined
      updateUptime(state, state.directory.companions())
      break
    case 'refuse_logins':
      setLoginRefusal(state, fault)
      break
  }
}

function breakStream(state: EmulatorState, companion: Companion, code: StreamErrorCode): void {
  if (code === '401') unlinkCompanion(state, companion, 'server')
  else if (companion.connection) endStream(companion.connection, code)
}

/** Asking for a number that has no connected companion is a mistake; asking for all when there is none is not. */
function connected(state: EmulatorState, phone: string | undefined): Companion[] {
  const companions = companionsOf(state, phone).filter((companion) => companion.connection !== undefined)
  if (phone !== undefined && companions.length === 0)
    throw new ControlError(`No companion of ${phone} is connected: there is nothing to disturb.`)
  return companions
}

function faultsOf(state: EmulatorState, phone: string | undefined): CompanionFaults[] {
  const companions = companionsOf(state, phone)
  if (phone !== undefined && companions.length === 0)
    throw new ControlError(`No companion is linked to ${phone}: there is nothing to disturb.`)
  return companions.map((companion) => {
    companion.faults ??= new CompanionFaults()
    return companion.faults
  })
}

function companionsOf(state: EmulatorState, phone: string | undefined): Companion[] {
  return phone === undefined
    ? [...state.directory.companions()]
    : [...state.directory.account(phone).companions.values()]
}
