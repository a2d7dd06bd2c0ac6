import type { CreateSession, LinkingCode, Session } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Database } from '#src/storage/database.ts'
import type { SessionRegistry } from '#src/transport/http/services.ts'

/** Sessions that exist in the database and connect to nothing. A test says which QR code they show. */
export class ScriptedSessions implements SessionRegistry {
  code: LinkingCode | undefined
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async create(companyId: string, { name }: CreateSession): Promise<Session> {
    const id = newId()
    await this.#database.worker
      .insertInto('session')
      .values({ id, company_id: companyId, name, provider: 'baileys' })
      .execute()
    return this.get(companyId, id)
  }

  async list(companyId: string): Promise<Session[]> {
    const rows = await this.#rows(companyId)
    return rows.map(toSession)
  }

  async get(companyId: string, sessionId: string): Promise<Session> {
    const row = (await this.#rows(companyId)).find(({ id }) => id === sessionId)
    if (row === undefined) throw new FrontdeskError('not_found')
    return toSession(row)
  }

  start(companyId: string, sessionId: string): Promise<Session> {
    return this.#setState(companyId, sessionId, 'linking')
  }

  stop(companyId: string, sessionId: string): Promise<Session> {
    return this.#setState(companyId, sessionId, 'paused')
  }

  async linkingCode(companyId: string, sessionId: string): Promise<LinkingCode> {
    await this.get(companyId, sessionId)
    if (this.code === undefined) throw new FrontdeskError('session_not_linking')
    return this.code
  }

  async #setState(companyId: string, sessionId: string, state: 'linking' | 'paused'): Promise<Session> {
    await this.get(companyId, sessionId)
    await this.#database.worker.updateTable('session').set({ state }).where('id', '=', sessionId).execute()
    return this.get(companyId, sessionId)
  }

  #rows(companyId: string) {
    return this.#database.asCompany(companyId, (db) => db.selectFrom('session').selectAll().orderBy('id').execute())
  }
}

interface SessionRow {
  id: string
  name: string
  provider: 'baileys'
  state: Session['state']
  reason: string | null
  state_since: Date
  phone: string | null
  linked_at: Date | null
  created_at: Date
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
