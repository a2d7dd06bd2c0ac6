import { proto } from 'baileys'
import { generateKeyPair, type KeyPair, sign } from './keys.ts'

/** What the server proves itself with: root signs intermediate, intermediate signs leaf, the leaf is the static key. */
export interface CertificateChain {
  /** The root's public key; a client has to be told to trust it. */
  rootKey: Buffer
  staticKey: KeyPair
  /** The encoded chain as it goes into the server hello. */
  encoded: Buffer
}

const DAY_SECONDS = 86_400

/** A new chain in the shape of WhatsApp's own, valid for ten years. */
export function makeCertificateChain(): CertificateChain {
  const root = generateKeyPair()
  const intermediate = generateKeyPair()
  const staticKey = generateKeyPair()
  const intermediateDetails = certificateDetails({ serial: 1, issuerSerial: 0, key: intermediate.public })
  const leafDetails = certificateDetails({ serial: 2, issuerSerial: 1, key: staticKey.public })
  const encoded = proto.CertChain.encode({
    leaf: { details: leafDetails, signature: sign(intermediate.private, leafDetails) },
    intermediate: { details: intermediateDetails, signature: sign(root.private, intermediateDetails) },
  }).finish()
  return { rootKey: root.public, staticKey, encoded: Buffer.from(encoded) }
}

function certificateDetails(certificate: { serial: number; issuerSerial: number; key: Buffer }): Buffer {
  const now = Math.floor(Date.now() / 1000)
  const details = { ...certificate, notBefore: now - DAY_SECONDS, notAfter: now + 3650 * DAY_SECONDS }
  return Buffer.from(proto.CertChain.NoiseCertificate.Details.encode(details).finish())
}
