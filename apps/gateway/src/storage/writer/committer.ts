import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { isDiskFull } from '#src/model/disk-full.ts'
import type { ReceiptUpdate } from '#src/model/session-store.ts'
import type { FlushConnection } from './flush-connection.ts'
import { type FlushResult, flushStatement } from './flush-statement.ts'
import { isDataError } from './is-data-error.ts'
import type { Owner, SealedChanges } from './sealed-changes.ts'

const MIN_RETRY_DELAY_MS = 50
const MAX_RETRY_DELAY_MS = 2_000

/** What became of one session's part of a flush. */
type Outcome =
  | {
      kind: 'committed'
      /** Of the messages that are new, or resolved: the row, and its canonical contact, by the id that was published. */
      received: ReadonlyMap<string, { id: string; contactId: string }>
      moved: { messageId: string; contactId: string; whatsappId: string; status: ReceiptUpdate['status'] }[]
    }
  | { kind: 'lease_lost' }
  | { kind: 'refused'; cause: unknown }

/** The outcome of one session's changes. */
export interface Settled<Session extends Owner> {
  changes: SealedChanges<Session>
  outcome: Outcome
}

export interface CommitterState {
  /** `retrying`: the database does not take commits now; all sessions wait. */
  state: 'ready' | 'retrying'
  since: Date
  /** Failed tries in a row. */
  failures: number
}

interface CommitterOptions<Session extends Owner> {
  connection: FlushConnection
  log: Logger
  /** Told each time that the database has no room for the changes. */
  onDiskFull: (() => void) | undefined
  onSettled: (settled: readonly Settled<Session>[]) => void
}

/**
 * Gets changes committed: tries the same ones for as long as the database is away, and takes them apart when it refuses
 * them, until the one session whose rows are refused stands alone.
 */
export class Committer<Session extends Owner> {
  readonly #connection: FlushConnection
  readonly #log: Logger
  readonly #onDiskFull: (() => void) | undefined
  readonly #onSettled: (settled: readonly Settled<Session>[]) => void
  #state: CommitterState = { state: 'ready', since: new Date(), failures: 0 }

  constructor({ connection, log, onDiskFull, onSettled }: CommitterOptions<Session>) {
    this.#connection = connection
    this.#log = log
    this.#onDiskFull = onDiskFull
    this.#onSettled = onSettled
  }

  get state(): Readonly<CommitterState> {
    return this.#state
  }

  /** Resolves when each session's part is settled. Rejects only when the signal ends the tries. */
  async commit(changes: readonly SealedChanges<Session>[], signal: AbortSignal, mayBeCommitted = false): Promise<void> {
    let isRepeated = mayBeCommitted
    for (;;) {
      try {
        const result = await this.#execute(changes, isRepeated)
        this.#onSettled(outcomes(changes, result))
        return
      } catch (error) {
        if (isDataError(error)) {
          await this.#takeApart(changes, error, signal, isRepeated)
          return
        }
        // The answer is lost, perhaps not the commit.
        isRepeated = true
        await this.#waitAfter(error, signal)
      }
    }
  }

  async #execute(changes: readonly SealedChanges<Session>[], mayBeCommitted: boolean): Promise<FlushResult> {
    const { rows } = await this.#connection.query<FlushResult>(flushStatement(changes))
    const [result] = rows
    if (result === undefined) throw new Error('the flush has returned no row')
    if (mayBeCommitted) Object.assign(result, await this.#findReceived(changes))
    this.#recovered()
    return result
  }

  /**
   * After an earlier try whose answer was lost, a message that is not new to this one may be new all the same: it is if
   * it stands under the very id that it was given here, or is what a row under another id was resolved by.
   */
  async #findReceived(changes: readonly SealedChanges<Session>[]): Promise<Partial<FlushResult>> {
    const published = changes.flatMap(({ session, messages }) =>
      messages.map(({ message }) => ({ sessionId: session.sessionId, ...message })),
    )
    if (published.length === 0) return {}
    const { rows } = await this.#connection.query<{ session_id: string; id: string; contact_id: string; hash: string }>(
      {
        text: `select distinct message.session_id, message.id, message.contact_id, encode(message.ciphertext_hash, 'hex') as hash
        from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as published (id, session_id, hash)
        join message on message.id = published.id
          or (message.session_id = published.session_id and message.ciphertext_hash = published.hash)`,
        values: [
          published.map(({ id }) => id),
          published.map(({ sessionId }) => sessionId),
          published.map(({ ciphertextHash }) => ciphertextHash && Buffer.from(ciphertextHash)),
        ],
      },
    )
    const ids = new Set(published.map(({ id }) => id))
    return {
      received: rows.filter(({ id }) => ids.has(id)).map(({ id, contact_id }) => [id, contact_id]),
      resolved: rows
        .filter(({ id }) => !ids.has(id))
        .map(({ session_id, hash, id, contact_id }) => [session_id, hash, id, contact_id]),
    }
  }

  async #takeApart(
    changes: readonly SealedChanges<Session>[],
    cause: unknown,
    signal: AbortSignal,
    mayBeCommitted: boolean,
  ): Promise<void> {
    const [only] = changes
    if (only !== undefined && changes.length === 1) {
      this.#onSettled([{ changes: only, outcome: { kind: 'refused', cause } }])
      return
    }
    const middle = Math.ceil(changes.length / 2)
    await this.commit(changes.slice(0, middle), signal, mayBeCommitted)
    await this.commit(changes.slice(middle), signal, mayBeCommitted)
  }

  async #waitAfter(error: unknown, signal: AbortSignal): Promise<void> {
    if (isDiskFull(error)) this.#onDiskFull?.()
    const { failures } = this.#state
    if (failures === 0) this.#state = { state: 'retrying', since: new Date(), failures: 1 }
    else this.#state = { ...this.#state, failures: failures + 1 }
    const delayMs = Math.min(MIN_RETRY_DELAY_MS * 2 ** failures, MAX_RETRY_DELAY_MS) * (0.5 + Math.random() / 2)
    const { message, code } = error as { message?: string; code?: string }
    this.#log.warn(
      { code, reason: message, failures: failures + 1 },
      'a commit has failed; the same changes are tried again',
    )
    await this.#connection.drop()
    await delay(delayMs, undefined, { signal })
  }

  #recovered(): void {
    if (this.#state.state === 'ready') return
    this.#log.info({ failures: this.#state.failures }, 'commits succeed again')
    this.#state = { state: 'ready', since: new Date(), failures: 0 }
  }
}

function outcomes<Session extends Owner>(
  changes: readonly SealedChanges<Session>[],
  result: FlushResult,
): Settled<Session>[] {
  const received = new Map(result.received?.map(([id, contactId]) => [id, { id, contactId }]))
  const resolved = new Map(
    result.resolved?.map(([sessionId, hash, id, contactId]) => [`${sessionId}/${hash}`, { id, contactId }]),
  )
  if (resolved.size > 0) {
    for (const { session, messages } of changes) {
      for (const { message } of messages) {
        const hash = message.ciphertextHash && Buffer.from(message.ciphertextHash).toString('hex')
        const row = resolved.get(`${session.sessionId}/${hash}`)
        if (row !== undefined) received.set(message.id, row)
      }
    }
  }
  const moved = Map.groupBy(result.moved ?? [], ([sessionId]) => sessionId)
  return changes.map((part, index) => {
    if (!result.accepted[index]) return { changes: part, outcome: { kind: 'lease_lost' } }
    const receipts = (moved.get(part.session.sessionId) ?? []).map(([, messageId, contactId, whatsappId, status]) => ({
      messageId,
      contactId,
      whatsappId,
      status,
    }))
    return { changes: part, outcome: { kind: 'committed', received, moved: receipts } }
  })
}
