import { Companion } from '../accounts/companion.ts'
import type { CompanionKeys, ProvisionedCompanion } from '../control/control.ts'
import { ControlError } from '../control/control-error.ts'
import type { EmulatorState } from '../core/state.ts'
import { signIdentity } from './signed-identity.ts'

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const PLATFORM = 'Provisioned'

/** Registers a companion as if it had been linked. Throws `ControlError` for keys that are none. */
export function provisionCompanion(state: EmulatorState, keys: CompanionKeys): ProvisionedCompanion {
  const account = state.directory.account(keys.phone)
  const registration = {
    noiseKey: bytesFrom('noiseKey', keys.noiseKey, KEY_BYTES),
    identityKey: bytesFrom('identityKey', keys.identityKey, KEY_BYTES),
    registrationId: keys.registrationId,
    signedPreKey: {
      id: keys.signedPreKey.id,
      key: bytesFrom('signedPreKey.key', keys.signedPreKey.key, KEY_BYTES),
      signature: bytesFrom('signedPreKey.signature', keys.signedPreKey.signature, SIGNATURE_BYTES),
    },
    platform: PLATFORM,
    claimedPreKeys: keys.claimedPreKeys,
  }
  const companion = new Companion(account, account.nextCompanionId(), registration, false)
  // Its first login was never; there is nothing to hand over.
  companion.hasHistory = true
  const { details, accountSignature, accountSignatureKey } = signIdentity(account, companion.id, companion.identityKey)
  state.directory.addCompanion(companion)
  state.changes.changed()
  return {
    jid: companion.jid,
    lid: companion.lidJid,
    account: {
      details: details.toString('base64'),
      accountSignature: accountSignature.toString('base64'),
      accountSignatureKey: accountSignatureKey.toString('base64'),
    },
  }
}

function bytesFrom(name: string, base64: string, length: number): Buffer {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== length) throw new ControlError(`${name} must be ${length} bytes as base64.`)
  return bytes
}
