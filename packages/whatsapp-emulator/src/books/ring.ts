/** The newest `capacity` values, oldest first. */
export class Ring<T> {
  readonly #capacity: number
  #values: T[] = []
  #start = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#values.length
  }

  /** Returns the value that had to make room, if one had to. */
  push(value: T): T | undefined {
    if (this.#values.length < this.#capacity) {
      this.#values.push(value)
      return undefined
    }
    const dropped = this.#values[this.#start]
    this.#values[this.#start] = value
    this.#start = (this.#start + 1) % this.#capacity
    return dropped
  }

  /** The value `index` places after the oldest. */
  at(index: number): T | undefined {
    return index < 0 || index >= this.size ? undefined : this.#values[(this.#start + index) % this.#capacity]
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let index = 0; index < this.size; index++) {
      const value = this.at(index)
      if (value !== undefined) yield value
    }
  }
}
