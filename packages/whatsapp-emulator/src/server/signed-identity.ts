import { createHmac } from 'node:crypto'
import { proto } from 'baileys'
import type { Account } from '../accounts/account.ts'
import type { Companion, SignedIdentity } from '../accounts/companion.ts'
import { isSignedBy, sign } from '../noise/keys.ts'

/** Prefixes that keep a signature for one purpose from serving for another. */
const ACCOUNT_SIGNATURE_PREFIX = Buffer.from([6, 0])
const DEVICE_SIGNATURE_PREFIX = Buffer.from([6, 1])

/** The phone signs a companion's identity key. */
export function signIdentity(account: Account, companionId: number, companionKey: Buffer): SignedIdentity {
  const { device } = account
  const details = Buffer.from(
    proto.ADVDeviceIdentity.encode({
      rawId: device.registrationId,
      timestamp: Math.floor(Date.now() / 1000),
      keyIndex: companionId,
      accountType: proto.ADVEncryptionType.E2EE,
      deviceType: proto.ADVEncryptionType.E2EE,
    }).finish(),
  )
  const signed = Buffer.concat([ACCOUNT_SIGNATURE_PREFIX, details, companionKey])
  return {
    details,
    accountSignature: sign(device.identity.private, signed),
    accountSignatureKey: device.identity.public,
  }
}

/** The identity as the companion gets it at the linking, authenticated by the secret that its QR code held. */
export function sealIdentity(identity: SignedIdentity, advertisedSecret: Buffer): Buffer {
  const details = proto.ADVSignedDeviceIdentity.encode(identity).finish()
  const hmac = createHmac('sha256', advertisedSecret).update(details).digest()
  return Buffer.from(proto.ADVSignedDeviceIdentityHMAC.encode({ details, hmac, accountType: 0 }).finish())
}

/** Whether the companion signed this identity too: the last step of the linking. */
export function hasDeviceSignature(companionKey: Buffer, identity: SignedIdentity, encoded: Buffer): boolean {
  const { deviceSignature } = proto.ADVSignedDeviceIdentity.decode(encoded)
  return isSignedBy(companionKey, deviceSigned(identity, companionKey), deviceSignature)
}

/** Whether the identity that a companion sends along with its first message is the one that its phone signed. */
export function isIdentityOf(companion: Companion, encoded: Buffer): boolean {
  const { details, accountSignature, deviceSignature } = proto.ADVSignedDeviceIdentity.decode(encoded)
  if (!details || !accountSignature) return false
  const identity: SignedIdentity = {
    details: Buffer.from(details),
    accountSignature: Buffer.from(accountSignature),
    accountSignatureKey: companion.account.device.identity.public,
  }
  const accountSigned = Buffer.concat([ACCOUNT_SIGNATURE_PREFIX, identity.details, companion.identityKey])
  if (!isSignedBy(identity.accountSignatureKey, accountSigned, accountSignature)) return false
  if (!companion.hasDeviceSignature) return true
  return isSignedBy(companion.identityKey, deviceSigned(identity, companion.identityKey), deviceSignature)
}

function deviceSigned(identity: SignedIdentity, companionKey: Buffer): Buffer {
  return Buffer.concat([DEVICE_SIGNATURE_PREFIX, identity.details, companionKey, identity.accountSignatureKey])
}
