import type { Logger } from 'pino'
import { returnConversations } from '#src/storage/conversations.ts'
import type { Database } from '#src/storage/database.ts'

const INTERVAL_MS = 3000
const MAX_CONVERSATIONS = 500

/**
 * Looks every few seconds for conversations whose time with a person is over, of whatever company, and gives them back to
 * the bot. Any number of processes may do so.
 */
export class ConversationSweep implements AsyncDisposable {
  readonly #interval: NodeJS.Timeout
  #sweeping: Promise<void> | undefined

  constructor({ database, log }: { database: Database; log: Logger }) {
    const sweep = async () => {
      try {
        const now = new Date()
        await returnConversations(database.worker, { now, limit: MAX_CONVERSATIONS })
      } catch (err) {
        log.debug({ err }, 'Conversations could not be given back to the bot; the next sweep follows.')
      }
    }
    this.#interval = setInterval(() => {
      this.#sweeping ??= sweep().finally(() => {
        this.#sweeping = undefined
      })
    }, INTERVAL_MS).unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#interval)
    await this.#sweeping
  }
}
