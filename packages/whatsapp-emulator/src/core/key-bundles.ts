import type { Companion } from '../accounts/companion.ts'
import type { KeyBundle } from '../signal/key-bundle.ts'
import { SERVER_JID } from '../wire/jids.ts'
import { newStanzaId, nowInSeconds } from '../wire/stanza-id.ts'
import { deliver } from './delivery.ts'
import type { EmulatorState } from './state.ts'

/** Below so many one-time pre-keys the server tells the companion. */
const PRE_KEYS_LOW = 5

/** Takes a companion's key bundle from the server, and tells the companion when its one-time pre-keys run out. */
export function takeBundle(state: EmulatorState, companion: Companion): KeyBundle {
  const bundle = companion.takeBundle()
  const isLow = companion.claimedPreKeys === undefined && companion.preKeys.size < PRE_KEYS_LOW
  if (isLow && !companion.isPreKeyLowNotified) {
    companion.isPreKeyLowNotified = true
    deliver(state, companion, {
      tag: 'notification',
      attrs: { from: SERVER_JID, id: newStanzaId(), type: 'encrypt', t: nowInSeconds() },
      content: [{ tag: 'count', attrs: { value: String(companion.preKeys.size) } }],
    })
  }
  return bundle
}
