import type { BinaryNode } from '../wire/nodes.ts'

/** What happens inside the emulator, for tests that wait for it. JIDs are the companions' own. */
export interface EmulatorEvents {
  linked: { phone: string; jid: string; lid: string }
  unlinked: { phone: string; jid: string; by: 'phone' | 'companion' | 'server' }
  login: { phone: string; jid: string }
  disconnected: { phone: string; jid: string }
  /** A simulated phone displays a message that a companion sent. Copies of it raise no second event. */
  message: { id: string; from: string; to: string; text: string; type: string; ciphertextType: string }
  /** A simulated phone could not decrypt what a companion sent. */
  decryptFailure: { id: string; from: string; to: string; reason: string }
  /** A companion acknowledged messages with a receipt; `type` is WhatsApp's, `''` for a delivery. */
  receipt: { jid: string; ids: string[]; type: string; to: string }
  /** A companion asked for a message again. */
  retry: { jid: string; id: string; count: number; hasKeys: boolean }
  typing: { from: string; to: string; isTyping: boolean }
  /** A client broke the protocol: a bad signature, a malformed stanza. */
  violation: { jid: string; reason: string }
  /** Every stanza of every companion, as it arrives. */
  stanza: { jid: string; node: BinaryNode }
}
