import type { CreateSession, LinkingCode, Session } from '@frontdesk/api-contract'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Provider } from '#src/providers/provider.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import {
  findSession,
  insertSession,
  listSessions,
  listWantedSessions,
  type SessionRow,
  setSessionWanted,
} from '#src/storage/sessions.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import { ConnectSlots } from './connect-slots.ts'
import type { SessionListener } from './session-listener.ts'
import { type RunnerTools, SessionRunner, type SessionSettings } from './session-runner.ts'

/** Sessions that connect at once. Each spends most of its time waiting for commits and answers, hence so many. */
const CONNECTING_AT_ONCE = 200
const MAX_CONTACT_BOOKS = 10_000
/** How long an ending gateway waits for a database that is away, milliseconds. */
const LAST_WORDS_MS = 5000

export interface SessionServiceOptions {
  database: Database
  writer: Writer
  keyRing: KeyRing
  provider: Provider
  listener: SessionListener
  settings: SessionSettings
  log: Logger
}

/** The companies' sessions: which there are, and those that run in this process. */
export class SessionService implements AsyncDisposable {
  readonly #database: Database
  readonly #provider: Provider
  readonly #tools: RunnerTools
  /** Of the sessions that run here. */
  readonly #runners = new Map<string, SessionRunner>()
  readonly #givingUp = new AbortController()
  #isEnding = false

  constructor({ database, writer, keyRing, provider, listener, settings, log }: SessionServiceOptions) {
    const contacts = new LRUCache<string, ContactBook>({
      max: MAX_CONTACT_BOOKS,
      memoMethod: (companyId) => createContactBook(database, companyId),
    })
    this.#database = database
    this.#provider = provider
    this.#tools = {
      nodeId: newId(),
      ...{ database, writer, keyRing, provider, listener, settings, log },
      slots: new ConnectSlots(CONNECTING_AT_ONCE),
      contactsOf: (companyId) => contacts.memo(companyId),
      givingUp: this.#givingUp.signal,
    }
  }

  /** @throws FrontdeskError `session_name_taken` */
  create(companyId: string, { name }: CreateSession, { apiKeyId }: Actor): Promise<Session> {
    const id = newId()
    const provider = this.#provider.name
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
  get(companyId: string, sessionId: string): Promise<Session> {
    return this.#database.asCompany(companyId, async (db) =>
      toSession(found(await findSession(companyId, db, sessionId))),
    )
  }

  /** Connects the session, and shows QR codes if it is not linked. Does nothing for one that runs. @throws FrontdeskError `not_found` */
  async start(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    const row = await this.#setWanted(companyId, sessionId, true, actor)
    const ending = this.#runners.get(sessionId)
    if (ending?.isStopping) await ending.ended
    this.#run(row)
    return toSession(row)
  }

  /** Closes the session's connection; it stays linked. @throws FrontdeskError `not_found` */
  async stop(companyId: string, sessionId: string, actor: Actor): Promise<Session> {
    await this.#setWanted(companyId, sessionId, false, actor)
    await this.#runners.get(sessionId)?.stop('stopped')
    return this.get(companyId, sessionId)
  }

  /** @throws FrontdeskError `not_found`, `session_not_linking` */
  async linkingCode(companyId: string, sessionId: string): Promise<LinkingCode> {
    await this.get(companyId, sessionId)
    const code = this.#runners.get(sessionId)?.linkingCode
    if (code === undefined) throw new FrontdeskError('session_not_linking')
    return code
  }

  /** Takes up every session that its company wants to run. */
  async resumeAll(): Promise<void> {
    for (const row of await listWantedSessions(this.#database.worker)) this.#run(row)
  }

  /** Closes all connections; the sessions are taken up again by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    const giveUp = setTimeout(() => this.#givingUp.abort(), LAST_WORDS_MS)
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop('gateway_stopped')))
    clearTimeout(giveUp)
  }

  #run(session: SessionRow): void {
    if (this.#isEnding || this.#runners.has(session.id)) return
    const runner = new SessionRunner(session, this.#tools)
    this.#runners.set(session.id, runner)
    void runner.ended.then(() => this.#runners.delete(session.id))
  }

  #setWanted(companyId: string, sessionId: string, isWanted: boolean, { apiKeyId }: Actor): Promise<SessionRow> {
    return this.#database.asCompany(companyId, async (db) => {
      const row = found(await setSessionWanted(companyId, db, sessionId, isWanted))
      const action = isWanted ? 'session.started' : 'session.stopped'
      await appendAudit(db, { companyId, apiKeyId, action, subjectId: sessionId })
      return row
    })
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
