import { Pool } from 'undici'
import { linkCompanions } from './companions.ts'
import { createDataDirectory } from './data-directory.ts'
import type { EmulatorProcess } from './emulator-process.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { type SeededSession, seedSessions, seedUnlinkedSessions } from './seed.ts'
import type { Side } from './side.ts'
import { countMessages } from './stored-results.ts'
import { until } from './until.ts'

export interface FrontdeskSide extends Side {
  /** A request of the company that the number belongs to. Rejects unless it succeeds. */
  call(phone: string, method: 'POST' | 'PATCH', path: string, body: unknown): Promise<unknown>
  /** Takes all sessions offline, as an operator would; messages are accepted nevertheless. */
  stopSessions(): Promise<void>
  /** Asks for all sessions to come online again. */
  startSessions(): Promise<void>
  /** Asks for a code for all sessions that are not linked. */
  startUnlinked(): Promise<void>
  /** Stops the gateway and counts the messages in its database. */
  countStored(direction: 'inbound' | 'outbound'): Promise<number>
}

const REQUESTS_AT_ONCE = 32

export interface FrontdeskSideOptions {
  /** Further sessions that are not linked to any number. */
  unlinked?: number
  environment?: NodeJS.ProcessEnv
}

/** The gateway with `count` sessions online, each of a company of its own, of the numbers from `firstPhone` upwards. */
export async function openFrontdeskSide(
  resources: AsyncDisposableStack,
  { control, info }: EmulatorProcess,
  firstPhone: number,
  count: number,
  { unlinked = 0, environment = {} }: FrontdeskSideOptions = {},
): Promise<FrontdeskSide> {
  const directory = await createDataDirectory(resources)
  const companions = await linkCompanions(control, firstPhone, count)
  const sessions = await seedSessions(directory, companions)
  const unlinkedSessions = await seedUnlinkedSessions(directory, unlinked)
  const gateway = await startGatewayProcess(resources, directory, info, environment)
  const api = new Pool(gateway.url, { connections: REQUESTS_AT_ONCE })
  resources.defer(() => api.destroy())
  async function call(
    path: string,
    apiKey: string,
    body?: unknown,
    method: 'GET' | 'POST' | 'PATCH' = body === undefined ? 'GET' : 'POST',
  ): Promise<unknown> {
    const answer = await api.request({
      method,
      path,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const { statusCode } = answer
    if (statusCode >= 300) throw new Error(`The gateway answered ${statusCode}: ${await answer.body.text()}`)
    return answer.body.json()
  }

  const sessionOf = (phone: string) => sessions.get(phone) ?? raise(`There is no session of ${phone}.`)

  const each = async (all: Iterable<SeededSession>, action: 'start' | 'pause') => {
    const waiting = [...all].values()
    const lane = async () => {
      for (const { id, apiKey } of waiting) await call(`/v1/sessions/${id}/${action}`, apiKey, {})
    }
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, lane))
  }
  const untilState = async (state: string) => {
    for (const { id, apiKey } of sessions.values()) {
      await until(`session ${id} is ${state}`, async () => {
        const session = (await call(`/v1/sessions/${id}`, apiKey)) as { state: string }
        return session.state === state
      })
    }
  }
  await untilState('online')

  return {
    name: 'Frontdesk',
    pid: gateway.pid,
    phones: companions.map(({ phone }) => phone),
    call: (phone, method, path, body) => call(path, sessionOf(phone).apiKey, body, method),
    async send(messages) {
      const waiting = messages.values()
      const lane = async () => {
        for (const { from, to, text } of waiting) {
          const { id: sessionId, apiKey } = sessionOf(from)
          await call('/v1/messages', apiKey, { sessionId, to, content: { kind: 'text', text } })
        }
      }
      await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, lane))
    },
    async stopSessions() {
      await each(sessions.values(), 'pause')
      await untilState('paused')
    },
    startSessions: () => each(sessions.values(), 'start'),
    startUnlinked: () => each(unlinkedSessions, 'start'),
    async countStored(direction) {
      await gateway.stop()
      return countMessages(directory, direction)
    },
  }
}

function raise(reason: string): never {
  throw new Error(reason)
}
