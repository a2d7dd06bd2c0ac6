import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
export const SEALING_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Leads every sealed value, so that a later form can stand beside this one. */
const FORM = 1
const HEADER_BYTES = 1 + NONCE_BYTES + TAG_BYTES

/**
 * Encrypts what is secret at rest. The context says what a value is and whose: a value opens only in the context in which
 * it was sealed, so that nobody who can write to the database can put one in another's place.
 */
export interface Sealer {
  seal(plaintext: Uint8Array, context: string): Uint8Array
  /** @throws Error if the value was changed, or sealed with another key or in another context */
  open(sealed: Uint8Array, context: string): Uint8Array
}

/** AES-256-GCM: the form's number, nonce, tag, ciphertext. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.byteLength !== SEALING_KEY_BYTES) throw new RangeError(`a sealing key has ${SEALING_KEY_BYTES} bytes`)
  // Importing the raw key at every call would be most of the work.
  const secret = createSecretKey(key)
  return {
    seal(plaintext, context) {
      const nonce = nextNonce()
      const cipher = createCipheriv(ALGORITHM, secret, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      const sealed = Buffer.allocUnsafe(HEADER_BYTES + plaintext.byteLength)
      sealed[0] = FORM
      sealed.set(nonce, 1)
      sealed.set(cipher.update(plaintext), HEADER_BYTES)
      // GCM is a stream: `final` adds no bytes.
      cipher.final()
      sealed.set(cipher.getAuthTag(), 1 + NONCE_BYTES)
      return sealed
    },
    open(sealed, context) {
      if (sealed[0] !== FORM || sealed.byteLength < HEADER_BYTES) throw new Error('this is not a sealed value')
      const decipher = createDecipheriv(ALGORITHM, secret, sealed.subarray(1, 1 + NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(sealed.subarray(1 + NONCE_BYTES, HEADER_BYTES))
      const plaintext = decipher.update(sealed.subarray(HEADER_BYTES))
      decipher.final()
      return plaintext
    },
  }
}

/** Asking the system for random bytes costs more than encrypting a key: it is asked for a thousand nonces at once. */
const nonces = Buffer.alloc(NONCE_BYTES * 1_000)
let nextNonceAt = nonces.length

function nextNonce(): Uint8Array {
  if (nextNonceAt === nonces.length) {
    randomFillSync(nonces)
    nextNonceAt = 0
  }
  const nonce = nonces.subarray(nextNonceAt, nextNonceAt + NONCE_BYTES)
  nextNonceAt += NONCE_BYTES
  return nonce
}
