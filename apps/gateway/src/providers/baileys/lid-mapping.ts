import {
  isHostedPnUser,
  isLidUser,
  isPnUser,
  jidDecode,
  type LIDMapping,
  type SignalKeyStore,
  type SignalRepositoryWithLIDStore,
} from 'baileys'
import { BoundedCache } from '#src/model/bounded-cache.ts'
import type { KeyChange } from '#src/model/session-store.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { keyValueOf } from './key-value.ts'
import type { RatchetStore } from './ratchet-store.ts'

type BaileysLidMapping = SignalRepositoryWithLIDStore['lidMapping']
type AskServer = (phoneJids: string[]) => Promise<LIDMapping[] | undefined>

/** How long a number of which the server knows no LID is not asked for again. */
const UNKNOWN_TTL_MS = 5 * 60 * 1000

/**
 * Which LID belongs to which phone number. Stands in for Baileys' `LIDMappingStore`, whose cache has no bound and whose
 * question to the server can fail the message at hand: here the bounded cache of the keys serves, and a question that
 * fails answers "unknown".
 */
export class LidMapping
  implements
    Pick<
      BaileysLidMapping,
      'storeLIDPNMappings' | 'getLIDForPN' | 'getLIDsForPNs' | 'getPNForLID' | 'getPNsForLIDs' | 'close'
    >
{
  readonly #ratchets: RatchetStore
  readonly #askServer: AskServer | undefined
  readonly #unknown = new BoundedCache<true>({ maxEntries: 256, ttlMs: UNKNOWN_TTL_MS })

  constructor(ratchets: RatchetStore, askServer?: AskServer) {
    this.#ratchets = ratchets
    this.#askServer = askServer
  }

  async storeLIDPNMappings(pairs: LIDMapping[]): Promise<void> {
    const valid = pairs.flatMap(validPair)
    if (valid.length === 0) return
    const known = await this.#ratchets.keys.get(
      'lid-mapping',
      valid.map(({ phone }) => phone),
    )
    const news = valid.filter(({ lidUser, phone }) => known[phone] !== lidUser)
    if (news.length === 0) return
    for (const { phone } of news) this.#unknown.delete(phone)
    await this.#ratchets.keys.set({
      'lid-mapping': Object.fromEntries(news.flatMap(entriesOf)),
    })
  }

  /** The LID of a phone number's device, without asking the server. */
  async knownLid(phoneJid: string): Promise<string | undefined> {
    const decoded = jidDecode(phoneJid)
    if (!decoded?.user || !(isPnUser(phoneJid) || isHostedPnUser(phoneJid))) return undefined
    const { [decoded.user]: lidUser } = await this.#ratchets.keys.get('lid-mapping', [decoded.user])
    if (!lidUser) return undefined
    const device = decoded.device ? `:${decoded.device}` : ''
    return `${lidUser}${device}@${isHostedPnUser(phoneJid) ? 'hosted.lid' : 'lid'}`
  }

  async getLIDForPN(pn: string): Promise<string | null> {
    return (await this.getLIDsForPNs([pn]))?.[0]?.lid ?? null
  }

  async getLIDsForPNs(pns: string[]): Promise<LIDMapping[] | null> {
    await this.#learn(await this.#unmapped(pns))
    const found = await Promise.all(pns.map(async (pn) => ({ pn, lid: await this.knownLid(pn) })))
    return orNull(found.flatMap(({ pn, lid }) => (lid === undefined ? [] : [{ pn, lid }])))
  }

  async getPNForLID(lid: string): Promise<string | null> {
    return (await this.getPNsForLIDs([lid]))?.[0]?.pn ?? null
  }

  async getPNsForLIDs(lids: string[]): Promise<LIDMapping[] | null> {
    const found = await Promise.all(
      lids.filter(isLidUser).map(async (lid) => {
        const decoded = jidDecode(lid)
        const id = `${decoded?.user}_reverse`
        const { [id]: phone } = await this.#ratchets.keys.get('lid-mapping', [id])
        return phone ? [{ lid, pn: `${phone}:${decoded?.device ?? 0}@s.whatsapp.net` }] : []
      }),
    )
    return orNull(found.flat())
  }

  close(): void {
    this.#unknown.clear()
  }

  /** Numbers worth asking the server for, as JIDs without a device. */
  async #unmapped(pns: readonly string[]): Promise<string[]> {
    const phones = pns.filter((pn) => isPnUser(pn) || isHostedPnUser(pn)).flatMap((pn) => jidDecode(pn)?.user ?? [])
    const known = phones.length > 0 ? await this.#ratchets.keys.get('lid-mapping', phones) : {}
    const wanted = phones.filter((phone) => !known[phone] && !this.#unknown.get(phone))
    return [...new Set(wanted)].map((phone) => `${phone}@s.whatsapp.net`)
  }

  async #learn(phoneJids: string[]): Promise<void> {
    if (phoneJids.length === 0 || !this.#askServer) return
    // A question that fails or times out says nothing: it is asked again with the next message.
    const answer = await this.#askServer(phoneJids).catch(() => undefined)
    if (!answer) return
    const answered = new Set(answer.map(({ pn }) => jidDecode(pn)?.user))
    for (const jid of phoneJids) {
      const phone = jidDecode(jid)?.user
      if (phone && !answered.has(phone)) this.#unknown.set(phone, true)
    }
    await this.storeLIDPNMappings(answer)
  }
}

interface Pair {
  lidUser: string
  phone: string
}

function validPair({ lid, pn }: LIDMapping): Pair[] {
  // Baileys hands them over in either order.
  const [lidJid, phoneJid] = isLidUser(lid) ? [lid, pn] : [pn, lid]
  const [lidUser, phone] = [jidDecode(lidJid)?.user, jidDecode(phoneJid)?.user]
  return isLidUser(lidJid) && isPnUser(phoneJid) && lidUser && phone ? [{ lidUser, phone }] : []
}

/** Both directions, as Baileys stores them. */
const entriesOf = ({ lidUser, phone }: Pair): [id: string, value: string][] => [
  [phone, lidUser],
  [`${lidUser}_reverse`, phone],
]

/** Mappings as keys, to be committed together with the message that brings them. */
export const mappingChanges = (pairs: readonly LIDMapping[]): KeyChange[] =>
  pairs
    .flatMap(validPair)
    .flatMap(entriesOf)
    .map(([id, value]) => ({ kind: 'lid-mapping', id, encode: () => keyValueOf('lid-mapping', value).encode() }))

/** The phone number whose LID this is, where it is known, from the keys that a ratchet operation sees. */
export async function phoneOfLid(keys: Pick<SignalKeyStore, 'get'>, lidUser: string): Promise<string | undefined> {
  const id = `${lidUser}_reverse`
  return (await keys.get('lid-mapping', [id]))[id]
}

const orNull = <Item>(items: Item[]): Item[] | null => (items.length > 0 ? items : null)

/** Adds the address that is known to belong to the same person, without asking the server. */
export async function completeAddress(ratchets: RatchetStore, address: WhatsAppAddress): Promise<WhatsAppAddress> {
  const { phone, lid } = address
  const id = lid === undefined ? phone : `${lid}_reverse`
  if (id === undefined || (phone !== undefined && lid !== undefined)) return address
  const { [id]: other } = await ratchets.keys.get('lid-mapping', [id])
  if (!other) return address
  return lid === undefined ? { ...address, lid: other } : { ...address, phone: other }
}
