import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startEmulator } from 'whatsapp-emulator'
import { linkCompanions } from '../support/companions.ts'
import { createDataDirectory, type DataDirectory } from '../support/data-directory.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { progress, report } from '../support/report.ts'
import { type SeededSession, seedSessions } from '../support/seed.ts'
import { percentile, round } from '../support/statistics.ts'
import { openStore, type Store } from '../support/store.ts'
import { until } from '../support/until.ts'
import { downtimeMs, type Span } from './downtime.ts'
import { EmulatedWeek } from './emulated-week.ts'
import { Traffic } from './traffic.ts'
import { planWeek } from './week.ts'

export interface ChaosOptions {
  sessions: number
  seconds: number
  seed: number
  /** How much shorter timers are than they are in earnest. */
  factor: number
}

const WEEK_MS = 7 * 24 * 3600 * 1000
const FIRST_PHONE = 4_915_300_000_000
/** Light traffic: customers a second, over all sessions. */
const CUSTOMERS_PER_SECOND = 3
const DRAIN_MS = 60_000
const ANSWER = 'Yes, until six. See you soon!'

/** A week of trouble for many sessions, in as many seconds as there are: what came of them, and of their messages. */
export async function chaosWeek(resources: AsyncDisposableStack, options: ChaosOptions): Promise<void> {
  const { sessions, seconds, seed, factor } = options
  const durationMs = seconds * 1000
  const emulator = resources.use(await startEmulator({ behaviour: { sendsHistory: false } }))
  const directory = await createDataDirectory(resources)
  const companions = await linkCompanions(emulator, FIRST_PHONE, sessions)
  const seeded = await seedSessions(directory, companions)
  await everybodyAnswers(directory)
  const phones = companions.map(({ phone }) => phone)
  const environment = {
    CHAOS_TIME_FACTOR: String(factor),
    NODE_OPTIONS: `--import=${fileURLToPath(import.meta.resolve('./compressed-time.ts'))}`,
  }
  const info = await emulator.info()
  const start = () => startGatewayProcess(resources, directory, info, environment)

  progress(`${sessions} sessions connect`)
  const first = await start()
  await until('all sessions are online', async () => (await emulator.counters()).logins >= sessions)
  const before = await emulator.counters()

  const week = new EmulatedWeek({
    ...{ emulator, phones, factor },
    happenings: planWeek({ sessions, durationMs, seed }),
    deploy: async (running) => {
      await running.stop()
      return await start()
    },
  })
  const traffic = new Traffic({ emulator, phones, customers: Math.max(seconds * CUSTOMERS_PER_SECOND, 1), durationMs })
  progress(`a week in ${seconds} s: timers run ${factor} times faster`)
  const [last] = await Promise.all([week.run(first), traffic.run()])
  progress('the week is over: what is under way is waited for')
  await until('all sessions are connected', () => week.areAllConnected)
  await traffic.answered(DRAIN_MS)
  // Copies that are still to come would come now.
  await delay(1000)
  const after = await emulator.counters()
  await last.stop()

  await using store = await openStore(directory)
  const waits = await timerWaits(store, factor)
  const uptimes = phones.map((phone) => {
    const { down, stalled } = week.weekOf(phone)
    const waited = [...stalled, ...(waits.get(seeded.get(phone)?.id ?? '') ?? [])]
    return 1 - downtimeMs(down, waited, week.refused, factor) / WEEK_MS
  })
  const counts = await countMessages(store, traffic)
  const reconnects = phones.reduce((sum, phone) => sum + week.weekOf(phone).reconnects, 0)
  const figures = {
    benchmark: 'chaos' as const,
    profile: 'week' as const,
    ...{ sessions, seconds, seed, factor },
    uptimeP1: round(percentile(uptimes, 0.01), 6),
    uptimeP50: round(percentile(uptimes, 0.5), 6),
    reconnectsPerSessionWeek: round(reconnects / sessions, 1),
    messages: traffic.customers.length,
    ...counts,
    undecryptable: after.decryptFailures - before.decryptFailures,
    retriesAsked: after.retryReceipts - before.retryReceipts,
    doubleSockets: after.framesAfterReplacement - before.framesAfterReplacement,
  }
  report(
    `A week of trouble for ${sessions} sessions, in ${seconds} s`,
    [
      ['', 'Frontdesk', 'goal'],
      ['uptime of the worst hundredth', percent(figures.uptimeP1), '99.9 %'],
      ['uptime of the median', percent(figures.uptimeP50), ''],
      ['reconnects of a session', String(figures.reconnectsPerSessionWeek), ''],
      ['messages lost', `${counts.lost} of ${figures.messages}`, '0'],
      ['messages twice', String(counts.duplicated), '0'],
      ['frames from a connection that was replaced', String(figures.doubleSockets), '0'],
    ],
    [
      'Each session met 7 dropped sockets, 3 times 503, 2 times 515, 2 stalls, a stray 440, a corrupt frame and a burst of',
      'lost acks; all of them a restart of WhatsApp, 3 minutes without network and a deployment. Down is as WhatsApp sees',
      'it: work counts as it took, waiting for a timer as long as it takes in earnest, and nothing while WhatsApp lets',
      'nobody in.',
    ],
    figures,
  )
}

const percent = (share: number) => `${(share * 100).toFixed(3)} %`

/** Everybody who writes is answered, at once and with the same words. */
async function everybodyAnswers(directory: DataDirectory): Promise<void> {
  await using store = await openStore(directory)
  const settings = { batching: { quietMs: 0, maxMs: 0 }, responders: [{ kind: 'rules' }], fallback: ANSWER }
  await store.database.worker
    .updateTable('company')
    .set({ settings: JSON.stringify(settings) })
    .execute()
}

/** When each session did nothing but wait until its next attempt, by its id: as long as timers take under compression. */
async function timerWaits({ database }: Store, factor: number): Promise<Map<SeededSession['id'], Span[]>> {
  const events = await database.worker
    .selectFrom('event')
    .select(['session_id', 'created_at', 'data'])
    .where('type', '=', 'session.state_changed')
    .execute()
  const waits = new Map<string, Span[]>()
  for (const { session_id: sessionId, created_at: since, data } of events) {
    const next = data['nextAttemptAt']
    if (sessionId === null || typeof next !== 'string') continue
    const fromMs = since.getTime()
    const spans = waits.get(sessionId) ?? []
    spans.push({ fromMs, toMs: fromMs + (Date.parse(next) - fromMs) / factor })
    waits.set(sessionId, spans)
  }
  return waits
}

/** What the inbox and the phones hold, against what was sent. */
async function countMessages({ database }: Store, traffic: Traffic): Promise<{ lost: number; duplicated: number }> {
  const rows = await database.worker
    .selectFrom('message')
    .select(({ fn }) => ['whatsapp_id', fn.countAll<number>().as('copies')])
    .where('direction', '=', 'inbound')
    .groupBy('whatsapp_id')
    .execute()
  const copiesOf = new Map(rows.map(({ whatsapp_id: id, copies }) => [id, Number(copies)]))
  let lost = 0
  let duplicated = 0
  for (const customer of traffic.customers) {
    const [received, answered] = [copiesOf.get(customer.whatsappId) ?? 0, await traffic.answersTo(customer)]
    if (received === 0 || answered === 0) lost += 1
    if (received > 1 || answered > 1) duplicated += 1
  }
  return { lost, duplicated }
}
