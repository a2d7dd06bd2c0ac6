import { BufferJSON, proto, type SignalDataTypeMap } from 'baileys'
import type { KeyKind } from '#src/model/session-store.ts'
import { type SessionRecord, withoutSpentChains } from './session-record.ts'

/** A value of the key store in the form in which it stays in memory. */
export interface KeyValue {
  decode(): unknown
  encode(): Uint8Array
}

export type SignalKeyKind = keyof SignalDataTypeMap

/** Takes over a value that Baileys hands in. */
export function keyValueOf(kind: KeyKind, value: unknown): KeyValue {
  // libsignal serialises a session into a fresh object of strings and reads it by copying: the object can be shared, and
  // the bytes are made at the commit, only for the last of many ratchet steps.
  // Nobody can change a string either.
  if (kind === 'session' || typeof value === 'string') {
    const kept = typeof value === 'string' ? value : withoutSpentChains(value as SessionRecord)
    return { decode: () => kept, encode: () => Buffer.from(JSON.stringify(kept)) }
  }
  // Baileys changes in place what it has read or written of the other kinds: they are kept as bytes.
  return new EncodedValue(kind, Buffer.from(JSON.stringify(value, BufferJSON.replacer)))
}

/** Takes over what the store holds. */
export function keyValueFrom(kind: KeyKind, bytes: Uint8Array): KeyValue {
  if (kind !== 'session' && kind !== 'lid-mapping') return new EncodedValue(kind, bytes)
  return keyValueOf(kind, JSON.parse(Buffer.from(bytes).toString()))
}

class EncodedValue implements KeyValue {
  readonly #kind: KeyKind
  readonly #bytes: Uint8Array

  constructor(kind: KeyKind, bytes: Uint8Array) {
    this.#kind = kind
    this.#bytes = bytes
  }

  decode(): unknown {
    const value: unknown = JSON.parse(Buffer.from(this.#bytes).toString(), BufferJSON.reviver)
    // Baileys calls protobuf methods on these.
    if (this.#kind === 'app-state-sync-key') return proto.Message.AppStateSyncKeyData.fromObject(value as object)
    return value
  }

  encode(): Uint8Array {
    return this.#bytes
  }
}
