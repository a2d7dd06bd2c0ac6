import { randomBytes } from 'node:crypto'
import type { EmulatorState } from '../core/state.ts'
import { SERVER_JID } from '../wire/jids.ts'
import { type BinaryNode, childrenOf, childrenTagged } from '../wire/nodes.ts'
import type { Connection } from './connection.ts'
import { confirmLink } from './linking.ts'
import { activate } from './login.ts'
import { answerPairing } from './pairing-codes.ts'
import { answerBundles, answerPreKeyCount, rotateSignedPreKey, storePreKeys } from './pre-keys.ts'
import { QueryError } from './query-error.ts'
import { unlinkCompanion } from './unlinking.ts'
import { answerUsync } from './usync.ts'

/** A query of a client; the returned nodes are the result's content. */
type QueryHandler = (
  state: EmulatorState,
  connection: Connection,
  iq: BinaryNode,
) => BinaryNode[] | undefined | Promise<undefined>

const PRIVACY_CATEGORIES = ['readreceipts', 'last', 'online', 'profile', 'status', 'groupadd']
const TRUSTED_CONTACT_TOKEN_BYTES = 16
/** Clients name the queries, so there is an end to the different ones that are counted. */
const MAX_COUNTED_QUERIES = 500

/**
 * Every query that the emulator gives a meaning, by namespace, type and first child. The others get an empty result.
 * Media (`w:m/set/media_conn`) and groups (`w:g2/…`) belong here too.
 */
const HANDLERS: Record<string, QueryHandler> = {
  'encrypt/get/count': answerPreKeyCount,
  'encrypt/get/digest': () => [{ tag: 'digest', attrs: {}, content: [] }],
  'encrypt/get/key': answerBundles,
  'encrypt/set/registration': storePreKeys,
  'encrypt/set/rotate': rotateSignedPreKey,
  'md/set/link_code_companion_reg': answerPairing,
  'usync/get/usync': answerUsync,
  'abt/get/props': () => [{ tag: 'props', attrs: { protocol: '1', hash: 'emulator' }, content: [] }],
  'blocklist/get/-': () => [{ tag: 'list', attrs: {}, content: [] }],
  'privacy/get/privacy': () => [
    {
      tag: 'privacy',
      attrs: {},
      content: PRIVACY_CATEGORIES.map((name) => ({ tag: 'category', attrs: { name, value: 'all' } })),
    },
  ],
  'privacy/set/tokens': (_state, _connection, iq) => [
    { tag: 'tokens', attrs: {}, content: childrenTagged(firstChild(iq), 'token').map(trustedContactToken) },
  ],
  'w:sync:app:state/set/sync': (_state, _connection, iq) => [
    { tag: 'sync', attrs: {}, content: childrenTagged(firstChild(iq), 'collection').map(unchangedCollection) },
  ],
  'w:profile:picture/get/picture': () => {
    throw new QueryError('404', 'item-not-found')
  },
}

/** Answers a query. Some answers have consequences that come after them on the wire. */
export async function handleIq(state: EmulatorState, connection: Connection, iq: BinaryNode): Promise<void> {
  const child = firstChild(iq)
  const { xmlns = '-', type = '-' } = iq.attrs
  if (type === 'result' || type === 'error') {
    if (child?.tag === 'pair-device-sign') confirmLink(state, connection, child)
    return
  }
  const key = `${xmlns}/${type}/${child?.tag ?? '-'}`
  countQuery(state, key)
  try {
    const content = await HANDLERS[key]?.(state, connection, iq)
    connection.send({ tag: 'iq', attrs: resultAttrs(iq, 'result'), ...(content && { content }) })
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    const attrs = { code: error.code, text: error.message }
    connection.send({ tag: 'iq', attrs: resultAttrs(iq, 'error'), content: [{ tag: 'error', attrs }] })
    return
  }
  if (key === 'passive/set/active') await activate(state, connection)
  if (key === 'md/set/remove-companion-device' && connection.companion)
    unlinkCompanion(state, connection.companion, 'companion')
}

function countQuery({ counters: { iqs } }: EmulatorState, key: string): void {
  const count = iqs[key]
  if (count !== undefined) iqs[key] = count + 1
  else if (Object.keys(iqs).length < MAX_COUNTED_QUERIES) iqs[key] = 1
}

function resultAttrs(iq: BinaryNode, type: 'result' | 'error'): Record<string, string> {
  return { from: SERVER_JID, type, id: iq.attrs['id'] ?? '' }
}

function firstChild(iq: BinaryNode): BinaryNode | undefined {
  return childrenOf(iq)[0]
}

function trustedContactToken({ attrs }: BinaryNode): BinaryNode {
  const { jid = '', t = '' } = attrs
  return {
    tag: 'token',
    attrs: { jid, t, type: 'trusted_contact' },
    content: randomBytes(TRUSTED_CONTACT_TOKEN_BYTES),
  }
}

function unchangedCollection({ attrs }: BinaryNode): BinaryNode {
  return { tag: 'collection', attrs: { name: attrs['name'] ?? '', version: attrs['version'] ?? '0' } }
}
