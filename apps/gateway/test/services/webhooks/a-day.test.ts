import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type SimulatedTime, startSimulatedTime } from '../../support/simulated-time.ts'
import { until } from '../../support/until.ts'
import { startReceiver } from './receiver.ts'
import { startWebhookDesk, type WebhookDesk } from './webhook-desk.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** So many failures in a row pause an endpoint, as the pages say, and so many events come together. */
const COUNT = 10
const PAUSE_MS = 30 * SECOND_MS

// Hundreds of attempts one after the other, each of them real.
vi.setConfig({ testTimeout: 180_000 })

let time: SimulatedTime
let desk: WebhookDesk
let companyId: string
beforeAll(async () => {
  time = await startSimulatedTime()
  desk = await startWebhookDesk({ testDatabase: time.testDatabase })
})
beforeEach(async () => {
  companyId = await time.testDatabase.createCompany()
})
afterAll(async () => {
  await desk[Symbol.asyncDispose]()
  await time[Symbol.asyncDispose]()
})

/**
 * Some events, and as many again at each of the later moments, for an endpoint that works at some times, and all that
 * follows. Moments are milliseconds after the begin.
 */
async function live(
  isWell: (atMs: number) => boolean,
  { laterMs = [], retryAfterSeconds }: { laterMs?: readonly number[]; retryAfterSeconds?: number } = {},
) {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  const begin = Date.now()
  await using receiver = await startReceiver()
  const attempts: { id: string; atMs: number; isTaken: boolean }[] = []
  receiver.reply = (response, { payload }) => {
    const atMs = Date.now() - begin
    attempts.push({ id: payload.id, atMs, isTaken: isWell(atMs) })
    if (isWell(atMs)) response.writeHead(204).end()
    else response.writeHead(503, headers).end()
  }
  const endpoint = await desk.createEndpoint(companyId, { url: receiver.url, eventTypes: ['turn.opened'] })
  const happens = () => desk.append(...Array.from({ length: COUNT }, () => ({ companyId, type: 'turn.opened' })))
  const appending = [...laterMs]
  await happens()
  for (;;) {
    desk.look(endpoint)
    const { nextAt } = await until(() => restOf(endpoint.id))
    const [appendsMs] = appending
    if (appendsMs !== undefined && (nextAt === null || begin + appendsMs <= nextAt.getTime())) {
      appending.shift()
      await time.passTo(begin + appendsMs)
      await happens()
    } else if (nextAt === null) break
    else await time.passTo(nextAt.getTime())
  }
  const deliveries = (await desk.deliveriesOf(endpoint)).map((row) => ({
    state: row.state,
    attempts: row.attempts,
    lastedMs: (row.finished_at?.getTime() ?? 0) - row.created_at.getTime(),
  }))
  const alerts = (await desk.alerts.list(companyId, { state: 'all', limit: 50 })).items.reverse()
  const raised = alerts.map(({ kind, raisedAt, clearedAt }) => ({
    kind,
    raisedMs: Date.parse(raisedAt) - begin,
    clearedMs: clearedAt === null ? null : Date.parse(clearedAt) - begin,
  }))
  return { attempts, deliveries, alerts: raised }
}

/** When something is due next, once nothing is due now, no attempt is under way, and the alert has been told of. */
async function restOf(endpointId: string): Promise<{ nextAt: Date | null } | undefined> {
  const { rows } = await sql<{ isQuiet: boolean; nextAt: Date | null }>`
    select min(due_at) as "nextAt",
      coalesce(bool_and(claim = attempts and due_at > now()), true)
        and (failures >= ${COUNT}) = exists (
          select from alert where alert.endpoint_id = endpoint.id and cleared_at is null) as "isQuiet"
    from webhook_endpoint endpoint left join lateral (
      select claim, attempts, greatest(next_attempt_at, paused_until) as due_at
      from webhook_delivery delivery where delivery.endpoint_id = endpoint.id and state = 'waiting'
    ) as waiting on true
    where endpoint.id = ${endpointId} group by endpoint.id`.execute(desk.database.worker)
  return rows.find(({ isQuiet }) => isQuiet)
}

const pausesOf = (moments: readonly number[]) => moments.slice(1).map((moment, index) => moment - (moments[index] ?? 0))
const failing = { kind: 'webhook_failing' }

test('an endpoint that is dead for good: retries for a day, then dead letters, with one alert', async () => {
  const { attempts, deliveries, alerts } = await live(() => false)
  // They end one by one, at the pace of a paused endpoint.
  const longestMs = DAY_MS + COUNT * PAUSE_MS
  for (const { state, attempts: count, lastedMs } of deliveries) {
    expect(state).toBe('dead')
    expect(count).toBeGreaterThan(10)
    expect(count).toBeLessThan(40)
    expect(lastedMs).toBeGreaterThanOrEqual(DAY_MS)
    expect(lastedMs).toBeLessThanOrEqual(longestMs)
  }
  for (const [, its] of Map.groupBy(attempts, ({ id }) => id)) {
    const pauses = pausesOf(its.map(({ atMs }) => atMs))
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(2.5 * SECOND_MS)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(3 * HOUR_MS + COUNT * PAUSE_MS)
  }
  const probes = attempts.slice(COUNT - 1).map(({ atMs }) => atMs)
  expect(Math.min(...pausesOf(probes))).toBeGreaterThanOrEqual(PAUSE_MS)
  expect(alerts).toEqual([{ ...failing, raisedMs: 0, clearedMs: null }])
})

test('an endpoint that is dead for 20 hours: everything arrives once, soon after, and the alert is cleared', async () => {
  const BACK_MS = 20 * HOUR_MS
  const { attempts, deliveries, alerts } = await live((atMs) => atMs >= BACK_MS, { laterMs: [BACK_MS - 1] })
  expect(deliveries.map(({ state }) => state)).toEqual(Array.from({ length: 2 * COUNT }, () => 'delivered'))
  const taken = attempts.filter(({ isTaken }) => isTaken)
  expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length)
  // The next probe finds out, and nothing waits any longer than that.
  expect(Math.max(...taken.map(({ atMs }) => atMs))).toBeLessThanOrEqual(BACK_MS + 2 * PAUSE_MS)
  expect(alerts).toEqual([{ ...failing, raisedMs: 0, clearedMs: taken[0]?.atMs }])
})

test('an endpoint that comes and goes: everything arrives once, and alerts are raised and cleared in turns', async () => {
  const hours = [1, 2, 3, 4].map((hour) => hour * HOUR_MS)
  const gone = hours.filter((_, index) => index % 2 === 0)
  const isWell = (atMs: number) => Math.floor(atMs / HOUR_MS) % 2 === 0
  const { attempts, deliveries, alerts } = await live(isWell, { laterMs: hours })
  expect(deliveries.map(({ state }) => state)).toEqual(Array.from({ length: 5 * COUNT }, () => 'delivered'))
  const taken = attempts.filter(({ isTaken }) => isTaken)
  expect(new Set(taken.map(({ id }) => id)).size).toBe(5 * COUNT)
  expect(taken).toHaveLength(5 * COUNT)
  for (const { lastedMs } of deliveries) expect(lastedMs).toBeLessThanOrEqual(HOUR_MS + 2 * PAUSE_MS)
  // One for each time at which it was gone, as long as it was.
  expect(alerts.map(({ raisedMs }) => raisedMs)).toEqual(gone)
  for (const { raisedMs, clearedMs } of alerts) {
    expect(clearedMs).toBeGreaterThanOrEqual(raisedMs + HOUR_MS)
    expect(clearedMs).toBeLessThanOrEqual(raisedMs + HOUR_MS + PAUSE_MS)
  }
})

test('what an endpoint wants later comes later, also when it works again earlier', async () => {
  const { attempts } = await live((atMs) => atMs >= HOUR_MS, { laterMs: [HOUR_MS], retryAfterSeconds: 7200 })
  const refused = new Set(attempts.filter(({ isTaken }) => !isTaken).map(({ id }) => id))
  const [waited, others] = [true, false].map((wasRefused) =>
    attempts.filter(({ id, isTaken }) => isTaken && refused.has(id) === wasRefused).map(({ atMs }) => atMs),
  )
  expect(waited).toEqual(Array.from({ length: COUNT }, () => 2 * HOUR_MS))
  expect(others).toHaveLength(COUNT)
  expect(Math.max(...(others ?? []))).toBeLessThan(2 * HOUR_MS)
})
