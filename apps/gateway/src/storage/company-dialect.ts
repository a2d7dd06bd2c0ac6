import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  PostgresDialect,
  PostgresDriver,
  type TransactionSettings,
} from 'kysely'
import type { Pool } from 'pg'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Postgres as one company sees it: every transaction begins under the API's role and in that company's scope. */
export class CompanyDialect extends PostgresDialect {
  readonly #pool: Pool
  readonly #companyId: string
  constructor(pool: Pool, companyId: string) {
    // It becomes part of a statement.
    if (!UUID.test(companyId)) throw new TypeError('a company id must be a UUID')
    super({ pool })
    this.#pool = pool
    this.#companyId = companyId
  }
  override createDriver(): Driver {
    return new CompanyDriver(this.#pool, this.#companyId)
  }
}

class CompanyDriver extends PostgresDriver {
  readonly #begin: CompiledQuery
  constructor(pool: Pool, companyId: string) {
    super({ pool })
    // One round trip. Role and company end with the transaction, so that a pooled connection carries neither on.
    this.#begin = CompiledQuery.raw(`begin; set local role frontdesk_api; set local frontdesk.company = '${companyId}'`)
  }
  override async beginTransaction(connection: DatabaseConnection, _settings: TransactionSettings): Promise<void> {
    await connection.executeQuery(this.#begin)
  }
}
