import { z } from 'zod'
import { displayName, id, moment } from './common.ts'

/** A key's kind and 32 random bytes. */
export const API_KEY_PATTERN = /^fd_(platform|company)_[A-Za-z0-9_-]{43}$/

export const apiKey = z
  .strictObject({
    id,
    name: displayName,
    hint: z.string().meta({ description: 'The first characters of the key.', examples: ['fd_company_mX3k'] }),
    createdAt: moment,
    expiresAt: moment.nullable().describe('When the key stops working; null for never.'),
    revokedAt: moment.nullable().describe('When the key was revoked; null while it works.'),
  })
  .meta({ id: 'ApiKey', description: "A company's API key, without its secret." })
export type ApiKey = z.infer<typeof apiKey>

export const createdApiKey = apiKey
  .extend({
    key: z.string().meta({
      description: 'The key itself. Shown this once: it is stored only as a hash.',
      examples: ['fd_company_mX3kT0f5mR1v2qkH9bWc7cQyYV8uLr4oE6zJdNpsAgI'],
    }),
  })
  .meta({ id: 'CreatedApiKey', description: 'A new API key with its secret.' })
export type CreatedApiKey = z.infer<typeof createdApiKey>

export const createApiKey = z
  .strictObject({
    name: displayName.describe('What the key is for.'),
    expiresAt: moment.nullable().optional().describe('When the key stops working; never unless told.'),
  })
  .meta({ id: 'CreateApiKey', examples: [{ name: 'Booking system' }] })
export type CreateApiKey = z.infer<typeof createApiKey>
