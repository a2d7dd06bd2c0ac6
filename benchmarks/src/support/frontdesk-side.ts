import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'undici'
import { linkCompanions } from './companions.ts'
import { createDataDirectory } from './data-directory.ts'
import type { EmulatorProcess } from './emulator-process.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { countMessages, type SeededSession, seedSessions } from './seed.ts'
import type { Side } from './side.ts'

export interface FrontdeskSide extends Side {
  /** Stops the gateway and counts the messages in its database. */
  countStored(direction: 'inbound' | 'outbound'): Promise<number>
}

const REQUESTS_AT_ONCE = 32
const ASK_AGAIN_MS = 50

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
  for (const session of sessions.values()) await untilOnline(api, session)

  async function post({ from, to, text }: TextToSend): Promise<void> {
    const session = sessions.get(from)
    if (session === undefined) throw new Error(`There is no session of ${from}.`)
    const { statusCode, body } = await api.request({
      method: 'POST',
      path: '/v1/messages',
      headers: { authorization: `Bearer ${session.apiKey}`, 'content-type': 'application/json' },
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
