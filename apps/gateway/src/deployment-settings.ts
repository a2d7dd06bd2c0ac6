import { z } from 'zod'

/** One setting of a deployment. `about` is what a person reads in `--help` and in docs/how-to/settings.md. */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
  /** The environment variable. */
  name: string
  /** The option of `frontdesk start` that sets the same. */
  flag?: string
  /** From text to the value. Its messages complete the sentence that begins with the name. */
  schema: Schema
  default?: string
  about: string
  isSecret?: boolean
}

export type LogLevel = z.infer<typeof logLevel>

const setting = <Schema extends z.ZodType>(definition: Setting<Schema>): Setting<Schema> => definition

const wholeNumber = (minimum: number, maximum: number) => {
  const error = `must be a whole number from ${minimum} to ${maximum}`
  return z
    .string()
    .regex(/^\d{1,15}$/, error)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, error)
}

const MAXIMUM_MS = 24 * 60 * 60 * 1000
const logLevel = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
  error: 'must be one of fatal, error, warn, info, debug, trace, silent',
})

const isUrlOf = (value: string, protocols: readonly string[]) =>
  URL.canParse(value) && protocols.includes(new URL(value).protocol)

const postgresUrl = z.string().refine((value) => isUrlOf(value, ['postgres:', 'postgresql:']), {
  error: 'must be a Postgres URL such as postgres://user:password@host:5432/database',
})

const isLoopback = (value: string) =>
  /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(URL.canParse(value) ? new URL(value).hostname : '')

const masterKey = z.string().transform((value, context) => {
  const key = /^[0-9a-f]{64}$/i.test(value) ? Buffer.from(value, 'hex') : Buffer.from(value, 'base64')
  if (key.length !== 32) context.addIssue('must be 32 random bytes in hex (64 characters) or base64 (44 characters)')
  return key
})

const yesOrNo = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((value) => value === 'true')

const hostList = z
  .string()
  .transform((value) =>
    value
      .toLowerCase()
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== ''),
  )
  .refine(
    (hosts) => hosts.every((host) => /^[a-z0-9.:[\]_-]+$/.test(host)),
    'must be host names or IP addresses, separated by commas, without scheme and path',
  )

const originList = z
  .string()
  .transform((value) =>
    value
      .split(',')
      .map((url) => url.trim())
      .filter((url) => url !== ''),
  )
  .refine(
    (urls) => urls.every((url) => isUrlOf(url, ['http:', 'https:'])),
    'must be addresses such as https://mcp.example, separated by commas',
  )
  .transform((urls) => urls.map((url) => new URL(url).origin))

/** The one list of all settings: the environment, `--help` and docs/how-to/settings.md follow from it. */
export const settings = {
  host: setting({
    name: 'FRONTDESK_HOST',
    flag: '--host <address>',
    schema: z.string().regex(/^[\w.:-]+$/, 'must be an IP address or a host name'),
    default: '127.0.0.1',
    about: 'Address that the HTTP server listens on. 0.0.0.0 for all interfaces; then put TLS in front of it.',
  }),
  port: setting({
    name: 'FRONTDESK_PORT',
    flag: '--port <number>',
    schema: wholeNumber(0, 65_535),
    default: '8480',
    about: 'Port that the HTTP server listens on. 0 takes a free one.',
  }),
  dataDirectory: setting({
    name: 'FRONTDESK_DATA_DIR',
    flag: '--data-dir <path>',
    schema: z.string(),
    default: './data',
    about: 'Directory of the embedded database and of the generated master key. One process at a time uses it.',
  }),
  databaseUrl: setting({
    name: 'DATABASE_URL',
    schema: postgresUrl,
    about:
      'Postgres to use instead of the embedded one, directly or through a pooler. Each process opens up to 16 connections.',
    isSecret: true,
  }),
  databaseDirectUrl: setting({
    name: 'DATABASE_DIRECT_URL',
    schema: postgresUrl,
    about:
      'The same database past its pooler, for migrations and for one connection of each process by which they wake each other up. Without it they look for work once a second.',
    isSecret: true,
  }),
  masterKey: setting({
    name: 'FRONTDESK_MASTER_KEY',
    schema: masterKey,
    about:
      'Key that all stored credentials are sealed with: 32 random bytes in hex or base64, such as from `openssl rand -hex 32`. Without it, the file master.key in the data directory is used, and generated at the first start.',
    isSecret: true,
  }),
  backupUrl: setting({
    name: 'FRONTDESK_BACKUP_URL',
    schema: z
      .string()
      .refine(
        (value) => isUrlOf(value, ['file:', 's3:']),
        'must be a place for backups such as file:///var/backups/frontdesk or s3://bucket/prefix',
      ),
    about:
      'Where encrypted backups are kept: file:///path or s3://bucket/prefix, with ?endpoint=https://host for servers other than Amazon. S3 credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Without it, nothing is backed up by itself.',
  }),
  backupEveryHours: setting({
    name: 'FRONTDESK_BACKUP_EVERY',
    schema: wholeNumber(1, 24 * 30),
    default: '24',
    about: 'How often each company is backed up, in hours.',
  }),
  backupKeep: setting({
    name: 'FRONTDESK_BACKUP_KEEP',
    schema: wholeNumber(1, 1000),
    default: '14',
    about: 'How many backups of each company are kept; older ones are removed.',
  }),
  logLevel: setting({
    name: 'FRONTDESK_LOG_LEVEL',
    flag: '--log-level <level>',
    schema: logLevel,
    default: 'info',
    about: 'How much is logged to the standard error: fatal, error, warn, info, debug, trace or silent.',
  }),
  sessionHosts: setting({
    name: 'FRONTDESK_SESSION_HOSTS',
    flag: '--session-hosts <number>',
    schema: wholeNumber(0, 64),
    default: '0',
    about:
      'Processes that own the sessions, beside the one that serves the API: when one dies, the others take its sessions over until it is back. 0 runs everything in one process.',
  }),
  maxBodyBytes: setting({
    name: 'FRONTDESK_MAX_BODY_BYTES',
    schema: wholeNumber(1024, 100 * 1024 * 1024),
    default: '524288',
    about: 'Largest body of a request, in bytes. The default holds the longest text even with every character escaped.',
  }),
  allowedHosts: setting({
    name: 'FRONTDESK_ALLOWED_HOSTS',
    schema: hostList,
    default: '',
    about:
      "Private hosts that companies' URLs may name nevertheless, separated by commas. All public ones are allowed.",
  }),
  mcpServers: setting({
    name: 'FRONTDESK_MCP_SERVERS',
    schema: originList,
    default: '',
    about:
      'MCP servers whose tools companies may give to their `ai` responders, such as https://mcp.example, separated by commas. Those of a private network must be among FRONTDESK_ALLOWED_HOSTS too. None unless told.',
  }),
  batchQuietMs: setting({
    name: 'FRONTDESK_BATCH_QUIET_MS',
    schema: wholeNumber(0, 60_000),
    default: '1500',
    about:
      "How long a customer must be quiet before the burst of messages is answered, in milliseconds. Companies' own setting goes first.",
  }),
  batchMaxMs: setting({
    name: 'FRONTDESK_BATCH_MAX_MS',
    schema: wholeNumber(0, 300_000),
    default: '8000',
    about:
      "The longest that a burst's first message waits for its answer to begin, in milliseconds. Companies' own setting goes first.",
  }),
  batchMaxMessages: setting({
    name: 'FRONTDESK_BATCH_MAX_MESSAGES',
    schema: wholeNumber(1, 50),
    default: '50',
    about:
      "Messages that one answer takes at most; 1 has each message answered by itself. Companies' own setting goes first.",
  }),
  pacingMessagesPerMinute: setting({
    name: 'FRONTDESK_PACING_MESSAGES_PER_MINUTE',
    schema: wholeNumber(0, 100_000),
    default: '120',
    about:
      'Messages that a session sends in a minute to customers who have not written in the last 24 hours; 0 for no limit.',
  }),
  pacingChatMessagesPerMinute: setting({
    name: 'FRONTDESK_PACING_CHAT_MESSAGES_PER_MINUTE',
    schema: wholeNumber(0, 100_000),
    default: '60',
    about: 'Messages that a session sends in a minute within one chat; 0 for no limit.',
  }),
  pacingNewContactsPerDay: setting({
    name: 'FRONTDESK_PACING_NEW_CONTACTS_PER_DAY',
    schema: wholeNumber(0, 100_000),
    default: '200',
    about: 'Contacts that a session writes to for the first time on one day of UTC; 0 for no limit.',
  }),
  pacingWarmUpDays: setting({
    name: 'FRONTDESK_PACING_WARM_UP_DAYS',
    schema: wholeNumber(0, 365),
    default: '7',
    about:
      'Days in which the limits of a session and of new contacts grow from a part to the whole, after its number was linked for the first time.',
  }),
  pacingTyping: setting({
    name: 'FRONTDESK_PACING_TYPING',
    schema: yesOrNo,
    default: 'false',
    about: "Whether customers are shown `typing…` for a moment before a responder's answer: true or false.",
  }),
  maxReconnectAttempts: setting({
    name: 'FRONTDESK_MAX_RECONNECT_ATTEMPTS',
    schema: wholeNumber(1, 1000),
    default: '10',
    about: 'Attempts to reconnect a session before it goes on slowly.',
  }),
  reconnectDelayMs: setting({
    name: 'FRONTDESK_RECONNECT_DELAY_MS',
    schema: wholeNumber(0, MAXIMUM_MS),
    default: '5000',
    about: 'Delay before the first attempt to reconnect, in milliseconds; later ones wait longer.',
  }),
  keepAliveIntervalMs: setting({
    name: 'FRONTDESK_KEEP_ALIVE_INTERVAL_MS',
    schema: wholeNumber(1000, 30_000),
    default: '30000',
    about:
      'How long WhatsApp may be silent before a session asks it for a sign of life, in milliseconds. One that gives none within 10 s is connected anew.',
  }),
  qrTimeoutMs: setting({
    name: 'FRONTDESK_QR_TIMEOUT_MS',
    schema: wholeNumber(1000, 600_000),
    default: '60000',
    about:
      'How long one QR code is shown, in milliseconds. WhatsApp lets the first live for 60 s and later ones for 20 s: with 60000 and more they are shown for as long as that.',
  }),
  maxQrAttempts: setting({
    name: 'FRONTDESK_MAX_QR_ATTEMPTS',
    schema: wholeNumber(1, 100),
    default: '3',
    about: 'QR codes shown before linking ends and has to be started again.',
  }),
  usePairingCode: setting({
    name: 'FRONTDESK_USE_PAIRING_CODE',
    schema: yesOrNo,
    default: 'false',
    about:
      'Whether a session whose number is known is linked by pairing code at once, unless a QR code is asked for: true or false.',
  }),
  linkingAttemptsPerHour: setting({
    name: 'FRONTDESK_LINKING_ATTEMPTS_PER_HOUR',
    schema: wholeNumber(1, 10_000),
    default: '20',
    about: 'How often a company may begin to link a phone in an hour. WhatsApp blocks numbers that try too often.',
  }),
  deviceName: setting({
    name: 'FRONTDESK_DEVICE_NAME',
    schema: z.string().trim().min(1, 'must have a letter').max(50, 'must have at most 50 characters'),
    default: 'Frontdesk',
    about: 'How sessions are named on the phone, under Linked devices.',
  }),
  waVersion: setting({
    name: 'FRONTDESK_WA_VERSION',
    schema: z.string().regex(/^\d+\.\d+\.\d+$/, 'must be a version such as 2.3000.1023456789'),
    about: 'Version of WhatsApp Web that sessions announce, when WhatsApp refuses the built-in one.',
  }),
  emulatorUrl: setting({
    name: 'FRONTDESK_EMULATOR_URL',
    schema: z
      .string()
      .refine((value) => isUrlOf(value, ['ws:', 'wss:']), 'must be a WebSocket URL such as ws://127.0.0.1:7100/ws')
      .refine(isLoopback, 'must be on this machine (127.0.0.1, ::1 or localhost)'),
    about: 'Connects to a WhatsApp emulator instead of WhatsApp. Refused when NODE_ENV is production.',
  }),
  emulatorRootKey: setting({
    name: 'FRONTDESK_EMULATOR_ROOT_KEY',
    schema: z.string().regex(/^[0-9a-f]{64}$/i, 'must be the root key that the emulator prints (64 hex characters)'),
    about: "The emulator's root key. Set together with FRONTDESK_EMULATOR_URL.",
  }),
} as const
