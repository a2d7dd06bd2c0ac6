import type {
  Company,
  CompanySettings,
  CreateCompany,
  List,
  SettingsUpdate,
  UpdateCompany,
} from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import {
  type CompanyRow,
  findCompany,
  insertCompany,
  listCompanies,
  lockCompany,
  updateCompany,
} from '#src/storage/companies.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'

export interface CompaniesOptions {
  database: Database
  keyRing: Pick<KeyRing, 'newDataKey'>
  /** Called after a company's change is committed: whoever remembers settings forgets them. */
  onUpdated?: (companyId: string) => void
}

/** The companies of this deployment. */
export class Companies {
  readonly #database: Database
  readonly #keyRing: Pick<KeyRing, 'newDataKey'>
  readonly #onUpdated: (companyId: string) => void

  constructor({ database, keyRing, onUpdated = () => undefined }: CompaniesOptions) {
    this.#database = database
    this.#keyRing = keyRing
    this.#onUpdated = onUpdated
  }

  create({ name, settings = {} }: CreateCompany, { apiKeyId }: Actor): Promise<Company> {
    const id = newId()
    return this.#database.worker.transaction().execute(async (db) => {
      const row = await insertCompany(db, { id, name, settings, dataKey: this.#keyRing.newDataKey(id) })
      await appendAudit(db, { companyId: id, apiKeyId, action: 'company.created', subjectId: id, detail: { name } })
      await appendEvents(db, [{ companyId: id, type: 'company.created', subjectId: id }])
      return toCompany(row)
    })
  }

  /** Oldest first. */
  async list({ limit, cursor }: { limit: number; cursor?: string | undefined }): Promise<List<Company>> {
    const rows = await listCompanies(this.#database.worker, limit + 1, cursor)
    const items = rows.slice(0, limit).map(toCompany)
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
  }

  /** @throws FrontdeskError `not_found` */
  get(companyId: string): Promise<Company> {
    return this.#database.asCompany(companyId, async (db) => toCompany(found(await findCompany(companyId, db))))
  }

  /** What is left out stays; a key of the settings that is null is taken out. @throws FrontdeskError `not_found` */
  async update(companyId: string, { name, settings }: UpdateCompany, { apiKeyId }: Actor): Promise<Company> {
    const updated = await this.#database.asCompany(companyId, async (db) => {
      const before = toCompany(found(await lockCompany(companyId, db)))
      const row = await updateCompany(companyId, db, {
        name: name ?? before.name,
        settings: merged(before.settings, settings ?? {}),
      })
      const changed = [
        ...(name === undefined ? [] : ['name']),
        ...Object.keys(settings ?? {}).map((key) => `settings.${key}`),
      ]
      await appendAudit(db, {
        companyId,
        apiKeyId,
        action: 'company.updated',
        subjectId: companyId,
        detail: { changed },
      })
      return toCompany(row)
    })
    this.#onUpdated(companyId)
    return updated
  }
}

const merged = (settings: CompanySettings, update: SettingsUpdate): CompanySettings =>
  Object.fromEntries(
    Object.entries({ ...settings, ...update }).filter(([, value]) => value !== null && value !== undefined),
  )

function found(row: CompanyRow | undefined): CompanyRow {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}

const toCompany = ({ id, name, settings, created_at }: CompanyRow): Company => ({
  id,
  name,
  settings,
  createdAt: created_at.toISOString(),
})
