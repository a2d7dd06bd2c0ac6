import { type BinaryNode, getBinaryNodeChild, type WASocket } from 'baileys'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'

/** How long WhatsApp may take to answer the request for a code, milliseconds. */
const ANSWER_TIMEOUT_MS = 20_000

/** WhatsApp gives no pairing code. */
export class PairingRefusal extends Error {
  readonly reason: DisconnectReason
  constructor(reason: DisconnectReason, message: string) {
    super(message)
    this.name = 'PairingRefusal'
    this.reason = reason
  }
}

/**
 * Asks for a code that can be typed at the phone of this number. Baileys makes up the code and does not wait for an
 * answer: a refused code looks like any other. Rejects with `PairingRefusal`, and with any error once the signal is
 * aborted.
 */
export async function requestPairingCode(socket: WASocket, phone: string, signal: AbortSignal): Promise<string> {
  const answer = Promise.withResolvers<BinaryNode>()
  const timer = setTimeout(
    () => answer.reject(new PairingRefusal('timed_out', 'WhatsApp did not answer the request for a pairing code.')),
    ANSWER_TIMEOUT_MS,
  )
  const abort = () => answer.reject(signal.reason)
  signal.addEventListener('abort', abort)
  // Baileys keeps the query's id to itself. Nothing else is asked while a session is being linked.
  const events = ['CB:iq,type:result,link_code_companion_reg', 'CB:iq,type:error']
  for (const event of events) socket.ws.on(event, answer.resolve)
  try {
    const [code, iq] = await Promise.all([socket.requestPairingCode(phone), answer.promise])
    if (iq.attrs['type'] !== 'error') return code
    throw refusalOf(getBinaryNodeChild(iq, 'error')?.attrs['code'])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    for (const event of events) socket.ws.off(event, answer.resolve)
  }
}

function refusalOf(code: string | undefined): PairingRefusal {
  switch (code) {
    case '403':
      return new PairingRefusal('linking_blocked', 'WhatsApp does not let this number link devices now.')
    case '429':
      return new PairingRefusal('linking_throttled', 'There were too many attempts to link this number.')
    default:
      return new PairingRefusal('linking_refused', `WhatsApp gives no pairing code for this number (${code ?? '?'}).`)
  }
}
