import type { Logger } from 'pino'
import type { KeyRing } from '#src/storage/key-ring.ts'

/** How often each process looks for keys that were rotated elsewhere, milliseconds. */
export const KEY_REFRESH_MS = 1_000

/** Has the process seal with the new keys soon after a rotation, until it is disposed of. */
export function startKeyRefresh(keyRing: Pick<KeyRing, 'refresh'>, log: Logger): AsyncDisposable {
  let refreshing: Promise<void> | undefined
  const refresh = async () => {
    try {
      await keyRing.refresh()
    } catch (err) {
      log.warn({ err }, 'Rotated keys could not be looked for; trying again.')
    }
    refreshing = undefined
  }
  const timer = setInterval(() => {
    // While the database is slow or away one look is enough.
    refreshing ??= refresh()
  }, KEY_REFRESH_MS)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await refreshing
    },
  }
}
