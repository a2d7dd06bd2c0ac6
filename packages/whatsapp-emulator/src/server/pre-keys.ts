import type { Companion } from '../accounts/companion.ts'
import { takeBundle } from '../core/key-bundles.ts'
import type { EmulatorState } from '../core/state.ts'
import { isSignedBy, signalPublicKey } from '../noise/keys.ts'
import { bundleToUserNode, preKeyFrom, type SignedPreKey, signedPreKeyFrom } from '../signal/key-bundle.ts'
import { type BinaryNode, bytesOfChild, childOf, childrenOf, childrenTagged, unsignedOfChild } from '../wire/nodes.ts'
import type { Connection } from './connection.ts'
import { QueryError } from './query-error.ts'

export function answerPreKeyCount(_state: EmulatorState, connection: Connection): BinaryNode[] {
  const companion = companionOf(connection)
  const value = String(companion.claimedPreKeys ?? companion.preKeys.size)
  return [{ tag: 'count', attrs: { value } }]
}

/** Somebody wants to write to devices: their key bundles, an error for a device that does not exist. */
export function answerBundles(state: EmulatorState, _connection: Connection, iq: BinaryNode): BinaryNode[] {
  const users = childrenTagged(childrenOf(iq)[0], 'user')
  return [{ tag: 'list', attrs: {}, content: users.map((user) => bundleOf(state, user.attrs['jid'] ?? '')) }]
}

export function storePreKeys(_state: EmulatorState, connection: Connection, iq: BinaryNode): undefined {
  const companion = companionOf(connection)
  if (!bytesOfChild(iq, 'identity').equals(companion.identityKey))
    throw new QueryError('406', 'not-acceptable: another identity key than at the linking')
  companion.signedPreKey = signedBy(companion, childOf(iq, 'skey'))
  companion.registrationId = unsignedOfChild(iq, 'registration')
  companion.preKeys.add(childrenTagged(childOf(iq, 'list'), 'key').map(preKeyFrom))
  companion.isPreKeyLowNotified = false
}

export function rotateSignedPreKey(_state: EmulatorState, connection: Connection, iq: BinaryNode): undefined {
  const companion = companionOf(connection)
  companion.signedPreKey = signedBy(companion, childOf(childOf(iq, 'rotate'), 'skey'))
}

function bundleOf(state: EmulatorState, jid: string): BinaryNode {
  const addressee = state.directory.resolve(jid)
  if (addressee && !addressee.account.hasNoDevices) {
    const { account, device } = addressee
    if (device === 0) return bundleToUserNode(jid, account.device.takeBundle())
    const companion = account.companions.get(device)
    if (companion) return bundleToUserNode(jid, takeBundle(state, companion))
  }
  return { tag: 'user', attrs: { jid }, content: [{ tag: 'error', attrs: { code: '404', text: 'item-not-found' } }] }
}

function signedBy(companion: Companion, node: BinaryNode | undefined): SignedPreKey {
  const signedPreKey = signedPreKeyFrom(node)
  if (!isSignedBy(companion.identityKey, signalPublicKey(signedPreKey.key), signedPreKey.signature))
    throw new QueryError('406', 'not-acceptable: the pre-key is not signed with the identity key')
  return signedPreKey
}

function companionOf(connection: Connection): Companion {
  if (!connection.companion) throw new QueryError('401', 'not-authorized')
  return connection.companion
}
