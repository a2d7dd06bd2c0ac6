import type { PlatformSettings as Settings, UpdatePlatformSettings } from '@frontdesk/api-contract'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { readWaVersion, setWaVersion } from '#src/storage/platform-settings.ts'
import type { BulkOperations } from './bulk-operations.ts'

export interface PlatformSettingsOptions {
  database: Database
  bulkOperations: Pick<BulkOperations, 'beginForPlatform'>
}

/** What the operator sets while the platform runs. Owners of sessions read it at each connect. */
export class PlatformSettings {
  readonly #options: PlatformSettingsOptions

  constructor(options: PlatformSettingsOptions) {
    this.#options = options
  }

  async get(): Promise<Settings> {
    return { waVersion: await readWaVersion(this.#options.database.worker) }
  }

  /**
   * What is left out stays. With another version, the sessions whose version WhatsApp has refused try again soon; those
   * that are online take it at their next connection.
   */
  async update({ waVersion }: UpdatePlatformSettings, actor: Actor): Promise<Settings> {
    if (waVersion === undefined) return await this.get()
    const { database, bulkOperations } = this.#options
    const { apiKeyId } = actor
    await database.worker.transaction().execute(async (db) => {
      await setWaVersion(db, waVersion)
      const detail = { changed: ['waVersion'] }
      await appendAudit(db, { companyId: null, apiKeyId, action: 'platform.updated', detail })
    })
    await bulkOperations.beginForPlatform({ action: 'restart', reason: 'client_outdated' }, actor)
    return await this.get()
  }
}
