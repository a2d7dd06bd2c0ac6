import type { BulkAction } from '@frontdesk/api-contract'
import type { Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { countLinkingAttempt, lockSession, requestCommand, updateSession } from '#src/storage/session-requests.ts'
import type { SessionRow } from '#src/storage/sessions.ts'

/** Within one transaction: the session is locked, changed, and what was asked for is in the audit. */
export interface SessionRequest {
  companyId: string
  db: Transaction<Schema>
  sessionId: string
  actor: Actor
  linkingAttemptsPerHour: number
}

/** A session that can be changed, kept from other changes. @throws FrontdeskError `not_found`, `session_deleted` */
export async function claimForChange({ companyId, db, sessionId }: SessionRequest): Promise<SessionRow> {
  const row = await lockSession(companyId, db, sessionId)
  if (row === undefined) throw new FrontdeskError('not_found')
  if (row.desired === 'deleted') throw new FrontdeskError('session_deleted')
  return row
}

/** @throws FrontdeskError `linking_limit_reached` */
export async function countLinking(request: SessionRequest): Promise<void> {
  const { companyId, db, sessionId, linkingAttemptsPerHour } = request
  const retryAt = await countLinkingAttempt(companyId, db, sessionId, linkingAttemptsPerHour)
  if (retryAt !== undefined) throw new FrontdeskError('linking_limit_reached', undefined, { retryAt })
}

/**
 * Stores that this is wanted of the session; its owner makes it so. What is so already stays as it is.
 * @throws FrontdeskError `not_found`, `session_deleted`, `session_not_linked`, `linking_limit_reached`
 */
export async function requestAction(action: BulkAction, request: SessionRequest): Promise<SessionRow> {
  if (action === 'delete') return await requestDeletion(request)
  const row = await claimForChange(request)
  const change = (desired: SessionRow['desired']) =>
    updateSession(request.companyId, request.db, request.sessionId, { desired })
  const isLinked = row.linked_at !== null
  switch (action) {
    case 'start':
      if (row.desired === 'running') return row
      if (!isLinked) await countLinking(request)
      await audit(request, 'session.started')
      return await change('running')
    case 'pause':
      if (row.desired === 'stopped') return row
      await audit(request, 'session.paused')
      return await change('stopped')
    case 'restart':
      if (!isLinked) await countLinking(request)
      if (row.desired === 'running') await requestCommand(request.companyId, request.db, request.sessionId, 'restart')
      await audit(request, 'session.restarted')
      return await change('running')
    case 'logout':
      if (row.desired === 'logged_out') return row
      if (!isLinked) throw new FrontdeskError('session_not_linked')
      await audit(request, 'session.logged_out')
      return await change('logged_out')
  }
}

async function requestDeletion(request: SessionRequest): Promise<SessionRow> {
  const { companyId, db, sessionId } = request
  const row = await lockSession(companyId, db, sessionId)
  if (row === undefined) throw new FrontdeskError('not_found')
  if (row.desired === 'deleted') return row
  await audit(request, 'session.deleted')
  return await updateSession(companyId, db, sessionId, { desired: 'deleted' })
}

const audit = (
  { companyId, db, sessionId, actor: { apiKeyId } }: SessionRequest,
  action: 'session.started' | 'session.paused' | 'session.restarted' | 'session.logged_out' | 'session.deleted',
): Promise<void> => appendAudit(db, { companyId, apiKeyId, action, subjectId: sessionId })
