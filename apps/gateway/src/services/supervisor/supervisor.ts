import type { ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import { ERRORS, type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import { endLife, type NodeLife } from '#src/storage/nodes.ts'
import type { FromHost, ToHost } from './host-messages.ts'

const RESTART = { firstMs: 250, maxMs: 30_000 }
/** A host that ran for so long was well: the next trouble starts with a short delay again. */
const STABLE_MS = 60_000
/** A host that does not end by itself in this time is killed. */
const END_LIMIT_MS = 15_000

export interface SupervisorOptions<Start> {
  database: Database
  log: Logger
  /** How many session hosts there are to be. */
  count: number
  /** What each of them is started with. */
  start: Start
  /** Starts a process that will hear `ToHost` and say `FromHost`. */
  spawn: () => ChildProcess
}

interface Host {
  process: ChildProcess | undefined
  life: NodeLife | undefined
}

/**
 * Keeps session hosts running, each a process of its own. One that dies loses its sessions at once to the others, and is
 * started again.
 */
export class Supervisor<Start> implements AsyncDisposable {
  readonly #options: SupervisorOptions<Start>
  readonly #hosts: Host[]
  readonly #ending = new AbortController()
  readonly #watching: Promise<void>[]
  /** Once all hosts have been there, one that comes later need not wait for others. */
  #hasStarted = false

  private constructor(options: SupervisorOptions<Start>) {
    this.#options = options
    this.#hosts = Array.from({ length: options.count }, () => ({ process: undefined, life: undefined }))
    this.#watching = []
  }

  /**
   * Starts all hosts. Resolves when each is there; only then they begin to claim, so that each gets its share.
   * @throws FrontdeskError why a host could not start; then none is left running
   */
  static async start<Start>(options: SupervisorOptions<Start>): Promise<Supervisor<Start>> {
    const supervisor = new Supervisor(options)
    try {
      await supervisor.#startAll()
    } catch (error) {
      await supervisor[Symbol.asyncDispose]()
      throw error
    }
    return supervisor
  }

  /** Whether all hosts are there now. */
  get isComplete(): boolean {
    return this.#hosts.every(({ life }) => life !== undefined)
  }

  /** Ends all hosts cleanly. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    this.#tellAll({ kind: 'end' })
    const killer = setTimeout(() => {
      for (const { process } of this.#hosts) process?.kill('SIGKILL')
    }, END_LIMIT_MS)
    await Promise.all(this.#watching)
    clearTimeout(killer)
  }

  async #startAll(): Promise<void> {
    const starts = this.#hosts.map((host) => {
      const began = Promise.withResolvers<void>()
      this.#watching.push(this.#keepRunning(host, began))
      return began.promise
    })
    await Promise.all(starts)
    this.#hasStarted = true
    this.#tellAll({ kind: 'claim' })
  }

  /** `began` settles when the host owns sessions for the first time, or cannot. */
  async #keepRunning(host: Host, began: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#ending
    for (let failures = 0; !signal.aborted; ) {
      const startedAtMs = performance.now()
      const failure = await this.#runOnce(host, () => began.resolve()).catch(notStarted)
      if (!this.#hasStarted) began.reject(failure)
      if (signal.aborted) return
      failures = performance.now() - startedAtMs > STABLE_MS ? 1 : failures + 1
      const delayMs = backoffMs(failures, RESTART)
      this.#options.log.error({ err: failure, delayMs }, 'A session host has ended and is started again.')
      await pause(delayMs, signal)
    }
  }

  /** One process, from its start to its end. Resolves with why it ended. */
  async #runOnce(host: Host, began: () => void): Promise<FrontdeskError> {
    const { spawn, start } = this.#options
    const child = spawn()
    host.process = child
    let failure: FrontdeskError | undefined
    child.on('message', (message: FromHost) => {
      if (message.kind === 'failed') {
        failure = failureOf(message)
        return
      }
      host.life = message.life
      began()
      if (this.#hasStarted) tell(child, { kind: 'claim' })
    })
    const ended = new Promise<string>((resolve, reject) => {
      child.on('exit', (code, signal) => resolve(`It ended with ${signal ?? `exit code ${code}`}.`))
      // A process that never came to be does not exit.
      child.on('error', (error) => child.pid === undefined && reject(error))
    })
    tell(child, { kind: 'start', start })
    const how = await ended.finally(() => {
      host.process = undefined
    })
    await this.#expire(host)
    return failure ?? new FrontdeskError('session_host_ended', how)
  }

  /** The sessions of a host that is gone are free now, and not only when it has not been seen for a while. */
  async #expire(host: Host): Promise<void> {
    const { life } = host
    host.life = undefined
    if (life === undefined) return
    const { database, log } = this.#options
    await endLife(database.worker, life).catch((err: unknown) =>
      log.warn({ err }, 'The sessions of a session host that has ended become free a little later.'),
    )
    this.#tellAll({ kind: 'look' })
  }

  #tellAll(message: ToHost<Start>): void {
    for (const { process } of this.#hosts) if (process !== undefined) tell(process, message)
  }
}

function tell<Start>(child: ChildProcess, message: ToHost<Start>): void {
  // One that has just ended is noticed by its exit.
  if (child.connected) child.send(message as object, () => undefined)
}

/** The system may have no room for a process just now. */
const notStarted = (cause: unknown): FrontdeskError =>
  new FrontdeskError('session_host_ended', 'It could not be started.', { cause })

function failureOf({ code, detail }: { code: string; detail: string | undefined }): FrontdeskError {
  return new FrontdeskError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'session_host_ended', detail)
}
