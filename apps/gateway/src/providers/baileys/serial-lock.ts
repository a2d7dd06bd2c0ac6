/** Runs what it is given one after the other, in the order in which it came. */
export class SerialLock {
  #tail: Promise<unknown> = Promise.resolve()

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work)
    // A failure is its caller's; the next one runs all the same.
    this.#tail = result.catch(() => undefined)
    return result
  }
}
