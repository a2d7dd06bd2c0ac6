import type { CreateSession, LinkingCode, Session } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Provider } from '#src/providers/provider.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import type { DesiredState } from '#src/storage/schema-types.ts'
import { findSession, insertSession, listSessions, type SessionRow, setDesired } from '#src/storage/sessions.ts'
import { openLinkingCode } from './linking-code.ts'

export interface SessionsOptions {
  database: Database
  keyRing: Pick<KeyRing, 'sealerOf'>
  provider: Pick<Provider, 'name'>
  /** Called after a commit that the session's owner should look at, wherever the owner runs. */
  onChanged: (sessionId: string) => void
}

/**
 * The companies' sessions as the API sees them: any process may ask, whoever owns them. What a company wants is stored;
 * the owner makes it so.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #database: Database

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#database = options.database
  }

  /** @throws FrontdeskError `session_name_taken` */
  create(companyId: string, { name }: CreateSession, { apiKeyId }: Actor): Promise<Session> {
    const id = newId()
    const provider = this.#options.provider.name
    return this.#database.asCompany(companyId, async (db) => {
      const row = await insertSession(companyId, db, { id, name, provider })
      await appendAudit(db, { companyId, apiKeyId, action: 'session.created', subjectId: id, detail: { name } })
      await appendEvents(db, [{ companyId, type: 'session.created', sessionId: id, subjectId: id }])
      return toSession(row)
    })
  }

  /** Oldest first. */
  list(companyId: string): Promise<Session[]> {
    return this.#database.asCompany(companyId, async (db) => (await listSessions(companyId, db)).map(toSession))
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, sessionId: string): Promise<Session> {
    return toSession(await this.#find(companyId, sessionId))
  }

  /** Has the session connected, and linked if it is not. Does nothing for one that runs. @throws FrontdeskError `not_found` */
  start(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#want(companyId, sessionId, 'running', actor)
  }

  /** Has the session's connection closed; it stays linked. @throws FrontdeskError `not_found` */
  stop(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#want(companyId, sessionId, 'stopped', actor)
  }

  /** @throws FrontdeskError `not_found`, `session_not_linking` */
  async linkingCode(companyId: string, sessionId: string): Promise<LinkingCode> {
    const { linking_code: sealed, linking_code_expires_at: expiresAt } = await this.#find(companyId, sessionId)
    if (sealed === null || expiresAt === null) throw new FrontdeskError('session_not_linking')
    const sealer = await this.#options.keyRing.sealerOf(companyId)
    return { ...(await openLinkingCode(sealer, sessionId, sealed)), expiresAt: expiresAt.toISOString() }
  }

  async #want(companyId: string, sessionId: string, desired: DesiredState, { apiKeyId }: Actor): Promise<Session> {
    const row = await this.#database.asCompany(companyId, async (db) => {
      const changed = found(await setDesired(companyId, db, sessionId, desired))
      const action = desired === 'running' ? 'session.started' : 'session.stopped'
      await appendAudit(db, { companyId, apiKeyId, action, subjectId: sessionId })
      return changed
    })
    this.#options.onChanged(sessionId)
    return toSession(row)
  }

  #find(companyId: string, sessionId: string): Promise<SessionRow> {
    return this.#database.asCompany(companyId, async (db) => found(await findSession(companyId, db, sessionId)))
  }
}

function found(row: SessionRow | undefined): SessionRow {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}

const toSession = (row: SessionRow): Session => ({
  id: row.id,
  name: row.name,
  provider: row.provider,
  state: row.state,
  reason: row.reason,
  since: row.state_since.toISOString(),
  phone: row.phone,
  linkedAt: row.linked_at?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
})
