import type { Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Sealer } from '#src/model/sealing.ts'
import type { KeyKind } from '#src/model/session-store.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { ReadBackupRecord, SessionRecord } from '#src/storage/backup-records.ts'
import type { BackupStore } from '#src/storage/backups/backup-store.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import {
  putRestoredCompany,
  putRestoredContact,
  putRestoredEndpoint,
  putRestoredSecret,
} from '#src/storage/restored-companies.ts'
import { putRestoredKeys, putRestoredSession, type RestoredKey, startRestored } from '#src/storage/restored-sessions.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { kindName } from '#src/storage/sealed-columns.ts'
import { readContent } from './backup-content.ts'
import { type BackupHeader, readHeader } from './backup-file.ts'

const KEYS_AT_ONCE = 500

/** What is in a backup, or what was restored of it. */
export interface BackupSummary {
  companyId: string
  createdAt: string
  sessionIds: string[]
  keys: number
}

export interface RestoreTarget {
  database: Database
  keyRing: KeyRing
  /** A key of an older moment as it may be used again; null if it may not. */
  restoredKey: (kind: KeyKind, value: Uint8Array) => Uint8Array | null
}

export interface RestoreOptions {
  /** This session alone. */
  sessionId?: string | undefined
  /** Has the sessions run that ran when the backup was made. */
  start?: boolean
}

/**
 * Reads a whole backup and proves every byte of it.
 * @throws FrontdeskError `backup_not_found`, `backup_of_another_company`, `backup_key_wrong`, `backup_truncated`,
 * `backup_damaged`
 */
export async function verifyBackup(
  store: BackupStore,
  name: string,
  masterKey: Uint8Array,
): Promise<BackupSummary & Pick<BackupHeader, 'environment'>> {
  const { companyId, createdAt, environment } = await readHeader(await store.read(name))
  if (!name.startsWith(`${companyId}/`)) throw new FrontdeskError('backup_of_another_company')
  return await readContent(await store.read(name), masterKey, async (records) => {
    const summary = { companyId, createdAt, environment, sessionIds: [] as string[], keys: 0 }
    for await (const record of records) {
      if (record.type === 'company' && record.id !== companyId) throw new FrontdeskError('backup_damaged')
      if (record.type === 'session') summary.sessionIds.push(record.id)
      if (record.type === 'key') summary.keys += 1
    }
    return summary
  })
}

/**
 * Puts back what a backup holds, as a whole or not at all: the company, if it is not there or no session is named, and
 * its webhook endpoints and its sessions; these stay paused unless they are to start.
 * @throws FrontdeskError as `verifyBackup`, `session_running`, `session_name_taken`, `session_number_taken`, `not_found`
 */
export async function restoreBackup(
  { database, keyRing, restoredKey }: RestoreTarget,
  store: BackupStore,
  name: string,
  masterKey: Uint8Array,
  { sessionId, start = false }: RestoreOptions = {},
): Promise<BackupSummary> {
  const { companyId, createdAt } = await verifyBackup(store, name, masterKey)
  const summary: BackupSummary = { companyId, createdAt, sessionIds: [], keys: 0 }
  const file = await store.read(name)
  await readContent(file, masterKey, (records) =>
    database.worker.transaction().execute(async (db) => {
      const withSettings = sessionId === undefined
      const restoring = new Restoring(companyId, db, { start, withSettings, restoredKey }, summary)
      for await (const record of records) {
        if (record.type === 'company') {
          const company = { ...record, createdAt: new Date(record.createdAt) }
          const { isNew, dataKey } = await putRestoredCompany(db, company, {
            newDataKey: keyRing.newDataKey(companyId),
            withSettings,
          })
          restoring.begin(keyRing.sealerFrom(companyId, dataKey), isNew)
        } else if (sessionId === undefined || isOf(record, sessionId)) await restoring.put(record)
      }
      await restoring.flush()
      if (sessionId !== undefined && summary.sessionIds.length === 0)
        throw new FrontdeskError('not_found', 'The backup does not hold this session.')
    }),
  )
  return summary
}

/** The name of the newest backup of each company. */
export async function newestBackups(store: BackupStore): Promise<string[]> {
  const newest = new Map<string, string>()
  for (const { name } of await store.list()) newest.set(name.slice(0, name.indexOf('/')), name)
  return [...newest.values()]
}

/** What a single session needs: itself, and in an empty place those it has talked to. */
const isOf = (record: ReadBackupRecord, sessionId: string): boolean => {
  if (record.type === 'session') return record.id === sessionId
  if (record.type === 'key') return record.sessionId === sessionId
  return record.type !== 'webhookEndpoint'
}

/** One backup on its way into the database. */
class Restoring {
  readonly #companyId: string
  readonly #db: Transaction<Schema>
  readonly #options: { start: boolean; withSettings: boolean } & Pick<RestoreTarget, 'restoredKey'>
  readonly #summary: BackupSummary
  #sealer: Sealer | undefined
  #isNewCompany = false
  #keys: RestoredKey[] = []

  constructor(
    companyId: string,
    db: Transaction<Schema>,
    options: { start: boolean; withSettings: boolean } & Pick<RestoreTarget, 'restoredKey'>,
    summary: BackupSummary,
  ) {
    this.#companyId = companyId
    this.#db = db
    this.#options = options
    this.#summary = summary
  }

  begin(sealer: Sealer, isNewCompany: boolean): void {
    this.#sealer = sealer
    this.#isNewCompany = isNewCompany
  }

  async put(record: ReadBackupRecord): Promise<void> {
    switch (record.type) {
      case 'contact':
      case 'alias':
        // A company that is there knows its contacts better than its past does.
        if (this.#isNewCompany) await putRestoredContact(this.#companyId, this.#db, record)
        break
      case 'secret':
        if (this.#isNewCompany || this.#options.withSettings)
          await putRestoredSecret(this.#companyId, this.#db, record, this.#sealerOfCompany())
        break
      case 'webhookEndpoint':
        await putRestoredEndpoint(this.#companyId, this.#db, record, this.#sealerOfCompany())
        break
      case 'session':
        await this.#putSession(record)
        break
      case 'key':
        await this.#putKey(record)
        break
      case 'company':
      case 'end':
    }
  }

  async #putSession(record: SessionRecord): Promise<void> {
    const { id, linkedAt, createdAt, isWanted } = record
    const session = {
      ...record,
      linkedAt: linkedAt === null ? null : new Date(linkedAt),
      createdAt: new Date(createdAt),
    }
    await putRestoredSession(this.#companyId, this.#db, session, this.#sealerOfCompany())
    if (this.#options.start && isWanted) await startRestored(this.#db, id)
    const entry = { companyId: this.#companyId, apiKeyId: null, action: 'session.restored' as const, subjectId: id }
    await appendAudit(this.#db, { ...entry, detail: { backup: this.#summary.createdAt } })
    this.#summary.sessionIds.push(id)
  }

  async #putKey({ sessionId, kind, id, value }: Extract<ReadBackupRecord, { type: 'key' }>): Promise<void> {
    const usable = this.#options.restoredKey(kindName(kind), value)
    if (usable === null) return
    this.#keys.push({ sessionId, kind, id, value: usable })
    this.#summary.keys += 1
    if (this.#keys.length >= KEYS_AT_ONCE) await this.flush()
  }

  async flush(): Promise<void> {
    const keys = this.#keys
    this.#keys = []
    await putRestoredKeys(this.#db, keys, this.#sealerOfCompany())
  }

  #sealerOfCompany(): Sealer {
    if (this.#sealer === undefined) throw new FrontdeskError('backup_damaged', 'It does not begin with its company.')
    return this.#sealer
  }
}
