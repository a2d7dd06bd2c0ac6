import type { EventEmitter } from 'node:events'
import { SerialLock } from './serial-lock.ts'

type Listener = (...parts: unknown[]) => unknown

/**
 * Catches what Baileys' listeners on a socket throw or reject. Nobody handles their promises: a frame that cannot be
 * decrypted, or a stanza that arrives while the connection is closing, would end the process and every session in it.
 *
 * Of the event `inTurn`, a listener is through with one before it gets the next. Left to itself Baileys first looks up, or
 * stores, the addresses of a message's sender, and only then takes it in turn: the second message of a new contact, whose
 * addresses are known by then, overtakes the first.
 */
export function guardListeners(emitter: EventEmitter, inTurn: string, onError: (error: unknown) => void): void {
  for (const event of emitter.eventNames()) {
    const listeners = emitter.listeners(event) as Listener[]
    emitter.removeAllListeners(event)
    for (const listener of listeners)
      emitter.on(event, event === inTurn ? oneByOne(listener, onError) : guarded(listener, onError))
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

function oneByOne(listener: Listener, onError: (error: unknown) => void): Listener {
  const lock = new SerialLock()
  return (...parts) => {
    lock.run(async () => await listener(...parts)).catch(onError)
  }
}
