import type { SessionState } from '@frontdesk/api-contract'
import type { DisconnectReason } from './disconnect-reason.ts'

/** Where a session stands. */
export interface SessionStatus {
  state: SessionState
  /** Why, when there is more to say: a disconnect reason, or one of the words below. */
  reason: DisconnectReason | 'qr' | 'linked' | 'stopped' | 'gateway_stopped' | null
  /** Whether a phone has accepted the link, and has not taken it back. */
  isLinked: boolean
  /** Nothing but a new start brings the session back. */
  isOver: boolean
}

/** States in which a session stays until somebody does something. */
export type FinalState = Extract<SessionState, 'created' | 'paused' | 'logged_out' | 'banned' | 'conflict' | 'failed'>

/** What happens to a session, as far as its state is concerned. */
export type SessionIncident =
  /** A process owns it now and is about to connect it. */
  | { kind: 'taken_up' }
  | { kind: 'code_shown' }
  /** The phone has accepted the link; a new connection follows. */
  | { kind: 'linked' }
  | { kind: 'online' }
  /** The connection has ended, and another attempt follows. */
  | { kind: 'disconnected'; reason: DisconnectReason }
  /** The connection has ended, and no attempt follows. */
  | { kind: 'ended'; reason: DisconnectReason; state: FinalState }
  /** Its company has stopped it. */
  | { kind: 'stopped' }
  /** The process ends; the next one takes the session up again. */
  | { kind: 'gateway_stopped' }

/** All transitions of a session. The session's links and keys follow `isLinked`: what is not linked keeps nothing. */
export function afterIncident({ isLinked }: Pick<SessionStatus, 'isLinked'>, incident: SessionIncident): SessionStatus {
  /** On its way, as one says it of a session that was online before or of one that never was. */
  const underWay = isLinked ? 'reconnecting' : 'connecting'
  switch (incident.kind) {
    case 'taken_up':
      return { state: 'connecting', reason: null, isLinked, isOver: false }
    case 'code_shown':
      return { state: 'linking', reason: 'qr', isLinked: false, isOver: false }
    case 'linked':
      return { state: 'connecting', reason: 'linked', isLinked: true, isOver: false }
    case 'online':
      return { state: 'online', reason: null, isLinked: true, isOver: false }
    case 'disconnected':
      return { state: underWay, reason: incident.reason, isLinked, isOver: false }
    case 'gateway_stopped':
      return { state: underWay, reason: 'gateway_stopped', isLinked, isOver: false }
    case 'stopped':
      // A session that was never linked has nothing to be paused.
      return { state: isLinked ? 'paused' : 'created', reason: 'stopped', isLinked, isOver: true }
    case 'ended':
      return {
        state: incident.state,
        reason: incident.reason,
        isLinked: isLinked && incident.state !== 'logged_out' && incident.state !== 'created',
        isOver: true,
      }
  }
}
