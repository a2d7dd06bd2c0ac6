/** Why a connection ended. What follows from each is data: services/sessions/reconnect-policy.ts. */
export type DisconnectReason =
  | 'closed_by_us'
  /** WhatsApp asks for a new connection at once (515), as after linking. */
  | 'restart_required'
  /** The socket closed or the stream ended (428). */
  | 'connection_closed'
  /** The server stopped answering, or no QR code was scanned in time (408). */
  | 'timed_out'
  | 'linking_expired'
  /** 500: a stream that cannot go on, or a frame that cannot be read. */
  | 'bad_session'
  | 'service_unavailable'
  /** Another connection took this device's place (440). */
  | 'replaced'
  /** The phone unlinked this device (401). */
  | 'logged_out'
  | 'forbidden'
  | 'temporarily_banned'
  | 'client_outdated'
  | 'multi_device_mismatch'
  /** The commit that the session depends on failed for good, or another owner holds the lease. */
  | 'store_failed'
  | 'lease_lost'
