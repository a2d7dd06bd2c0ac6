import { keyNumberOf, type Sealer, type SealingKey } from '#src/model/sealing.ts'
import { UnreadableError } from '#src/model/unreadable-error.ts'

/** Seals with a company's current data key, and opens what any of its data keys has sealed. */
export class CompanySealer implements Sealer {
  readonly #load: () => Promise<readonly SealingKey[]>
  #keys: readonly SealingKey[]
  #loading: Promise<void> | undefined

  /** `load` reads all keys anew, the current one last. */
  constructor(keys: readonly SealingKey[], load: () => Promise<readonly SealingKey[]>) {
    this.#keys = keys
    this.#load = load
  }

  seal(plaintext: Uint8Array, context: string): Uint8Array {
    const current = this.#keys.at(-1)
    if (current === undefined) throw new Error('the company has no data key')
    return current.seal(plaintext, context)
  }

  async open(sealed: Uint8Array, context: string): Promise<Uint8Array> {
    const number = keyNumberOf(sealed)
    // Another process may have rotated the key a moment ago; a first look can have begun before.
    for (let looks = 0; looks < 2 && !this.#keyOf(number); looks++) await this.reload()
    const key = this.#keyOf(number)
    if (key === undefined) throw new UnreadableError(`the company has no data key of number ${number}`)
    return key.open(sealed, context)
  }

  reload(): Promise<void> {
    this.#loading ??= this.#load()
      .then((keys) => {
        this.#keys = keys
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }

  #keyOf(number: number): SealingKey | undefined {
    return this.#keys.find((key) => key.number === number)
  }
}
