import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type {
  Company,
  CompanySettings,
  CreatedApiKey,
  LinkingCode,
  List,
  MessageResource,
  Session,
} from '@frontdesk/api-contract'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { until } from '../../support/until.ts'
import { type Run, runFrontdesk } from '../../transport/cli/run-frontdesk.ts'

export const SALON_PHONE = '491700000001'

/** The product as people run it: `frontdesk start` in a process of its own, an emulated WhatsApp, one linked company. */
export class FrontDesk implements AsyncDisposable {
  readonly emulator: Emulator
  /** Its data directory. */
  readonly directory: string
  #run: Run
  readonly #options: readonly string[]
  readonly #environment: Record<string, string>
  #url = ''
  #key = ''
  session = { id: '' }

  private constructor(
    emulator: Emulator,
    directory: string,
    options: readonly string[],
    environment: Record<string, string>,
  ) {
    this.emulator = emulator
    this.#options = options
    this.#environment = environment
    this.directory = directory
    this.#run = this.#spawn()
  }

  /** `options` are further ones of `frontdesk start`, `environment` further variables of each of its processes. */
  static async open(
    settings: CompanySettings,
    options: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<FrontDesk> {
    const emulator = await startEmulator()
    const desk = new FrontDesk(emulator, await mkdtemp(join(tmpdir(), 'frontdesk-system-')), options, environment)
    const { url, platformKey } = await desk.#run.fact('ready')
    desk.#url = String(url)
    desk.#key = String(platformKey)
    const company = await desk.call<Company>('POST', '/v1/companies', { name: 'Salon', settings })
    const { key } = await desk.call<CreatedApiKey>('POST', `/v1/companies/${company.id}/api-keys`, { name: 'test' })
    desk.#key = key
    desk.session = await desk.call<Session>('POST', '/v1/sessions', { name: 'main' })
    await desk.call('POST', `/v1/sessions/${desk.session.id}/link`, { method: 'qr' })
    const code = await until(async () => {
      const shown = await desk.call<LinkingCode>('GET', `/v1/sessions/${desk.session.id}/code`).catch(() => undefined)
      return shown?.kind === 'qr' ? shown : undefined
    })
    await emulator.scanQr({ phone: SALON_PHONE, qr: code.qr })
    await desk.online()
    return desk
  }

  online(): Promise<unknown> {
    return until(async () => (await this.call<Session>('GET', `/v1/sessions/${this.session.id}`)).state === 'online', {
      what: 'the session is online',
      timeoutMs: 60_000,
    })
  }

  /** Resolves when the process that runs now has ended, however. */
  get ended(): Promise<unknown> {
    return this.#run.ended
  }

  /** kill -9, as a machine that has run out of memory does it. */
  async kill(): Promise<void> {
    this.#run.signal('SIGKILL')
    await this.#run.ended
  }

  /** `clockAheadMs`: its clock shows a later time than ours from then on. */
  async restart({ clockAheadMs }: { clockAheadMs?: number } = {}): Promise<void> {
    this.#run = this.#spawn(clockAheadMs)
    const { url } = await this.#run.fact('ready')
    this.#url = String(url)
  }

  async call<Answer>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(new URL(path, this.#url), {
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

  /** Every message that the API knows, oldest first. */
  async messages(): Promise<MessageResource[]> {
    const all: MessageResource[] = []
    let cursor = ''
    do {
      const page: List<MessageResource> = await this.call('GET', `/v1/messages?limit=200${cursor}`)
      all.push(...page.items)
      cursor = page.next === null ? '' : `&cursor=${page.next}`
    } while (cursor !== '')
    return all.toReversed()
  }

  /** The texts that the customer's phone shows from the salon, in their order. */
  async displayed(customer: string): Promise<string[]> {
    const chats = await this.emulator.chats(customer)
    const chat = chats.find((each) => each.with === SALON_PHONE)
    return chat?.messages.filter(({ fromMe }) => !fromMe).map(({ text }) => text) ?? []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.signal('SIGTERM')
    await this.#run.ended
    await this.emulator.close()
    await rm(this.directory, { recursive: true, force: true })
  }

  /** A command of the operator, beside the gateway or after it: its exit code and everything that it said. */
  command(...args: readonly string[]): Run['ended'] {
    return runFrontdesk(['--json', ...args, '--data-dir', this.directory, '--log-level', 'warn']).ended
  }

  #spawn(clockAheadMs?: number): Run {
    const common = ['--json', 'start', '--port', '0', '--data-dir', this.directory, '--log-level', 'warn']
    const settings = {
      FRONTDESK_EMULATOR_URL: this.emulator.url,
      FRONTDESK_EMULATOR_ROOT_KEY: this.emulator.rootKey,
      // The company's own systems of tests.
      FRONTDESK_ALLOWED_HOSTS: '127.0.0.1',
      FRONTDESK_PACING_MESSAGES_PER_MINUTE: '0',
      FRONTDESK_PACING_CHAT_MESSAGES_PER_MINUTE: '0',
      FRONTDESK_PACING_NEW_CONTACTS_PER_DAY: '0',
      ...this.#environment,
    }
    if (clockAheadMs === undefined) return runFrontdesk([...common, ...this.#options], settings)
    const clock = fileURLToPath(import.meta.resolve('./clock-ahead.ts'))
    return runFrontdesk([...common, ...this.#options], { ...settings, CLOCK_AHEAD_MS: String(clockAheadMs) }, [
      `--import=${clock}`,
    ])
  }
}
