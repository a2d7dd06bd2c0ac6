import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'
import { sessionContext } from '#src/services/sessions/session-context.ts'

/**
 * Loaded before the gateway (`node --import`): as long as the file `POISONED_SESSION` names a session, each connection of
 * that one throws, as soon as it is open, what nobody catches.
 */
const file = process.env['POISONED_SESSION'] ?? ''
const emit = Reflect.get(WebSocket.prototype, 'emit') as (...parts: unknown[]) => unknown

function poisonedEmit(this: WebSocket, ...parts: unknown[]): unknown {
  if (parts[0] === 'open' && sessionContext.getStore() === readFileSync(file, 'utf8')) {
    setTimeout(() => {
      throw new Error('The test has poisoned this session.')
    })
  }
  return Reflect.apply(emit, this, parts)
}
Object.assign(WebSocket.prototype, { emit: poisonedEmit })
