import type { Logger } from 'pino'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import type { SessionCommandKind } from '#src/storage/schema-types.ts'
import { answerCommand, readWaitingCommands } from '#src/storage/session-commands.ts'

export interface SessionCommandsOptions {
  database: Database
  log: Logger
  lease: Lease
  /** Does it at once; the code of an error if it cannot be done as things stand. */
  execute: (kind: SessionCommandKind) => ErrorCode | null
}

/** What the API asks of a session's owner: each command is done once, in its order, and answered. */
export class SessionCommands {
  readonly #options: SessionCommandsOptions
  /** Done, but perhaps not answered: it is not done again. Those that are overdue leave with the session. */
  readonly #done = new Map<string, ErrorCode | null>()
  #looking: Promise<void> | undefined
  #lookAgain = false

  constructor(options: SessionCommandsOptions) {
    this.#options = options
  }

  /** There may be new ones. Never throws. */
  look(): void {
    this.#lookAgain = true
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#looking
  }

  async #look(): Promise<void> {
    const { database, lease, log, execute } = this.#options
    const { companyId, sessionId } = lease
    try {
      while (this.#lookAgain) {
        this.#lookAgain = false
        for (const { id, kind, isOverdue } of await readWaitingCommands(companyId, database.worker, sessionId)) {
          const known = this.#done.get(id)
          const errorCode = known !== undefined ? known : isOverdue ? 'unavailable' : execute(kind)
          this.#done.set(id, errorCode)
          await fenced(database, lease, (db) => answerCommand(companyId, db, id, errorCode))
          this.#done.delete(id)
        }
      }
    } catch (err) {
      // The next look answers; or whoever owns the session now does.
      if (!(err instanceof LeaseLostError)) log.warn({ err, sessionId }, 'The commands of a session could not be read.')
    }
  }
}
