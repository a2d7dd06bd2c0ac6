import type { MessageResource, WebhookPayload } from '@frontdesk/api-contract'
import type { ClaimedDelivery } from '#src/storage/delivery-claims.ts'

/** What is posted: the event, with its message as it is now. */
export const webhookPayload = (
  { endpoint, event }: Pick<ClaimedDelivery, 'endpoint' | 'event'>,
  message: MessageResource | undefined,
): WebhookPayload => ({
  id: event.id,
  type: event.type,
  companyId: endpoint.companyId,
  sessionId: event.sessionId,
  subjectId: event.subjectId,
  data: event.data,
  createdAt: event.createdAt.toISOString(),
  message: message ?? null,
})
