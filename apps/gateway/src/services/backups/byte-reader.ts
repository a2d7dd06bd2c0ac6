import { FrontdeskError } from '#src/model/errors.ts'

/** Takes so many bytes after the other out of a stream, and holds no more of it than that. */
export class ByteReader implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Uint8Array>
  #rest = Buffer.alloc(0)

  constructor(file: AsyncIterable<Uint8Array>) {
    this.#pieces = file[Symbol.asyncIterator]()
  }

  /** @throws FrontdeskError `backup_truncated` */
  async take(bytes: number): Promise<Buffer> {
    const pieces = [this.#rest]
    for (let available = this.#rest.byteLength; available < bytes; ) {
      const next = await this.#pieces.next()
      if (next.done === true) throw new FrontdeskError('backup_truncated')
      pieces.push(Buffer.from(next.value))
      available += next.value.byteLength
    }
    const all = Buffer.concat(pieces)
    this.#rest = all.subarray(bytes)
    return all.subarray(0, bytes)
  }

  async isAtEnd(): Promise<boolean> {
    if (this.#rest.byteLength > 0) return false
    return (await this.#pieces.next()).done === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return?.()
  }
}
