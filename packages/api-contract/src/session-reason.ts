import { z } from 'zod'

/**
 * Why a session is in its state, each as a sentence for people that says what it means and, where somebody has to do
 * something, the way out. New ones may appear.
 */
export const SESSION_REASONS = {
  // being linked
  qr: 'A QR code is shown: scan it on the phone under Settings, Linked devices, Link a device.',
  pairing_code:
    'A pairing code is shown: type it on the phone under Settings, Linked devices, Link a device, Link with phone number instead.',
  linked: 'The phone has accepted the link; the first login follows.',
  linking_expired: 'Nobody used the code in time. Begin to link again when the phone is at hand.',
  linking_blocked:
    'WhatsApp does not let this number link devices now: it is blocked for a while, or has four linked devices already. Remove a device on the phone, or wait a day, then link again.',
  linking_throttled:
    'There were too many attempts to link this number, and WhatsApp wants them to stop for a while. Wait some hours, then link again.',
  linking_refused:
    'WhatsApp refused to link. Check that the number is right and registered with WhatsApp, or link by QR code.',
  number_taken:
    'This number is linked to another session of the platform already. Log that one out first, or use another number.',
  // wishes
  stopped: 'It was paused on request. Start it to go on.',
  restarted: 'It was restarted on request and connects anew.',
  gateway_stopped: 'The process that ran it has ended; it is taken up again by itself.',
  logout_requested: 'It was logged out on request. Link it again to use it.',
  deleted: 'It was deleted on request.',
  closed_by_us: 'Its connection was closed on request.',
  // troubles that pass
  restart_required: 'WhatsApp asked for a new connection, which follows at once.',
  connection_closed: 'The connection was lost; it is opened again by itself.',
  timed_out: 'WhatsApp did not answer in time; it is tried again by itself.',
  unresponsive: 'The connection was open but dead; it is opened again by itself.',
  bad_session: 'WhatsApp ended the connection because of an error in it; it is opened again by itself.',
  service_unavailable: "WhatsApp's service was not available; it is tried again by itself.",
  store_failed: 'The database was not available; it is tried again by itself.',
  lease_lost: 'Another process runs the session now.',
  crashed: 'An error in it has ended the process that ran it; it is taken up again by itself.',
  proxy_failed:
    'The proxy refuses the connection or does not answer; it is tried again by itself. Check the proxy and its password.',
  temporarily_banned: 'WhatsApp has banned the number for a while; it is tried again by itself when that is over.',
  client_outdated:
    'WhatsApp does not serve this version of WhatsApp Web any more. The operator of the platform sets another `waVersion`.',
  // troubles that somebody has to end
  replaced:
    'Another connection has taken the place of this one, and it may do so again. Find out what else uses the same link, end it, then start this session.',
  logged_out: 'The phone has unlinked this session. Link it again.',
  forbidden: 'WhatsApp has banned the number. Ask for a review in WhatsApp on the phone.',
  credentials_unreadable:
    'The stored credentials of this link cannot be read. Restore them from a backup, or log out and link again.',
  rows_refused:
    'The database has refused what this session stores, twice: it was stopped so that the others go on. WhatsApp keeps what arrives. Tell the operator of the platform, whose log says what was refused; then restart it.',
  crashed_often:
    'An error in this session has ended its process three times within an hour: it was stopped so that the others go on. WhatsApp keeps what arrives. Tell the operator of the platform, whose log names the error; then restart it.',
  multi_device_mismatch:
    'WhatsApp does not know this link any more. Restore it from a backup, or log out and link again.',
} as const

export type SessionReason = keyof typeof SESSION_REASONS

/** A string, since new reasons may appear. */
export const sessionReason = z.string().meta({
  id: 'SessionReason',
  description: Object.entries(SESSION_REASONS)
    .map(([reason, sentence]) => `\`${reason}\`: ${sentence}`)
    .join('\n\n'),
})
