import type { CompanySettings } from '@frontdesk/api-contract'
import { pino } from 'pino'
import { newId } from '#src/model/ids.ts'
import { Inbox, type InboxOptions } from '#src/services/inbox/inbox.ts'
import { MessageIntake, type MessageIntakeOptions } from '#src/services/outbox/message-intake.ts'
import { Outbox, type OutboxOptions } from '#src/services/outbox/outbox.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { claimLease } from '../../support/claim-lease.ts'

export const log = pino({ level: 'silent' })

/** Everything is sent as soon as it can be. */
export const UNLIMITED = {
  messagesPerMinute: 0,
  chatMessagesPerMinute: 0,
  newContactsPerDay: 0,
  warmUpDays: 0,
  typing: false,
}

/** The services between the writer and the provider, as one process has them. Several make a process and its successors. */
export interface Desk extends AsyncDisposable {
  inbox: Inbox
  outbox: Outbox
  intake: MessageIntake
  own(sessionId: string): Promise<Lease>
}

export function openDesk(
  database: Database,
  {
    batching = { quietMs: 20, maxMs: 200, maxMessages: 50 },
    pacing = UNLIMITED,
    acceptor,
    secret = async () => undefined,
    ...limits
  }: Partial<
    InboxOptions & MessageIntakeOptions & Pick<OutboxOptions, 'pacing'> & Pick<InboxOptions['answerer'], 'secret'>
  > = {},
): Desk {
  const nodeId = newId()
  const outbox = new Outbox({ database, pacing, log })
  const intake = new MessageIntake({
    database,
    onQueued: (sessionId, messages) => outbox.enqueue(sessionId, messages),
    onUnknown: (sessionId) => outbox.refresh(sessionId),
    onTakenOver: (sessionId, contact) => inbox.takenOver(sessionId, contact),
    ...(acceptor && { acceptor }),
  })
  const urlGuard = createOutgoingUrlGuard(['127.0.0.1'])
  const inbox = new Inbox({
    database,
    outbox,
    answerer: { urlGuard, mcpServers: [], secret },
    batching,
    log,
    ...limits,
  })
  return {
    inbox,
    outbox,
    intake,
    async own(sessionId) {
      const lease = await claimLease(database, nodeId, sessionId)
      await inbox.owned({ lease })
      return lease
    },
    async [Symbol.asyncDispose]() {
      await inbox[Symbol.asyncDispose]()
      await intake[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await urlGuard[Symbol.asyncDispose]()
    },
  }
}

export const setSettings = (database: Database, companyId: string, settings: CompanySettings) =>
  database.worker
    .updateTable('company')
    .set({ settings: JSON.stringify(settings) })
    .where('id', '=', companyId)
    .execute()
