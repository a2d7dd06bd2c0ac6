import type { Account } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import { ControlError } from '../control/control-error.ts'
import type { LinkRequest } from '../core/link-requests.ts'
import type { EmulatorState } from '../core/state.ts'
import { acceptCompanion, checkMayLink } from './linking.ts'

const QR_PREFIX = 'https://wa.me/settings/linked_devices#'

/** Throws `ControlError` for a code that no waiting companion can be showing. */
export function announceQr(state: EmulatorState, qr: string): void {
  findRequest(state, parseQr(qr)).qr = qr
  state.changes.changed()
}

/**
 * The phone accepts the companion that shows this code. Resolves when the companion has signed its identity.
 * Rejects with `ControlError` for a code that is unknown, expired, used or forged, for a number that may not link
 * devices, and when the companion refuses.
 */
export async function scanQr(state: EmulatorState, account: Account, qr: string): Promise<Companion> {
  const code = parseQr(qr)
  const request = findRequest(state, code)
  const { registration } = request
  if (!registration.noiseKey.equals(code.noiseKey) || !registration.identityKey.equals(code.identityKey))
    throw new ControlError('This QR code is forged: its keys are not those of the companion that shows it.')
  checkMayLink(account)
  if (request.confirmation) throw new ControlError('This QR code was scanned already.')
  return acceptCompanion(request, account, code.advertisedSecret)
}

interface QrCode {
  ref: string
  noiseKey: Buffer
  identityKey: Buffer
  advertisedSecret: Buffer
}

function parseQr(qr: string): QrCode {
  const parts = (qr.startsWith(QR_PREFIX) ? qr.slice(QR_PREFIX.length) : qr).split(',')
  const [ref, ...keys] = parts
  const [noiseKey, identityKey, advertisedSecret] = keys.map((key) => Buffer.from(key, 'base64'))
  if (!ref || !noiseKey || !identityKey || !advertisedSecret)
    throw new ControlError("This is no QR code of WhatsApp's linked devices: it holds no reference and three keys.")
  return { ref, noiseKey, identityKey, advertisedSecret }
}

function findRequest(state: EmulatorState, code: QrCode): LinkRequest {
  const request = state.linkRequests.findByRef(code.ref)
  if (!request) throw new ControlError('This QR code is unknown or has expired. Show a new one and scan that.')
  return request
}
