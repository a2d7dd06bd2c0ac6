import type { SessionStore } from '#src/model/session-store.ts'
import type { ProviderConnection } from '#src/providers/provider.ts'
import type { Lease } from '#src/storage/leases.ts'

/** A session while this process owns it. */
export interface RunningSession {
  lease: Lease
  store: SessionStore
}

/** What others do when a session comes and goes. */
export interface SessionListener {
  /** This process owns the session now, and has not connected it yet: what an earlier owner left is taken up. */
  owned(session: RunningSession): Promise<void>
  /** `recorded` resolves when that is stored, or never will be. */
  online(session: RunningSession, connection: ProviderConnection, recorded: Promise<void>): void
  offline(sessionId: string): void
  typing(sessionId: string, contactId: string, isTyping: boolean): void
  /** The linked phone itself has given a sign of life. */
  phoneSeen(session: RunningSession, at: Date): void
  /** This process owns the session no longer. */
  released(sessionId: string): void
}
