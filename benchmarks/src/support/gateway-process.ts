import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EmulatorInfo } from 'whatsapp-emulator'
import { hasEnded, pidOf, stopProcess } from './child-process.ts'
import type { DataDirectory } from './data-directory.ts'
import { until } from './until.ts'

export interface GatewayProcess {
  readonly url: string
  readonly pid: number
  /** From the start of the process to the first 200 of /ready, milliseconds. */
  readonly startToServingMs: number
  /** How long each session took to connect, milliseconds; by the gateway's own log. */
  connectTimesMs(): number[]
  stop(): Promise<void>
}

/** `frontdesk start`, the real product, in a process of its own. It ends with `resources` at the latest. */
export async function startGatewayProcess(
  resources: AsyncDisposableStack,
  { path, masterKey, logFile }: DataDirectory,
  emulator: EmulatorInfo,
  environment: NodeJS.ProcessEnv = {},
): Promise<GatewayProcess> {
  const command = fileURLToPath(import.meta.resolve('@frontdesk/gateway/bin/frontdesk'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const log = openSync(logFile, 'a')
  const startedAt = performance.now()
  const child = spawn(command, ['start', '--port', String(port), '--data-dir', path], {
    stdio: ['ignore', log, log],
    // Only what is needed: the settings of whoever measures must not change the result.
    env: {
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      HOME: process.env['HOME'],
      NODE_OPTIONS: process.env['NODE_OPTIONS'],
      FRONTDESK_MASTER_KEY: masterKey,
      FRONTDESK_EMULATOR_URL: emulator.url,
      FRONTDESK_EMULATOR_ROOT_KEY: emulator.rootKey,
      // What is measured is how fast it can be, not how fast it is allowed to be.
      FRONTDESK_PACING_MESSAGES_PER_MINUTE: '0',
      FRONTDESK_PACING_CHAT_MESSAGES_PER_MINUTE: '0',
      FRONTDESK_PACING_NEW_CONTACTS_PER_DAY: '0',
      ...environment,
    },
  })
  closeSync(log)
  resources.defer(() => stopProcess(child))
  const isServing = () => {
    if (hasEnded(child)) throw new Error(`The gateway has ended:\n${readFileSync(logFile, 'utf8').slice(-2000)}`)
    return isReady(url)
  }
  await until('the gateway serves', isServing, { everyMs: 5 })
  return {
    url,
    pid: pidOf(child),
    startToServingMs: performance.now() - startedAt,
    connectTimesMs: () =>
      readFileSync(logFile, 'utf8')
        .split('\n')
        .filter((line) => line.includes('"connectMs"'))
        .map((line) => JSON.parse(line).connectMs),
    stop: () => stopProcess(child),
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/ready`)
    await answer.arrayBuffer()
    return answer.status === 200
  } catch {
    // Nothing listens yet.
    return false
  }
}

/** Known before the process starts, so that its start can be timed from outside. */
async function freePort(): Promise<number> {
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('The server has no port.'))
      else resolve(address.port)
    })
  })
  await new Promise((resolve) => server.close(resolve))
  return port
}
