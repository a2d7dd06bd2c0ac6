import type { EventEmitter } from 'node:events'

type Listener = (...parts: unknown[]) => unknown

/**
 * Catches what Baileys' listeners on a socket throw or reject. Nobody handles their promises: a frame that cannot be
 * decrypted, or a stanza that arrives while the connection is closing, would end the process and every session in it.
 */
export function guardListeners(emitter: EventEmitter, onError: (error: unknown) => void): void {
  for (const event of emitter.eventNames()) {
    const listeners = emitter.listeners(event) as Listener[]
    emitter.removeAllListeners(event)
    for (const listener of listeners) emitter.on(event, guarded(listener, onError))
  }
}

function guarded(listener: Listener, onError: (error: unknown) => void): Listener {
  return (...parts) => {
    try {
      const outcome = listener(...parts)
      if (outcome instanceof Promise) outcome.catch(onError)
    } catch (error) {
      onError(error)
    }
  }
}
