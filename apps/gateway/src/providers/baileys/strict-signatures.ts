import { Curve, generateSignalPubKey } from 'baileys'
import { calculateSignature, verifySignature } from 'whatsapp-rust-bridge'

/**
 * Makes Baileys check signatures. Its own `Curve.verify` ignores the boolean that libsignal 6 answers with and accepts
 * any signature, also of the server's Noise certificate. The WebAssembly check is 80 times faster as well, and so is
 * signing, which otherwise blocks the process for over 10 ms for each session that is about to be linked.
 */
export function verifySignaturesStrictly(): void {
  Curve.verify = isSignatureValid
  Curve.sign = (privateKey, message) => Buffer.from(calculateSignature(privateKey, message))
}

/** Never throws: a malformed key or signature is an invalid one. */
function isSignatureValid(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifySignature(generateSignalPubKey(publicKey), message, signature) === true
  } catch {
    // The library throws for keys and signatures of a wrong length.
    return false
  }
}
