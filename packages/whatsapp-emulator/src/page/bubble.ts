import type { ChatMessage } from '../control/control.ts'
import { element, setAttribute, setText } from './dom.ts'
import { formatDay, formatTime } from './format.ts'
import { type IconName, icon } from './icon.ts'
import { type OutgoingText, textOf } from './state.ts'

/** One row of a chat: the beginning of a day, a message, or a text that could not be sent. */
export type ChatRow =
  | { kind: 'day'; key: string; label: string }
  | { kind: 'message'; key: string; message: ChatMessage; isFirstOfRun: boolean }
  | { kind: 'failed'; key: string; entry: OutgoingText }

const STATUS: Record<ChatMessage['status'], { icon: IconName; label: string }> = {
  pending: { icon: 'clock', label: 'waiting to be sent' },
  sent: { icon: 'tick', label: 'sent' },
  delivered: { icon: 'ticks', label: 'delivered' },
  read: { icon: 'ticks', label: 'read' },
}

/** The rows of a chat: its messages, then what is still on its way, with a line where a day begins. */
export function chatRows(messages: readonly ChatMessage[], outgoing: readonly OutgoingText[]): ChatRow[] {
  const known = new Set(messages.map((message) => message.id))
  const waiting = outgoing.filter((entry) => !known.has(entry.id))
  const all: { message: ChatMessage; entry?: OutgoingText }[] = [
    ...messages.map((message) => ({ message })),
    ...waiting.map((entry) => ({ message: asMessage(entry), entry })),
  ]
  const rows: ChatRow[] = []
  let previous: ChatMessage | undefined
  for (const { message, entry } of all) {
    const isNewDay = previous === undefined || !isSameDay(previous.at, message.at)
    if (isNewDay) rows.push({ kind: 'day', key: `day-${message.id}`, label: formatDay(message.at) })
    if (entry?.error !== undefined) rows.push({ kind: 'failed', key: `failed-${entry.id}`, entry })
    else {
      const isFirstOfRun = isNewDay || previous?.fromMe !== message.fromMe
      rows.push({ kind: 'message', key: `${message.fromMe ? 'out' : 'in'}-${message.id}`, message, isFirstOfRun })
    }
    previous = message
  }
  return rows
}

/** An empty row for `updateBubble` to fill. */
export function createBubble(row: ChatRow, author: string): HTMLLIElement {
  if (row.kind === 'day') return element('li', { class: 'day' })
  return element(
    'li',
    { class: 'bubble' },
    element('span', { class: 'visually-hidden' }, `${author}: `),
    element('span', { class: 'bubble-text', dir: 'auto' }),
    element(
      'span',
      { class: 'bubble-meta' },
      element('time'),
      element('span', { class: 'ticks', role: 'img', hidden: true }),
    ),
  )
}

export function updateBubble(item: HTMLLIElement, row: Exclude<ChatRow, { kind: 'failed' }>): void {
  if (row.kind === 'day') {
    setText(item, row.label)
    return
  }
  const { message } = row
  item.classList.toggle('bubble-own', message.fromMe)
  item.classList.toggle('bubble-first', row.isFirstOfRun)
  const [text, time, ticks] = item.querySelectorAll('.bubble-text, time, .ticks')
  if (text === undefined || time === undefined || ticks === undefined) throw new Error('A bubble lost its parts')
  text.classList.toggle('wordless', message.text === '')
  setText(text, textOf(message))
  setText(time, formatTime(message.at))
  setAttribute(time, 'datetime', message.at)
  if (!message.fromMe || ticks.getAttribute('data-status') === message.status) return
  const status = STATUS[message.status]
  setAttribute(ticks, 'hidden', false)
  setAttribute(ticks, 'data-status', message.status)
  setAttribute(ticks, 'aria-label', status.label)
  setAttribute(ticks, 'title', status.label)
  ticks.replaceChildren(icon(status.icon))
}

/** A text that could not be sent, with its reason and what can be done. */
export function createFailedBubble(entry: OutgoingText, on: { retry: () => void; discard: () => void }): HTMLLIElement {
  const again = element('button', { type: 'button', class: 'button button-quiet' }, 'Try again')
  const drop = element('button', { type: 'button', class: 'button button-quiet' }, 'Discard')
  again.addEventListener('click', on.retry)
  drop.addEventListener('click', on.discard)
  return element(
    'li',
    { class: 'bubble bubble-own bubble-first bubble-failed' },
    element('span', { class: 'bubble-text', dir: 'auto' }, entry.text),
    element('span', { class: 'bubble-reason' }, icon('warning'), `Not sent. ${entry.error ?? ''}`),
    element('span', { class: 'bubble-actions' }, again, drop),
  )
}

function asMessage(entry: OutgoingText): ChatMessage {
  return {
    id: entry.id,
    fromMe: true,
    text: entry.text,
    type: 'conversation',
    at: entry.at,
    status: 'pending',
  }
}

function isSameDay(one: string, other: string): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString()
}
