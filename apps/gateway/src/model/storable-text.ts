/** JSON writes both as escapes. An escaped backslash before them gives a false alarm, which costs time only. */
const UNSTORABLE_IN_JSON = /\\u0000|\\ud[89a-f]/i
const REPLACEMENT = '\u{fffd}'

/**
 * The text with U+FFFD for what Postgres cannot store and WhatsApp's users can send: NUL, and halves of surrogate pairs.
 * What a stranger wrote must never make a commit fail.
 */
export const storableText = (text: string): string =>
  text.isWellFormed() && !text.includes('\0') ? text : text.toWellFormed().replaceAll('\0', REPLACEMENT)

/** The value as JSON whose texts, and names, are storable. */
export function storableJson(value: object): string {
  const json = JSON.stringify(value)
  return UNSTORABLE_IN_JSON.test(json) ? JSON.stringify(storable(value)) : json
}

function storable(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value)
  if (Array.isArray(value)) return value.map(storable)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(JSON.parse(JSON.stringify(value)) as object).map(([name, field]) => [
        storableText(name),
        storable(field),
      ]),
    )
  return value
}
