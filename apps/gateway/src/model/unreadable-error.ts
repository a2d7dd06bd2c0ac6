/** A stored secret cannot be opened or parsed: it was changed, or sealed with another key. Trying again does not help. */
export class UnreadableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UnreadableError'
  }
}
