import { describe, expect, test } from 'vitest'
import { afterIncident, type SessionIncident, type SessionStatus } from '#src/model/session-state.ts'
import { RECONNECT_POLICY, reconnectDelayMs } from '#src/services/sessions/reconnect-policy.ts'

const incidents: [SessionIncident, whenUnlinked: Partial<SessionStatus>, whenLinked: Partial<SessionStatus>][] = [
  [{ kind: 'taken_up' }, { state: 'connecting', isLinked: false }, { state: 'connecting', isLinked: true }],
  [{ kind: 'code_shown' }, { state: 'linking', reason: 'qr' }, { state: 'linking', isLinked: false }],
  [{ kind: 'linked' }, { state: 'connecting', isLinked: true }, { state: 'connecting', isLinked: true }],
  [{ kind: 'online' }, { state: 'online', isLinked: true }, { state: 'online', isLinked: true }],
  [
    { kind: 'disconnected', reason: 'timed_out' },
    { state: 'connecting', reason: 'timed_out', isOver: false },
    { state: 'reconnecting', reason: 'timed_out', isOver: false },
  ],
  [{ kind: 'gateway_stopped' }, { state: 'connecting', isOver: false }, { state: 'reconnecting', isOver: false }],
  [
    { kind: 'stopped' },
    { state: 'created', isLinked: false, isOver: true },
    { state: 'paused', isLinked: true, isOver: true },
  ],
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
    { kind: 'ended', reason: 'linking_expired', state: 'created' },
    { state: 'created', reason: 'linking_expired', isLinked: false, isOver: true },
    { state: 'created', isLinked: false, isOver: true },
  ],
]

describe('the state of a session', () => {
  test.each(incidents)('after %o', (incident, whenUnlinked, whenLinked) => {
    expect(afterIncident({ isLinked: false }, incident)).toMatchObject(whenUnlinked)
    expect(afterIncident({ isLinked: true }, incident)).toMatchObject(whenLinked)
  })
})

describe('what follows a disconnect', () => {
  test('trouble that may pass never ends a session', () => {
    for (const reason of [
      'connection_closed',
      'timed_out',
      'bad_session',
      'service_unavailable',
      'store_failed',
    ] as const)
      expect(RECONNECT_POLICY[reason]).toEqual({ kind: 'reconnect', delay: 'backoff' })
    expect(RECONNECT_POLICY.restart_required).toEqual({ kind: 'reconnect', delay: 'none' })
  })

  test('the delay doubles up to five minutes, anywhere between nothing and all of it', () => {
    const longest = (attempt: number) => reconnectDelayMs('backoff', attempt, 5000, () => 1)
    expect([1, 2, 3, 7, 50].map(longest)).toEqual([5000, 10_000, 20_000, 300_000, 300_000])
    expect(reconnectDelayMs('backoff', 3, 5000, () => 0)).toBe(0)
    expect(reconnectDelayMs('none', 3, 5000)).toBe(0)
    expect(reconnectDelayMs('long', 1, 5000)).toBeGreaterThanOrEqual(600_000)
  })
})
