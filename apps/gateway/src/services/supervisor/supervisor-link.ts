import { FrontdeskError } from '#src/model/errors.ts'
import type { NodeLife } from '#src/storage/nodes.ts'
import type { FromHost, ToHost } from './host-messages.ts'

interface SupervisorListener {
  /** Whatever nobody owns may be claimed. */
  claim(): void
  /** Sessions of another host have become free. */
  look(): void
}

/** The supervisor as its session host sees it. */
export interface SupervisorLink<Start> {
  /** What to start with. */
  readonly start: Start
  began(life: NodeLife): void
  /** Says why this process could not start, or go on. */
  failed(error: unknown): Promise<void>
  /** Hears the supervisor until the process is to end: because it was told so, or because the supervisor is gone. */
  listen(listener: SupervisorListener): Promise<'told' | 'abandoned'>
}

/**
 * Waits for the supervisor's word on what to start. From then on signals that a terminal sends to all its processes are
 * left to the supervisor.
 */
export async function connectToSupervisor<Start>(): Promise<SupervisorLink<Start>> {
  if (process.send === undefined) throw new Error('A session host is started by its supervisor only.')
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const started = Promise.withResolvers<Start>()
  const ended = Promise.withResolvers<'told' | 'abandoned'>()
  const earlier: ToHost<Start>[] = []
  let hear = (message: ToHost<Start>): void => void earlier.push(message)
  process.on('message', (message: ToHost<Start>) => {
    if (message.kind === 'start') started.resolve(message.start)
    else hear(message)
  })
  process.on('disconnect', () => ended.resolve('abandoned'))
  process.on('SIGTERM', () => ended.resolve('told'))
  return {
    start: await started.promise,
    began: (life) => say({ kind: 'began', life }),
    failed: (error) => {
      const { code, detail } =
        error instanceof FrontdeskError ? error : { code: 'session_host_ended', detail: String(error) }
      return new Promise((resolve) => say({ kind: 'failed', code, detail }, resolve))
    },
    listen(listener) {
      hear = (message) => {
        if (message.kind === 'end') ended.resolve('told')
        else if (message.kind !== 'start') listener[message.kind]()
      }
      for (const message of earlier.splice(0)) hear(message)
      return ended.promise
    },
  }
}

function say(message: FromHost, said: () => void = () => undefined): void {
  // A supervisor that is gone is noticed by the disconnect.
  if (process.connected) process.send?.(message, said)
  else said()
}
