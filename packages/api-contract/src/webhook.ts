import { z } from 'zod'
import { id, moment, pageSize } from './common.ts'
import { EVENT_TYPES } from './event.ts'
import { messageResource } from './message-resource.ts'
import { companyUrl } from './responder-settings.ts'

const MAX_HEADERS = 20
/** How long former secrets may go on signing. */
const MAX_FORMER_SECRETS_MS = 7 * 24 * 60 * 60 * 1000

/** The names that the delivery itself sets, or that belong to the connection. */
const RESERVED_HEADER =
  /^(webhook-.*|content-.*|host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|user-agent)$/i

export const webhookOrdering = z.enum(['none', 'chat'])
export type WebhookOrdering = z.infer<typeof webhookOrdering>

const eventTypes = z
  .array(z.enum(EVENT_TYPES))
  .min(1)
  .max(EVENT_TYPES.length)
  .nullable()
  .meta({ examples: [['message.received', 'message.status_changed']] })

const headers = z.record(
  z
    .string()
    .regex(/^[A-Za-z0-9-]{1,100}$/, 'must be a name of letters, digits and hyphens')
    .refine((name) => !RESERVED_HEADER.test(name), 'is a header that Frontdesk sets itself'),
  z.string().regex(/^[\x20-\x7e]{1,1000}$/, 'must be 1 to 1000 visible ASCII characters'),
)

/** What a request may say of an endpoint. */
const writable = {
  url: companyUrl.describe('Each event is posted here. Private networks are refused.'),
  eventTypes: eventTypes.describe('Only events of these types; null for all, also unless told.'),
  headers: headers
    .refine((all) => Object.keys(all).length <= MAX_HEADERS, `must be at most ${MAX_HEADERS}`)
    .describe('Sent with each delivery, such as a token of your own. The values are not shown again.'),
  ordering: webhookOrdering.describe(
    '`none`, unless told: each event as soon as it happens. `chat`: events of one chat one after the other, each when the one before was taken; events without a chat, by session.',
  ),
  isEnabled: z.boolean().describe('While it is disabled nothing is sent, and what happens is not collected for it.'),
}

export const createWebhookEndpoint = z
  .strictObject({
    url: writable.url,
    eventTypes: writable.eventTypes.optional(),
    headers: writable.headers.optional(),
    ordering: writable.ordering.optional(),
  })
  .meta({
    id: 'CreateWebhookEndpoint',
    examples: [{ url: 'https://salon.example/frontdesk/events', eventTypes: ['message.received'] }],
  })
export type CreateWebhookEndpoint = z.infer<typeof createWebhookEndpoint>

export const updateWebhookEndpoint = z
  .strictObject(writable)
  .partial()
  .meta({ id: 'UpdateWebhookEndpoint', examples: [{ isEnabled: true }] })
export type UpdateWebhookEndpoint = z.infer<typeof updateWebhookEndpoint>

export const webhookEndpoint = z
  .strictObject({
    id,
    url: z.string(),
    eventTypes: z.array(z.string()).nullable(),
    headerNames: z.array(z.string()).describe('The names of the custom headers; their values are not shown.'),
    ordering: webhookOrdering,
    isEnabled: z.boolean(),
    secrets: z.int().describe('How many secrets sign now: more than one for a while after a rotation.'),
    failures: z.int().describe('Attempts that failed since the last one that succeeded.'),
    pausedUntil: moment.nullable().describe('After many failures: when the next attempt is made; null otherwise.'),
    createdAt: moment,
  })
  .meta({ id: 'WebhookEndpoint', description: "A URL that a company's events are posted to." })
export type WebhookEndpoint = z.infer<typeof webhookEndpoint>

export const webhookEndpointWithSecret = webhookEndpoint
  .extend({
    secret: z.string().meta({
      description: 'Signs the deliveries. Shown this once.',
      examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo='],
    }),
  })
  .meta({ id: 'WebhookEndpointWithSecret', description: 'An endpoint with its newest secret.' })
export type WebhookEndpointWithSecret = z.infer<typeof webhookEndpointWithSecret>

export const rotateWebhookSecret = z
  .strictObject({
    formerValidMs: z
      .int()
      .min(0)
      .max(MAX_FORMER_SECRETS_MS)
      .optional()
      .describe('For how long the former secrets sign as well, milliseconds: a day unless told, at most seven.'),
  })
  .meta({ id: 'RotateWebhookSecret', examples: [{ formerValidMs: 3_600_000 }] })
export type RotateWebhookSecret = z.infer<typeof rotateWebhookSecret>

/** The body of a delivery. */
export const webhookPayload = z
  .looseObject({
    id: z.string().meta({ description: "The event's id, as in the log and in `webhook-id`.", examples: ['7318-42'] }),
    type: z.string().describe('A type of `Event`. New ones may appear: ignore those that you do not know.'),
    companyId: id,
    sessionId: id.nullable(),
    subjectId: id.nullable(),
    data: z.looseObject({}).describe('As in `Event`.'),
    createdAt: moment,
    message: messageResource
      .nullable()
      .describe(
        'Of events whose type begins with `message.`: the message as it is at the moment of the attempt, which can be further than `data` says. Null for other events, and when the message is gone.',
      ),
  })
  .meta({ id: 'WebhookPayload', description: 'What is posted to a webhook endpoint: an event, with its message.' })
export type WebhookPayload = z.infer<typeof webhookPayload>

export const deliveryState = z
  .enum(['waiting', 'delivered', 'dead'])
  .describe('`waiting`: it goes on. `delivered`: the endpoint took it. `dead`: given up; it can be replayed.')
export type DeliveryState = z.infer<typeof deliveryState>

export const webhookAttempt = z.strictObject({
  at: moment,
  durationMs: z.int(),
  status: z.int().nullable().describe('The HTTP status; null without an answer.'),
  code: z.string().nullable().describe('Why it failed: a code of the errors; null when it was taken.'),
  answer: z.string().describe('The first KB of what the endpoint answered.'),
})
export type WebhookAttempt = z.infer<typeof webhookAttempt>

/** Deliveries are numbered in the order in which they came to be. */
export const deliveryId = z
  .string()
  .regex(/^[1-9]\d{0,14}$/)
  .meta({ examples: ['4711'] })

export const webhookDelivery = z
  .strictObject({
    id: deliveryId,
    endpointId: id,
    eventId: z.string().meta({ description: '`webhook-id` of each attempt.', examples: ['7318-42'] }),
    eventType: z.string(),
    state: deliveryState,
    attempts: z.array(webhookAttempt).describe('The newest 30, oldest first.'),
    nextAttemptAt: moment.nullable().describe('While it waits: when it is tried again.'),
    createdAt: moment,
    finishedAt: moment.nullable(),
  })
  .meta({ id: 'WebhookDelivery', description: 'An event on its way to an endpoint. It is kept for 7 days.' })
export type WebhookDelivery = z.infer<typeof webhookDelivery>

const filter = {
  endpointId: id.optional().describe('Only of this endpoint.'),
  eventType: z.enum(EVENT_TYPES).optional(),
  from: moment.optional().describe('Only deliveries made at this moment or later.'),
  until: moment.optional().describe('Only deliveries made before this moment.'),
}

export const deliveryQuery = z.strictObject({
  ...filter,
  state: deliveryState.optional(),
  limit: pageSize(200, 50),
  cursor: deliveryId.optional().describe('`next` of the page before.'),
})
export type DeliveryQuery = z.infer<typeof deliveryQuery>

export const replayDeliveries = z
  .strictObject({
    ...filter,
    state: deliveryState
      .exclude(['waiting'])
      .optional()
      .describe('Those given up, `dead`, unless told; or those taken before.'),
  })
  .meta({
    id: 'ReplayDeliveries',
    examples: [{ from: '2026-11-02T09:00:00.000Z', until: '2026-11-02T10:00:00.000Z' }],
  })
export type ReplayDeliveries = z.infer<typeof replayDeliveries>

export const replayResult = z
  .strictObject({ replayed: z.int().describe('How many deliveries were begun anew: the oldest 10000 at most.') })
  .meta({ id: 'ReplayResult' })
export type ReplayResult = z.infer<typeof replayResult>
