import type { IncomingMessage } from 'node:http'
import type { WASocket } from 'baileys'
import { WebSocket } from 'ws'

/** How long the other side may take to answer a close frame, milliseconds. */
const CLOSING_MS = 2000

/** The WebSocket under Baileys' own wrapper. Throws when Baileys has changed, since nothing may be sent past the gate. */
export function rawSocketOf({ ws }: WASocket): WebSocket {
  const raw: unknown = Reflect.get(ws, 'socket')
  if (!(raw instanceof WebSocket))
    throw new Error('Baileys no longer keeps its WebSocket where the commit gate needs it.')
  return raw
}

/**
 * Cuts the connection when it does not close. Baileys waits for the other side before it reports the end, which takes
 * half a minute when that side is dead, and that is the usual reason for closing.
 */
export function limitClosing({ ws }: WASocket, raw: WebSocket): void {
  const close = ws.close.bind(ws)
  ws.close = async () => {
    const timer = setTimeout(() => cut(raw), CLOSING_MS)
    try {
      await close()
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Ends the connection without a word. A socket that is not read would not notice its own end. */
export function cut(raw: WebSocket): void {
  raw.resume()
  raw.terminate()
}

/**
 * Hears of servers that answer the WebSocket's handshake with a plain HTTP response. Baileys listens for it and does
 * nothing, and by that keeps the WebSocket from failing: the connection would stay half open.
 */
export function onRefusedHandshake({ ws }: WASocket, listener: (httpStatus: number) => void): void {
  ws.on('unexpected-response', (_request: unknown, response: IncomingMessage) => {
    response.destroy()
    listener(response.statusCode ?? 0)
  })
}
