/** Removes the entry that went in first. */
export function dropOldest<K>(collection: Map<K, unknown> | Set<K>): void {
  const oldest = collection.keys().next()
  if (!oldest.done) collection.delete(oldest.value)
}
