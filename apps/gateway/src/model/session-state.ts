import type { SessionState } from '@frontdesk/api-contract'
import type { DisconnectReason } from './disconnect-reason.ts'

/** Why a session is in its state, when no connection has ended for it. */
type StateWord =
  /** What is shown while it is being linked. */
  | 'qr'
  | 'pairing_code'
  /** The phone has accepted; the first login follows. */
  | 'linked'
  /** Its company has paused it, or wants it connected anew. */
  | 'stopped'
  | 'restarted'
  /** The process that owned it has ended. */
  | 'gateway_stopped'
  /** Its company has unlinked it, or deleted it. */
  | 'logout_requested'
  | 'deleted'

/** Where a session stands. */
export interface SessionStatus {
  state: SessionState
  reason: DisconnectReason | StateWord | null
  /** When it is tried again. Of a session that is over: from when on somebody may try again. Null when nothing is known. */
  nextAttemptAt: Date | null
  /** Whether a phone has accepted the link, and has not taken it back. */
  isLinked: boolean
  /** Nothing but a wish of its company brings the session back. */
  isOver: boolean
}

/** States in which a session stays until somebody does something. */
export type FinalState = Extract<SessionState, 'created' | 'paused' | 'logged_out' | 'banned' | 'conflict' | 'failed'>

/** What happens to a session, as far as its state is concerned. */
export type SessionIncident =
  /** A process owns it now and is about to connect it. */
  | { kind: 'taken_up' }
  | { kind: 'code_shown'; code: 'qr' | 'pairing_code' }
  /** The phone has accepted the link; a new connection follows. */
  | { kind: 'linked' }
  | { kind: 'online' }
  /** The connection has ended, and another attempt follows. */
  | { kind: 'disconnected'; reason: DisconnectReason; nextAttemptAt: Date }
  /** The connection has ended, and no attempt follows. `nextAttemptAt`: before it, a person need not try either. */
  | { kind: 'ended'; reason: DisconnectReason; state: FinalState; nextAttemptAt?: Date }
  /** The number belongs to another session: the phone is about to be told that this link is off. */
  | { kind: 'refused'; reason: 'number_taken' }
  | { kind: 'restarted' }
  /** Its company has paused it. */
  | { kind: 'stopped' }
  /** Its company wanted the phone unlinked, and it is. */
  | { kind: 'unlinked' }
  | { kind: 'deleted' }
  /** The process ends; the next one takes the session up again. */
  | { kind: 'gateway_stopped' }

/**
 * All transitions of a session. Any incident can come in any state, since what happens on the phone and at WhatsApp asks
 * nobody; of the past, only the link counts. Keys follow `isLinked`: a session that is over and not linked keeps none.
 */
export function afterIncident({ isLinked }: Pick<SessionStatus, 'isLinked'>, incident: SessionIncident): SessionStatus {
  const goesOn = { nextAttemptAt: null, isLinked, isOver: false }
  const isOver = { nextAttemptAt: null, isLinked, isOver: true }
  /** On its way, as one says it of a session that was online before or of one that never was. */
  const underWay = isLinked ? 'reconnecting' : 'connecting'
  switch (incident.kind) {
    case 'taken_up':
      return { ...goesOn, state: 'connecting', reason: null }
    case 'code_shown':
      return { ...goesOn, state: 'linking', reason: incident.code, isLinked: false }
    case 'linked':
      return { ...goesOn, state: 'connecting', reason: 'linked', isLinked: true }
    case 'online':
      return { ...goesOn, state: 'online', reason: null, isLinked: true }
    case 'disconnected':
      return { ...goesOn, state: underWay, reason: incident.reason, nextAttemptAt: incident.nextAttemptAt }
    case 'refused':
      return { ...goesOn, state: 'connecting', reason: incident.reason, isLinked: false }
    case 'restarted':
      return { ...goesOn, state: underWay, reason: 'restarted' }
    case 'gateway_stopped':
      return { ...goesOn, state: underWay, reason: 'gateway_stopped' }
    case 'stopped':
      // A session that was never linked has nothing to be paused.
      return { ...isOver, state: isLinked ? 'paused' : 'created', reason: 'stopped' }
    case 'unlinked':
      return { ...isOver, state: 'logged_out', reason: 'logout_requested', isLinked: false }
    case 'deleted':
      return { ...isOver, state: 'logged_out', reason: 'deleted', isLinked: false }
    case 'ended':
      return {
        ...isOver,
        state: incident.state,
        reason: incident.reason,
        nextAttemptAt: incident.nextAttemptAt ?? null,
        isLinked: isLinked && incident.state !== 'logged_out' && incident.state !== 'created',
      }
  }
}
