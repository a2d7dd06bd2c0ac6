/** A query that the server answers with an error. */
export class QueryError extends Error {
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.name = 'QueryError'
    this.code = code
  }
}
