import type { PutSecret, Secret } from '@frontdesk/api-contract'
import { LRUCache } from 'lru-cache'
import { FrontdeskError } from '#src/model/errors.ts'
import { appendAudit } from '#src/storage/audit.ts'
import {
  type CompanySecretRow,
  deleteSecret,
  findSecret,
  listSecrets,
  putSecret,
} from '#src/storage/company-secrets.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { companySecretContext } from '#src/storage/sealed-columns.ts'
import type { Actor } from './actor.ts'

const MOST_SECRETS = 50
/** How soon a change that another process has made is noticed, milliseconds. */
const FRESH_MS = 1000
const MOST_KNOWN = 1000
const HINT_LENGTH = 4
/** Of a shorter value, its end would give away too much. */
const SHORTEST_WITH_HINT = 13

export interface CompanySecretsOptions {
  database: Database
  keyRing: Pick<KeyRing, 'sealerOf'>
}

/** Keys and passwords of companies, which settings refer to by name. */
export class CompanySecrets {
  readonly #options: CompanySecretsOptions
  readonly #known = new LRUCache<string, Promise<string | undefined>>({ max: MOST_KNOWN, ttl: FRESH_MS })

  constructor(options: CompanySecretsOptions) {
    this.#options = options
  }

  /** In place of the one of the same name. @throws FrontdeskError `secret_limit_reached` */
  async put(companyId: string, name: string, { value }: PutSecret, { apiKeyId }: Actor): Promise<Secret> {
    const { database, keyRing } = this.#options
    const sealer = await keyRing.sealerOf(companyId)
    const sealed = sealer.seal(Buffer.from(value), companySecretContext(companyId, name))
    const hint = value.length >= SHORTEST_WITH_HINT ? value.slice(-HINT_LENGTH).toWellFormed() : ''
    // Not with the rights of a company: those do not reach as far as to the value.
    const row = await database.worker.transaction().execute(async (db) => {
      const row = await putSecret(companyId, db, { name, value: sealed, hint }, MOST_SECRETS)
      if (row === undefined) throw new FrontdeskError('secret_limit_reached', `It is ${MOST_SECRETS}.`)
      await appendAudit(db, { companyId, apiKeyId, action: 'secret.put', subjectId: companyId, detail: { name } })
      return row
    })
    this.#known.delete(keyOf(companyId, name))
    return toSecret(row)
  }

  /** By name. */
  async list(companyId: string): Promise<Secret[]> {
    const rows = await this.#options.database.asCompany(companyId, (db) => listSecrets(companyId, db))
    return rows.map(toSecret)
  }

  /** @throws FrontdeskError `not_found` */
  async delete(companyId: string, name: string, { apiKeyId }: Actor): Promise<void> {
    await this.#options.database.asCompany(companyId, async (db) => {
      if (!(await deleteSecret(companyId, db, name))) throw new FrontdeskError('not_found')
      await appendAudit(db, { companyId, apiKeyId, action: 'secret.deleted', subjectId: companyId, detail: { name } })
    })
    this.#known.delete(keyOf(companyId, name))
  }

  /** For use, never to be shown; undefined when there is none of the name. */
  read(companyId: string, name: string): Promise<string | undefined> {
    const key = keyOf(companyId, name)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const reading = this.#read(companyId, name)
    this.#known.set(key, reading)
    // Whoever waits for it sees the failure; the next one reads again.
    reading.catch(() => this.#known.delete(key))
    return reading
  }

  async #read(companyId: string, name: string): Promise<string | undefined> {
    const { database, keyRing } = this.#options
    const sealed = await findSecret(companyId, database.worker, name)
    if (sealed === undefined) return undefined
    const sealer = await keyRing.sealerOf(companyId)
    return Buffer.from(await sealer.open(sealed, companySecretContext(companyId, name))).toString('utf8')
  }
}

const keyOf = (companyId: string, name: string): string => `${companyId}/${name}`

const toSecret = ({ name, hint, updated_at }: CompanySecretRow): Secret => ({
  name,
  hint,
  updatedAt: updated_at.toISOString(),
})
