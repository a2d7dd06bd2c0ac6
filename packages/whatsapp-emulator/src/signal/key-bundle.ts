import { type BinaryNode, bytesOfChild, childOf, unsignedBytes, unsignedFrom, unsignedOfChild } from '../wire/nodes.ts'

/** What somebody needs to open a Signal session with a device. Public keys are the bare 32 bytes. */
export interface KeyBundle {
  registrationId: number
  identityKey: Buffer
  signedPreKey: SignedPreKey
  /** Missing when the device's one-time pre-keys have run out. */
  preKey?: PreKey
}

export interface PreKey {
  id: number
  key: Buffer
}

export interface SignedPreKey extends PreKey {
  signature: Buffer
}

/** Curve25519, the only key type that Signal knows. */
const KEY_TYPE = Buffer.from([5])
const KEY_ID_BYTES = 3
const REGISTRATION_ID_BYTES = 4

/** The answer to a client that asks for the keys of `jid`. */
export function bundleToUserNode(jid: string, bundle: KeyBundle): BinaryNode {
  return { tag: 'user', attrs: { jid }, content: [registrationNode(bundle), ...keyNodes(bundle)] }
}

/** The parts of a retry receipt that let the receiver of it open a fresh session. */
export function bundleToRetryNodes(bundle: KeyBundle): BinaryNode[] {
  return [registrationNode(bundle), { tag: 'keys', attrs: {}, content: keyNodes(bundle) }]
}

/** The bundle in a companion's retry receipt; `undefined` when it sends none, as with its first. */
export function bundleFromRetryReceipt(receipt: BinaryNode): KeyBundle | undefined {
  const keys = childOf(receipt, 'keys')
  if (!keys) return undefined
  const preKey = childOf(keys, 'key')
  return {
    registrationId: unsignedOfChild(receipt, 'registration'),
    identityKey: bytesOfChild(keys, 'identity'),
    signedPreKey: signedPreKeyFrom(childOf(keys, 'skey')),
    ...(preKey && { preKey: preKeyFrom(preKey) }),
  }
}

export function preKeyFrom(node: BinaryNode | undefined): PreKey {
  return { id: unsignedFrom(bytesOfChild(node, 'id')), key: bytesOfChild(node, 'value') }
}

export function signedPreKeyFrom(node: BinaryNode | undefined): SignedPreKey {
  return { ...preKeyFrom(node), signature: bytesOfChild(node, 'signature') }
}

function registrationNode(bundle: KeyBundle): BinaryNode {
  return { tag: 'registration', attrs: {}, content: unsignedBytes(bundle.registrationId, REGISTRATION_ID_BYTES) }
}

function keyNodes({ identityKey, signedPreKey, preKey }: KeyBundle): BinaryNode[] {
  const nodes: BinaryNode[] = [
    { tag: 'type', attrs: {}, content: KEY_TYPE },
    { tag: 'identity', attrs: {}, content: identityKey },
    {
      tag: 'skey',
      attrs: {},
      content: [...preKeyParts(signedPreKey), { tag: 'signature', attrs: {}, content: signedPreKey.signature }],
    },
  ]
  if (preKey) nodes.push({ tag: 'key', attrs: {}, content: preKeyParts(preKey) })
  return nodes
}

function preKeyParts({ id, key }: PreKey): BinaryNode[] {
  return [
    { tag: 'id', attrs: {}, content: unsignedBytes(id, KEY_ID_BYTES) },
    { tag: 'value', attrs: {}, content: key },
  ]
}
