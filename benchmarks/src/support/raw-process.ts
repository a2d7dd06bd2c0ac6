import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pidOf, stopProcess } from './child-process.ts'
import type { RawCommand, RawCommands } from './raw-commands.ts'

export interface RawProcess {
  readonly pid: number
  call<Name extends RawCommand>(
    name: Name,
    argument: Parameters<RawCommands[Name]>[0],
  ): Promise<Awaited<ReturnType<RawCommands[Name]>>>
  stop(): Promise<void>
}

interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** Raw Baileys in a process of its own, under the same flag as `frontdesk`; it ends with `resources` at the latest. */
export async function startRawProcess(resources: AsyncDisposableStack): Promise<RawProcess> {
  const child = fork(fileURLToPath(new URL('../raw-baileys.process.ts', import.meta.url)), {
    execArgv: ['--max-semi-space-size=2'],
    serialization: 'advanced',
  })
  resources.defer(() => stopProcess(child))
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  await once(child, 'message')
  child.on('message', ({ id, result, error }: Answer) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error))
  })
  child.on('exit', (code, signal) => {
    for (const call of waiting.values()) call.reject(new Error(`Raw Baileys ended (${signal ?? code}).`))
    waiting.clear()
  })

  let calls = 0
  return {
    pid: pidOf(child),
    async call<Name extends RawCommand>(name: Name, argument: Parameters<RawCommands[Name]>[0]) {
      const id = ++calls
      const call = Promise.withResolvers<unknown>()
      waiting.set(id, call)
      child.send({ id, name, argument })
      return (await call.promise) as Awaited<ReturnType<RawCommands[Name]>>
    },
    stop: () => stopProcess(child),
  }
}
