import type { SignalDataSet, SignalDataTypeMap, SignalKeyStore, SignalKeyStoreWithTransaction } from 'baileys'
import type { KeyChange, KeyKind, SessionChange, SessionStore } from '#src/model/session-store.ts'
import { breathe } from './breathe.ts'
import { type KeyValue, keyValueFrom, keyValueOf, type SignalKeyKind } from './key-value.ts'
import { type KeyId, keyIdOf, type OperationKeys, RatchetOperation, valuesByName } from './ratchet-operation.ts'
import { SerialLock } from './serial-lock.ts'

/** Entries of one session kept in memory beyond those that wait for their commit. */
const MAX_CACHED = 256

const CLOSED = 'The connection is closed: nothing more is done with its keys.'

interface Entry {
  kind: KeyKind
  /** Null: known not to exist. */
  value: KeyValue | null
  /** The change that wrote it; 0 for what was read. An entry may be forgotten once its change is committed. */
  sequence: number
}

/**
 * The Signal keys of one connection: what is published and perhaps not yet committed lies over a small cache over the
 * session's store. One lock covers every ratchet operation, because Baileys locks sends and receipts under different
 * names while libsignal stores one session for both.
 */
export class RatchetStore {
  readonly #store: SessionStore
  readonly #onFailure: (error: unknown) => void
  readonly #lock = new SerialLock()
  readonly #entries = new Map<string, Entry>()
  #operation: RatchetOperation | undefined
  #isClosed = false
  #isTrimming = false
  #wasUsed = false

  /** `onFailure` hears of each failure of the store: the session cannot go on and must fall silent. */
  constructor(store: SessionStore, onFailure: (error: unknown) => void) {
    this.#store = store
    this.#onFailure = onFailure
  }

  /** The key store that Baileys sees. Writes are published at once; those of sessions wait for the lock. */
  readonly keys: SignalKeyStore = {
    get: (kind, ids) => this.#read(kind, ids),
    set: async (data) => {
      if (data.session === undefined) this.#publishKeys(data)
      else await this.#lock.run(async () => this.#publishKeys(data))
    },
  }

  /** The key store that libsignal sees: only inside of `operation`, only from memory, and nothing is published. */
  readonly operationKeys: SignalKeyStoreWithTransaction = {
    get: async (kind, ids) => this.#ongoing().read(kind, ids),
    set: async (data) => this.#ongoing().stage(data),
    transaction: (work) => work(),
    isInTransaction: () => false,
  }

  /**
   * Runs one ratchet operation under the session's lock and publishes what it wrote, together with what `changeOf`
   * makes of its result, as one change. Nothing is published when it throws.
   *
   * It runs on memory alone: libsignal serialises by contact across all sessions of the process, so that waiting for
   * the database inside of it would delay the same contact's message to another company. When a key was missing, its
   * result is dropped, the key is fetched and the operation runs again; `expected` names keys to fetch beforehand.
   */
  operation<Result>(
    run: () => Promise<Result>,
    expected: readonly KeyId[] = [],
    changeOf?: (result: Result) => SessionChange | Promise<SessionChange>,
  ): Promise<Result> {
    return this.#lock.run(async () => {
      const pause = breathe()
      if (pause) await pause
      if (this.#isClosed) throw new Error(CLOSED)
      this.#wasUsed = true
      const operation = new RatchetOperation((key) => this.#recall(key)?.value)
      const missing = operation.lacks(expected)
      if (missing.length > 0) await this.#fetch(operation, missing)

      const result = await this.#settle(operation, run)
      const change = changeOf?.(result)
      this.#publish(operation.written(), change instanceof Promise ? await change : (change ?? {}))
      return result
    })
  }

  /** Publishes what belongs to no ratchet operation. */
  publish(change: SessionChange): void {
    this.#publish([], change)
  }

  /** Publishes a value that Baileys keeps outside of its key store; it is encoded at the commit. */
  publishLazily(kind: KeyKind, id: string, encode: () => Uint8Array): void {
    this.#publish([], { keys: [{ kind, id, encode }] })
  }

  /** From now on nothing is published: what the ended connection still does is as if it had not happened. */
  close(): void {
    this.#isClosed = true
    this.#entries.clear()
  }

  /** Forgets what is committed, unless the session was used since the last call. */
  forgetUnlessUsed(): void {
    if (!this.#wasUsed) this.#forget(0)
    this.#wasUsed = false
  }

  async #settle<Result>(operation: RatchetOperation, run: () => Promise<Result>): Promise<Result> {
    for (;;) {
      this.#operation = operation
      try {
        const result = await run()
        if (operation.missing.length === 0) return result
      } catch (error) {
        // libsignal takes a missing key for an absent one and may fail for it, or go on: neither counts.
        if (operation.missing.length === 0) throw error
      } finally {
        this.#operation = undefined
      }
      const { missing } = operation
      operation.restart()
      await this.#fetch(operation, missing)
    }
  }

  async #fetch(operation: RatchetOperation, wanted: readonly KeyId[]): Promise<void> {
    const kinds = [...new Set(wanted.map(({ kind }) => kind))]
    await Promise.all(
      kinds.map(async (kind) => {
        const ids = wanted.filter((key) => key.kind === kind).map(({ id }) => id)
        const values = await this.#load(kind, ids)
        for (const id of ids) operation.provide({ kind, id }, values.get(id) ?? null)
      }),
    )
  }

  async #read<Kind extends SignalKeyKind>(
    kind: Kind,
    ids: readonly string[],
  ): Promise<Record<string, SignalDataTypeMap[Kind]>> {
    const found = valuesByName<SignalDataTypeMap[Kind]>()
    const absent: string[] = []
    for (const id of ids) {
      const value = this.#recall(keyIdOf(kind, id))?.value
      if (value) found[id] = value.decode() as SignalDataTypeMap[Kind]
      else if (value === undefined) absent.push(id)
    }
    if (absent.length === 0) return found
    for (const [id, value] of await this.#load(kind, absent)) {
      if (value) found[id] = value.decode() as SignalDataTypeMap[Kind]
    }
    return found
  }

  async #load(kind: KeyKind, ids: readonly string[]): Promise<Map<string, KeyValue | null>> {
    const stored = await this.#store.readKeys(kind, ids).catch((error: unknown) => {
      this.#onFailure(error)
      throw error
    })
    const values = new Map<string, KeyValue | null>()
    for (const id of ids) {
      const key = keyIdOf(kind, id)
      const bytes = stored.get(id)
      // A write may have overtaken the read.
      const newer = this.#entries.get(key)
      const value = newer ? newer.value : bytes === undefined ? null : keyValueFrom(kind, bytes)
      if (!newer && kind !== 'pre-key') this.#remember(key, { kind, value, sequence: 0 })
      values.set(id, value)
    }
    return values
  }

  #publishKeys(data: SignalDataSet): void {
    const written: WrittenKey[] = []
    for (const [kind, values] of Object.entries(data)) {
      for (const [id, value] of Object.entries(values)) {
        const key = kind as SignalKeyKind
        written.push({ kind: key, id, value: value === null || value === undefined ? null : keyValueOf(key, value) })
      }
    }
    this.#publish(written, {})
  }

  #publish(written: readonly WrittenKey[], change: SessionChange): void {
    if (this.#isClosed) throw new Error(CLOSED)
    const keys: KeyChange[] = written.map(({ kind, id, value }) => ({
      kind,
      id,
      encode: value && (() => value.encode()),
    }))
    const all = keys.length > 0 ? { ...change, keys: [...keys, ...(change.keys ?? [])] } : change
    if (Object.keys(all).length === 0) return
    const sequence = this.#store.publish(all)
    // What was remembered of these, that there are none perhaps, is no longer so.
    for (const { kind, id } of change.keys ?? []) this.#entries.delete(keyIdOf(kind, id))
    for (const { kind, id, value } of written) this.#remember(keyIdOf(kind, id), { kind, value, sequence })
  }

  /** What is remembered of a key. It moves to the last place, as what was used most recently. */
  #recall(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  #remember(key: string, entry: Entry): void {
    // Into the last place: the first ones are the first to be forgotten.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > MAX_CACHED && !this.#isTrimming) void this.#trimAfterCommit()
  }

  /** Once for many entries, and only when there is something that may be forgotten. */
  async #trimAfterCommit(): Promise<void> {
    this.#isTrimming = true
    try {
      await this.#store.committed(this.#store.published)
      this.#forget(MAX_CACHED)
    } catch (error) {
      this.#onFailure(error)
    } finally {
      this.#isTrimming = false
    }
  }

  #forget(keep: number): void {
    for (const [key, { kind, sequence }] of this.#entries) {
      const isSurplus = this.#entries.size > keep || kind === 'pre-key'
      if (isSurplus && this.#store.isCommitted(sequence)) this.#entries.delete(key)
    }
  }

  #ongoing(): OperationKeys {
    if (!this.#operation) throw new Error('A ratchet was touched outside of an operation.')
    return this.#operation
  }
}

interface WrittenKey extends KeyId {
  value: KeyValue | null
}
