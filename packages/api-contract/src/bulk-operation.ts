import { z } from 'zod'
import { id, moment } from './common.ts'
import { sessionState } from './session.ts'

/** Sessions that one operation can name. */
const MOST_SESSIONS = 1000

export const bulkAction = z.enum(['start', 'pause', 'restart', 'logout', 'delete'])
export type BulkAction = z.infer<typeof bulkAction>

export const bulkFailure = z.strictObject({
  sessionId: id,
  code: z.string().describe('A code of the errors, as the request for this session alone would have been answered.'),
})
export type BulkFailure = z.infer<typeof bulkFailure>

export const bulkOperation = z
  .strictObject({
    id,
    action: bulkAction,
    total: z.int().min(0).describe('How many sessions it is for.'),
    done: z.int().min(0).describe('How many of them have been told. What each makes of it, its own state says.'),
    failed: z.int().min(0).describe('How many of them could not be told.'),
    failures: z.array(bulkFailure).describe('The first 100 of those.'),
    createdAt: moment,
    finishedAt: moment.nullable().describe('When all were told; null as long as it goes on.'),
  })
  .meta({
    id: 'BulkOperation',
    description: 'One request for many sessions, and how far it has come.',
    examples: [
      {
        id: '019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11',
        action: 'restart',
        total: 200,
        done: 118,
        failed: 0,
        failures: [],
        createdAt: '2026-11-02T09:15:04.120Z',
        finishedAt: null,
      },
    ],
  })
export type BulkOperation = z.infer<typeof bulkOperation>

const sessionIds = z
  .array(id)
  .min(1)
  .max(MOST_SESSIONS)
  .refine((ids) => new Set(ids).size === ids.length, 'must not name a session twice')

const whom = 'Either `sessionIds` or `all`.'

export const createBulkOperation = z
  .strictObject({
    action: bulkAction,
    sessionIds: sessionIds.optional().describe(whom),
    all: z.literal(true).optional().describe(`All of the company's sessions. ${whom}`),
  })
  .refine((body) => (body.sessionIds === undefined) !== (body.all === undefined), {
    error: 'either this or `all` must be there, not both',
    path: ['sessionIds'],
  })
  .meta({ id: 'CreateBulkOperation', examples: [{ action: 'restart', all: true }] })
export type CreateBulkOperation = z.infer<typeof createBulkOperation>

export const createPlatformBulkOperation = z
  .strictObject({
    action: bulkAction,
    companyId: id.optional().describe("Only this company's sessions."),
    state: sessionState.optional().describe('Only sessions that are in this state now.'),
  })
  .meta({ id: 'CreatePlatformBulkOperation', examples: [{ action: 'restart', state: 'failed' }] })
export type CreatePlatformBulkOperation = z.infer<typeof createPlatformBulkOperation>
