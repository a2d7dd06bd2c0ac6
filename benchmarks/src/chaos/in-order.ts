/** The first two of `expected` that stand in `actual` the other way round; what is in one only does not count. */
export function firstOutOfOrder(expected: readonly string[], actual: readonly string[]): string | undefined {
  const places = new Map(expected.map((each, place) => [each, place]))
  let last = -1
  for (const each of actual) {
    const place = places.get(each)
    if (place === undefined) continue
    if (place < last) return `${each} after ${expected[last] ?? ''}`
    last = place
  }
  return undefined
}
