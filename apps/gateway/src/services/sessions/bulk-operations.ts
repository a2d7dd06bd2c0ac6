import type {
  BulkFailure,
  BulkOperation,
  CreateBulkOperation,
  CreatePlatformBulkOperation,
} from '@frontdesk/api-contract'
import type { Kysely } from 'kysely'
import type { Logger } from 'pino'
import { type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import {
  type BulkOperationRow,
  type BulkStep,
  endBulkStep,
  findBulkOperation,
  insertBulkOperation,
  listExistingSessions,
  listSessionsFor,
  type NewBulkOperation,
  type SessionFilter,
  takeBulkStep,
} from '#src/storage/bulk-operations.ts'
import type { Database } from '#src/storage/database.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { requestAction } from './session-actions.ts'

/** Between two sessions, so that they do not all connect in one moment: 1,000 sessions are told in 20 s. */
const PACE_MS = 20
/** How long an operation waits that a process has left undone, at most. */
const LOOK_AGAIN_MS = 5000
const STORE_FAILED_PAUSE_MS = 1000
/** A session that fails for no known reason is passed over after so many attempts. */
const MAX_ATTEMPTS = 5

export interface BulkOperationsOptions {
  database: Database
  linkingAttemptsPerHour: number
  /** Called after a commit that the session's owner should look at, wherever the owner runs. */
  onChanged: (sessionId: string) => void
  log: Logger
}

/**
 * Requests for many sessions. Each is a row that any process works off, session by session: one transaction tells a
 * session and counts it, so that none is told twice or left out when a process ends.
 */
export class BulkOperations implements AsyncDisposable {
  readonly #options: BulkOperationsOptions
  readonly #ending = new AbortController()
  #wake = Promise.withResolvers<void>()
  readonly #working: Promise<void>

  constructor(options: BulkOperationsOptions) {
    this.#options = options
    this.#working = this.#work()
  }

  /** @throws FrontdeskError `not_found` if a session is not the company's; then nothing is done */
  async begin(companyId: string, { action, sessionIds }: CreateBulkOperation, actor: Actor): Promise<BulkOperation> {
    const row = await this.#options.database.asCompany(companyId, async (db) => {
      const ids = sessionIds?.toSorted() ?? (await listSessionsFor(db, action, { companyId }))
      if (sessionIds !== undefined) await ensureExisting(companyId, db, sessionIds)
      return await begun(db, { id: newId(), companyId, ...actor, action, sessionIds: ids })
    })
    this.#look()
    return toBulkOperation(row)
  }

  /** For sessions of any company. */
  async beginForPlatform(
    { action, ...filter }: CreatePlatformBulkOperation & Pick<SessionFilter, 'reason'>,
    actor: Actor,
  ): Promise<BulkOperation> {
    const row = await this.#options.database.worker.transaction().execute(async (db) => {
      const sessionIds = await listSessionsFor(db, action, filter)
      return await begun(db, { id: newId(), companyId: null, ...actor, action, sessionIds })
    })
    this.#look()
    return toBulkOperation(row)
  }

  /** @throws FrontdeskError `not_found` */
  get(companyId: string, id: string): Promise<BulkOperation> {
    return this.#options.database.asCompany(companyId, async (db) => found(await findBulkOperation(companyId, db, id)))
  }

  /** One of the operator's. @throws FrontdeskError `not_found` */
  async getOfPlatform(id: string): Promise<BulkOperation> {
    return found(await findBulkOperation(null, this.#options.database.worker, id))
  }

  /** What is undone is taken up by another process, or by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    this.#look()
    await this.#working
  }

  #look(): void {
    this.#wake.resolve()
  }

  async #work(): Promise<void> {
    const { signal } = this.#ending
    let attempts = 0
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers()
      try {
        const isWorking = await this.#step(attempts >= MAX_ATTEMPTS)
        attempts = 0
        if (isWorking) await pause(PACE_MS, signal)
        else await Promise.race([this.#wake.promise, pause(LOOK_AGAIN_MS, signal)])
      } catch (err) {
        attempts += 1
        this.#options.log.warn({ err }, 'A step of a bulk operation failed; trying again.')
        await pause(STORE_FAILED_PAUSE_MS, signal)
      }
    }
  }

  /** Tells one session. False when there is nothing to do. */
  async #step(passesOver: boolean): Promise<boolean> {
    const step = await this.#options.database.worker.transaction().execute(async (db) => {
      const next = await takeBulkStep(db)
      if (next === undefined) return undefined
      const code = passesOver ? 'internal' : await this.#tell(db, next)
      const failure: BulkFailure | undefined = code && { sessionId: next.sessionId, code }
      await endBulkStep(db, next.operationId, failure)
      return { sessionId: next.sessionId, isTold: failure === undefined }
    })
    if (step?.isTold === true) this.#options.onChanged(step.sessionId)
    return step !== undefined
  }

  /** The code of the error if the session cannot be told as things stand. */
  async #tell(
    db: Parameters<typeof requestAction>[1]['db'],
    { action, sessionId, companyId, apiKeyId }: BulkStep,
  ): Promise<ErrorCode | undefined> {
    if (companyId === undefined) return 'not_found'
    const { linkingAttemptsPerHour } = this.#options
    try {
      await requestAction(action, { companyId, db, sessionId, actor: { apiKeyId }, linkingAttemptsPerHour })
      return undefined
    } catch (error) {
      // These are thrown before anything is written.
      if (error instanceof FrontdeskError) return error.code
      throw error
    }
  }
}

async function ensureExisting(companyId: string, db: Kysely<Schema>, sessionIds: readonly string[]): Promise<void> {
  const existing = new Set(await listExistingSessions(companyId, db, sessionIds))
  const missing = sessionIds.filter((id) => !existing.has(id))
  if (missing.length > 0) {
    throw new FrontdeskError('not_found', `${missing.length} of the sessions are not there, such as ${missing[0]}.`)
  }
}

async function begun(db: Kysely<Schema>, operation: NewBulkOperation): Promise<BulkOperationRow> {
  const { id, companyId, apiKeyId, action, sessionIds } = operation
  const detail = { action, sessions: String(sessionIds.length) }
  await appendAudit(db, { companyId, apiKeyId, action: 'sessions.bulk', subjectId: id, detail })
  return await insertBulkOperation(db, operation)
}

function found(row: BulkOperationRow | undefined): BulkOperation {
  if (row === undefined) throw new FrontdeskError('not_found')
  return toBulkOperation(row)
}

const toBulkOperation = (row: BulkOperationRow): BulkOperation => ({
  id: row.id,
  action: row.action,
  total: row.session_ids.length,
  done: row.done,
  failed: row.failed,
  failures: row.failures,
  createdAt: row.created_at.toISOString(),
  finishedAt: row.finished_at?.toISOString() ?? null,
})
