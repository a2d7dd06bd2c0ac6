import { randomBytes } from 'node:crypto'

/** A new message id in the form that WhatsApp's web clients use. */
export function newMessageId(): string {
  return `3EB0${randomBytes(9).toString('hex').toUpperCase()}`
}

/** WhatsApp's timestamps are whole seconds as a decimal string. */
export function nowInSeconds(): string {
  return String(Math.floor(Date.now() / 1000))
}

let lastStanzaId = 0

/** A new id for a stanza that the server begins. */
export function newStanzaId(): string {
  lastStanzaId++
  return `${lastStanzaId}-1`
}
