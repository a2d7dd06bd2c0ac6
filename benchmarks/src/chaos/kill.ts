import { rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openDatabase } from '@frontdesk/gateway/src/storage/database.ts'
import { joinEmbeddedPostgres } from '@frontdesk/gateway/src/storage/embedded/embedded-postgres.ts'
import { startEmulator } from 'whatsapp-emulator'
import { linkCompanions } from '../support/companions.ts'
import { createDataDirectory, type DataDirectory } from '../support/data-directory.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { progress, report } from '../support/report.ts'
import { seedSessions } from '../support/seed.ts'
import { openStore } from '../support/store.ts'
import { until } from '../support/until.ts'
import { CompanyApi } from './company-api.ts'
import { CompanySystem } from './company-system.ts'
import { Displays } from './displays.ts'
import { type Books, compareBooks, type Finding, isAllThere } from './kill-books.ts'
import { planKills } from './kill-plan.ts'
import { type Chat, KillTraffic } from './kill-traffic.ts'
import { killVictim, runningHosts } from './victims.ts'

export interface KillOptions {
  rounds: number
  sessions: number
  /** Messages a second of customers. Three quarters as many are sent by the API, and each turn is answered. */
  perSecond: number
  seed: number
}

const FIRST_PHONE = 4_915_300_000_000
const FIRST_CUSTOMER = 4_917_900_000_000
const CHATS_PER_SESSION = 10
const SESSION_HOSTS = 2
/** For a machine that is busy with other things as well. */
const PATIENCE_MS = 180_000
/** Copies that nobody waits for come within this time, if they come. */
const AFTERMATH_MS = 2000
const MAX_LISTED = 100

/** Kills the gateway or a part of it, round for round, under traffic; then compares what everybody has seen. */
export async function chaosKill(resources: AsyncDisposableStack, options: KillOptions): Promise<void> {
  const { rounds, sessions, perSecond, seed } = options
  const emulator = resources.use(await startEmulator({ behaviour: { sendsHistory: false, receipts: 'delivered' } }))
  const system = resources.use(await CompanySystem.start())
  const directory = await createDataDirectory(resources)
  const companions = await linkCompanions(emulator, FIRST_PHONE, sessions)
  const seeded = await seedSessions(directory, companions)
  const info = await emulator.info()
  const start = () =>
    startGatewayProcess(resources, directory, info, {
      FRONTDESK_SESSION_HOSTS: String(SESSION_HOSTS),
      FRONTDESK_ALLOWED_HOSTS: '127.0.0.1',
    })

  progress(`${sessions} sessions connect`)
  let gateway = await start()
  await until('all sessions are connected', async () => (await emulator.counters()).connections === sessions)
  const api = resources.use(new CompanyApi(seeded))
  api.url = gateway.url
  await api.connect(system)
  const displays = new Displays(emulator)
  const chats = companions.flatMap(({ phone }, session) => chatsOf(phone, session))
  const traffic = new KillTraffic({ emulator, chats, perSecond, seed, send: (chat, text) => api.send(chat, text) })
  progress(`${chats.length} chats are opened`)
  await traffic.open()
  const running = traffic.run()
  const runsSinceMs = performance.now()
  const isWell = async (sinceMs: number) =>
    runningHosts(gateway.pid, directory).length === SESSION_HOSTS &&
    traffic.isFlowingSince(sinceMs) &&
    (await emulator.counters()).connections === sessions
  await until('messages flow', () => isWell(0))

  const kills: { atMs: number; what: string }[] = []
  for (const [index, kill] of planKills({ rounds, seed }).entries()) {
    await delay(kill.afterMs)
    const what = `kill ${index + 1}, ${kill.victim.replaceAll('_', ' ')}`
    const pids = killVictim(kill, gateway, directory)
    const atMs = Date.now()
    kills.push({ atMs, what })
    if (kill.victim === 'gateway' || kill.victim === 'everything') {
      gateway = await start()
      api.url = gateway.url
    }
    await until(`all is well after ${what}`, () => isWell(atMs), { timeoutMs: PATIENCE_MS })
    progress(`${what} (${pids.join(', ')}): all is well after ${((Date.now() - atMs) / 1000).toFixed(1)} s`)
  }

  progress('the last round is over: what is under way is waited for')
  const ended = traffic.end()
  await running
  await ended
  const seconds = (performance.now() - runsSinceMs) / 1000
  const books = { traffic, system, displays }
  const isOver = async () => isAllThere(books) && (await isQuiet(directory))
  await until('everything has arrived', isOver, { everyMs: 500, timeoutMs: PATIENCE_MS }).catch((error: unknown) => {
    // What is missing is listed below.
    progress(String(error))
  })
  await delay(AFTERMATH_MS)
  await gateway.stop()

  const findings = await comparedWithDatabase(directory, books)
  const violations = system.violations
  const count = (what: Finding['what']) => findings.filter((each) => each.what === what).length
  const figures = {
    benchmark: 'chaos' as const,
    profile: 'kill' as const,
    ...{ rounds, sessions, perSecond, seed },
    messages: traffic.written.length + traffic.accepted.length + system.turns.size,
    inPerSecond: Math.round(traffic.written.length / seconds),
    outPerSecond: Math.round((traffic.accepted.length + system.turns.size) / seconds),
    lost: count('lost'),
    duplicated: count('duplicated'),
    outOfOrder: count('outOfOrder'),
    undecryptable: count('undecryptable'),
    webhooksMissing: count('webhooksMissing'),
    violations: violations.length,
    wireCopies: displays.wireCopies,
  }
  report(
    `Killed ${rounds} times under traffic: ${sessions} sessions, ${chats.length} chats`,
    [
      ['', 'Frontdesk', 'goal'],
      ['messages of customers', String(traffic.written.length), ''],
      ['messages sent by the API', String(traffic.accepted.length), ''],
      ['turns answered', String(system.turns.size), ''],
      ['in and out, a second', `${figures.inPerSecond} and ${figures.outPerSecond}`, ''],
      ['webhooks received', String(system.events.size), ''],
      ['lost', String(figures.lost), '0'],
      ['displayed twice, or twice in the inbox', String(figures.duplicated), '0'],
      ['chats out of order', String(figures.outOfOrder), '0'],
      ['messages that could not be decrypted', String(figures.undecryptable), '0'],
      ['events without a webhook', String(figures.webhooksMissing), '0'],
      ['copies of stanzas on the wire', String(figures.wireCopies), ''],
      ['turns and webhooks that came again', String(system.repeated), ''],
    ],
    [
      'Copies on the wire have the id of the first one and are not displayed. Turns and webhooks can come again, with the',
      'same id.',
    ],
    figures,
  )
  const isClean = findings.length === 0 && violations.length === 0
  if (isClean) return
  for (const { what, about, atMs } of findings.slice(0, MAX_LISTED)) {
    const before = kills.findLast((kill) => atMs !== undefined && kill.atMs <= atMs)
    const at = atMs === undefined ? '' : `, at ${new Date(atMs).toISOString()} after ${before?.what ?? 'no kill'}`
    console.error(`${what}: ${about}${at}`)
  }
  for (const violation of violations.slice(0, MAX_LISTED)) console.error(violation)
  const kept = join(tmpdir(), `frontdesk-chaos-${seed}-${Date.now()}`)
  await rename(dirname(directory.path), kept)
  throw new Error(`Not everything was as it must be. The data and the log of the gateway are kept in ${kept}.`)
}

/** Whether nothing is on its way any more, by the database of a gateway that runs. */
async function isQuiet(directory: DataDirectory): Promise<boolean> {
  await using server = await joinEmbeddedPostgres(directory.path)
  await using database = await openDatabase(server.url)
  const waiting = database.worker.selectFrom('webhook_delivery').select('id').where('state', '=', 'waiting').limit(1)
  return (await waiting.executeTakeFirst()) === undefined
}

async function comparedWithDatabase(directory: DataDirectory, books: Books): Promise<Finding[]> {
  await using store = await openStore(directory)
  return await compareBooks(books, store)
}

const chatsOf = (phone: string, session: number): Chat[] =>
  Array.from({ length: CHATS_PER_SESSION }, (_, index) => ({
    phone,
    customer: String(FIRST_CUSTOMER + session * CHATS_PER_SESSION + index),
    addressing: index % 2 === 0 ? 'pn' : 'lid',
  }))
