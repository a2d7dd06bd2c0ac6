import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflate } from 'node:zlib'
import {
  downloadContentFromMessage,
  jidNormalizedUser,
  type MediaDownloadOptions,
  processHistoryMessage,
  proto,
  type WAMessage,
} from 'baileys'
import type { KeyChange, ReceivedMessage, SessionStore } from '#src/model/session-store.ts'
import { createDownloadProxy } from './download-proxy.ts'
import { LidMapping } from './lid-mapping.ts'
import type { RatchetStore } from './ratchet-store.ts'

type Notification = proto.Message.IHistorySyncNotification
type DownloadOptions = NonNullable<MediaDownloadOptions['options']>
type History = ReturnType<typeof processHistoryMessage>

const KIND = 'undone-history'

/** Far above what a phone hands over in one part. */
const MAX_BYTES = 64 * 1024 * 1024

/** So many messages are committed together; live ones come in between. */
const CHUNK = 100

/** One that takes longer is broken off, so that it holds up neither the histories behind it nor itself. */
const MAX_DOWNLOAD_MS = 10 * 60_000

/** When a download that has failed is tried again, milliseconds. */
const TRY_AGAIN_MS = 60_000

export interface HistorySyncOptions {
  store: SessionStore
  ratchets: RatchetStore
  /** The row of a message of a history; nothing for what is no message of a chat with one person. */
  messageOf: (info: WAMessage) => Promise<ReceivedMessage | undefined>
  onStoreFailure: (error: unknown) => void
  /** The session's proxy, if it has one. */
  proxy: string | undefined
  /** Finds the proxy, or refuses to. */
  proxyLookup: LookupFunction | undefined
}

/** What is committed with the message by which the phone announces a history: that this history is still to be read. */
export const undoneHistory = (id: string, notification: Notification): KeyChange => ({
  kind: KIND,
  id,
  encode: () => proto.Message.HistorySyncNotification.encode(notification).finish(),
})

/**
 * Takes over what the phone tells a new companion of its chats: which LID belongs to which number, the tokens without
 * which WhatsApp refuses messages to strangers, and messages, which are stored and never answered.
 *
 * Baileys would read a history after it has confirmed its receipt, and once: what a crash interrupts, or a download that
 * fails, would be lost. So Baileys leaves histories alone, and one is undone until all of it is committed.
 */
export class HistorySync {
  readonly #options: HistorySyncOptions
  readonly #mapping: LidMapping
  readonly #underWay = new Set<string>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #work: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: HistorySyncOptions) {
    this.#options = options
    this.#mapping = new LidMapping(options.ratchets)
  }

  /** Takes over a history that was announced, after those before it. */
  take(id: string): void {
    if (this.#underWay.has(id) || this.#isClosed) return
    this.#underWay.add(id)
    this.#work = this.#work.then(() => this.#takeOver(id))
  }

  /** Takes over what earlier connections have left undone. */
  async resume(): Promise<void> {
    for (const id of (await this.#options.store.readKeys(KIND)).keys()) this.take(id)
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#mapping.close()
  }

  async #takeOver(id: string): Promise<void> {
    const { store, ratchets, onStoreFailure } = this.#options
    try {
      if (this.#isClosed) return
      // Waits until the announcement is committed, if it is new.
      const announced = (await store.readKeys(KIND, [id])).get(id)
      const history = announced && (await this.#read(proto.Message.HistorySyncNotification.decode(announced)))
      if (this.#isClosed) return
      if (history === 'later') this.#tryAgain(id)
      else {
        if (history) await this.#commit(history)
        ratchets.publish({ keys: [{ kind: KIND, id, encode: null }] })
      }
    } catch (error) {
      // What an ended connection leaves undone the next one takes over.
      if (!this.#isClosed) onStoreFailure(error)
    } finally {
      this.#underWay.delete(id)
    }
  }

  /** `later`: it cannot be downloaded now. Nothing for what nobody will ever read. */
  async #read(notification: Notification): Promise<History | 'later' | undefined> {
    const { proxy, proxyLookup } = this.#options
    const dispatcher = proxy === undefined ? undefined : createDownloadProxy(proxy, proxyLookup)
    try {
      const bytes = await inflated(await sourceOf(notification, { ...(dispatcher && { dispatcher }) }))
      return processHistoryMessage(proto.HistorySync.decode(bytes))
    } catch (error) {
      return isTemporary(error) ? 'later' : undefined
    } finally {
      await dispatcher?.destroy()
    }
  }

  #tryAgain(id: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.take(id)
    }, TRY_AGAIN_MS)
    this.#timers.add(timer.unref())
  }

  async #commit({ messages, chats, lidPnMappings }: History): Promise<void> {
    const { ratchets, store, messageOf } = this.#options
    // First: the contacts of the messages are found by them.
    await this.#mapping.storeLIDPNMappings(lidPnMappings)
    await this.#storeTokens(chats)
    for (let from = 0; from < messages.length; from += CHUNK) {
      const rows = await Promise.all(messages.slice(from, from + CHUNK).map(messageOf))
      ratchets.publish({ messages: rows.filter((row) => row !== undefined) })
      await store.committed(store.published)
    }
  }

  /** Where Baileys looks for them when it sends: by LID, where one is known. */
  async #storeTokens(chats: History['chats']): Promise<void> {
    const { keys } = this.#options.ratchets
    for (const { id, tcToken, tcTokenTimestamp, tcTokenSenderTimestamp } of chats) {
      const timestamp = Number(tcTokenTimestamp ?? 0)
      if (!id || !tcToken?.length || timestamp === 0) continue
      const jid = jidNormalizedUser(id)
      const place = (await this.#mapping.knownLid(jid)) ?? jid
      const { [place]: known } = await keys.get('tctoken', [place])
      if (Number(known?.timestamp ?? 0) >= timestamp) continue
      const sent = tcTokenSenderTimestamp ? { senderTimestamp: Number(tcTokenSenderTimestamp) } : {}
      const token = { ...known, token: Buffer.from(tcToken), timestamp: String(timestamp), ...sent }
      await keys.set({ tctoken: { [place]: token } })
    }
  }
}

async function sourceOf(notification: Notification, options: DownloadOptions): Promise<Readable> {
  const { initialHistBootstrapInlinePayload: inline, mediaKey, directPath } = notification
  if (inline?.length) return Readable.from([inline])
  if (!mediaKey || !directPath) throw new Error('The history is nowhere.')
  return await downloadContentFromMessage({ mediaKey, directPath }, 'md-msg-hist', { options })
}

async function inflated(source: Readable): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  const collect = async (inflating: AsyncIterable<Buffer>) => {
    for await (const part of inflating) {
      bytes += part.byteLength
      if (bytes > MAX_BYTES) throw new RangeError('The history is too large.')
      parts.push(part)
    }
  }
  await pipeline(source, createInflate(), collect, { signal: AbortSignal.timeout(MAX_DOWNLOAD_MS) })
  return Buffer.concat(parts)
}

/** The network, or a server that is not well: not a file that is gone, or that holds no history. */
function isTemporary(error: unknown): boolean {
  const { statusCode } = (error as { output?: { statusCode?: number } }).output ?? {}
  if (statusCode !== undefined) return statusCode >= 500 || statusCode === 408 || statusCode === 429
  if (error instanceof Error && error.name === 'AbortError') return true
  // What `fetch` rejects with, also in the middle of a body.
  return error instanceof TypeError && (error.message === 'fetch failed' || error.message === 'terminated')
}
