import type { CompanionConnection } from '../accounts/companion.ts'
import type { StreamErrorCode } from '../control/control.ts'
import { SERVER_JID } from '../wire/jids.ts'
import type { BinaryNode } from '../wire/nodes.ts'

/** Ends a stream as WhatsApp does, by the code that a client reports for it. */
export function endStream(connection: CompanionConnection, code: StreamErrorCode): void {
  connection.send(streamError(code))
  connection.end()
}

/** Refuses a login; `attrs` tells why. */
export function failLogin(connection: CompanionConnection, attrs: Record<string, string>): void {
  connection.send({ tag: 'failure', attrs: { ...attrs, location: 'emu' } })
  connection.end()
}

function streamError(code: StreamErrorCode): BinaryNode {
  switch (code) {
    case '401':
      return { tag: 'stream:error', attrs: { code }, content: [conflict('device_removed')] }
    case '440':
      // A replaced stream carries no code: clients derive 440 from the conflict.
      return { tag: 'stream:error', attrs: {}, content: [conflict('replaced')] }
    case '411':
      // The phone has left the multi-device world: no error of the stream, but its end for clients.
      return { tag: 'ib', attrs: { from: SERVER_JID }, content: [{ tag: 'downgrade_webclient', attrs: {} }] }
    case '500':
      // The server names the stanza that it did not like, and no code: clients make one up.
      return { tag: 'stream:error', attrs: {}, content: [{ tag: 'ack', attrs: { class: 'receipt' } }] }
    case '403':
    case '405':
    case '408':
    case '428':
    case '503':
    case '515':
      return { tag: 'stream:error', attrs: { code } }
  }
}

function conflict(type: string): BinaryNode {
  return { tag: 'conflict', attrs: { type } }
}
