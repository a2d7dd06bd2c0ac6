import type { CompanionConnection } from '../accounts/companion.ts'
import type { BinaryNode } from '../wire/nodes.ts'

export type StreamErrorCode = '401' | '428' | '440' | '503' | '515'

/** Ends a stream as WhatsApp does, by the code that a client reports for it. */
export function endStream(connection: CompanionConnection, code: StreamErrorCode): void {
  connection.send(streamError(code))
  connection.end()
}

/** Refuses a login. */
export function failLogin(connection: CompanionConnection, reason: string): void {
  connection.send({ tag: 'failure', attrs: { reason, location: 'emu' } })
  connection.end()
}

function streamError(code: StreamErrorCode): BinaryNode {
  switch (code) {
    case '401':
      return { tag: 'stream:error', attrs: { code }, content: [conflict('device_removed')] }
    case '440':
      // A replaced stream carries no code: clients derive 440 from the conflict.
      return { tag: 'stream:error', attrs: {}, content: [conflict('replaced')] }
    case '428':
    case '503':
    case '515':
      return { tag: 'stream:error', attrs: { code } }
  }
}

function conflict(type: string): BinaryNode {
  return { tag: 'conflict', attrs: { type } }
}
