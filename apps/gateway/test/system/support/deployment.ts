import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Company, CreatedApiKey, LinkingCode, List, MessageResource, Session } from '@frontdesk/api-contract'
import { type Emulator, type SentAt, startEmulator } from 'whatsapp-emulator'
import { type FaultyProxy, startFaultyProxy } from '../../storage/faulty-proxy.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { type Run, runFrontdesk } from '../../transport/cli/run-frontdesk.ts'
import { readWatched, watchWrites } from './watched-writes.ts'

const PATIENCE = { timeoutMs: 90_000 }

/** One `frontdesk start`, with a data directory of its own. */
export interface Member {
  run: Run
  url: string
  directory: string
}

/** A session that a phone can be linked to. */
interface ShownCode {
  phone: string
  id: string
  qr: string
}

/** Several processes as people run them, on one database, with an emulated WhatsApp and linked sessions. */
export class Deployment implements AsyncDisposable {
  readonly emulator: Emulator
  readonly database: TestDatabase
  /** Between the processes and their database. */
  readonly proxy: FaultyProxy
  readonly #resources: AsyncDisposableStack
  #key = ''
  readonly phones: string[] = []
  readonly sessionIds: string[] = []

  private constructor(emulator: Emulator, database: TestDatabase, proxy: FaultyProxy, resources: AsyncDisposableStack) {
    this.emulator = emulator
    this.database = database
    this.proxy = proxy
    this.#resources = resources
  }

  static async open(): Promise<Deployment> {
    await using opening = new AsyncDisposableStack()
    const emulator = await startEmulator({ behaviour: { sendsHistory: false } })
    opening.defer(() => emulator.close())
    const database = opening.use(await createTestDatabase())
    await watchWrites(database.url)
    const proxy = opening.use(await startFaultyProxy(database.url))
    return new Deployment(emulator, database, proxy, opening.move())
  }

  /** Starts one more. */
  async start(...options: string[]): Promise<Member> {
    const directory = await mkdtemp(join(tmpdir(), 'frontdesk-deployment-'))
    this.#resources.defer(() => rm(directory, { recursive: true, force: true }))
    const run = this.#resources.use(
      runFrontdesk(['--json', 'start', '--port', '0', '--data-dir', directory, '--log-level', 'warn', ...options], {
        DATABASE_URL: this.proxy.url,
        FRONTDESK_MASTER_KEY: Buffer.from(this.database.masterKey).toString('hex'),
        FRONTDESK_EMULATOR_URL: this.emulator.url,
        FRONTDESK_EMULATOR_ROOT_KEY: this.emulator.rootKey,
        FRONTDESK_RECONNECT_DELAY_MS: '200',
        FRONTDESK_PACING_MESSAGES_PER_MINUTE: '0',
        FRONTDESK_PACING_CHAT_MESSAGES_PER_MINUTE: '0',
        FRONTDESK_PACING_NEW_CONTACTS_PER_DAY: '0',
      }),
    )
    const { url, platformKey } = await run.fact('ready')
    if (platformKey !== undefined) this.#key = platformKey
    return { run, url, directory }
  }

  /** A company with so many sessions, linked and online. */
  async link(member: Member, count: number): Promise<void> {
    const company = await this.call<Company>(member, 'POST', '/v1/companies', {
      name: 'Salon',
      settings: { responders: [{ kind: 'none' }] },
    })
    const keys = `/v1/companies/${company.id}/api-keys`
    this.#key = (await this.call<CreatedApiKey>(member, 'POST', keys, { name: 'test' })).key
    const shown = await this.showCodes(member, count)
    await this.scan(shown)
    await this.allOnline(member)
  }

  /** Further sessions of the company, each with a code that waits to be scanned. */
  async showCodes(member: Member, count: number): Promise<ShownCode[]> {
    const show = async (phone: string) => {
      const { id } = await this.call<Session>(member, 'POST', '/v1/sessions', { name: phone })
      await this.call(member, 'POST', `/v1/sessions/${id}/link`, { method: 'qr' })
      const { qr } = await until(async () => {
        const code = await this.call<LinkingCode>(member, 'GET', `/v1/sessions/${id}/code`).catch(() => undefined)
        return code?.kind === 'qr' ? code : undefined
      }, PATIENCE)
      return { phone, id, qr }
    }
    const first = this.phones.length
    return await Promise.all(
      Array.from({ length: count }, (_, index) => show(`4917000000${String(first + index).padStart(2, '0')}`)),
    )
  }

  async scan(codes: readonly ShownCode[]): Promise<void> {
    await Promise.all(
      codes.map(async ({ phone, id, qr }) => {
        await this.emulator.scanQr({ phone, qr })
        this.phones.push(phone)
        this.sessionIds.push(id)
      }),
    )
  }

  /** Resolves when every session is connected, and the API says so. */
  async allOnline(member: Member): Promise<void> {
    const isOnline = async () => {
      const { items } = await this.call<List<Session>>(member, 'GET', '/v1/sessions')
      return items.every(({ state }) => state === 'online')
    }
    await until(async () => (await this.emulator.counters()).connections === this.phones.length && (await isOnline()), {
      ...PATIENCE,
      what: 'all sessions are online',
    })
  }

  /** Living nodes with the number of their sessions, the fewest first. */
  async shares(): Promise<{ nodeId: string; count: number }[]> {
    const rows = await this.database.database.worker
      .selectFrom('session_lease as lease')
      .innerJoin('node', (join) =>
        join.onRef('node.id', '=', 'lease.node_id').onRef('node.incarnation', '=', 'lease.node_incarnation'),
      )
      .select(({ fn }) => ['lease.node_id as nodeId', fn.countAll<number>().as('count')])
      .groupBy('lease.node_id')
      .orderBy('count')
      .execute()
    return rows
  }

  /** Resolves when the sessions are shared like this: the fewest first. */
  async shared(...counts: number[]): Promise<{ nodeId: string; count: number }[]> {
    return await until(
      async () => {
        const shares = await this.shares()
        return shares.map(({ count }) => count).join() === counts.join() ? shares : undefined
      },
      { ...PATIENCE, what: `the sessions are shared ${counts.join(' to ')}` },
    )
  }

  /** Who owns each session, for the how-manieth time it is owned. */
  async leases(): Promise<{ sessionId: string; nodeId: string; epoch: number }[]> {
    return await this.database.database.worker
      .selectFrom('session_lease')
      .select(['session_id as sessionId', 'node_id as nodeId', 'epoch'])
      .orderBy('session_id')
      .execute()
  }

  /** The process that is the node. */
  async pidOf({ directory }: Member, nodeId: string): Promise<number> {
    for (const slot of await readdir(join(directory, 'nodes'))) {
      const read = async (name: string) => (await readFile(join(directory, 'nodes', slot, name), 'utf8')).trim()
      if ((await read('id')) === nodeId) return Number(await read('frontdesk.pid'))
    }
    throw new Error(`${nodeId} is no node of this member.`)
  }

  /** Has each session send a message, and resolves when its recipient has read all of them. */
  async sendFromEach(member: Member, text: string): Promise<void> {
    const send = (sessionId: string) =>
      this.call<{ id: string }>(
        member,
        'POST',
        '/v1/messages',
        { sessionId, to: '491790000001', content: { kind: 'text', text } },
        { 'idempotency-key': `${sessionId}/${text}` },
      )
    const sent = await Promise.all(this.sessionIds.map(send))
    const ids = new Set(sent.map(({ id }) => id))
    await until(
      async () =>
        (await this.messages(member)).filter(({ id, status }) => ids.has(id) && status === 'read').length === ids.size,
      { ...PATIENCE, what: `${text} has been read` },
    )
  }

  /** Resolves when each of these is in the inbox; once, since nothing else is. */
  async received(member: Member, sent: readonly SentAt[]): Promise<void> {
    const inbox = await until(
      async () => {
        const inbound = (await this.messages(member)).filter(({ direction }) => direction === 'inbound')
        return inbound.length >= sent.length ? inbound.map(({ whatsappId }) => whatsappId) : undefined
      },
      { ...PATIENCE, what: 'all messages are in the inbox' },
    )
    const lost = sent.filter(({ id }) => !inbox.includes(id))
    if (lost.length > 0 || new Set(inbox).size !== inbox.length)
      throw new Error(`Of ${sent.length} messages ${lost.length} are lost; ${inbox.length} are in the inbox.`)
  }

  async messages(member: Member): Promise<MessageResource[]> {
    const all: MessageResource[] = []
    let cursor = ''
    do {
      const page: List<MessageResource> = await this.call(member, 'GET', `/v1/messages?limit=200${cursor}`)
      all.push(...page.items)
      cursor = page.next === null ? '' : `&cursor=${page.next}`
    } while (cursor !== '')
    return all
  }

  /** What must never have happened, whoever owned what when. */
  async faults() {
    const { stale, writers } = await readWatched(this.database.url)
    const { decryptFailures, retryReceipts, framesAfterReplacement } = await this.emulator.counters()
    return { wasWatched: writers > 0, staleWrites: stale, decryptFailures, retryReceipts, framesAfterReplacement }
  }

  async call<Answer>(
    { url }: Member,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`)
    return answer as Answer
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync()
  }
}

export const NO_FAULTS = {
  wasWatched: true,
  staleWrites: 0,
  decryptFailures: 0,
  retryReceipts: 0,
  framesAfterReplacement: 0,
}

export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    // There is no such process any more.
    return false
  }
}
