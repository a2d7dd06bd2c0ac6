import { z } from 'zod'
import { id, moment, phone } from './common.ts'

export const sessionState = z
  .enum([
    'created',
    'linking',
    'connecting',
    'online',
    'reconnecting',
    'paused',
    'logged_out',
    'banned',
    'conflict',
    'failed',
  ])
  .meta({
    id: 'SessionState',
    description:
      '`created`: never linked, or linking expired. `linking`: a QR code waits to be scanned. `connecting`, `online`, `reconnecting`: as they say. `paused`: stopped on request. `logged_out`: the phone has unlinked it. `banned`: WhatsApp refuses the number. `conflict`: another connection took its place. `failed`: it cannot go on; see `reason`.',
  })
export type SessionState = z.infer<typeof sessionState>

/** What a session may set for itself. What is left out is the company's setting, or else the deployment's. */
export const sessionSettings = z
  .strictObject({
    maxReconnectAttempts: z.int().min(1).max(1000).optional(),
    reconnectDelay: z.int().min(0).max(86_400_000).optional().describe('Milliseconds.'),
    keepAliveIntervalMs: z.int().min(1000).max(86_400_000).optional(),
    qrTimeout: z.int().min(1000).max(600_000).optional().describe('How long one QR code is shown, milliseconds.'),
    maxQRAttempts: z.int().min(1).max(100).optional(),
    usePairingCode: z.boolean().optional().describe('Link by pairing code at once, where the number is known.'),
    waVersion: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, 'must be a version such as 2.3000.1023456789')
      .optional()
      .describe('Version of WhatsApp Web that the session announces.'),
    deviceName: z.string().trim().min(1).max(50).optional().describe('How the session is named on the phone.'),
  })
  .meta({ id: 'SessionSettings' })
export type SessionSettings = z.infer<typeof sessionSettings>

const sessionName = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .meta({ description: "Unique among the company's sessions.", examples: ['main'] })

export const session = z
  .strictObject({
    id,
    name: sessionName,
    provider: z.enum(['baileys']).describe('How the session reaches WhatsApp.'),
    state: sessionState,
    reason: z.string().nullable().describe('Why the session is in this state, when there is more to say.'),
    since: moment.describe('Since when the session is in this state.'),
    phone: phone.nullable().describe('The linked number; null before the first link.'),
    linkedAt: moment.nullable().describe('When the phone was linked; null while it is not.'),
    createdAt: moment,
  })
  .meta({ id: 'Session', description: 'A WhatsApp number of a company, linked as a companion device.' })
export type Session = z.infer<typeof session>

export const createSession = z
  .strictObject({ name: sessionName })
  .meta({ id: 'CreateSession', examples: [{ name: 'main' }] })
export type CreateSession = z.infer<typeof createSession>

export const linkingCode = z
  .strictObject({
    qr: z.string().describe('What the QR code holds. Draw it, or ask for PNG or text.'),
    expiresAt: moment.describe('A new code takes its place then: ask again.'),
  })
  .meta({
    id: 'LinkingCode',
    description: 'The QR code to scan on the phone under Settings, Linked devices, Link a device.',
  })
export type LinkingCode = z.infer<typeof linkingCode>
