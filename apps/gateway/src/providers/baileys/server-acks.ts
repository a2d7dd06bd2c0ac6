import type { BinaryNode } from 'baileys'
import { SendError, type SendFailureStage } from '#src/providers/provider.ts'

/** What an error code of the server says of a message: 463 and 429 are about the pace, 5xx about the server. */
export function stageOfCode(code: string): SendFailureStage {
  if (code === '463' || code === '429') return 'throttled'
  return /^5\d\d$/.test(code) ? 'unacknowledged' : 'rejected'
}

interface Waiting {
  resolve(): void
  reject(error: SendError): void
  timer?: NodeJS.Timeout
}

/** Own messages that have left, or will at their commit, and that WhatsApp's server has not acknowledged. */
export class ServerAcks {
  readonly #timeoutMs: number
  /** As many entries as sends under way; each goes within the time-out. */
  readonly #waiting = new Map<string, Waiting>()

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Settles with the server's answer; rejects with `SendError`. To be called before the message is sent. */
  expect(whatsappId: string): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => {
      if (this.#waiting.has(whatsappId)) {
        this.fail(whatsappId, new SendError('unacknowledged', 'The message is being sent again.'))
      }
      this.#waiting.set(whatsappId, { resolve, reject })
    })
    // Sending may fail first, and then nobody waits for this any more.
    answer.catch(() => undefined)
    return answer
  }

  /** The message has been handed to the socket: from now on the time-out runs. */
  limit(whatsappId: string): void {
    const waiting = this.#waiting.get(whatsappId)
    if (!waiting) return
    waiting.timer = setTimeout(
      () =>
        this.fail(whatsappId, new SendError('unacknowledged', 'WhatsApp has not acknowledged the message in time.')),
      this.#timeoutMs,
    )
  }

  /** Takes an ack stanza. Answers whether the server has accepted the message, awaited or not. */
  acknowledge({ attrs }: BinaryNode): boolean {
    const { id, error } = attrs
    if (id === undefined) return false
    if (error === undefined) {
      this.#take(id)?.resolve()
      return true
    }
    this.fail(id, new SendError(stageOfCode(error), 'WhatsApp refused the message.', error))
    return false
  }

  fail(whatsappId: string, error: SendError): void {
    this.#take(whatsappId)?.reject(error)
  }

  failAll(error: SendError): void {
    for (const whatsappId of [...this.#waiting.keys()]) this.fail(whatsappId, error)
  }

  #take(whatsappId: string): Waiting | undefined {
    const waiting = this.#waiting.get(whatsappId)
    this.#waiting.delete(whatsappId)
    clearTimeout(waiting?.timer)
    return waiting
  }
}
