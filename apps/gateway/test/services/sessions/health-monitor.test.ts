import fc from 'fast-check'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  HealthMonitor,
  type HealthMonitorOptions,
  type WatchedConnection,
} from '#src/services/sessions/health-monitor.ts'

const SECOND = 1000
const A = { sessionId: 'a', companyId: 'c' }
const HOUR = 3600 * SECOND

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A connection whose server answers, or does not. */
class ScriptedConnection implements WatchedConnection {
  keepAliveIntervalMs = 30 * SECOND
  lastHeardAtMs = performance.now()
  answers = true
  probes = 0
  abandonedAtMs: number | undefined

  async probe(timeoutMs: number): Promise<void> {
    this.probes += 1
    await new Promise<void>((resolve, reject) => {
      const timeout = setTimeout(() => reject(new Error('no answer')), timeoutMs)
      if (!this.answers) return
      setTimeout(() => {
        clearTimeout(timeout)
        this.lastHeardAtMs = performance.now()
        resolve()
      }, 100)
    })
  }

  abandon(): void {
    this.abandonedAtMs ??= performance.now()
  }
}

const start = (
  stuck: () => string[] = () => [],
  onStuck: HealthMonitorOptions['onStuck'] = () => undefined,
  onFlowing: HealthMonitorOptions['onFlowing'] = () => undefined,
) => new HealthMonitor({ log: pino({ level: 'silent' }), stuckSessions: stuck, onStuck, onFlowing })

describe('a session that is online', () => {
  test('is left alone while it is heard, and asked when it has fallen silent', async () => {
    using monitor = start()
    const connection = new ScriptedConnection()
    monitor.online(A, connection)
    for (let n = 0; n < 60; n++) {
      await vi.advanceTimersByTimeAsync(SECOND)
      connection.lastHeardAtMs = performance.now()
    }
    expect(connection.probes).toBe(0)
    await vi.advanceTimersByTimeAsync(35 * SECOND)
    expect(connection.probes).toBe(1)
    expect(connection.abandonedAtMs).toBeUndefined()
  })

  test('whose server is silent is given up within 45 s of its last word, whenever that was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 20_000 }), async (silentAfterMs) => {
        using monitor = start()
        const connection = new ScriptedConnection()
        await vi.advanceTimersByTimeAsync(silentAfterMs)
        monitor.online(A, connection)
        connection.lastHeardAtMs = performance.now()
        connection.answers = false
        await vi.advanceTimersByTimeAsync(60 * SECOND)
        const afterMs = (connection.abandonedAtMs ?? Number.POSITIVE_INFINITY) - connection.lastHeardAtMs
        expect(afterMs).toBeGreaterThan(30 * SECOND)
        expect(afterMs).toBeLessThanOrEqual(45 * SECOND)
      }),
      { numRuns: 20 },
    )
  })

  test('that was heard while its probe went unanswered is kept', async () => {
    using monitor = start()
    const connection = new ScriptedConnection()
    connection.answers = false
    monitor.online(A, connection)
    await vi.advanceTimersByTimeAsync(35 * SECOND)
    connection.lastHeardAtMs = performance.now()
    await vi.advanceTimersByTimeAsync(15 * SECOND)
    expect(connection.probes).toBe(1)
    expect(connection.abandonedAtMs).toBeUndefined()
  })

  test('is no longer watched when it is offline: its successor is', async () => {
    using monitor = start()
    const [first, second] = [new ScriptedConnection(), new ScriptedConnection()]
    first.answers = false
    monitor.online(A, first)
    await vi.advanceTimersByTimeAsync(35 * SECOND)
    monitor.offline('a')
    monitor.online(A, second)
    await vi.advanceTimersByTimeAsync(60 * SECOND)
    expect(first.abandonedAtMs).toBeUndefined()
    expect(second.probes).toBeGreaterThan(0)
  })

  test('with a stuck message gets a new connection, and somebody is told', async () => {
    const told: string[] = []
    let stuck = ['a', 'elsewhere']
    using monitor = start(
      () => stuck,
      ({ sessionId }) => {
        told.push(sessionId)
        stuck = []
      },
    )
    const connection = new ScriptedConnection()
    monitor.online(A, connection)
    await vi.advanceTimersByTimeAsync(130 * SECOND)
    expect(told).toEqual(['a'])
    expect(connection.abandonedAtMs).toBeDefined()
  })

  test('is said to flow again, once, when the next connection has held and nothing is stuck', async () => {
    const told: string[] = []
    let stuck = ['a']
    using monitor = start(
      () => stuck,
      () => told.push('stuck'),
      () => told.push('flowing'),
    )
    const connection = new ScriptedConnection()
    connection.abandon = () => {
      stuck = []
      monitor.offline('a')
      monitor.online(A, new ScriptedConnection())
    }
    monitor.online(A, connection)
    await vi.advanceTimersByTimeAsync(130 * SECOND)
    expect(told).toEqual(['stuck'])
    await vi.advanceTimersByTimeAsync(600 * SECOND)
    expect(told).toEqual(['stuck', 'flowing'])
  })

  test('whose message stays stuck is not connected anew all the time', async () => {
    using monitor = start(() => ['a'])
    let connections = 0
    const connect = () => {
      connections += 1
      const connection = new ScriptedConnection()
      connection.abandon = () => {
        monitor.offline('a')
        connect()
      }
      monitor.online(A, connection)
    }
    connect()
    await vi.advanceTimersByTimeAsync(600 * SECOND)
    // At the end of every two minutes.
    expect(connections).toBe(6)
  })
})

test('twelve hours of sessions that come, fall silent and go leave no timer and no connection behind', async () => {
  const monitor = start()
  const timers = vi.getTimerCount()
  // A fixed sequence from 0 to 1 (xorshift), so that a failure can be repeated.
  let seed = 20_261_122
  const random = () => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return (seed >>> 0) / 2 ** 32
  }
  const online = new Map<number, ScriptedConnection>()
  let abandoned = 0
  let probes = 0
  const end = (session: number, connection: ScriptedConnection) => {
    monitor.offline(`${session}`)
    online.delete(session)
    probes += connection.probes
  }
  for (let atMs = 0; atMs < 12 * HOUR; atMs += 20 * SECOND) {
    for (let session = 0; session < 100; session++) {
      const connection = online.get(session)
      if (connection === undefined) {
        const next = new ScriptedConnection()
        next.answers = random() > 0.05
        online.set(session, next)
        monitor.online({ sessionId: `${session}`, companyId: 'c' }, next)
      } else if (connection.abandonedAtMs !== undefined) {
        abandoned += 1
        end(session, connection)
      } else if (random() < 0.005) end(session, connection)
    }
    await vi.advanceTimersByTimeAsync(20 * SECOND)
  }
  expect(abandoned).toBeGreaterThan(10)
  expect(probes).toBeGreaterThan(100_000)
  for (const [session, connection] of online) end(session, connection)
  await vi.advanceTimersByTimeAsync(60 * SECOND)
  expect(vi.getTimerCount()).toBe(timers)
  monitor[Symbol.dispose]()
  expect(vi.getTimerCount()).toBe(0)
})
