import { z } from 'zod'
import { id, moment, pageSize } from './common.ts'
import { itemCursor } from './list.ts'

export const alertKind = z
  .enum([
    'client_outdated',
    'session_unstable',
    'session_stuck',
    'session_quarantined',
    'phone_silent',
    'backup_failed',
    'database_full',
    'webhook_failing',
    'webhook_gone',
    'conversation_loop',
  ])
  .meta({
    id: 'AlertKind',
    description:
      "`client_outdated`: WhatsApp refuses the version of WhatsApp Web that the sessions announce; the platform sets `waVersion`. `session_unstable`: a session could not be brought online in its fast attempts and goes on slowly. `session_stuck`: a session's message was in work for too long; its connection was opened anew. `session_quarantined`: a session was stopped because its rows are refused or because it ends its process again and again; its `reason` says which, and it waits to be restarted. `phone_silent`: the linked phone has not been seen for ten days; WhatsApp unlinks it after fourteen, so open WhatsApp on it. `backup_failed`: the company's last scheduled backup could not be written; the log says why, and it is tried again every hour. `database_full`: the disk of the database is full; nothing is lost or accepted until there is room, and all goes on by itself then. `webhook_failing`: the last attempts to deliver to a webhook endpoint have failed; what is waiting is kept, and one delivery in a while tries whether it works again. `webhook_gone`: an endpoint answered 410, which means that it wants nothing any more; it is disabled. `conversation_loop`: a customer seems to be a bot that answers ours; nobody answers in the conversation until somebody looks at it, or its time to wait is over.",
  })
export type AlertKind = z.infer<typeof alertKind>

export const alert = z
  .strictObject({
    id,
    kind: alertKind,
    companyId: id.nullable().describe('Null for what concerns the whole platform.'),
    sessionId: id.nullable().describe('The session that it is about, if it is about one.'),
    webhookEndpointId: id.nullable().describe('The webhook endpoint that it is about, if it is about one.'),
    conversationId: id.nullable().describe('The conversation that it is about, if it is about one.'),
    detail: z.looseObject({}).describe('What is particular to this one, such as the version that was refused.'),
    raisedAt: moment,
    clearedAt: moment.nullable().describe('When it was over; null while it lasts.'),
  })
  .meta({
    id: 'Alert',
    description: 'Something that a person should know of. It is raised once and cleared once.',
    examples: [
      {
        id: '019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11',
        kind: 'phone_silent',
        companyId: '019a6f0e-8b2d-7f10-9d41-6c2a5e8f0b77',
        sessionId: '019a6f0e-90aa-7b52-b8e3-41d09c7f6a25',
        webhookEndpointId: null,
        conversationId: null,
        detail: {},
        raisedAt: '2026-11-02T09:15:04.120Z',
        clearedAt: null,
      },
    ],
  })
export type Alert = z.infer<typeof alert>

export const alertQuery = z.strictObject({
  state: z.enum(['raised', 'all']).default('raised').describe('Only those that last, or all.'),
  limit: pageSize(200, 50),
  cursor: itemCursor.optional(),
})
export type AlertQuery = z.infer<typeof alertQuery>
