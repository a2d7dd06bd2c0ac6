import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pidOf, stopProcess } from './child-process.ts'
import type { RawCommands } from './raw-commands.ts'

export interface RawProcess extends RawCommands {
  readonly pid: number
  stop(): Promise<void>
}

interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** Raw Baileys in a process of its own, under the same flags as `frontdesk`; it ends with `resources` at the latest. */
export async function startRawProcess(resources: AsyncDisposableStack): Promise<RawProcess> {
  const child = fork(fileURLToPath(new URL('../raw-baileys.process.ts', import.meta.url)), {
    execArgv: ['--max-semi-space-size=8', '--stack-trace-limit=0'],
    serialization: 'advanced',
  })
  resources.defer(() => stopProcess(child))
  await once(child, 'message')

  const calls = new Map<number, PromiseWithResolvers<unknown>>()
  child.on('message', ({ id, result, error }: Answer) => {
    const call = calls.get(id)
    calls.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error))
  })
  child.on('exit', (code, signal) => {
    for (const call of calls.values()) call.reject(new Error(`Raw Baileys ended (${signal ?? code}).`))
    calls.clear()
  })

  let lastId = 0
  const call = <Result>(name: keyof RawCommands, options: unknown): Promise<Result> => {
    const answer = Promise.withResolvers<unknown>()
    calls.set(++lastId, answer)
    child.send({ id: lastId, name, options })
    return answer.promise as Promise<Result>
  }
  return {
    pid: pidOf(child),
    connect: (options) => call('connect', options),
    send: (options) => call('send', options),
    stop: () => stopProcess(child),
  }
}
