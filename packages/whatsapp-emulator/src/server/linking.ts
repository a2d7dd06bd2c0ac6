import { randomBytes } from 'node:crypto'
import { proto } from 'baileys'
import type { Account } from '../accounts/account.ts'
import { Companion, type CompanionRegistration } from '../accounts/companion.ts'
import type { PendingLink } from '../control/control.ts'
import { ControlError } from '../control/control-error.ts'
import type { LinkRequest } from '../core/link-requests.ts'
import type { EmulatorState } from '../core/state.ts'
import { isSignedBy, signalPublicKey } from '../noise/keys.ts'
import { SERVER_JID } from '../wire/jids.ts'
import { type BinaryNode, bytesOfChild, unsignedFrom } from '../wire/nodes.ts'
import { newStanzaId, nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { hasDeviceSignature, sealIdentity, signIdentity } from './signed-identity.ts'
import { endStream, failLogin } from './stream-errors.ts'

const REF_COUNT = 6
const REF_BYTES = 48
/** WhatsApp's own limit. */
const MAX_COMPANIONS = 4

/** A client without an identity connects: it gets references for QR codes and waits for a phone. */
export function startLinking(
  state: EmulatorState,
  connection: Connection,
  data: proto.ClientPayload.IDevicePairingRegistrationData,
): void {
  const registration = registrationFrom(connection.noiseKey, data)
  if (!registration) {
    failLogin(connection, { reason: '400' })
    return
  }
  const { first, later } = state.behaviour.qrValidityMs
  const since = performance.now()
  const refs = Array.from({ length: REF_COUNT }, (_, index) => ({
    text: `2@${randomBytes(REF_BYTES).toString('base64')}`,
    expiresAtMs: since + first + index * later,
  }))
  const request: LinkRequest = {
    id: randomBytes(8).toString('hex'),
    refs,
    registration,
    since: new Date(),
    send: (node) => connection.send(node),
    // Clients give up by themselves when their last code has expired; the server waits a little longer.
    stopExpiry: state.timers.after(first + REF_COUNT * later, () => {
      connection.send({ tag: 'xmlstreamend', attrs: {} })
      connection.end()
    }),
  }
  connection.linkRequest = request
  state.linkRequests.add(request)
  state.changes.changed()
  const content = refs.map(({ text }) => ({ tag: 'ref', attrs: {}, content: Buffer.from(text) }))
  connection.send({
    tag: 'iq',
    attrs: { from: SERVER_JID, type: 'set', id: newStanzaId(), xmlns: 'md' },
    content: [{ tag: 'pair-device', attrs: {}, content }],
  })
}

export function pendingLinks(state: EmulatorState): PendingLink[] {
  return [...state.linkRequests]
    .filter((request) => !request.confirmation)
    .map(({ id, qr, pairingCode, registration, since }) => ({
      id,
      ...(qr !== undefined && { qr }),
      ...(pairingCode && { pairingPhone: pairingCode.phone }),
      platform: registration.platform,
      since: since.toISOString(),
    }))
}

/** Throws `ControlError` with what the phone would say when its owner may not link another device. */
export function checkMayLink({ linkingRefusal, companions }: Account): void {
  if (linkingRefusal === 'throttled') throw new ControlError("Can't link new devices at this time. Try again later.")
  if (linkingRefusal === 'blocked')
    throw new ControlError('WhatsApp has restricted this account: it cannot link devices.')
  if (companions.size >= MAX_COMPANIONS)
    throw new ControlError(`This number has ${MAX_COMPANIONS} linked devices, which is the limit. Unlink one first.`)
}

/** The companion has answered the phone's acceptance: it is linked if its signature is right. */
export function confirmLink(state: EmulatorState, connection: Connection, answer: BinaryNode): void {
  const confirmation = connection.linkRequest?.confirmation
  if (!confirmation) throw new Error('The companion confirms a link that no phone has asked for')
  const { companion, identity, confirmed } = confirmation
  if (!hasDeviceSignature(companion.identityKey, identity, bytesOfChild(answer, 'device-identity')))
    throw new Error('The companion did not sign its identity with its identity key')
  state.directory.addCompanion(companion)
  confirmed.resolve()
  state.events.emit('linked', { phone: companion.account.phone, jid: companion.jid, lid: companion.lidJid })
  state.changes.changed()
  // A fresh companion has to connect again, now with its own name.
  endStream(connection, '515')
}

/** The connection is gone: the codes that it showed are worth nothing any more. */
export function abandonLinking(state: EmulatorState, request: LinkRequest): void {
  state.linkRequests.remove(request)
  request.stopExpiry()
  request.pairingCode?.keyBundle?.reject(
    new ControlError('The companion refused the link: it closed the connection before the code was checked.'),
  )
  request.confirmation?.confirmed.reject(
    new ControlError('The companion refused the link: it closed the connection instead of confirming it.'),
  )
  state.changes.changed()
}

/**
 * The phone signs the companion's identity; `advertisedSecret` proves to the companion that the phone saw its code.
 * Resolves when the companion has signed too, rejects with `ControlError` when it refuses.
 */
export async function acceptCompanion(
  request: LinkRequest,
  account: Account,
  advertisedSecret: Buffer,
): Promise<Companion> {
  const id = account.nextCompanionId()
  const companion = new Companion(account, id, request.registration, true)
  const identity = signIdentity(account, id, companion.identityKey)
  const confirmed = Promise.withResolvers<void>()
  request.confirmation = { companion, identity, confirmed }
  request.send({
    tag: 'iq',
    attrs: { from: SERVER_JID, type: 'set', id: newStanzaId(), xmlns: 'md', t: nowInSeconds() },
    content: [
      {
        tag: 'pair-success',
        attrs: {},
        content: [
          { tag: 'device-identity', attrs: {}, content: sealIdentity(identity, advertisedSecret) },
          { tag: 'biz', attrs: { name: account.name } },
          { tag: 'device', attrs: { jid: companion.jid, lid: companion.lidJid } },
          { tag: 'platform', attrs: { name: 'android' } },
        ],
      },
    ],
  })
  await confirmed.promise
  return companion
}

/** `undefined` when the pre-key is not signed with the identity key. */
function registrationFrom(
  noiseKey: Buffer,
  data: proto.ClientPayload.IDevicePairingRegistrationData,
): CompanionRegistration | undefined {
  const { eRegid, eIdent, eSkeyId, eSkeyVal, eSkeySig } = data
  if (!eRegid || !eIdent || !eSkeyId || !eSkeyVal || !eSkeySig) return undefined
  if (!isSignedBy(eIdent, signalPublicKey(eSkeyVal), eSkeySig)) return undefined
  return {
    noiseKey,
    identityKey: Buffer.from(eIdent),
    registrationId: unsignedFrom(eRegid),
    signedPreKey: { id: unsignedFrom(eSkeyId), key: Buffer.from(eSkeyVal), signature: Buffer.from(eSkeySig) },
    platform: platformOf(data.deviceProps),
  }
}

function platformOf(deviceProps: Uint8Array | null | undefined): string {
  if (!deviceProps?.length) return 'unknown'
  const { platformType, os } = proto.DeviceProps.decode(deviceProps)
  const name = platformType == null ? 'Unknown' : (proto.DeviceProps.PlatformType[platformType] ?? 'Unknown')
  return `${name.charAt(0)}${name.slice(1).toLowerCase()} (${os})`
}
