import { describe, expect, test } from 'vitest'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { afterIncident, type SessionIncident, type SessionStatus } from '#src/model/session-state.ts'
import { LinkingPlan } from '#src/services/sessions/linking-plan.ts'
import { OutdatedVersions } from '#src/services/sessions/outdated-versions.ts'
import { ReconnectPlan } from '#src/services/sessions/reconnect-plan.ts'
import { RECONNECT_POLICY } from '#src/services/sessions/reconnect-policy.ts'

const at = new Date('2026-03-10T12:00:00Z')

const incidents: [SessionIncident, whenUnlinked: Partial<SessionStatus>, whenLinked: Partial<SessionStatus>][] = [
  [{ kind: 'taken_up' }, { state: 'connecting', isLinked: false }, { state: 'connecting', isLinked: true }],
  [
    { kind: 'code_shown', code: 'qr' },
    { state: 'linking', reason: 'qr' },
    { state: 'linking', isLinked: false },
  ],
  [{ kind: 'code_shown', code: 'pairing_code' }, { state: 'linking', reason: 'pairing_code' }, { isLinked: false }],
  [{ kind: 'linked' }, { state: 'connecting', isLinked: true }, { state: 'connecting', isLinked: true }],
  [{ kind: 'online' }, { state: 'online', isLinked: true }, { state: 'online', isLinked: true }],
  [
    { kind: 'disconnected', reason: 'timed_out', nextAttemptAt: at },
    { state: 'connecting', reason: 'timed_out', nextAttemptAt: at, isOver: false },
    { state: 'reconnecting', reason: 'timed_out', nextAttemptAt: at, isOver: false },
  ],
  [
    { kind: 'refused', reason: 'number_taken' },
    { state: 'connecting', isLinked: false, isOver: false },
    { state: 'connecting', isLinked: false, isOver: false },
  ],
  [{ kind: 'restarted' }, { state: 'connecting', isOver: false }, { state: 'reconnecting', isOver: false }],
  [{ kind: 'gateway_stopped' }, { state: 'connecting', isOver: false }, { state: 'reconnecting', isOver: false }],
  [
    { kind: 'stopped' },
    { state: 'created', isLinked: false, isOver: true },
    { state: 'paused', isLinked: true, isOver: true },
  ],
  [
    { kind: 'unlinked' },
    { state: 'logged_out', reason: 'logout_requested', isLinked: false, isOver: true },
    { state: 'logged_out', reason: 'logout_requested', isLinked: false, isOver: true },
  ],
  [{ kind: 'deleted' }, { reason: 'deleted', isOver: true }, { reason: 'deleted', isLinked: false, isOver: true }],
  [
    { kind: 'ended', reason: 'logged_out', state: 'logged_out' },
    { state: 'logged_out', isLinked: false, isOver: true },
    { state: 'logged_out', isLinked: false, isOver: true },
  ],
  [
    { kind: 'ended', reason: 'replaced', state: 'conflict' },
    { state: 'conflict', isOver: true },
    { state: 'conflict', isLinked: true, isOver: true },
  ],
  [
    { kind: 'ended', reason: 'linking_throttled', state: 'created', nextAttemptAt: at },
    { state: 'created', nextAttemptAt: at, isLinked: false, isOver: true },
    { state: 'created', isLinked: false, isOver: true },
  ],
]

describe('the state of a session', () => {
  test.each(incidents)('after %o', (incident, whenUnlinked, whenLinked) => {
    expect(afterIncident({ isLinked: false }, incident)).toMatchObject(whenUnlinked)
    expect(afterIncident({ isLinked: true }, incident)).toMatchObject(whenLinked)
  })
})

const settings = { reconnectDelayMs: 5000, maxReconnectAttempts: 10 }
/** A plan whose chance is always the same, on a clock that the test moves. */
function planWith({ random = 1, attempts = 0 }: { random?: number; attempts?: number } = {}) {
  const clock = { ms: 1_000_000 }
  const plan = new ReconnectPlan(
    attempts,
    () => random,
    () => clock.ms,
  )
  const after = (reason: DisconnectReason, isLinked = true, retryAt?: Date) =>
    plan.after({ reason, isLinked, ...(retryAt && { retryAt }) }, settings)
  return { plan, clock, after }
}
const delayOf = (step: ReturnType<ReconnectPlan['after']>) => (step.kind === 'reconnect' ? step.delayMs : undefined)

describe('what follows a disconnect', () => {
  test('trouble that may pass never ends a linked session', () => {
    for (const reason of [
      'connection_closed',
      'timed_out',
      'unresponsive',
      'proxy_failed',
      'bad_session',
      'service_unavailable',
      'store_failed',
    ] as const) {
      expect(RECONNECT_POLICY[reason]).toEqual({ kind: 'reconnect', delay: 'backoff' })
      const { after } = planWith()
      for (let attempt = 1; attempt <= 50; attempt += 1) expect(after(reason).kind).toBe('reconnect')
    }
  })

  test('the delay doubles up to a minute, anywhere between nothing and all of it, and is long after the fast attempts', () => {
    const longest = planWith({ random: 1 })
    const delays = Array.from({ length: 12 }, () => delayOf(longest.after('timed_out')))
    expect(delays.slice(0, 10)).toEqual([5, 10, 20, 40, 60, 60, 60, 60, 60, 60].map((seconds) => seconds * 1000))
    expect(delays.slice(10)).toEqual([300_000, 300_000])
    const shortest = planWith({ random: 0 })
    expect(delayOf(shortest.after('timed_out'))).toBe(0)
    for (let attempt = 2; attempt <= 10; attempt += 1) expect(delayOf(shortest.after('timed_out'))).toBe(0)
    expect(shortest.after('timed_out')).toEqual({ kind: 'reconnect', delayMs: 150_000, isSlow: true })
  })

  test('a company that wants no delay does not get attempts without end either', () => {
    const plan = new ReconnectPlan(0, () => 0.5)
    let waitedMs = 0
    for (let attempt = 1; attempt <= 20; attempt += 1) {
      const settings = { reconnectDelayMs: 0, maxReconnectAttempts: 1000 }
      waitedMs += delayOf(plan.after({ reason: 'connection_closed', isLinked: true }, settings)) ?? 0
    }
    expect(waitedMs).toBeGreaterThan(5 * 60_000)
  })

  test('what a former owner has tried counts, and a good connection ends the count', () => {
    const { plan, after } = planWith({ attempts: 9 })
    expect(delayOf(after('timed_out'))).toBe(60_000)
    expect(after('timed_out')).toMatchObject({ isSlow: true })
    expect(plan.attempts).toBe(11)
    plan.reset()
    expect(delayOf(after('timed_out'))).toBe(5000)
  })

  test('what WhatsApp asks for is done at once, and not again and again', () => {
    const { clock, after } = planWith()
    expect(delayOf(after('restart_required'))).toBe(0)
    expect(delayOf(after('restart_required'))).toBe(5000)
    clock.ms += 61_000
    expect(delayOf(after('restart_required'))).toBe(0)
  })

  test('a session that was replaced comes back once, and does not fight', () => {
    const { clock, after } = planWith()
    expect(delayOf(after('replaced'))).toBe(20_000)
    clock.ms += 5 * 60_000
    expect(after('replaced')).toEqual({ kind: 'end', state: 'conflict' })
    clock.ms += 60 * 60_000
    expect(after('replaced').kind).toBe('reconnect')
  })

  test('nobody waits long in front of a screen: a session that links gives up', () => {
    const { after } = planWith()
    for (let attempt = 1; attempt <= 10; attempt += 1) expect(after('timed_out', false).kind).toBe('reconnect')
    expect(after('timed_out', false)).toEqual({ kind: 'end', state: 'created' })
    expect(planWith().after('client_outdated', false)).toEqual({ kind: 'end', state: 'created' })
  })

  test('a ban is waited out until WhatsApp has said, and not tried before', () => {
    const { after } = planWith({ random: 0.5 })
    const delayMs = delayOf(after('temporarily_banned', true, new Date(Date.now() + 3_600_000))) ?? 0
    expect(delayMs).toBeGreaterThan(3_600_000)
    expect(delayMs).toBeLessThanOrEqual(3_660_000)
    expect(delayOf(after('temporarily_banned'))).toBe(900_000)
    expect(delayOf(after('client_outdated'))).toBe(900_000)
  })

  test('a ban that is longer than a timer takes is not tried at once', () => {
    const { after } = planWith()
    const delayMs = delayOf(after('temporarily_banned', true, new Date(Date.now() + 60 * 24 * 3_600_000))) ?? 0
    expect(delayMs).toBeGreaterThan(24 * 24 * 3_600_000)
    expect(delayMs).toBeLessThan(2 ** 31)
  })

  test('what only a person can change ends the session', () => {
    const ends = {
      linking_expired: 'created',
      linking_blocked: 'created',
      linking_refused: 'created',
      number_taken: 'created',
      logged_out: 'logged_out',
      forbidden: 'banned',
      credentials_unreadable: 'failed',
      multi_device_mismatch: 'failed',
      crashed_often: 'failed',
    } as const
    for (const [reason, state] of Object.entries(ends))
      expect(planWith().after(reason as DisconnectReason)).toEqual({ kind: 'end', state })
    const retryAt = new Date(Date.now() + 1000)
    expect(planWith().after('linking_throttled', false, retryAt)).toEqual({
      kind: 'end',
      state: 'created',
      nextAttemptAt: retryAt,
    })
    expect(planWith().after('linking_throttled', false)).toMatchObject({ nextAttemptAt: expect.any(Date) })
    expect(planWith().after('lease_lost')).toEqual({ kind: 'leave' })
  })
})

describe('how a session is linked', () => {
  const phone = '4917012345678'

  test('by QR code, and when nobody scans, by a code for the number, if it is known', () => {
    const plan = new LinkingPlan()
    expect(plan.begin({ prefersPairingCode: false, phone })).toEqual({ kind: 'qr' })
    expect(plan.expired()).toBe(true)
    expect(plan.begin({ prefersPairingCode: false, phone })).toEqual({ kind: 'pairing_code', phone })
    expect(plan.expired()).toBe(false)
    plan.reset()
    expect(plan.begin({ prefersPairingCode: false, phone })).toEqual({ kind: 'qr' })
  })

  test('without a number, by QR code only; with one, by a pairing code at once where that is wanted', () => {
    const plan = new LinkingPlan()
    expect(plan.begin({ prefersPairingCode: true, phone: null })).toEqual({ kind: 'qr' })
    expect(plan.expired()).toBe(false)
    expect(plan.begin({ prefersPairingCode: true, phone })).toEqual({ kind: 'pairing_code', phone })
    expect(plan.expired()).toBe(false)
  })
})

describe('a version that WhatsApp refuses', () => {
  test('is found out by one session, and not tried by the others until it is accepted somewhere', () => {
    const versions = new OutdatedVersions()
    expect(versions.isRefused('2.3000.1')).toBe(false)
    expect(versions.refused('2.3000.1')).toBe(true)
    expect(versions.refused('2.3000.1')).toBe(false)
    expect(versions.isRefused('2.3000.1')).toBe(true)
    expect(versions.isRefused(undefined)).toBe(false)
    expect(versions.accepted('2.3000.1')).toBe(true)
    expect(versions.accepted('2.3000.1')).toBe(false)
    expect(versions.isRefused('2.3000.1')).toBe(false)
  })
})
