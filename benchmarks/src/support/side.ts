import type { TextToSend } from './raw-commands.ts'

/** One of the two that are compared. */
export interface Side {
  readonly name: string
  readonly pid: number
  /** Its linked numbers, all online. */
  readonly phones: readonly string[]
  /** Sends all, in the given order and many at a time; resolves when all are handed over, which is before WhatsApp has seen them. */
  send(messages: TextToSend[]): Promise<void>
}
