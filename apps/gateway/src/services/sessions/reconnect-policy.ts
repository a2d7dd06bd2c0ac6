import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { FinalState } from '#src/model/session-state.ts'

/** What follows when a connection has ended. */
export type Policy =
  /** Connect again: at once, after a growing delay, or after a long one because hurry would do harm. */
  | { kind: 'reconnect'; delay: 'none' | 'backoff' | 'long' }
  /** Connect again after a pause, and see: if the same happens soon after, somebody has to do something. */
  | { kind: 'try_once'; state: FinalState }
  /** Somebody has to do something first. */
  | { kind: 'stop'; state: FinalState }
  /** Another process owns the session: whatever happens to it is not ours to say. */
  | { kind: 'leave' }

/** Every reason for which a connection ends, and what follows. What each means: model/disconnect-reason.ts. */
export const RECONNECT_POLICY: Readonly<Record<DisconnectReason, Policy>> = {
  closed_by_us: { kind: 'reconnect', delay: 'backoff' },
  restart_required: { kind: 'reconnect', delay: 'none' },
  connection_closed: { kind: 'reconnect', delay: 'backoff' },
  timed_out: { kind: 'reconnect', delay: 'backoff' },
  unresponsive: { kind: 'reconnect', delay: 'backoff' },
  proxy_failed: { kind: 'reconnect', delay: 'backoff' },
  bad_session: { kind: 'reconnect', delay: 'backoff' },
  service_unavailable: { kind: 'reconnect', delay: 'backoff' },
  store_failed: { kind: 'reconnect', delay: 'backoff' },
  temporarily_banned: { kind: 'reconnect', delay: 'long' },
  client_outdated: { kind: 'reconnect', delay: 'long' },
  // A stray one happens. Of two clients that fight for a number, both would come back for ever.
  replaced: { kind: 'try_once', state: 'conflict' },
  linking_expired: { kind: 'stop', state: 'created' },
  linking_blocked: { kind: 'stop', state: 'created' },
  linking_throttled: { kind: 'stop', state: 'created' },
  linking_refused: { kind: 'stop', state: 'created' },
  number_taken: { kind: 'stop', state: 'created' },
  logged_out: { kind: 'stop', state: 'logged_out' },
  forbidden: { kind: 'stop', state: 'banned' },
  credentials_unreadable: { kind: 'stop', state: 'failed' },
  multi_device_mismatch: { kind: 'stop', state: 'failed' },
  lease_lost: { kind: 'leave' },
  // It can have been a race with what was being deleted.
  rows_refused: { kind: 'try_once', state: 'failed' },
  crashed: { kind: 'reconnect', delay: 'none' },
  crashed_often: { kind: 'stop', state: 'failed' },
}
