import { type AuthenticationCreds, initAuthCreds } from 'baileys'
import type { CompanionKeys, EmulatorControl } from 'whatsapp-emulator'

/** A linked number: what the phone would have handed over when its QR code was scanned. */
export interface Companion {
  phone: string
  lid: string
  creds: AuthenticationCreds
}

const BATCH = 200
/** More than any benchmark uses, so that nobody uploads pre-keys: connecting is measured as a resume, not as a first login. */
const CLAIMED_PRE_KEYS = 800

/** Links `count` numbers at once, from `firstPhone` upwards. */
export async function linkCompanions(
  emulator: EmulatorControl,
  firstPhone: number,
  count: number,
): Promise<Companion[]> {
  const companions: Companion[] = []
  while (companions.length < count) {
    const creds = Array.from({ length: Math.min(BATCH, count - companions.length) }, () => initAuthCreds())
    const keys = creds.map((one, index) => publicKeys(one, String(firstPhone + companions.length + index)))
    const provisioned = await emulator.provision(keys)
    for (const [index, { jid, lid, account }] of provisioned.entries()) {
      const [own, key] = [creds[index], keys[index]]
      if (own === undefined || key === undefined) throw new Error('The emulator linked more numbers than it was given.')
      Object.assign(own, {
        me: { id: jid, lid, name: 'Benchmark' },
        account: {
          details: Buffer.from(account.details, 'base64'),
          accountSignature: Buffer.from(account.accountSignature, 'base64'),
          accountSignatureKey: Buffer.from(account.accountSignatureKey, 'base64'),
        },
        // Anything but 0: Baileys then does not wait 20 s for a history that does not come.
        accountSyncCounter: 1,
        registered: true,
      })
      companions.push({ phone: key.phone, lid, creds: own })
    }
  }
  return companions
}

function publicKeys(creds: AuthenticationCreds, phone: string): CompanionKeys {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  return {
    phone,
    noiseKey: base64(creds.noiseKey.public),
    identityKey: base64(creds.signedIdentityKey.public),
    registrationId: creds.registrationId,
    signedPreKey: {
      id: creds.signedPreKey.keyId,
      key: base64(creds.signedPreKey.keyPair.public),
      signature: base64(creds.signedPreKey.signature),
    },
    claimedPreKeys: CLAIMED_PRE_KEYS,
  }
}
