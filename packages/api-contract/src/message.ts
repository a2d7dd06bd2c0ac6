import { z } from 'zod'

/**
 * What a message says. A discriminated union on `kind`; a reader that meets a kind that it does not know treats it as
 * `unsupported`. New kinds and new optional fields are additive and do not change `MESSAGE_MODEL_VERSION`.
 */
export const MESSAGE_MODEL_VERSION = 1

/** The longest text, in UTF-16 code units, that WhatsApp's clients accept in one message. */
export const MAX_TEXT_LENGTH = 65_536

export const textContent = z.strictObject({
  kind: z.literal('text'),
  text: z.string().min(1).max(MAX_TEXT_LENGTH),
})

/** A message of a kind that this version does not model. The raw form is kept by the gateway and becomes readable with the version that models it. */
export const unsupportedContent = z.strictObject({
  kind: z.literal('unsupported'),
  /** WhatsApp's own name of the kind, such as `imageMessage`. */
  whatsappType: z.string(),
})

/**
 * A message that has arrived and cannot be read yet. It gets its content in place, with the event `message.resolved`.
 */
export const pendingContent = z.strictObject({
  kind: z.literal('pending'),
  reason: z
    .enum(['undecrypted', 'unavailable', 'view_once', 'phone_only', 'undecryptable'])
    .describe(
      '`undecrypted`: its sender has been asked for it again, and so is the phone. `unavailable`: WhatsApp keeps it from ' +
        'linked devices, the phone has been asked for it. `view_once` and `phone_only`: it can be read on the phone alone. ' +
        '`undecryptable`: nobody could give it in a readable form, and it is not waited for any more.',
    ),
})
export type PendingReason = z.infer<typeof pendingContent>['reason']

export const messageContent = z.discriminatedUnion('kind', [textContent, unsupportedContent, pendingContent])
export type MessageContent = z.infer<typeof messageContent>

/** What can be sent. */
export const outgoingContent = z.discriminatedUnion('kind', [textContent])
export type OutgoingContent = z.infer<typeof outgoingContent>

export const messageDirection = z.enum(['inbound', 'outbound'])
export type MessageDirection = z.infer<typeof messageDirection>

/** Who wrote a message: the customer, the API, a responder, or the owner on the phone itself. */
export const messageOrigin = z.enum(['customer', 'api', 'responder', 'phone'])
export type MessageOrigin = z.infer<typeof messageOrigin>

/** `received` is the only status of an inbound message; the others are an outbound message's, in the order in which they can follow. */
export const messageStatus = z.enum(['received', 'queued', 'sent', 'delivered', 'read', 'played', 'failed'])
export type MessageStatus = z.infer<typeof messageStatus>
