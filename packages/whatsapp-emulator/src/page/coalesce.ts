/** The least time between two runs, so that a burst of changes does not keep the browser and the emulator busy. */
const PAUSE_MS = 80

/**
 * Makes a function that runs `work` at most once at a time. Calls during a run share one more run after it, so whoever
 * awaits a call sees the effect of a run that began after the call.
 */
export function coalesce(work: () => Promise<void>): () => Promise<void> {
  let idle: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined

  function start(): Promise<void> {
    waiting = undefined
    return work()
  }
  function pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }

  return () => {
    if (waiting !== undefined) return waiting
    const run = idle.then(start)
    waiting = run
    // After a failure, too: the caller hears of it through `run`.
    idle = run.then(pause, pause)
    return run
  }
}
