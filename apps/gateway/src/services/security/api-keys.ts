import { createHash, randomBytes } from 'node:crypto'
import { API_KEY_PATTERN, type ApiKey, type CreateApiKey, type CreatedApiKey } from '@frontdesk/api-contract'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Actor } from '#src/services/security/actor.ts'
import {
  type ApiKeyRow,
  findApiKeyByHash,
  hasPlatformKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
} from '#src/storage/api-keys.ts'
import { appendAudit } from '#src/storage/audit.ts'
import { findCompany } from '#src/storage/companies.ts'
import type { Database } from '#src/storage/database.ts'
import type { Schema } from '#src/storage/schema-types.ts'

/** Whom a key stands for. */
export type Identity = { kind: 'platform'; apiKeyId: string } | { kind: 'company'; apiKeyId: string; companyId: string }

interface KnownKey {
  identity: Identity
  expiresAt: Date | null
}

/** How long another node may take a revoked key. */
const CACHE_TTL_MS = 5_000
const MAX_CACHED_KEYS = 10_000
/** The kind and five more characters: enough for people to tell keys apart, far too few to guess one. */
const HINT_RANDOM_CHARACTERS = 5

/** Makes, recognises and revokes API keys. Only their hashes are stored. */
export class ApiKeys {
  readonly #database: Database
  readonly #known = new LRUCache<string, KnownKey>({ max: MAX_CACHED_KEYS, ttl: CACHE_TTL_MS })
  /** Counts revocations, so that a look-up that began before one is not remembered after it. */
  #revocations = 0

  constructor(database: Database) {
    this.#database = database
  }

  /** Whose key this is; undefined for one that is unknown, expired or revoked. Found by its hash: timing tells nothing. */
  async authenticate(key: string): Promise<Identity | undefined> {
    if (!API_KEY_PATTERN.test(key)) return undefined
    const hash = hashOf(key)
    const known = this.#known.get(hash.toString('base64')) ?? (await this.#find(hash))
    return known === undefined || isOver(known.expiresAt) ? undefined : known.identity
  }

  async #find(hash: Buffer): Promise<KnownKey | undefined> {
    const revocations = this.#revocations
    const row = await findApiKeyByHash(this.#database.worker, hash)
    if (row === undefined) return undefined
    const { id: apiKeyId, company_id: companyId, expires_at: expiresAt } = row
    const identity: Identity =
      companyId === null ? { kind: 'platform', apiKeyId } : { kind: 'company', apiKeyId, companyId }
    const known = { identity, expiresAt }
    if (revocations === this.#revocations) this.#known.set(hash.toString('base64'), known)
    return known
  }

  /** @throws FrontdeskError `not_found` for a company that does not exist */
  create(companyId: string, { name, expiresAt }: CreateApiKey, { apiKeyId: by }: Actor): Promise<CreatedApiKey> {
    const key = newKey('company')
    return this.#database.asCompany(companyId, async (db) => {
      if ((await findCompany(companyId, db)) === undefined) throw new FrontdeskError('not_found')
      const row = await insertApiKey(db, {
        ...toInsert(key, name),
        companyId,
        expiresAt: expiresAt == null ? null : new Date(expiresAt),
      })
      await appendAudit(db, { companyId, apiKeyId: by, action: 'api_key.created', subjectId: row.id, detail: { name } })
      return { ...toApiKey(row), key }
    })
  }

  /** @throws FrontdeskError `not_found` for a company that does not exist */
  list(companyId: string): Promise<ApiKey[]> {
    return this.#database.asCompany(companyId, async (db) => {
      const rows = await listApiKeys(companyId, db)
      if (rows.length === 0 && (await findCompany(companyId, db)) === undefined) throw new FrontdeskError('not_found')
      return rows.map(toApiKey)
    })
  }

  /** Works at once in this process. @throws FrontdeskError `not_found` */
  async revoke(companyId: string, apiKeyId: string, { apiKeyId: by }: Actor): Promise<void> {
    const { hash } = await this.#database.asCompany(companyId, async (db) => {
      const revoked = await revokeApiKey(companyId, db, apiKeyId)
      if (revoked === undefined) throw new FrontdeskError('not_found')
      await appendAudit(db, { companyId, apiKeyId: by, action: 'api_key.revoked', subjectId: apiKeyId })
      return revoked
    })
    this.#revocations += 1
    this.#known.delete(Buffer.from(hash).toString('base64'))
  }

  /** The first platform key, once in the life of a database; undefined when there has been one. */
  createFirstPlatformKey(): Promise<string | undefined> {
    return this.#database.worker
      .transaction()
      .execute(async (db) => ((await hasPlatformKey(db)) ? undefined : insertPlatformKey(db, 'First platform key')))
  }

  /** One more platform key, for whoever has lost the others. */
  createPlatformKey(name: string): Promise<string> {
    return this.#database.worker.transaction().execute((db) => insertPlatformKey(db, name))
  }
}

async function insertPlatformKey(db: Kysely<Schema>, name: string): Promise<string> {
  const key = newKey('platform')
  const row = await insertApiKey(db, { ...toInsert(key, name), companyId: null, expiresAt: null })
  await appendAudit(db, { companyId: null, apiKeyId: null, action: 'api_key.created', subjectId: row.id })
  return key
}

const newKey = (kind: Identity['kind']): string => `fd_${kind}_${randomBytes(32).toString('base64url')}`

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()

const toInsert = (key: string, name: string) => ({
  id: newId(),
  name,
  hash: hashOf(key),
  hint: key.slice(0, key.indexOf('_', 3) + 1 + HINT_RANDOM_CHARACTERS),
})

const isOver = (moment: Date | null): boolean => moment !== null && moment.getTime() <= Date.now()

const toApiKey = ({ id, name, hint, created_at, expires_at, revoked_at }: ApiKeyRow): ApiKey => ({
  id,
  name,
  hint,
  createdAt: created_at.toISOString(),
  expiresAt: expires_at?.toISOString() ?? null,
  revokedAt: revoked_at?.toISOString() ?? null,
})
