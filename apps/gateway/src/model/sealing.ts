import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import { randomBytes } from './random-bytes.ts'
import { UnreadableError } from './unreadable-error.ts'

const ALGORITHM = 'aes-256-gcm'
export const SEALING_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Leads every sealed value. Form 1 names no key: it was sealed with key number 1. */
const FORM_WITHOUT_NUMBER = 1
const FORM = 2
const FIRST_KEY_NUMBER = 1
const MAX_KEY_NUMBER = 65_535
const NUMBER_BYTES = 2

/**
 * Encrypts what is secret at rest. The context says what a value is and whose: a value opens only in the context in which
 * it was sealed, so that nobody who can write to the database can put one in another's place.
 */
export interface Sealer {
  seal(plaintext: Uint8Array, context: string): Uint8Array
  /**
   * May have to look for the key first, after a rotation elsewhere.
   * @throws UnreadableError if the value was changed, or sealed with another key or in another context
   */
  open(sealed: Uint8Array, context: string): Promise<Uint8Array>
}

/** One key, and the number by which the values that it has sealed are told from those of its predecessors. */
export interface SealingKey {
  readonly number: number
  seal(plaintext: Uint8Array, context: string): Uint8Array
  /** @throws UnreadableError if the value was changed, or sealed with another key or in another context */
  open(sealed: Uint8Array, context: string): Uint8Array
}

/** AES-256-GCM: the form, the key's number, nonce, tag, ciphertext. */
export function createSealingKey(key: Uint8Array, number = FIRST_KEY_NUMBER): SealingKey {
  if (key.byteLength !== SEALING_KEY_BYTES) throw new RangeError(`a sealing key has ${SEALING_KEY_BYTES} bytes`)
  if (number < FIRST_KEY_NUMBER || number > MAX_KEY_NUMBER) throw new RangeError(`there is no key number ${number}`)
  // Importing the raw key at every call would be most of the work.
  const secret = createSecretKey(key)
  return {
    number,
    seal(plaintext, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, secret, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      const nonceAt = 1 + NUMBER_BYTES
      const tagAt = nonceAt + NONCE_BYTES
      const ciphertextAt = tagAt + TAG_BYTES
      const sealed = Buffer.allocUnsafe(ciphertextAt + plaintext.byteLength)
      sealed[0] = FORM
      sealed.writeUInt16BE(number, 1)
      sealed.set(nonce, nonceAt)
      sealed.set(cipher.update(plaintext), ciphertextAt)
      // GCM is a stream: `final` adds no bytes.
      cipher.final()
      sealed.set(cipher.getAuthTag(), tagAt)
      return sealed
    },
    open(sealed, context) {
      if (keyNumberOf(sealed) !== number) throw new UnreadableError('this value was sealed with another key')
      const nonceAt = sealed[0] === FORM ? 1 + NUMBER_BYTES : 1
      const tagAt = nonceAt + NONCE_BYTES
      const ciphertextAt = tagAt + TAG_BYTES
      if (sealed.byteLength < ciphertextAt) throw new UnreadableError('this is not a sealed value')
      const nonce = sealed.subarray(nonceAt, tagAt)
      const decipher = createDecipheriv(ALGORITHM, secret, nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(sealed.subarray(tagAt, ciphertextAt))
      const plaintext = decipher.update(sealed.subarray(ciphertextAt))
      try {
        decipher.final()
      } catch (cause) {
        throw new UnreadableError('this value was changed, or sealed with another key or in another context', { cause })
      }
      return plaintext
    },
  }
}

/** Which key has sealed a value; the SQL function `sealed_key_number` says the same. @throws UnreadableError if it is none */
export function keyNumberOf(sealed: Uint8Array): number {
  const [form, high, low] = sealed
  if (form === FORM_WITHOUT_NUMBER) return FIRST_KEY_NUMBER
  if (form !== FORM || high === undefined || low === undefined) throw new UnreadableError('this is not a sealed value')
  return high * 256 + low
}
