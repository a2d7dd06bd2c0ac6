/** Why a connection ended. What follows from each is data: services/sessions/reconnect-policy.ts. */
export type DisconnectReason =
  | 'closed_by_us'
  /** WhatsApp asks for a new connection at once (515), as after linking. */
  | 'restart_required'
  /** The socket closed or the stream ended (428). */
  | 'connection_closed'
  /** The server could not be reached, or did not answer in time (408). */
  | 'timed_out'
  /** The connection was open, but nothing came through it any more: a probe was not answered. */
  | 'unresponsive'
  /** The session's proxy refuses, hangs or answers what no proxy answers. */
  | 'proxy_failed'
  /** Nobody used the linking code in time. */
  | 'linking_expired'
  /** The number may not link devices now: WhatsApp has blocked that for a while, or it has too many devices. */
  | 'linking_blocked'
  /** Too many attempts to link; WhatsApp wants them to stop for a while. */
  | 'linking_throttled'
  /** WhatsApp refuses to link for another reason, such as a pairing code for a number that it does not know. */
  | 'linking_refused'
  /** Another session of the platform is linked to this number already. Reported by the services. */
  | 'number_taken'
  /** 500: a stream that cannot go on, or a frame that cannot be read. */
  | 'bad_session'
  /** The stored credentials cannot be opened or parsed. */
  | 'credentials_unreadable'
  | 'service_unavailable'
  /** Another connection took this device's place (440). */
  | 'replaced'
  /** The phone unlinked this device (401). */
  | 'logged_out'
  /** WhatsApp has banned or locked the number (403, 406). */
  | 'forbidden'
  /** WhatsApp has banned the number for a while (402); it may say until when. */
  | 'temporarily_banned'
  /** This version of WhatsApp Web is not served any more (405): it must be changed, for all sessions. */
  | 'client_outdated'
  /** The number's account does not take part in multi-device, or the device is not one of it any more (411). */
  | 'multi_device_mismatch'
  /** The commit that the session depends on failed for good, or another owner holds the lease. */
  | 'store_failed'
  | 'lease_lost'
  /** The database refuses what the session writes: not for now, but for what it is. */
  | 'rows_refused'
  /** An error of the session's that nobody has caught has ended its process. Reported by the services, as the next one. */
  | 'crashed'
  /** It has done so again and again. */
  | 'crashed_often'
