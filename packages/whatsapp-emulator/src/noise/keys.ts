import { createPrivateKey, createPublicKey } from 'node:crypto'
import { calculateAgreement, generateKeyPair as generateSignalKeyPair } from 'libsignal/src/curve.js'
import { calculateSignature, verifySignature } from 'whatsapp-rust-bridge'

/** Curve25519 keys. The public half is the bare 32 bytes, without Signal's leading type byte. */
export interface KeyPair {
  private: Buffer
  public: Buffer
}

const TYPE_BYTE = Buffer.from([5])
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_PREFIX_BYTES = 12
const SIGNATURE_BYTES = 64

export function generateKeyPair(): KeyPair {
  const pair = generateSignalKeyPair()
  return { private: Buffer.from(pair.privKey), public: Buffer.from(pair.pubKey).subarray(1) }
}

/** The pair that belongs to 32 bytes of private key. */
export function keyPairFrom(privateKey: Buffer): KeyPair {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, privateKey]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return { private: privateKey, public: Buffer.from(spki.subarray(SPKI_PREFIX_BYTES)) }
}

/** The public key as Signal writes it: 33 bytes, type byte first. */
export function signalPublicKey(key: Uint8Array): Buffer {
  return key.length === 33 ? Buffer.from(key) : Buffer.concat([TYPE_BYTE, key])
}

export function agree(privateKey: Buffer, publicKey: Uint8Array): Buffer {
  return Buffer.from(calculateAgreement(signalPublicKey(publicKey), privateKey))
}

export function sign(privateKey: Buffer, message: Uint8Array): Buffer {
  return Buffer.from(calculateSignature(privateKey, message))
}

/** False for a signature that does not match as well as for one that is none. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array | null | undefined) {
  if (signature?.length !== SIGNATURE_BYTES) return false
  return verifySignature(signalPublicKey(publicKey), message, signature)
}
