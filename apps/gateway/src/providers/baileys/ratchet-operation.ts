import type { SignalDataSet, SignalDataTypeMap } from 'baileys'
import type { KeyKind } from '#src/model/session-store.ts'
import { type KeyValue, keyValueOf, type SignalKeyKind } from './key-value.ts'

export interface KeyId {
  kind: KeyKind
  id: string
}

export const keyIdOf = (kind: KeyKind, id: string): string => `${kind}\0${id}`

/** A record whose names are ever new ones: the engine is not to learn a shape from each. */
export const valuesByName = <Value>(): Record<string, Value> => Object.create(null) as Record<string, Value>

/** What libsignal may do with keys while an operation runs. */
export type OperationKeys = Pick<RatchetOperation, 'read' | 'stage'>

interface StagedKey extends KeyId {
  value: KeyValue | null
}

/** One ratchet operation: what it wrote so far, what was fetched for it, and what it found missing. */
export class RatchetOperation {
  /** Keys that were asked for and are not in memory. When there are any, the operation's outcome means nothing. */
  missing: KeyId[] = []
  readonly #inMemory: (key: string) => KeyValue | null | undefined
  /** Stays for the whole operation: the cache might forget it in between. */
  readonly #fetched = new Map<string, KeyValue | null>()
  #staged = new Map<string, StagedKey>()

  constructor(inMemory: (key: string) => KeyValue | null | undefined) {
    this.#inMemory = inMemory
  }

  /** Which of these are not at hand. */
  lacks(keys: readonly KeyId[]): KeyId[] {
    return keys.filter(({ kind, id }) => this.#find(keyIdOf(kind, id)) === undefined)
  }

  provide({ kind, id }: KeyId, value: KeyValue | null): void {
    this.#fetched.set(keyIdOf(kind, id), value)
  }

  read<Kind extends SignalKeyKind>(kind: Kind, ids: readonly string[]): Record<string, SignalDataTypeMap[Kind]> {
    const found = valuesByName<SignalDataTypeMap[Kind]>()
    for (const id of ids) {
      const value = this.#find(keyIdOf(kind, id))
      if (value === undefined) this.missing.push({ kind, id })
      else if (value) found[id] = value.decode() as SignalDataTypeMap[Kind]
    }
    if (this.missing.length > 0) throw new Error('A key has to be fetched first.')
    return found
  }

  stage(data: SignalDataSet): void {
    for (const [kindName, values] of Object.entries(data)) {
      const kind = kindName as SignalKeyKind
      for (const [id, value] of Object.entries(values)) {
        const staged = value === null || value === undefined ? null : keyValueOf(kind, value)
        this.#staged.set(keyIdOf(kind, id), { kind, id, value: staged })
      }
    }
  }

  written(): StagedKey[] {
    return [...this.#staged.values()]
  }

  /** Forgets what it did; what was fetched for it stays. */
  restart(): void {
    this.missing = []
    this.#staged = new Map()
  }

  #find(key: string): KeyValue | null | undefined {
    const staged = this.#staged.get(key)
    if (staged) return staged.value
    // What is in memory is never older than what was fetched.
    const known = this.#inMemory(key)
    return known === undefined ? this.#fetched.get(key) : known
  }
}
