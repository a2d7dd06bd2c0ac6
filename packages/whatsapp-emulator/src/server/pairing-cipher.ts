import { createCipheriv, createDecipheriv, hkdfSync, pbkdf2 as pbkdf2WithCallback, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const pbkdf2 = promisify(pbkdf2WithCallback)

const KEY_BYTES = 32
const SALT_BYTES = 32
const IV_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CODE_ITERATIONS = 131_072
const EMPTY = Buffer.alloc(0)

/** An ephemeral public key, encrypted with the pairing code: salt, IV, ciphertext. */
export const WRAPPED_KEY_BYTES = SALT_BYTES + IV_BYTES + KEY_BYTES

/** The companion's half of the agreement, readable only when the pairing code was right. */
export interface KeyBundleContent {
  companionIdentity: Buffer
  phoneIdentity: Buffer
  random: Buffer
}

export async function wrapWithCode(code: string, publicKey: Buffer): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-ctr', await keyFromCode(code, salt), iv)
  return Buffer.concat([salt, iv, cipher.update(publicKey), cipher.final()])
}

/** With a wrong code the result is some other key: nothing in it tells. */
export async function unwrapWithCode(code: string, wrapped: Buffer): Promise<Buffer> {
  const salt = wrapped.subarray(0, SALT_BYTES)
  const iv = wrapped.subarray(SALT_BYTES, SALT_BYTES + IV_BYTES)
  const decipher = createDecipheriv('aes-256-ctr', await keyFromCode(code, salt), iv)
  return Buffer.concat([decipher.update(wrapped.subarray(SALT_BYTES + IV_BYTES)), decipher.final()])
}

/** `undefined` when the two sides did not agree on the secret, which means that the code was wrong. */
export function openKeyBundle(sharedSecret: Buffer, wrapped: Buffer): KeyBundleContent | undefined {
  const salt = wrapped.subarray(0, SALT_BYTES)
  const nonce = wrapped.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES)
  const key = derive(sharedSecret, salt, 'link_code_pairing_key_bundle_encryption_key')
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(wrapped.subarray(-TAG_BYTES))
  const content = decipher.update(wrapped.subarray(SALT_BYTES + NONCE_BYTES, -TAG_BYTES))
  try {
    decipher.final()
  } catch {
    return undefined // The tag does not match: that is the answer.
  }
  return {
    companionIdentity: content.subarray(0, KEY_BYTES),
    phoneIdentity: content.subarray(KEY_BYTES, 2 * KEY_BYTES),
    random: content.subarray(2 * KEY_BYTES),
  }
}

/** What takes the place of the secret that a QR code would have held. */
export function deriveAdvertisedSecret(ephemeralSecret: Buffer, identitySecret: Buffer, random: Buffer): Buffer {
  return derive(Buffer.concat([ephemeralSecret, identitySecret, random]), EMPTY, 'adv_secret')
}

async function keyFromCode(code: string, salt: Buffer): Promise<Buffer> {
  return pbkdf2(code, salt, CODE_ITERATIONS, KEY_BYTES, 'sha256')
}

function derive(secret: Buffer, salt: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, purpose, KEY_BYTES))
}
