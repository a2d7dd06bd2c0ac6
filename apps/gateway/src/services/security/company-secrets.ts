import { findSecret } from '#src/storage/company-secrets.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { companySecretContext } from '#src/storage/sealed-columns.ts'

export interface CompanySecretsOptions {
  database: Database
  keyRing: Pick<KeyRing, 'sealerOf'>
}

/** Keys and passwords of companies, which settings refer to by name. */
export class CompanySecrets {
  readonly #options: CompanySecretsOptions

  constructor(options: CompanySecretsOptions) {
    this.#options = options
  }

  /** For use, never to be shown; undefined when there is none of the name. */
  async read(companyId: string, name: string): Promise<string | undefined> {
    const { database, keyRing } = this.#options
    const row = await findSecret(companyId, database.worker, name)
    if (row === undefined) return undefined
    const sealer = await keyRing.sealerOf(companyId)
    return Buffer.from(await sealer.open(row.value, companySecretContext(companyId, name))).toString('utf8')
  }
}
