import { createHash } from 'node:crypto'

/** SHA-256 of a JSON value, whatever the order of its fields: two requests are the same when they say the same. */
export const requestHash = (value: unknown): Buffer => createHash('sha256').update(canonicalJson(value)).digest()

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([left], [right]) => (left < right ? -1 : 1)))
      : item,
  )
}
