import type { Logger } from 'pino'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { Lanes } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { listPastMessages } from '#src/storage/turns.ts'
import type { BatchingSettings } from './batch.ts'
import { CompanySettingsReader } from './company-settings.ts'
import { type InboxSession, SessionInbox } from './session-inbox.ts'
import { TurnAnswerer, type TurnAnswererOptions } from './turn-answerer.ts'
import type { TurnJob, TurnTools } from './turn-job.ts'

/** Turns in work at once. They mostly wait for companies' systems, hence the high numbers. */
const CONCURRENCY = 1000
const CONCURRENCY_PER_COMPANY = 50
/** Few: more of them would do no more turns a second, only all of them more slowly, and messages with them. */
const CONNECTIONS = 4

export interface InboxOptions {
  database: Pick<Database, 'dedicated'>
  outbox: TurnTools['outbox']
  answerer: Omit<TurnAnswererOptions, 'settings' | 'history' | 'log'>
  /** The deployment's, for companies that have set none. */
  batching: BatchingSettings
  log: Logger
  /** Chats with work that a session holds in memory; further ones wait in the database until these are done. */
  maxChatsPerSession?: number
}

/**
 * Takes committed messages to their answers: a burst of a chat becomes one turn, the responder answers it, the answer
 * goes to the outbox. One turn at a time in a chat. What is done is in the database, so that a new owner goes on where
 * the last one stopped.
 */
export class Inbox implements AsyncDisposable {
  readonly #tools: TurnTools
  readonly #settings: CompanySettingsReader
  readonly #lanes: Lanes<TurnJob>
  readonly #maxChats: number
  /** Of the sessions that this process owns. */
  readonly #sessions = new Map<string, SessionInbox>()

  constructor(options: InboxOptions) {
    const { outbox, batching, log } = options
    const database = options.database.dedicated(CONNECTIONS)
    this.#maxChats = options.maxChatsPerSession ?? 2000
    this.#settings = new CompanySettingsReader({ database, defaults: { batching }, log })
    const history: TurnAnswererOptions['history'] = (turn, limit) => listPastMessages(database.worker, turn, limit)
    const answerer = new TurnAnswerer({ ...options.answerer, settings: this.#settings, history, log })
    this.#tools = { database, outbox, log, answerer }
    this.#lanes = new Lanes({
      concurrency: CONCURRENCY,
      concurrencyPerGroup: CONCURRENCY_PER_COMPANY,
      process: (job) => job.run(),
      onError: (err) => log.error({ err }, 'A lane of the inbox failed.'),
    })
  }

  /** This process owns the session from now on: what waits in it is taken up. Resolves when it is known what waits. */
  async owned(session: InboxSession): Promise<void> {
    this.released(session.lease.sessionId)
    const inbox = new SessionInbox(session, {
      tools: this.#tools,
      settings: this.#settings,
      lanes: this.#lanes,
      maxChats: this.#maxChats,
    })
    this.#sessions.set(session.lease.sessionId, inbox)
    await inbox.resume()
  }

  /** This process owns the session no longer. */
  released(sessionId: string): void {
    this.#sessions.get(sessionId)?.end()
    this.#sessions.delete(sessionId)
  }

  /** Messages of the session that have just been committed. Those of a session that is not owned wait for its owner. */
  receive(sessionId: string, messages: readonly ReceivedMessage[]): void {
    this.#sessions.get(sessionId)?.receive(messages)
  }

  /** The contact is writing to the session, or has stopped. */
  typing(sessionId: string, contactId: string, isTyping: boolean): void {
    this.#sessions.get(sessionId)?.typing(contactId, isTyping)
  }

  /** A person has begun to answer in the chat, or has stopped. False if the session is not here. */
  takenOver(sessionId: string, contactId: string): boolean {
    const session = this.#sessions.get(sessionId)
    session?.takenOver(contactId)
    return session !== undefined
  }

  /** Makes a change of the company's settings count for the next message, and not only a second later. */
  settingsChanged(companyId: string): void {
    this.#settings.forget(companyId)
  }

  /** How many chats have work: a number that does not fall is a sign that something is stuck. */
  get busyChats(): number {
    return [...this.#sessions.values()].reduce((sum, { chatCount }) => sum + chatCount, 0)
  }

  /** Calls everything off; what is undone waits in the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const sessionId of [...this.#sessions.keys()]) this.released(sessionId)
    await this.#lanes.idle()
  }
}
