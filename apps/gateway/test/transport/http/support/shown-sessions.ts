import type { LinkingCode } from '@frontdesk/api-contract'
import { sealLinkingCode } from '#src/services/sessions/linking-code.ts'
import type { TestDatabase } from '../../../support/database.ts'

/** The state that an owner would store. Without a code, none is shown. */
export interface OwnersState {
  state?: 'created' | 'linking' | 'connecting' | 'online' | 'reconnecting' | 'paused' | 'logged_out' | 'failed'
  reason?: string | null
  isLinked?: boolean
  code?: LinkingCode
  attempts?: number
  nextAttemptAt?: Date
}

/** Plays a session's owner: stores what it would store, so that the API has something to show. */
export async function showSession(
  { database, keyRing }: TestDatabase,
  sessionId: string,
  { state, reason, isLinked, code, attempts, nextAttemptAt }: OwnersState,
): Promise<void> {
  const { company_id: companyId } = await database.worker
    .selectFrom('session')
    .select('company_id')
    .where('id', '=', sessionId)
    .executeTakeFirstOrThrow()
  let sealed: Uint8Array | null = null
  if (code !== undefined) {
    const { expiresAt: _, ...content } = code
    sealed = sealLinkingCode(await keyRing.sealerOf(companyId), sessionId, content)
  }
  await database.worker
    .updateTable('session')
    .set({
      ...(state !== undefined && { state }),
      ...(reason !== undefined && { reason }),
      ...(isLinked !== undefined && { linked_at: isLinked ? new Date() : null }),
      ...(attempts !== undefined && { attempts }),
      next_attempt_at: nextAttemptAt ?? null,
      linking_code: sealed,
      linking_code_expires_at: code === undefined ? null : new Date(code.expiresAt),
    })
    .where('id', '=', sessionId)
    .execute()
}
