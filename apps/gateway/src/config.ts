import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { type LogLevel, type Setting, settings } from '#src/deployment-settings.ts'
import { FrontdeskError } from '#src/model/errors.ts'

const HOUR_MS = 60 * 60 * 1000

/** Everything that can be set, derived and checked: the rest of the program never sees the environment. */
export interface Config {
  /** Which WhatsApp the sessions belong to. A database never mixes the two. */
  environment: 'whatsapp' | 'emulator'
  http: { host: string; port: number; maxBodyBytes: number }
  /** Absolute path. */
  dataDirectory: string
  logLevel: LogLevel
  /** Processes that own the sessions; 0: this one does. */
  sessionHosts: number
  emulator: { url: string; rootKey: string } | undefined
  /** Hosts that a company's URL may name although they are private, in lower case. */
  allowedHosts: readonly string[]
  /** Origins of MCP servers that companies may use. */
  mcpServers: readonly string[]
  /** The deployment's defaults; a company may set its own. */
  batching: { quietMs: number; maxMs: number; maxMessages: number }
  /** The deployment's defaults; a company and a session may set their own. 0: no limit. */
  pacing: {
    messagesPerMinute: number
    chatMessagesPerMinute: number
    newContactsPerDay: number
    warmUpDays: number
    typing: boolean
  }
  sessions: {
    provider: 'baileys'
    maxReconnectAttempts: number
    reconnectDelayMs: number
    keepAliveIntervalMs: number
    qrTimeoutMs: number
    maxQrAttempts: number
    usePairingCode: boolean
    deviceName: string
    /** How often a company may begin to link in an hour. */
    linkingAttemptsPerHour: number
    /** WhatsApp Web's version, when it must differ from the provider's own. */
    waVersion: string | undefined
  }
  backups: {
    /** Undefined: nothing is backed up by itself. */
    url: string | undefined
    everyMs: number
    keep: number
  }
  secrets: Secrets
}

/** Never logged, never printed. */
interface Secrets {
  /** Undefined: the embedded database under `dataDirectory`. */
  databaseUrl: string | undefined
  /** Past the pooler that `databaseUrl` may lead through. */
  databaseDirectUrl: string | undefined
  /** 32 bytes. Undefined: it is read from `masterKeyFile`, which is generated at the first start. */
  masterKey: Buffer | undefined
  /** Absolute path. */
  masterKeyFile: string
}

/** Values that the command line sets, by the setting's flag in camel case: they go before the environment. */
export type Flags = Partial<Record<string, string>>

type SettingKey = keyof typeof settings
/** What is set, as text, and by what: the name to blame. */
type RawValues = Partial<Record<SettingKey, { text: string; source: string }>>
type ReadValues = { [Key in SettingKey]: z.output<(typeof settings)[Key]['schema']> | undefined }

/** The name under which the command line hands over a flag: `--data-dir <path>` is `dataDir`. */
export const flagKey = (flag: string): string =>
  flag.replace(/^--| .*$/g, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** First step: what is set, as text. An empty value counts as not set, since container tools pass those on. */
function readRaw(flags: Flags, environment: NodeJS.ProcessEnv): RawValues {
  const raw: RawValues = {}
  for (const [key, { name, flag, ...definition }] of Object.entries<Setting>(settings)) {
    const flagged = flag === undefined ? undefined : flags[flagKey(flag)]
    const text = flagged ?? (environment[name] || definition.default)
    const source = flagged === undefined ? name : `${name} (${flag?.split(' ')[0]})`
    if (text !== undefined) raw[key as SettingKey] = { text, source }
  }
  return raw
}

/** Second step: each setting checked on its own. All that is wrong is collected, so that one correction is enough. */
function check(raw: RawValues, problems: string[]): ReadValues {
  const values: Partial<Record<SettingKey, unknown>> = {}
  for (const [key, { schema }] of Object.entries<Setting>(settings)) {
    const set = raw[key as SettingKey]
    if (set === undefined) continue
    const result = schema.safeParse(set.text)
    if (result.success) values[key as SettingKey] = result.data
    else problems.push(`${set.source} ${result.error.issues[0]?.message ?? 'is not valid'}.`)
  }
  return values as ReadValues
}

function checkTogether(values: ReadValues, environment: NodeJS.ProcessEnv, problems: string[]): void {
  const hasUrl = values.emulatorUrl !== undefined
  const hasRootKey = values.emulatorRootKey !== undefined
  const { NODE_ENV } = environment
  if (problems.length > 0) return
  if (hasUrl !== hasRootKey) {
    const [set, missing] = hasUrl
      ? [settings.emulatorUrl, settings.emulatorRootKey]
      : [settings.emulatorRootKey, settings.emulatorUrl]
    problems.push(`${missing.name} must be set as well, because ${set.name} is set.`)
  }
  if (values.databaseDirectUrl !== undefined && values.databaseUrl === undefined) {
    problems.push(
      `${settings.databaseUrl.name} must be set as well, because ${settings.databaseDirectUrl.name} is set.`,
    )
  }
  if ((hasUrl || hasRootKey) && NODE_ENV === 'production') {
    problems.push(`${settings.emulatorUrl.name} must not be set in production (NODE_ENV is production).`)
  }
  if ((values.batchQuietMs ?? 0) > (values.batchMaxMs ?? 0)) {
    problems.push(`${settings.batchMaxMs.name} must be at least ${settings.batchQuietMs.name}.`)
  }
}

const required = <Value>(value: Value | undefined): Value => {
  if (value === undefined) throw new Error('A setting without a value has no default.')
  return value
}

/**
 * Reads and checks all settings. Throws `FrontdeskError('configuration_invalid')` that names each wrong setting and
 * what it must be, never its value.
 */
export function loadConfig(flags: Flags = {}, environment: NodeJS.ProcessEnv = process.env): Config {
  const problems: string[] = []
  const values = check(readRaw(flags, environment), problems)
  checkTogether(values, environment, problems)
  if (problems.length > 0) throw new FrontdeskError('configuration_invalid', problems.join('\n'))

  const dataDirectory = resolve(required(values.dataDirectory))
  const { emulatorUrl, emulatorRootKey } = values
  const emulator =
    emulatorUrl !== undefined && emulatorRootKey !== undefined
      ? { url: emulatorUrl, rootKey: emulatorRootKey.toLowerCase() }
      : undefined
  return {
    environment: emulator === undefined ? 'whatsapp' : 'emulator',
    http: {
      host: required(values.host),
      port: required(values.port),
      maxBodyBytes: required(values.maxBodyBytes),
    },
    dataDirectory,
    logLevel: required(values.logLevel),
    sessionHosts: required(values.sessionHosts),
    emulator,
    allowedHosts: values.allowedHosts ?? [],
    mcpServers: values.mcpServers ?? [],
    batching: {
      quietMs: required(values.batchQuietMs),
      maxMs: required(values.batchMaxMs),
      maxMessages: required(values.batchMaxMessages),
    },
    pacing: {
      messagesPerMinute: required(values.pacingMessagesPerMinute),
      chatMessagesPerMinute: required(values.pacingChatMessagesPerMinute),
      newContactsPerDay: required(values.pacingNewContactsPerDay),
      warmUpDays: required(values.pacingWarmUpDays),
      typing: required(values.pacingTyping),
    },
    sessions: {
      provider: 'baileys',
      maxReconnectAttempts: required(values.maxReconnectAttempts),
      reconnectDelayMs: required(values.reconnectDelayMs),
      keepAliveIntervalMs: required(values.keepAliveIntervalMs),
      qrTimeoutMs: required(values.qrTimeoutMs),
      maxQrAttempts: required(values.maxQrAttempts),
      usePairingCode: required(values.usePairingCode),
      deviceName: required(values.deviceName),
      linkingAttemptsPerHour: required(values.linkingAttemptsPerHour),
      waVersion: values.waVersion,
    },
    backups: {
      url: values.backupUrl,
      everyMs: required(values.backupEveryHours) * HOUR_MS,
      keep: required(values.backupKeep),
    },
    secrets: {
      databaseUrl: values.databaseUrl,
      databaseDirectUrl: values.databaseDirectUrl,
      masterKey: values.masterKey,
      masterKeyFile: join(dataDirectory, 'master.key'),
    },
  }
}

/** A setting as it stands now, for people. */
export interface DescribedSetting {
  name: string
  flag: string | undefined
  default: string | undefined
  about: string
  /** Undefined when it is not set and has no default; never a secret's value. */
  value: string | undefined
  isDefault: boolean
}

/** All settings with their values, secrets redacted. */
export function describeSettings(flags: Flags = {}, environment: NodeJS.ProcessEnv = process.env): DescribedSetting[] {
  const raw = readRaw(flags, environment)
  return Object.entries<Setting>(settings).map(([key, { name, flag, about, isSecret, ...definition }]) => {
    const text = raw[key as SettingKey]?.text
    return {
      name,
      flag,
      default: definition.default,
      about,
      value: text !== undefined && isSecret === true ? '[set, not shown]' : text,
      isDefault: text === definition.default,
    }
  })
}

/** The key of the model that `frontdesk demo --ai --model` asks: of no deployment, and hence no setting of one. */
export const readModelKey = (environment: NodeJS.ProcessEnv = process.env): string | undefined =>
  environment['FRONTDESK_MODEL_KEY'] || undefined
