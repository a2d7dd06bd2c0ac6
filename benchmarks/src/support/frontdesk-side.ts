import { Pool } from 'undici'
import { linkCompanions } from './companions.ts'
import { createDataDirectory } from './data-directory.ts'
import type { EmulatorProcess } from './emulator-process.ts'
import { startGatewayProcess } from './gateway-process.ts'
import type { TextToSend } from './raw-commands.ts'
import { seedSessions } from './seed.ts'
import type { Side } from './side.ts'
import { countMessages } from './stored-results.ts'
import { until } from './until.ts'

export interface FrontdeskSide extends Side {
  /** Stops the gateway and counts the messages in its database. */
  countStored(direction: 'inbound' | 'outbound'): Promise<number>
}

const REQUESTS_AT_ONCE = 32

/** The gateway with `count` sessions online, each of a company of its own, of the numbers from `firstPhone` upwards. */
export async function openFrontdeskSide(
  resources: AsyncDisposableStack,
  { control, info }: EmulatorProcess,
  firstPhone: number,
  count: number,
): Promise<FrontdeskSide> {
  const directory = await createDataDirectory(resources)
  const companions = await linkCompanions(control, firstPhone, count)
  const sessions = await seedSessions(directory, companions)
  const gateway = await startGatewayProcess(resources, directory, info)
  const api = new Pool(gateway.url, { connections: REQUESTS_AT_ONCE })
  resources.defer(() => api.destroy())
  for (const { id, apiKey } of sessions.values()) {
    await until(`session ${id} is online`, async () => {
      const { body } = await api.request({ method: 'GET', path: `/v1/sessions/${id}`, headers: authorization(apiKey) })
      const { state } = (await body.json()) as { state: string }
      return state === 'online'
    })
  }

  async function post({ from, to, text }: TextToSend): Promise<void> {
    const session = sessions.get(from)
    if (session === undefined) throw new Error(`There is no session of ${from}.`)
    const { statusCode, body } = await api.request({
      method: 'POST',
      path: '/v1/messages',
      headers: { ...authorization(session.apiKey), 'content-type': 'application/json' },
      body: JSON.stringify({ sessionId: session.id, to, content: { kind: 'text', text } }),
    })
    if (statusCode !== 202) throw new Error(`The gateway answered ${statusCode}: ${await body.text()}`)
    await body.dump()
  }

  return {
    name: 'Frontdesk',
    pid: gateway.pid,
    phones: companions.map(({ phone }) => phone),
    async send(messages) {
      const waiting = messages.values()
      const lane = async () => {
        for (const message of waiting) await post(message)
      }
      await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, lane))
    },
    async countStored(direction) {
      await gateway.stop()
      return countMessages(directory, direction)
    },
  }
}

const authorization = (apiKey: string) => ({ authorization: `Bearer ${apiKey}` })
