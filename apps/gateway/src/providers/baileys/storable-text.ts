import { createHash } from 'node:crypto'

/** Far above every id that a client gives; the database's index has a limit of its own. */
const MAX_ID_LENGTH = 128

/**
 * Text of a stanza as Postgres takes it, which stores neither NUL nor half of a surrogate pair. Senders choose names, ids
 * and texts freely: without this, one of them could stop the session's commits.
 */
export const storableText = (text: string): string => text.replaceAll('\u0000', '\uFFFD').toWellFormed()

export function storableId(id: string): string {
  if (id.length <= MAX_ID_LENGTH) return storableText(id)
  return createHash('sha256').update(id).digest('hex')
}

export const storableAttributes = (attributes: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : [[storableText(name), storableText(String(value))]],
    ),
  )
