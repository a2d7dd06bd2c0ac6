import { type AuthenticationCreds, BufferJSON, initAuthCreds } from 'baileys'
import type { KeyChange, SessionStore } from '#src/model/session-store.ts'
import { UnreadableError } from '#src/model/unreadable-error.ts'

const CREDS_ID = 'main'

/** Baileys asks only whether there are any, but keeps every one of them for ever. */
const MAX_PROCESSED_HISTORY = 32

/** What the store holds of the session's credentials, if anything. */
export async function readCredentials(store: SessionStore): Promise<Uint8Array | undefined> {
  return (await store.readKeys('creds', [CREDS_ID])).get(CREDS_ID)
}

/**
 * The session's credentials; new ones when there are none, or when they are left over from a linking that was broken
 * off. @throws UnreadableError
 */
export function credentialsFrom(stored: Uint8Array | undefined): AuthenticationCreds {
  if (!stored) return initAuthCreds()
  const creds = parse(stored)
  // An account without the phone's signature was never accepted: logging in with it would be refused for ever.
  return isLinked(creds) ? creds : initAuthCreds()
}

function parse(stored: Uint8Array): AuthenticationCreds {
  try {
    const creds: unknown = JSON.parse(Buffer.from(stored).toString(), BufferJSON.reviver)
    if (typeof creds === 'object' && creds !== null && 'noiseKey' in creds) return creds as AuthenticationCreds
  } catch {
    // The error quotes what it failed to read, which is secret.
  }
  throw new UnreadableError('The stored credentials cannot be parsed.')
}

/** The credentials as they are at the commit. Baileys changes them in place, and only between two publications. */
export const credsChange = (creds: AuthenticationCreds): KeyChange => ({
  kind: 'creds',
  id: CREDS_ID,
  encode: () => Buffer.from(JSON.stringify(creds, BufferJSON.replacer)),
})

/** A linking that is under way leaves nothing behind: what it stored would make the next connection a login. */
export const isLinked = ({ me, account }: AuthenticationCreds): boolean => me !== undefined && account !== undefined

export function trimCredentials(creds: AuthenticationCreds): void {
  if (creds.processedHistoryMessages.length > MAX_PROCESSED_HISTORY) {
    creds.processedHistoryMessages = creds.processedHistoryMessages.slice(-MAX_PROCESSED_HISTORY)
  }
}
