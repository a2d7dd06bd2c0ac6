import type {
  CreateSession,
  LinkingCode,
  LinkSession,
  Session,
  SessionDetails,
  SessionSettings,
  UpdateSession,
} from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { parsePhoneNumber } from '#src/model/phone-number.ts'
import type { Actor } from '#src/services/security/actor.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { proxyContext } from '#src/storage/sealed-columns.ts'
import { readSessionActivity } from '#src/storage/session-activity.ts'
import { requestCommand, type SessionChange, updateSession } from '#src/storage/session-requests.ts'
import { readUptime } from '#src/storage/session-uptime.ts'
import { findSession, insertSession, listSessions, type SessionRow } from '#src/storage/sessions.ts'
import { openLinkingCode } from './linking-code.ts'
import { claimForChange, countLinking, requestAction, type SessionRequest } from './session-actions.ts'
import { toSession } from './session-status.ts'

export interface SessionsOptions {
  database: Database
  keyRing: Pick<KeyRing, 'sealerOf'>
  urlGuard: Pick<OutgoingUrlGuard, 'checkProxy'>
  linkingAttemptsPerHour: number
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
    return this.#database.asCompany(companyId, async (db) => {
      const row = await insertSession(companyId, db, { id, name, provider: 'baileys' })
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
  get(companyId: string, sessionId: string): Promise<SessionDetails> {
    return this.#database.asCompany(companyId, async (db) => {
      const row = found(await findSession(companyId, db, sessionId))
      const activity = await readSessionActivity(companyId, db, sessionId)
      return {
        ...toSession(row),
        uptime: await readUptime(companyId, db, sessionId, new Date()),
        lastInboundAt: activity?.last_inbound_at?.toISOString() ?? null,
        lastOutboundAt: activity?.last_outbound_at?.toISOString() ?? null,
        phoneSeenAt: activity?.phone_seen_at?.toISOString() ?? null,
      }
    })
  }

  /**
   * Changes what is sent. It holds from the next connection on; for another proxy or version, the owner opens a new one.
   * @throws FrontdeskError `not_found`, `session_deleted`, `session_name_taken`, `url_not_allowed`
   */
  async update(companyId: string, sessionId: string, update: UpdateSession, actor: Actor): Promise<Session> {
    const { name, settings, proxy } = update
    if (typeof proxy === 'string') await this.#options.urlGuard.checkProxy(proxy)
    const sealer = await this.#options.keyRing.sealerOf(companyId)
    return await this.#change(companyId, sessionId, actor, async (request) => {
      const { db } = request
      const before = await claimForChange(request)
      const change: SessionChange = {
        ...(name !== undefined && { name }),
        ...(settings !== undefined && { settings: merged(before.settings, settings) }),
        ...(proxy !== undefined && {
          proxy: proxy === null ? null : sealer.seal(Buffer.from(proxy), proxyContext(sessionId)),
        }),
      }
      const row = await updateSession(companyId, db, sessionId, change)
      const changed = [
        ...(name === undefined ? [] : ['name']),
        ...Object.keys(settings ?? {}).map((key) => `settings.${key}`),
        ...(proxy === undefined ? [] : ['proxy']),
      ]
      const { apiKeyId } = actor
      await appendAudit(db, {
        companyId,
        apiKeyId,
        action: 'session.updated',
        subjectId: sessionId,
        detail: { changed },
      })
      return row
    })
  }

  /**
   * Has the session connected, and linked if it is not. Does nothing for one that runs.
   * @throws FrontdeskError `not_found`, `session_deleted`, `linking_limit_reached`
   */
  start(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#change(companyId, sessionId, actor, (request) => requestAction('start', request))
  }

  /** Has the session's connection closed; it stays linked. @throws FrontdeskError `not_found`, `session_deleted` */
  pause(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#change(companyId, sessionId, actor, (request) => requestAction('pause', request))
  }

  /**
   * Has the session's connection opened anew; one that is being linked begins anew.
   * @throws FrontdeskError `not_found`, `session_deleted`, `linking_limit_reached`
   */
  restart(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#change(companyId, sessionId, actor, (request) => requestAction('restart', request))
  }

  /**
   * Has the link taken back on the phone, as soon as it can be reached.
   * @throws FrontdeskError `not_found`, `session_deleted`, `session_not_linked`
   */
  logout(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#change(companyId, sessionId, actor, (request) => requestAction('logout', request))
  }

  /** Has the session removed, with its keys. @throws FrontdeskError `not_found` */
  delete(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    return this.#change(companyId, sessionId, actor, (request) => requestAction('delete', request))
  }

  /**
   * Begins to link, or begins anew. The code follows in a moment: see `linkingCode`.
   * @throws FrontdeskError `not_found`, `session_deleted`, `session_already_linked`, `invalid_phone_number`,
   * `linking_limit_reached`
   */
  async link(
    companyId: string,
    sessionId: string,
    { method, phone: text }: LinkSession,
    actor: Actor,
  ): Promise<Session> {
    const phone = text === undefined ? undefined : parsePhoneNumber(text)
    if (text !== undefined && phone === undefined) throw new FrontdeskError('invalid_phone_number')
    return await this.#change(companyId, sessionId, actor, async (request) => {
      const { db } = request
      const before = await claimForChange(request)
      if (before.linked_at !== null) throw new FrontdeskError('session_already_linked')
      if (method === 'pairing_code' && (phone ?? before.linking_phone ?? before.phone) === null)
        throw new FrontdeskError('invalid_phone_number', 'The number of the phone is needed for a pairing code.')
      await countLinking(request)
      if (before.desired === 'running') await requestCommand(companyId, db, sessionId, 'new_code')
      const { apiKeyId } = actor
      const detail = { method: method ?? 'as_set' }
      await appendAudit(db, { companyId, apiKeyId, action: 'session.linking', subjectId: sessionId, detail })
      return await updateSession(companyId, db, sessionId, {
        desired: 'running',
        linkingMethod: method ?? null,
        forgetsCode: true,
        ...(phone !== undefined && { linkingPhone: phone }),
      })
    })
  }

  /** What is to be scanned or typed now. @throws FrontdeskError `not_found`, `session_not_linking` */
  async linkingCode(companyId: string, sessionId: string): Promise<LinkingCode> {
    const row = await this.#database.asCompany(companyId, async (db) =>
      found(await findSession(companyId, db, sessionId)),
    )
    const { linking_code: sealed, linking_code_expires_at: expiresAt } = row
    if (sealed === null || expiresAt === null || expiresAt.getTime() < Date.now())
      throw new FrontdeskError('session_not_linking')
    const sealer = await this.#options.keyRing.sealerOf(companyId)
    return { ...(await openLinkingCode(sealer, sessionId, sealed)), expiresAt: expiresAt.toISOString() }
  }

  async #change(
    companyId: string,
    sessionId: string,
    actor: Actor,
    work: (request: SessionRequest) => Promise<SessionRow>,
  ): Promise<Session> {
    const { linkingAttemptsPerHour, onChanged } = this.#options
    const row = await this.#database.asCompany(companyId, (db) =>
      work({ companyId, db, sessionId, actor, linkingAttemptsPerHour }),
    )
    onChanged(sessionId)
    return toSession(row)
  }
}

const merged = (settings: SessionSettings, update: NonNullable<UpdateSession['settings']>): SessionSettings =>
  Object.fromEntries(
    Object.entries({ ...settings, ...update }).filter(([, value]) => value !== null && value !== undefined),
  )

function found(row: SessionRow | undefined): SessionRow {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}
