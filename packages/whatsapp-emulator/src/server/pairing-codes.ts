import { randomBytes } from 'node:crypto'
import type { Account } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import { ControlError } from '../control/control-error.ts'
import type { AwaitedPairingCode, LinkRequest } from '../core/link-requests.ts'
import type { EmulatorState } from '../core/state.ts'
import { agree, generateKeyPair } from '../noise/keys.ts'
import { SERVER_JID } from '../wire/jids.ts'
import { type BinaryNode, bytesOf, bytesOfChild, childOf, childrenOf } from '../wire/nodes.ts'
import { newStanzaId, nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { acceptCompanion, checkMayLink } from './linking.ts'
import {
  deriveAdvertisedSecret,
  openKeyBundle,
  unwrapWithCode,
  WRAPPED_KEY_BYTES,
  wrapWithCode,
} from './pairing-cipher.ts'
import { QueryError } from './query-error.ts'

const REF_BYTES = 32
const CODE = /^[0-9A-Z]{8}$/
/** The server takes none but common browsers on common systems here, as the phone is going to show this name. */
const PLATFORM = /^(Chrome|Edge|Firefox|IE|Opera|Safari) \((Windows|Mac OS|Ubuntu|Debian|Fedora|Linux|Chrome OS)\)$/

/** The query by which a companion asks for a pairing code, and the one by which it answers the phone. */
export function answerPairing(state: EmulatorState, connection: Connection, iq: BinaryNode): BinaryNode[] | undefined {
  const registration = childrenOf(iq)[0]
  if (!connection.linkRequest || !registration) throw badRequest()
  if (registration.attrs['stage'] === 'companion_hello')
    return startPairing(state, connection.linkRequest, registration)
  finishPairing(connection.linkRequest, registration)
  return undefined
}

/**
 * The phone's owner types the code that a companion shows. Resolves when the companion has signed its identity.
 * Rejects with `ControlError` when no companion waits for this number or the code is wrong, for a number that may not
 * link devices, and when the companion refuses. After a wrong code the right one can still be typed.
 */
export async function enterPairingCode(state: EmulatorState, account: Account, typed: string): Promise<Companion> {
  const code = typed.replace(/[\s-]/g, '').toUpperCase()
  if (!CODE.test(code)) throw new ControlError('A pairing code has eight letters and digits, such as ABCD-EFGH.')
  checkMayLink(account)
  const request = state.linkRequests.findByPairingPhone(account.phone)
  const awaited = request?.pairingCode
  if (!request || !awaited)
    throw new ControlError(
      `No companion waits for a pairing code of ${account.phone}, or the code has expired. Get a new one.`,
    )
  if (request.confirmation || awaited.keyBundle)
    throw new ControlError('A code was typed already and is being checked.')
  const advertisedSecret = await agreeOnSecret(request, awaited, account, code)
  return acceptCompanion(request, account, advertisedSecret)
}

function startPairing(state: EmulatorState, request: LinkRequest, hello: BinaryNode): BinaryNode[] {
  const account = state.directory.resolve(hello.attrs['jid'])?.account
  const platform = bytesOf(childOf(hello, 'companion_platform_display'))?.toString() ?? ''
  const wrappedEphemeral = bytesOfChild(hello, 'link_code_pairing_wrapped_companion_ephemeral_pub')
  if (!account || account.hasNoDevices || wrappedEphemeral.length !== WRAPPED_KEY_BYTES || !PLATFORM.test(platform))
    throw badRequest()
  if (account.linkingRefusal === 'throttled') throw new QueryError('429', 'rate-overlimit')
  if (account.linkingRefusal === 'blocked') throw new QueryError('403', 'forbidden')
  const ref = randomBytes(REF_BYTES)
  request.pairingCode?.keyBundle?.reject(new ControlError('The companion has asked for a new pairing code meanwhile.'))
  request.pairingCode = { phone: account.phone, ref, wrappedEphemeral }
  state.changes.changed()
  const content = [{ tag: 'link_code_pairing_ref', attrs: {}, content: ref }]
  return [{ tag: 'link_code_companion_reg', attrs: { stage: 'companion_hello' }, content }]
}

/** The server passes the companion's answer on to the phone; it cannot tell whether the code was right. */
function finishPairing({ pairingCode, registration }: LinkRequest, finish: BinaryNode): void {
  const ref = bytesOfChild(finish, 'link_code_pairing_ref')
  const identity = bytesOfChild(finish, 'companion_identity_public')
  if (!pairingCode?.keyBundle || !ref.equals(pairingCode.ref) || !identity.equals(registration.identityKey))
    throw badRequest()
  pairingCode.keyBundle.resolve(bytesOfChild(finish, 'link_code_pairing_wrapped_key_bundle'))
}

/** Both sides prove to each other that they know the code, and agree on what a QR code would have carried. */
async function agreeOnSecret(
  request: LinkRequest,
  awaited: AwaitedPairingCode,
  { device }: Account,
  code: string,
): Promise<Buffer> {
  awaited.keyBundle = Promise.withResolvers()
  try {
    const hello = sayHello(request, awaited, device.identity.public, code)
    const [secret, wrappedBundle] = await Promise.all([hello, awaited.keyBundle.promise])
    const bundle = openKeyBundle(secret, wrappedBundle)
    const { identityKey } = request.registration
    if (!bundle?.companionIdentity.equals(identityKey) || !bundle.phoneIdentity.equals(device.identity.public))
      throw new ControlError('This is not the code that the companion shows. Check it and type it again.')
    return deriveAdvertisedSecret(secret, agree(device.identity.private, identityKey), bundle.random)
  } finally {
    delete awaited.keyBundle
  }
}

/** Returns the secret that both sides have when the code is right. */
async function sayHello(
  request: LinkRequest,
  { ref, wrappedEphemeral }: AwaitedPairingCode,
  phoneIdentity: Buffer,
  code: string,
): Promise<Buffer> {
  const ephemeral = generateKeyPair()
  const secret = agree(ephemeral.private, await unwrapWithCode(code, wrappedEphemeral))
  request.send(primaryHello(ref, phoneIdentity, await wrapWithCode(code, ephemeral.public)))
  return secret
}

function primaryHello(ref: Buffer, phoneIdentity: Buffer, wrappedEphemeral: Buffer): BinaryNode {
  const content = [
    { tag: 'link_code_pairing_wrapped_primary_ephemeral_pub', attrs: {}, content: wrappedEphemeral },
    { tag: 'primary_identity_pub', attrs: {}, content: phoneIdentity },
    { tag: 'link_code_pairing_ref', attrs: {}, content: ref },
  ]
  return {
    tag: 'notification',
    attrs: { from: SERVER_JID, id: newStanzaId(), type: 'link_code_companion_reg', t: nowInSeconds() },
    content: [{ tag: 'link_code_companion_reg', attrs: { stage: 'primary_hello' }, content }],
  }
}

function badRequest(): QueryError {
  return new QueryError('400', 'bad-request')
}
