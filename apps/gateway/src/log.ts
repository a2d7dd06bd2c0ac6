import { Writable } from 'node:stream'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { LogLevel } from '#src/deployment-settings.ts'

export type { Logger } from 'pino'

/** `text` is for a person at a terminal, `json` for everything that collects logs. */
export type LogFormat = 'json' | 'text'

export interface LogOptions {
  level: LogLevel
  /** `json` unless told. */
  format?: LogFormat
  /** Standard error unless told: standard output belongs to the command's result. */
  to?: DestinationStream
}

/** Fields that hold a secret, a person's words or a person's number, wherever they appear. */
const PRIVATE_FIELDS = [
  ...['authorization', 'cookie', 'key', 'apiKey', 'masterKey', 'secret', 'password', 'token', 'creds'],
  ...['databaseUrl', 'databaseDirectUrl'],
  ...['text', 'content', 'body', 'raw', 'plaintext', 'qr'],
  ...['phone', 'lid', 'jid'],
]

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
/** Keys of the API, passwords in URLs, and every run of digits that could be a phone number or a LID. Ids are let through. */
const PRIVATE_TEXT = new RegExp(
  [
    `(?<id>${UUID})`,
    '(?<key>fd_(?:platform|company)_)[\\w-]+',
    '(?<scheme>\\w+:\\/\\/[^:@\\/\\s"]*:)[^@\\/\\s"]+(?=@)',
    '\\+\\d[\\d ()\\/.-]{5,}\\d',
    '(?<!\\w)\\d{8,20}(?!\\w)',
  ].join('|'),
  'gi',
)

/** Takes what is private out of a text; what remains still tells which thing is meant. */
export function redactText(text: string): string {
  return text.replace(PRIVATE_TEXT, (...match) => {
    const groups = match.at(-1) as Record<'id' | 'key' | 'scheme', string | undefined>
    return groups.id ?? `${groups.key ?? groups.scheme ?? ''}[redacted]`
  })
}

/** Only inside of strings, so that the line stays valid JSON and figures stay figures. */
const redactLine = (line: string) => line.replace(/"(?:[^"\\]|\\.)*"/g, redactText)

/** The process's log: no secret, no message's body and no phone number gets through, however it was handed over. */
export function createLog({ level, format = 'json', to = destination(2) }: LogOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: PRIVATE_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
      hooks: { streamWrite: redactLine },
    },
    format === 'text' ? asText(to) : to,
  )
}

/** One readable line for each entry: time, level, what happened, the fields. */
function asText(to: DestinationStream): DestinationStream {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
      const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
      const stack = typeof err === 'object' && err !== null && 'stack' in err ? `\n${String(err.stack)}` : ''
      to.write(
        `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${typeof msg === 'string' ? msg : ''}${rest.join('')}${stack}\n`,
      )
      done()
    },
  })
}
