import { createHash } from 'node:crypto'

/** One that has come so often will come again. */
const USES_BEFORE = 5
/** Shorter ones are planned as fast as they are looked up. */
const MIN_LENGTH = 100
/** Texts that are remembered; each prepared one takes memory in each of the server's processes. */
const MAX_TEXTS = 300

/**
 * Names under which statements that come again and again are prepared: planning one of many parts takes the server longer
 * than running it. Not for a pooler, where a prepared statement is another client's next, and not for several roles, for
 * which one text has several plans.
 */
export class StatementNames {
  readonly #known = new Map<string, { uses: number; name?: string }>()

  /** To be asked with each use. Undefined until the statement has come often enough. */
  of(text: string): string | undefined {
    if (text.length < MIN_LENGTH) return undefined
    const statement = this.#known.get(text) ?? { uses: 0 }
    if (statement.uses === 0) {
      if (this.#known.size === MAX_TEXTS) return undefined
      this.#known.set(text, statement)
    }
    statement.uses += 1
    if (statement.uses > USES_BEFORE) statement.name ??= createHash('sha1').update(text).digest('base64')
    return statement.name
  }
}
