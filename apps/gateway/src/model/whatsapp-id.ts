import { randomBytes } from './random-bytes.ts'

/** A new id for an outgoing message, in the form that WhatsApp's web clients give theirs: `3EB0` and 18 hex digits. */
export const newWhatsAppId = (): string => `3EB0${Buffer.from(randomBytes(9)).toString('hex').toUpperCase()}`
