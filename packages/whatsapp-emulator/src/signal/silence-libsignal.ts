import { getCallSites } from 'node:util'

const LIBSIGNAL_SOURCE = /[\\/]node_modules[\\/]libsignal[\\/]/
const PRINTING = ['log', 'info', 'warn', 'error'] as const

/**
 * libsignal prints whole sessions, private keys included, whenever it opens or closes one. This drops what libsignal's
 * own files print and lets everything else through unchanged.
 */
export function silenceLibsignal(): void {
  for (const method of PRINTING) {
    const print = console[method]
    if (SILENCED.has(print)) continue
    const silenced = (...values: unknown[]): void => {
      const caller = getCallSites(2)[1]
      if (!caller || !LIBSIGNAL_SOURCE.test(caller.scriptName)) print.apply(console, values)
    }
    SILENCED.add(silenced)
    console[method] = silenced
  }
}

/** The wrappers themselves, so that a second call does not wrap them again. */
const SILENCED = new WeakSet<object>()
