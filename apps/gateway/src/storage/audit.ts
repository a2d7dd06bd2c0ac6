import type { Kysely } from 'kysely'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'

/** A change that someone made. It holds what was changed, never the values. */
export interface AuditEntry {
  /** Null for what concerns the platform alone. */
  companyId: string | null
  /** Who: an API key's id, or null for the command line. */
  apiKeyId: string | null
  action: AuditAction
  /** The thing that was changed; undefined for the platform as a whole. */
  subjectId?: string
  detail?: Record<string, string | boolean | readonly string[]>
}

type AuditAction =
  | 'company.created'
  | 'company.updated'
  | 'contact.updated'
  | 'conversation.updated'
  | 'conversation.note_added'
  | 'api_key.created'
  | 'api_key.revoked'
  | 'session.imported'
  | 'session.restored'
  | 'session.created'
  | 'session.started'
  | 'session.paused'
  | 'session.restarted'
  | 'session.logged_out'
  | 'session.deleted'
  | 'session.updated'
  | 'session.linking'
  | 'sessions.bulk'
  | 'platform.updated'
  | 'webhook_endpoint.created'
  | 'webhook_endpoint.updated'
  | 'webhook_endpoint.deleted'
  | 'webhook_endpoint.secret_rotated'
  | 'webhook_endpoint.tested'
  | 'webhook_deliveries.replayed'
  | 'secret.put'
  | 'secret.deleted'

/** Records a change in the change's own transaction: there is never one without the other. */
export async function appendAudit(db: Kysely<Schema>, entry: AuditEntry): Promise<void> {
  await db
    .insertInto('audit_entry')
    .values({
      company_id: entry.companyId,
      api_key_id: entry.apiKeyId,
      action: entry.action,
      subject_id: entry.subjectId ?? null,
      detail: storableJson(entry.detail ?? {}),
    })
    .execute()
}
