import { newId } from '@frontdesk/gateway/src/model/ids.ts'
import { credsChange } from '@frontdesk/gateway/src/providers/baileys/credentials.ts'
import { Companies } from '@frontdesk/gateway/src/services/companies/companies.ts'
import { OPERATOR } from '@frontdesk/gateway/src/services/security/actor.ts'
import { ApiKeys } from '@frontdesk/gateway/src/services/security/api-keys.ts'
import type { Companion } from './companions.ts'
import type { DataDirectory } from './data-directory.ts'
import { openStore } from './store.ts'

/** A session that a gateway resumes when it starts. Each belongs to a company of its own. */
export interface SeededSession {
  id: string
  apiKey: string
}

/** The database takes so many small transactions at once. */
const AT_ONCE = 10

/**
 * Writes linked sessions straight into the database of a gateway that does not run, through its own code: scanning
 * thousands of QR codes would take longer than the measurement. By phone number.
 */
export async function seedSessions(
  directory: DataDirectory,
  companions: readonly Companion[],
): Promise<Map<string, SeededSession>> {
  await using store = await openStore(directory)
  const { database, keyRing, writer } = store
  const companies = new Companies({ database, keyRing })
  const apiKeys = new ApiKeys(database)
  const nodeId = newId()
  const seeded = new Map<string, SeededSession>()
  const waiting = companions.values()

  const lane = async () => {
    for (const { phone, lid, creds } of waiting) {
      const company = await companies.create({ name: `Company of ${phone}` }, OPERATOR)
      const { key } = await apiKeys.create(company.id, { name: 'Benchmark' }, OPERATOR)
      const id = newId()
      await database.worker
        .insertInto('session')
        .values({
          id,
          company_id: company.id,
          name: 'main',
          provider: 'baileys',
          desired: 'running',
          state: 'reconnecting',
          linked_at: new Date(),
          phone,
          lid,
        })
        .execute()
      const { epoch } = await database.worker
        .insertInto('session_lease')
        .values({ session_id: id, company_id: company.id, node_id: nodeId })
        .returning('epoch')
        .executeTakeFirstOrThrow()
      const sealer = await keyRing.sealerOf(company.id)
      const owned = writer.openSession({ sessionId: id, companyId: company.id, epoch, sealer })
      await owned.committed(owned.publish({ keys: [credsChange(creds)] }))
      await owned.close()
      seeded.set(phone, { id, apiKey: key })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  return seeded
}

/** Sessions that no phone is linked to, each of a company of its own. */
export async function seedUnlinkedSessions(directory: DataDirectory, count: number): Promise<SeededSession[]> {
  if (count === 0) return []
  await using store = await openStore(directory)
  const { database, keyRing } = store
  const companies = new Companies({ database, keyRing })
  const apiKeys = new ApiKeys(database)
  const seeded: SeededSession[] = []
  for (let n = 0; n < count; n++) {
    const company = await companies.create({ name: `Company ${n} without a number` }, OPERATOR)
    const { key } = await apiKeys.create(company.id, { name: 'Benchmark' }, OPERATOR)
    const id = newId()
    await database.worker
      .insertInto('session')
      .values({ id, company_id: company.id, name: 'main', provider: 'baileys' })
      .execute()
    seeded.push({ id, apiKey: key })
  }
  return seeded
}
