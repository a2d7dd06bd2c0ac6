import { z } from 'zod'
import { id, moment, phone } from './common.ts'
import { SESSION_REASONS, sessionReason } from './session-reason.ts'

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
      '`created`: not linked, or linking has ended without a link. `linking`: a code waits to be scanned or typed on the phone. `connecting`, `online`, `reconnecting`: as they say. `paused`: on request; it stays linked. `logged_out`: unlinked, on the phone or on request. `banned`: WhatsApp refuses the number. `conflict`: another connection took its place. `failed`: it cannot go on; see `reason`.',
  })
export type SessionState = z.infer<typeof sessionState>

const limit = z.int().min(0).max(100_000).optional()

/** How fast a session sends. For each number, 0 means that there is no limit. */
export const pacingSettings = z
  .strictObject({
    messagesPerMinute: limit.describe(
      'Messages a minute to customers who have not written in the last 24 hours; as many at once after a rest.',
    ),
    chatMessagesPerMinute: limit.describe('Messages a minute within one chat; as many at once after a rest.'),
    newContactsPerDay: limit.describe('Contacts written to for the first time, on a day of UTC.'),
    warmUpDays: z
      .int()
      .min(0)
      .max(365)
      .optional()
      .describe(
        'A number that is new here begins with a part of the first and the third limit, and has all of them after so many days.',
      ),
    typing: z.boolean().optional().describe("Show `typing…` for a moment before a responder's answer."),
  })
  .meta({ id: 'PacingSettings' })
export type PacingSettings = z.infer<typeof pacingSettings>

/** What a session may set for itself. What is left out is the company's setting, or else the deployment's. */
export const sessionSettings = z
  .strictObject({
    maxReconnectAttempts: z.int().min(1).max(1000).optional(),
    reconnectDelay: z.int().min(0).max(86_400_000).optional().describe('Milliseconds.'),
    keepAliveIntervalMs: z
      .int()
      .min(1000)
      .max(30_000)
      .optional()
      .describe('How long WhatsApp may be silent before it is asked for a sign of life, milliseconds.'),
    qrTimeout: z.int().min(1000).max(600_000).optional().describe('How long one QR code is shown, milliseconds.'),
    maxQRAttempts: z.int().min(1).max(100).optional(),
    usePairingCode: z.boolean().optional().describe('Link by pairing code at once, where the number is known.'),
    waVersion: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, 'must be a version such as 2.3000.1023456789')
      .optional()
      .meta({
        description: 'Version of WhatsApp Web that the session announces.',
        examples: ['2.3000.1023456789'],
      }),
    deviceName: z.string().trim().min(1).max(50).optional().describe('How the session is named on the phone.'),
    pacing: pacingSettings
      .optional()
      .describe("How fast it sends. What is left out is the company's setting, or else the deployment's."),
  })
  .meta({ id: 'SessionSettings', examples: [{ usePairingCode: true, deviceName: 'Salon Margot' }] })
export type SessionSettings = z.infer<typeof sessionSettings>

const sessionName = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .meta({ description: "Unique among the company's sessions.", examples: ['main'] })

const nextAction = z.enum([
  'none',
  'connect',
  'wait_for_scan',
  'wait_for_entry',
  'link',
  'start',
  'relink',
  'ask_whatsapp',
  'log_out',
  'delete',
])
export type NextAction = z.infer<typeof nextAction>

const sessionNext = z
  .strictObject({
    action: nextAction.describe(
      'By itself: `connect`, `log_out`, `delete`; `none` when nothing is to be done. By a person: `wait_for_scan` (scan the QR code), `wait_for_entry` (type the pairing code on the phone), `link`, `start`, `relink` (log out, then link anew), `ask_whatsapp` (on the phone).',
    ),
    at: moment
      .nullable()
      .describe(
        'When it happens, or from when on it makes sense; for a code, until when it is valid. Null: at once, or at any time.',
      ),
    explanation: z.string().describe('The same for people: why the session is as it is, and what to do.'),
  })
  .meta({ id: 'SessionNext', description: 'What happens next, or who has to do what.' })
export type SessionNext = z.infer<typeof sessionNext>

const EXAMPLE = {
  id: '019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11',
  name: 'main',
  provider: 'baileys',
  desired: 'running',
  state: 'reconnecting',
  reason: 'service_unavailable',
  since: '2026-11-02T09:15:04.120Z',
  next: {
    action: 'connect',
    at: '2026-11-02T09:15:31.000Z',
    explanation: SESSION_REASONS.service_unavailable,
  },
  attempts: 3,
  phone: '4917012345678',
  linkedAt: '2026-10-01T08:00:00.000Z',
  settings: {},
  hasProxy: false,
  createdAt: '2026-10-01T07:58:12.000Z',
} as const

export const session = z
  .strictObject({
    id,
    name: sessionName,
    provider: z.enum(['baileys']).describe('How the session reaches WhatsApp.'),
    desired: z
      .enum(['paused', 'running', 'logged_out', 'deleted'])
      .describe(
        'What is wanted of the session: what was asked last, or `paused` when linking has ended. Its state says how far it has come.',
      ),
    state: sessionState,
    reason: sessionReason.nullable().describe('Why the session is in this state, when there is more to say.'),
    since: moment.describe('Since when the session is in this state.'),
    next: sessionNext,
    attempts: z.int().min(0).describe('Attempts to connect since the last good connection.'),
    phone: phone.nullable().describe('The linked number, or the last one; null before the first link.'),
    linkedAt: moment.nullable().describe('When the phone was linked; null while it is not.'),
    settings: sessionSettings.describe("The session's own settings."),
    hasProxy: z.boolean().describe('Whether it connects through a proxy. The address is not shown.'),
    createdAt: moment,
  })
  .meta({
    id: 'Session',
    description: 'A WhatsApp number of a company, linked as a companion device.',
    examples: [EXAMPLE],
  })
export type Session = z.infer<typeof session>

const share = z.number().min(0).max(1).nullable()

export const sessionDetails = session
  .extend({
    uptime: z
      .strictObject({ last24Hours: share, last30Days: share, last90Days: share })
      .describe(
        'How much of the time in which it was meant to be online it was: 0.999 is 99.9 %. Null when there was no such time.',
      ),
    lastInboundAt: moment.nullable().describe('When the last message arrived, some seconds late.'),
    lastOutboundAt: moment.nullable().describe('When the last message was sent, some seconds late.'),
    phoneSeenAt: moment
      .nullable()
      .describe('When the phone itself was last heard of. WhatsApp unlinks a phone that is silent for 14 days.'),
  })
  .meta({
    id: 'SessionDetails',
    description: 'A session, with what is known of its past.',
    examples: [
      {
        ...EXAMPLE,
        uptime: { last24Hours: 0.9993, last30Days: 0.9997, last90Days: 0.9995 },
        lastInboundAt: '2026-11-02T09:14:58.001Z',
        lastOutboundAt: '2026-11-02T09:15:00.420Z',
        phoneSeenAt: '2026-11-02T08:58:11.000Z',
      },
    ],
  })
export type SessionDetails = z.infer<typeof sessionDetails>

export const createSession = z
  .strictObject({ name: sessionName })
  .meta({ id: 'CreateSession', examples: [{ name: 'main' }] })
export type CreateSession = z.infer<typeof createSession>

const PROXY_PROTOCOLS: readonly string[] = ['http:', 'https:', 'socks5:']

const proxy = z
  .string()
  .max(2000)
  .refine((text) => {
    const url = URL.parse(text)
    return url !== null && PROXY_PROTOCOLS.includes(url.protocol) && url.hostname !== ''
  }, 'must be an http, https or socks5 URL such as socks5://user:password@proxy.example:1080')
  .meta({ examples: ['socks5://user:password@proxy.example:1080'] })

/** Each setting that is sent replaces the one that stands there; null takes it back. */
const sessionSettingsUpdate = z
  .strictObject({
    maxReconnectAttempts: sessionSettings.shape.maxReconnectAttempts.nullable(),
    reconnectDelay: sessionSettings.shape.reconnectDelay.nullable(),
    keepAliveIntervalMs: sessionSettings.shape.keepAliveIntervalMs.nullable(),
    qrTimeout: sessionSettings.shape.qrTimeout.nullable(),
    maxQRAttempts: sessionSettings.shape.maxQRAttempts.nullable(),
    usePairingCode: sessionSettings.shape.usePairingCode.nullable(),
    waVersion: sessionSettings.shape.waVersion.nullable(),
    deviceName: sessionSettings.shape.deviceName.nullable(),
    pacing: sessionSettings.shape.pacing.nullable(),
  })
  .describe("Each that is sent replaces the one that stands there; null takes it back to the company's setting.")

export const updateSession = z
  .strictObject({
    name: sessionName.optional(),
    settings: sessionSettingsUpdate.optional(),
    proxy: proxy
      .nullable()
      .optional()
      .describe('The proxy that the session connects through. It is kept sealed and never shown. Null takes it away.'),
  })
  .meta({ id: 'UpdateSession', examples: [{ settings: { reconnectDelay: 2000 } }] })
export type UpdateSession = z.infer<typeof updateSession>

export const linkSession = z
  .strictObject({
    method: z
      .enum(['qr', 'pairing_code'])
      .optional()
      .describe(
        '`qr`: scan a picture. `pairing_code`: type eight characters on the phone; needs `phone`, once. As `usePairingCode` says, unless told.',
      ),
    phone: z
      .string()
      .max(50)
      .optional()
      .describe(
        'The number that is to be linked, in international form. With `qr`, it allows a pairing code when nobody scans in time.',
      ),
  })
  .meta({ id: 'LinkSession', examples: [{ method: 'qr' }, { method: 'pairing_code', phone: '+49 170 12345678' }] })
export type LinkSession = z.infer<typeof linkSession>

const expiresAt = moment.describe('Another code takes its place then, or linking ends: ask again.')

export const linkingCode = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('qr'),
      qr: z.string().describe('What the QR code holds. Draw it, or ask for PNG or text.'),
      expiresAt,
    }),
    z.strictObject({
      kind: z.literal('pairing_code'),
      code: z.string().meta({ description: 'To be typed on the phone.', examples: ['K7WM-3XQA'] }),
      expiresAt,
    }),
  ])
  .meta({
    id: 'LinkingCode',
    description:
      'What links the phone: Settings, Linked devices, Link a device. A QR code is scanned there; a pairing code is typed there under "Link with phone number instead".',
    examples: [{ kind: 'pairing_code', code: 'K7WM-3XQA', expiresAt: '2026-11-02T09:17:04.120Z' }],
  })
export type LinkingCode = z.infer<typeof linkingCode>
