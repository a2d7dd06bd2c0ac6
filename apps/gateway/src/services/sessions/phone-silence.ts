import type { Alerts } from '#src/services/alerts/alerts.ts'
import type { Database } from '#src/storage/database.ts'
import { findPhoneSilence } from '#src/storage/session-activity.ts'

/** WhatsApp unlinks a companion whose phone was away for 14 days; whatsmeow's users are warned at 10 as well. */
const SILENT_DAYS = 10

/** Warns of linked phones that have not been seen for ten days, and takes the warning back when they are. */
export async function watchPhones(database: Database, alerts: Pick<Alerts, 'raise' | 'clear'>): Promise<void> {
  for (const { sessionId, companyId, seenAt, isSilent } of await findPhoneSilence(database, SILENT_DAYS)) {
    const subject = { kind: 'phone_silent', companyId, sessionId } as const
    if (isSilent) alerts.raise(subject, { seenAt: seenAt.toISOString() })
    else alerts.clear(subject)
  }
}
