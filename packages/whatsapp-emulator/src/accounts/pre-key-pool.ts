import type { PreKey } from '../signal/key-bundle.ts'
import { unsignedBytes } from '../wire/nodes.ts'

const ID_BYTES = 3
const KEY_BYTES = 32
const ENTRY_BYTES = ID_BYTES + KEY_BYTES

/** A companion's uploaded one-time pre-keys, first in first out, in one piece of memory: there are 812 of them. */
export class PreKeyPool {
  #bytes: Buffer = Buffer.alloc(0)

  get size(): number {
    return this.#bytes.length / ENTRY_BYTES
  }

  add(keys: PreKey[]): void {
    this.#bytes = Buffer.concat([this.#bytes, ...keys.flatMap(({ id, key }) => [unsignedBytes(id, ID_BYTES), key])])
  }

  take(): PreKey | undefined {
    if (!this.#bytes.length) return undefined
    const id = this.#bytes.readUIntBE(0, ID_BYTES)
    const key = Buffer.from(this.#bytes.subarray(ID_BYTES, ENTRY_BYTES))
    this.#bytes = this.#bytes.subarray(ENTRY_BYTES)
    return { id, key }
  }
}
