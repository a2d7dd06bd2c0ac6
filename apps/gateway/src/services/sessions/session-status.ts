import { type NextAction, SESSION_REASONS, type Session, type SessionNext } from '@frontdesk/api-contract'
import type { SessionStatus } from '#src/model/session-state.ts'
import type { SessionRow } from '#src/storage/sessions.ts'

/** A reason without a sentence is an error of the compiler. */
const SENTENCES: Readonly<Record<NonNullable<SessionStatus['reason']>, string>> = SESSION_REASONS

/** A session as the API shows it. */
export const toSession = (row: SessionRow): Session => ({
  id: row.id,
  name: row.name,
  provider: row.provider,
  desired: row.desired === 'stopped' ? 'paused' : row.desired,
  state: row.state,
  reason: row.reason,
  since: row.state_since.toISOString(),
  next: nextOf(row),
  attempts: row.attempts,
  phone: row.phone,
  linkedAt: row.linked_at?.toISOString() ?? null,
  settings: row.settings,
  hasProxy: row.proxy !== null,
  createdAt: row.created_at.toISOString(),
})

type NextOf = Pick<
  SessionRow,
  'state' | 'reason' | 'desired' | 'linked_at' | 'linking_code_expires_at' | 'next_attempt_at'
>

/** What happens next to a session, or who has to do what, and the same as a sentence. */
function nextOf(row: NextOf): SessionNext {
  const action = actionOf(row)
  const at = row.state === 'linking' ? row.linking_code_expires_at : row.next_attempt_at
  // The reason tells of the past: where something else was asked for since, that counts.
  const isOnItsWay = action === 'connect' && row.state !== 'connecting' && row.state !== 'reconnecting'
  const isAskedFor = action === 'delete' || action === 'log_out' || isOnItsWay
  const reason = isAskedFor || row.reason === null ? undefined : sentenceOf(row.reason)
  return {
    action,
    at: action === 'none' || isAskedFor ? null : (at?.toISOString() ?? null),
    explanation: reason ?? WITHOUT_REASON[action],
  }
}

function actionOf({ state, reason, desired, linked_at }: NextOf): NextAction {
  if (desired === 'deleted') return 'delete'
  if (desired === 'logged_out' && state !== 'logged_out') return 'log_out'
  switch (state) {
    case 'created':
      return desired === 'running' ? 'connect' : 'link'
    case 'linking':
      return reason === 'pairing_code' ? 'wait_for_entry' : 'wait_for_scan'
    case 'connecting':
    case 'reconnecting':
      return 'connect'
    case 'online':
      return 'none'
    case 'paused':
    case 'conflict':
      return desired === 'running' ? 'connect' : 'start'
    case 'logged_out':
      return desired === 'running' ? 'connect' : 'link'
    case 'failed':
      if (reason === 'rows_refused' || reason === 'crashed_often') return 'start'
      return linked_at === null ? 'link' : 'relink'
    case 'banned':
      return 'ask_whatsapp'
  }
}

/** Of an older or newer version of the program, there may be reasons that this one does not know. */
const sentenceOf = (reason: string): string | undefined => new Map(Object.entries(SENTENCES)).get(reason)

const WITHOUT_REASON: Readonly<Record<NextAction, string>> = {
  none: 'It is connected, and messages flow.',
  connect: 'It is being connected.',
  wait_for_scan: SENTENCES.qr,
  wait_for_entry: SESSION_REASONS.pairing_code,
  link: 'It is not linked to a phone. Link it to use it.',
  start: 'It is not connected. Start it to go on.',
  relink: 'It cannot go on with this link. Log it out, then link it anew.',
  ask_whatsapp: SESSION_REASONS.forbidden,
  log_out: 'It is being logged out: the phone is told as soon as it can be reached.',
  delete: 'It is being deleted: the phone is told first, if it can be reached.',
}
