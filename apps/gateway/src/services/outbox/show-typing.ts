import type { Logger } from 'pino'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { ProviderConnection } from '#src/providers/provider.ts'
import { pause } from '#src/services/lanes/backoff.ts'

/** A person who has the answer ready still has to type it; nobody waits for a whole letter. */
const FIRST_MS = 500
const PER_CHARACTER_MS = 30
const MAX_MS = 5000

/** Shows the customer that somebody is typing, for as long as the message says, or about as long as the text would take. Never rejects. */
export async function showTyping(
  { connection, log, signal }: { connection: Pick<ProviderConnection, 'showTyping'>; log: Logger; signal: AbortSignal },
  { id, to, content, typingMs }: Pick<QueuedMessage, 'id' | 'to' | 'content' | 'typingMs'>,
): Promise<void> {
  if (typingMs === 0) return
  try {
    await connection.showTyping(to)
  } catch (err) {
    // The message itself matters, and is sent nevertheless.
    log.debug({ err, messageId: id }, 'Typing could not be shown.')
    return
  }
  if (typingMs !== null) {
    await pause(typingMs, signal)
    return
  }
  const fullMs = Math.min(MAX_MS, FIRST_MS + content.text.length * PER_CHARACTER_MS)
  await pause(fullMs / 2 + (Math.random() * fullMs) / 2, signal)
}
