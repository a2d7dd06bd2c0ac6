import { S_WHATSAPP_NET, type WASocket } from 'baileys'

/**
 * Asks the server for a sign of life. It costs one frame each way and one timer: Baileys' own queries also capture
 * stack traces, which with thousands of sessions is most of an idle process's work.
 */
export class ServerPing {
  readonly #socket: WASocket
  /** Of pings under way; each goes within its time-out. */
  readonly #failing = new Set<(error: Error) => void>()

  constructor(socket: WASocket) {
    this.#socket = socket
  }

  /** Resolves at any answer. Rejects when none comes in time, and when the connection ends before. */
  async ping(timeoutMs: number): Promise<void> {
    const { promise: answer, resolve, reject } = Promise.withResolvers<void>()
    const id = this.#socket.generateMessageTag()
    const answered = `TAG:${id}`
    const timer = setTimeout(() => reject(new Error('WhatsApp did not answer a ping in time.')), timeoutMs)
    this.#socket.ws.once(answered, resolve)
    this.#failing.add(reject)
    this.#socket
      .sendNode({
        tag: 'iq',
        attrs: { id, to: S_WHATSAPP_NET, type: 'get', xmlns: 'w:p' },
        content: [{ tag: 'ping', attrs: {} }],
      })
      .catch(reject)
    try {
      await answer
    } finally {
      clearTimeout(timer)
      this.#socket.ws.off(answered, resolve)
      this.#failing.delete(reject)
    }
  }

  failAll(error: Error): void {
    for (const fail of this.#failing) fail(error)
  }
}
