import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  CompanySettings,
  EventList,
  MessageResource,
  ResponderRequest,
  WebhookEndpoint,
} from '@frontdesk/api-contract'
import { describe, expect, test } from 'vitest'
import { json, startCompanySystem } from '../services/responders/company-system.ts'
import { startReceiver } from '../services/webhooks/receiver.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import type { CrashPoint } from './support/crash-point.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 30_000 }
/** One webhook for each turn: what posts it commits the same for every kind of event. */
const WANTED = ['turn.closed'] as const

/** Some of what a conversation commits on its way, in and out: that the count has seen it. */
const STAGES = [/frontdesk_flush/, /insert into turn/, /update turn/, /frontdesk_accept/, /update webhook_delivery/]

/**
 * One conversation after the other, each with a burst of the customer's, the answer to it and a message of the API. In the
 * first one the process dies at the first commit, in the second one at the second, and so on, until one is over before it
 * came to that. So every commit of the way in and the way out has its crash, also one that is added to the product.
 */
class Rounds implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack
  readonly #desk: FrontDesk
  readonly #directory: string
  readonly #receiver: Awaited<ReturnType<typeof startReceiver>>
  readonly #database: Awaited<ReturnType<typeof createTestDatabase>>
  readonly #sent: string[] = []
  /** How each customer's chat must look in the end. */
  readonly #chats = new Map<string, { burst: string[]; own: string }>()

  private constructor(
    parts: {
      desk: FrontDesk
      directory: string
      receiver: Awaited<ReturnType<typeof startReceiver>>
      database: Awaited<ReturnType<typeof createTestDatabase>>
    },
    resources: AsyncDisposableStack,
  ) {
    this.#desk = parts.desk
    this.#directory = parts.directory
    this.#receiver = parts.receiver
    this.#database = parts.database
    this.#resources = resources
  }

  static async open(): Promise<Rounds> {
    await using opening = new AsyncDisposableStack()
    const directory = await mkdtemp(join(tmpdir(), 'frontdesk-crash-points-'))
    opening.defer(() => rm(directory, { recursive: true }))
    const database = opening.use(await createTestDatabase())
    const receiver = opening.use(await startReceiver())
    const system = opening.use(
      await startCompanySystem((response, call) => {
        const { messages } = call.body as ResponderRequest
        const text = `You wrote: ${messages.map(textOf).join(', ')}`
        json({ messages: [{ kind: 'text', text }] })(response, call)
      }),
    )
    const settings = {
      batching: { quietMs: 100 },
      responders: [{ kind: 'http', url: system.url }],
    } satisfies CompanySettings
    const desk = opening.use(
      await FrontDesk.open(settings, [], {
        DATABASE_URL: database.url,
        FRONTDESK_MASTER_KEY: Buffer.from(database.masterKey).toString('hex'),
        FRONTDESK_RECONNECT_DELAY_MS: '100',
        NODE_OPTIONS: `--import ${new URL('./support/crash-point.ts', import.meta.url).href}`,
        CRASH_POINTS: directory,
      }),
    )
    await desk.call<WebhookEndpoint>('POST', '/v1/webhook-endpoints', { url: receiver.url, eventTypes: WANTED })
    return new Rounds({ desk, directory, receiver, database }, opening.move())
  }

  /** One conversation with a crash. False if it was over before. */
  async converse(point: CrashPoint): Promise<boolean> {
    const desk = this.#desk
    const customer = `49172${String(point.at).padStart(7, '0')}`
    const chat = { burst: ['one', 'two', 'three'].map((text) => `${point.at} ${text}`), own: `offer-${point.at}` }
    this.#chats.set(customer, chat)
    const armed = join(this.#directory, 'armed')
    await writeFile(armed, JSON.stringify(point))

    for (const text of chat.burst)
      this.#sent.push((await desk.emulator.sendText({ from: customer, to: SALON_PHONE, text })).id)
    const own = { sessionId: desk.session.id, to: customer, content: { kind: 'text', text: chat.own } }
    const send = () => desk.call('POST', '/v1/messages', own, { 'idempotency-key': chat.own })
    const over = until(() => send().catch(noAnswer), { ...PATIENCE, what: `${chat.own} is accepted` }).then(() =>
      until(() => this.#isOver(customer).catch(noAnswer), { ...PATIENCE, what: `conversation ${point.at} is over` }),
    )
    const quiet = over.then(() => this.#untilNoneWaits())
    const isCrashed = await Promise.race([desk.ended.then(() => true), quiet.then(() => false)])
    await rm(armed)
    if (!isCrashed) return false
    await this.#endClaims()
    await desk.restart()
    await quiet
    return true
  }

  /** What is on both books in the end: each message once, in its order. */
  async check(): Promise<void> {
    const { emulator } = this.#desk
    const messages = await this.#desk.messages()
    const inbound = messages.filter(({ direction }) => direction === 'inbound')
    expect(inbound.map(({ whatsappId }) => whatsappId).toSorted()).toEqual(this.#sent.toSorted())
    for (const [customer, { burst, own }] of this.#chats) {
      const received = inbound.filter(({ contact }) => contact.phone === customer)
      expect(received.map(textOf)).toEqual(burst)
      const displayed = await this.#desk.displayed(customer)
      const answers = displayed.filter((text) => text !== own)
      expect(displayed).toHaveLength(answers.length + 1)
      // A process that is new may find the burst in two parts.
      expect(answers.flatMap((text) => text.replace('You wrote: ', '').split(', '))).toEqual(burst)
      const turns = new Set(received.map(({ turnId }) => turnId))
      expect(answers).toHaveLength(turns.size)
    }
    const counters = await emulator.counters()
    expect(counters).toMatchObject({ decryptFailures: 0, retryReceipts: 0, framesAfterReplacement: 0 })
    await this.#checkWebhooks()
  }

  /** The commits that were crashed at. */
  async commits(): Promise<string[]> {
    return (await readFile(join(this.#directory, 'commits'), 'utf8')).trim().split('\n')
  }

  async #isOver(customer: string): Promise<boolean> {
    const messages = (await this.#desk.messages()).filter(({ contact }) => contact.phone === customer)
    const isDone = ({ direction, turnId, status }: MessageResource) =>
      direction === 'inbound' ? turnId !== null : status === 'read'
    const turns = new Set(messages.flatMap(({ direction, turnId }) => (direction === 'inbound' ? [turnId] : [])))
    const answered = messages.filter(({ origin }) => origin === 'responder').length
    return messages.every(isDone) && messages.length === 4 + answered && answered === turns.size
  }

  /** No webhook waits. */
  async #untilNoneWaits(): Promise<void> {
    const { worker } = this.#database.database
    const waiting = worker.selectFrom('webhook_delivery').select('id').where('state', '=', 'waiting').limit(1)
    await until(async () => (await waiting.execute()).length === 0, { ...PATIENCE, what: 'no webhook waits' })
  }

  /** As if so much time had passed that nobody believes any more in the process that had claimed deliveries. */
  async #endClaims(): Promise<void> {
    const { worker } = this.#database.database
    const waiting = worker.updateTable('webhook_delivery').where('state', '=', 'waiting')
    await waiting.set({ next_attempt_at: new Date() }).execute()
  }

  async #checkWebhooks(): Promise<void> {
    const happened: string[] = []
    for (let cursor = ''; ; ) {
      const page: EventList = await this.#desk.call('GET', `/v1/events?limit=1000${cursor}`)
      happened.push(...page.items.flatMap(({ id, type }) => (WANTED.some((each) => each === type) ? [id] : [])))
      if (page.items.length < 1000) break
      cursor = `&after=${page.items.at(-1)?.id}`
    }
    const received = new Set(this.#receiver.received.map(({ payload }) => payload.id))
    expect(happened.filter((id) => !received.has(id))).toEqual([])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync()
  }
}

const textOf = ({ content }: { content: { kind: string; text?: string } }): string => content.text ?? content.kind
/** The process is down, or just has no database: an integrator tries again. */
function noAnswer(error: unknown): undefined {
  if (!(error instanceof TypeError) && !/"status":50/.test(String(error))) throw error
}

describe.concurrent('every commit of a conversation, in and out', () => {
  test.each(['before', 'after'] as const)(
    'a crash right %s it: everything once, in order, and each webhook arrives',
    async (side) => {
      await using rounds = await Rounds.open()
      let at = 1
      while (await rounds.converse({ at, side })) at += 1
      await rounds.check()
      const commits = await rounds.commits()
      for (const stage of STAGES) expect(commits).toContainEqual(expect.stringMatching(stage))
    },
    600_000,
  )
})
