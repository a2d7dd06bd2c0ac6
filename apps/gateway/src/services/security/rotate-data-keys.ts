import { UnreadableError } from '#src/model/unreadable-error.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import {
  addDataKeys,
  dropFormerDataKeys,
  dropFormerMasterKey,
  formerMasterKeyAgeMs,
  listRotatingCompanies,
  markResealed,
  type RotatingCompany,
} from '#src/storage/key-rotation.ts'
import { resealCompany } from '#src/storage/reseal.ts'
import { KEY_REFRESH_MS } from './start-key-refresh.ts'

/** A new data key is sealed with everywhere after so long, save by processes that do not get to look for it. */
const SETTLED_MS = 3 * KEY_REFRESH_MS
const BETWEEN_PASSES_MS = 200

export interface DataKeyRotation {
  database: Database
  keyRing: KeyRing
  /** Ends the work early; a later call goes on. */
  signal: AbortSignal
  onProgress?: (progress: RotationProgress) => void
}

export interface RotationProgress {
  companies: number
  companiesDone: number
  /** Values sealed anew by this call. */
  values: number
  /** Companies with a value that cannot be opened: they keep their former keys, and hold up nobody else's rotation. */
  unreadable: string[]
}

/**
 * Gives a company, or all, a new data key, and seals anew what the older ones have sealed, while the gateway works. A
 * rotation that was broken off is gone on with, and nothing is begun. Older keys stay for whoever is late, until they
 * are dropped. What has been done when the signal comes is kept.
 * @throws FrontdeskError `not_found`, `key_rotation_unfinished`, `master_key_wrong`
 */
export async function rotateDataKeys(
  rotation: DataKeyRotation,
  companyId?: string,
): Promise<RotationProgress & { isResumed: boolean }> {
  const { database, keyRing } = rotation
  const unfinished = await listResealing(database, companyId)
  if (unfinished.length === 0) await addDataKeys(database, keyRing.master, companyId)
  const companies = unfinished.length > 0 ? unfinished : await listResealing(database, companyId)
  return { isResumed: unfinished.length > 0, ...(await resealAll(rotation, companies)) }
}

/**
 * Drops the keys that a rotation has replaced at least so long ago: the former master key, then the older data keys,
 * after a last look that nothing is sealed with them. With a master key that is not the current one it does nothing.
 */
export async function finishKeyRotation(rotation: DataKeyRotation, keptMs: number): Promise<RotationProgress> {
  const { database, keyRing, signal } = rotation
  await keyRing.refresh()
  const nothing: RotationProgress = { companies: 0, companiesDone: 0, values: 0, unreadable: [] }
  if ((await formerMasterKeyAgeMs(database.worker)) < keptMs) return nothing
  if (!(await dropFormerMasterKey(database, keyRing.master))) return nothing
  const companies = (await listRotatingCompanies(database.worker)).filter(({ ageMs }) => ageMs >= keptMs)
  const progress = await resealAll(rotation, companies)
  if (signal.aborted) return progress
  for (const company of companies)
    if (!progress.unreadable.includes(company.id)) await dropFormerDataKeys(database, keyRing.master, company)
  return progress
}

async function resealAll(
  { database, keyRing, signal, onProgress }: DataKeyRotation,
  companies: readonly RotatingCompany[],
): Promise<RotationProgress> {
  const progress: RotationProgress = { companies: companies.length, companiesDone: 0, values: 0, unreadable: [] }
  const begunAtMs = performance.now()
  const unsettledMs = ({ ageMs }: RotatingCompany) => SETTLED_MS - ageMs - (performance.now() - begunAtMs)
  await keyRing.refresh()
  let left = companies
  while (left.length > 0 && !signal.aborted) {
    const stillLeft: RotatingCompany[] = []
    for (const company of left) {
      if (signal.aborted) break
      // Until then some process may seal with an older key: a pass has to begin after that.
      const isSettled = unsettledMs(company) <= 0
      const found = await resealCompany(database.worker, {
        companyId: company.id,
        keyNumber: company.keyNumber,
        sealer: await keyRing.sealerOf(company.id),
        onResealed: (values) => {
          progress.values += values
          onProgress?.({ ...progress })
        },
      }).catch((error: unknown) => {
        if (!(error instanceof UnreadableError)) throw error
        progress.unreadable.push(company.id)
        return undefined
      })
      if (found === undefined) continue
      if (!isSettled || found > 0) {
        stillLeft.push(company)
        continue
      }
      await markResealed(database.worker, company)
      progress.companiesDone += 1
      onProgress?.({ ...progress })
    }
    left = stillLeft
    const waitMs = Math.max(BETWEEN_PASSES_MS, ...left.map(unsettledMs))
    if (left.length > 0) await pause(waitMs, signal)
  }
  return progress
}

const listResealing = async (database: Database, companyId?: string): Promise<RotatingCompany[]> =>
  (await listRotatingCompanies(database.worker, companyId)).filter(({ state }) => state === 'resealing')
