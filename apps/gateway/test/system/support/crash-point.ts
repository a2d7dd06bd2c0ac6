import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'

/**
 * Loaded before the gateway (`node --import`): once the file `armed` stands in the directory `CRASH_POINTS`, commits are
 * counted, and the process is killed right before the one that `armed` names is sent to the server, or right after the
 * server has made it and before the process has heard of it. What is counted, and only that, is a statement or a
 * transaction that writes. Each is noted in the file `commits`.
 */
export interface CrashPoint {
  /** The how-manieth commit, from 1. */
  at: number
  side: 'before' | 'after'
}

const directory = process.env['CRASH_POINTS'] ?? '.'
const WRITES = /\b(?:insert into|delete from|(?<!for |for no key |do )update)\s+"?\w+/gi
/** These come with the time and not with a message. */
const BY_THE_CLOCK = /\b(?:node|session_lease)\b/

/** What each connection's transaction that is under way has written; undefined outside of one. */
const transactions = new WeakMap<object, string[]>()
let commits = 0

/** What this statement commits, if it does. */
function committedBy(client: object, text: string): string | undefined {
  const writes = text.match(WRITES)?.filter((write) => !BY_THE_CLOCK.test(write)) ?? []
  const transaction = transactions.get(client)
  if (/^begin\b/i.test(text)) transactions.set(client, [])
  else if (/^(commit|rollback)\b/i.test(text)) {
    transactions.delete(client)
    if (text.startsWith('commit') && transaction !== undefined && transaction.length > 0) return transaction.join(', ')
  } else if (transaction === undefined) return writes.length > 0 ? writes.join(', ') : undefined
  else transaction.push(...writes)
  return undefined
}

function armedPoint(): CrashPoint | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'armed'), 'utf8')) as CrashPoint
  } catch {
    // Nothing is to happen yet, or not any more.
    return undefined
  }
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // No other thread's haste lets this one go on meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const query = Reflect.get(pg.Client.prototype, 'query') as (...parts: unknown[]) => Promise<unknown>
function countedQuery(this: pg.Client, ...parts: unknown[]) {
  const [statement] = parts as [string | { text?: string; name?: string }]
  const { text, name } = typeof statement === 'string' ? { text: statement, name: undefined } : statement
  const commit = committedBy(this, text ?? '')
  const send = () => Reflect.apply(query, this, parts)
  const point = commit === undefined ? undefined : armedPoint()
  if (point === undefined) return send()
  commits += 1
  appendFileSync(join(directory, 'commits'), `${commits} ${name ?? commit}\n`)
  if (commits !== point.at) return send()
  if (point.side === 'before') die()
  return send().finally(die)
}
Object.assign(pg.Client.prototype, { query: countedQuery })
