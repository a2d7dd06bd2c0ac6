/** Takes unhandled rejections away from the test runner, which would take them for a failure, until disposed of. */
export function collectUnhandledRejections(): Disposable & { reasons: unknown[] } {
  const reasons: unknown[] = []
  const listeners = process.listeners('unhandledRejection')
  const collect = (reason: unknown) => reasons.push(reason)
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', collect)
  return {
    reasons,
    [Symbol.dispose]() {
      process.off('unhandledRejection', collect)
      for (const listener of listeners) process.on('unhandledRejection', listener)
    },
  }
}
