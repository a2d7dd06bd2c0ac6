import { type AuthenticationCreds, BufferJSON, initAuthCreds } from 'baileys'
import type { KeyChange, SessionStore } from '#src/model/session-store.ts'

const CREDS_ID = 'main'

/** Baileys asks only whether there are any, but keeps every one of them for ever. */
const MAX_PROCESSED_HISTORY = 32

/** What the store holds of the session's credentials, if anything. */
export async function readCredentials(store: SessionStore): Promise<Uint8Array | undefined> {
  return (await store.readKeys('creds', [CREDS_ID])).get(CREDS_ID)
}

/**
 * The session's credentials; new ones when there are none, or when they are left over from a linking that was broken
 * off. Throws when they cannot be read.
 */
export function credentialsFrom(stored: Uint8Array | undefined): AuthenticationCreds {
  if (!stored) return initAuthCreds()
  const creds = JSON.parse(Buffer.from(stored).toString(), BufferJSON.reviver) as AuthenticationCreds
  // An account without the phone's signature was never accepted: logging in with it would be refused for ever.
  return creds.me && !creds.account ? initAuthCreds() : creds
}

/** The credentials as they are at the commit. Baileys changes them in place, and only between two publications. */
export const credsChange = (creds: AuthenticationCreds): KeyChange => ({
  kind: 'creds',
  id: CREDS_ID,
  encode: () => Buffer.from(JSON.stringify(creds, BufferJSON.replacer)),
})

export function trimCredentials(creds: AuthenticationCreds): void {
  if (creds.processedHistoryMessages.length > MAX_PROCESSED_HISTORY) {
    creds.processedHistoryMessages = creds.processedHistoryMessages.slice(-MAX_PROCESSED_HISTORY)
  }
}
