import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

const PROTOCOL_NAME = Buffer.from('Noise_XX_25519_AESGCM_SHA256\0\0\0\0')
const TAG_BYTES = 16
const EMPTY = Buffer.alloc(0)

/** The handshake's running hash and chaining key, as the Noise specification's SymmetricState. */
export class SymmetricState {
  #hash: Buffer = PROTOCOL_NAME
  #chainingKey: Buffer = PROTOCOL_NAME
  #key: KeyObject = createSecretKey(PROTOCOL_NAME)
  #counter = 0

  mixHash(data: Uint8Array): void {
    this.#hash = createHash('sha256').update(this.#hash).update(data).digest()
  }

  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = this.#derive(secret)
    this.#chainingKey = chainingKey
    this.#key = createSecretKey(key)
    this.#counter = 0
  }

  encryptAndHash(plaintext: Uint8Array): Buffer {
    const ciphertext = seal(this.#key, this.#counter++, plaintext, this.#hash)
    this.mixHash(ciphertext)
    return ciphertext
  }

  /** Throws when the ciphertext is not authentic. */
  decryptAndHash(ciphertext: Uint8Array): Buffer {
    const plaintext = open(this.#key, this.#counter++, ciphertext, this.#hash)
    this.mixHash(ciphertext)
    return plaintext
  }

  /** The two transport keys: the initiator's sending key first. */
  split(): [KeyObject, KeyObject] {
    const [initiators, responders] = this.#derive(EMPTY)
    return [createSecretKey(initiators), createSecretKey(responders)]
  }

  #derive(secret: Uint8Array): [Buffer, Buffer] {
    const bytes = Buffer.from(hkdfSync('sha256', secret, this.#chainingKey, EMPTY, 64))
    return [bytes.subarray(0, 32), bytes.subarray(32)]
  }
}

/**
 * AES-256-GCM under the counter as nonce, the tag at the end. The key is a key object because Node takes several times
 * as long with the bytes of one.
 */
export function seal(key: KeyObject, counter: number, plaintext: Uint8Array, additionalData: Buffer = EMPTY): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(counter))
  cipher.setAAD(additionalData)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** Throws when the ciphertext is not authentic. */
export function open(key: KeyObject, counter: number, ciphertext: Uint8Array, additionalData: Buffer = EMPTY): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(counter))
  decipher.setAAD(additionalData)
  decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(ciphertext.subarray(0, -TAG_BYTES)), decipher.final()])
}

function nonce(counter: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(counter, 8)
  return bytes
}
