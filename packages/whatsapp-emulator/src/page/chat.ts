import type { Phone } from '../control/control.ts'
import type { App } from './app.ts'
import { avatar } from './avatar.ts'
import { type ChatRow, chatRows, createBubble, createFailedBubble, updateBubble } from './bubble.ts'
import { createComposer } from './composer.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { icon } from './icon.ts'
import { createNotice, type Notice } from './notice.ts'
import type { Outgoing } from './outgoing.ts'
import type { Screen } from './phone.ts'
import { displayNumber } from './phone-number.ts'
import { messagesOf, nameOf, phoneBy } from './state.ts'

/** The newest messages that are drawn; a chat of a benchmark holds thousands. */
const MAX_MESSAGES = 400
/** Nearer to the end than this counts as reading along, pixels. */
const AT_END_PX = 60

/** One chat on one phone. What is on the screen of a visible page counts as read. */
export function createChat(app: App, outgoing: Outgoing, chat: { phone: string; with: string }): Screen {
  const title = element('h2', { tabindex: '-1' }, element('bdi'))
  const presence = element('p', { class: 'presence' })
  const back = element(
    'button',
    { type: 'button', class: 'button-round', 'aria-label': 'Back to the chats' },
    icon('back'),
  )
  back.addEventListener('click', () => app.go({ screen: 'chats', phone: chat.phone }))
  const list = element('ol', { class: 'bubbles' })
  const empty = element('p', { class: 'hint' }, 'Nothing has been written here yet. Say hello below.')
  const typing = element('p', { class: 'typing', hidden: true }, element('i'), element('i'), element('i'))
  const notice = createNotice()
  const log = element(
    'div',
    { class: 'log', role: 'log', 'aria-relevant': 'additions', tabindex: '0' },
    empty,
    list,
    typing,
  )
  const latest = element('button', { type: 'button', class: 'button latest', hidden: true }, 'New messages')
  latest.addEventListener('click', () => log.scrollTo({ top: log.scrollHeight, behavior: 'smooth' }))
  const composer = createComposer(app, outgoing, chat)
  const markRead = createReadMarker(app, chat, notice)
  const draw = keyedList<ChatRow, HTMLLIElement>(list, {
    key: (row) => row.key,
    create(row) {
      if (row.kind !== 'failed') return createBubble(row, isOwn(row) ? 'You' : nameOf(app.state, chat.with, chat.phone))
      const { id } = row.entry
      return createFailedBubble(row.entry, {
        retry: () => andWriteOn(() => outgoing.retry(id)),
        discard: () => andWriteOn(() => outgoing.discard(id)),
      })
    },
    update(item, row) {
      if (row.kind !== 'failed') updateBubble(item, row)
    },
  })
  /** The button that was pressed goes away; the keyboard goes back to the message box. */
  function andWriteOn(act: () => void): void {
    act()
    composer.focus()
  }
  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX
  let lastKey: string | undefined
  log.addEventListener('scroll', () => {
    if (isAtEnd()) setAttribute(latest, 'hidden', true)
  })

  return {
    element: element(
      'section',
      { class: 'screen chat' },
      element(
        'header',
        { class: 'screen-head' },
        back,
        avatar(chat.with),
        element('div', { class: 'screen-title' }, title, presence),
      ),
      log,
      latest,
      notice.element,
      composer.element,
    ),
    focus: composer.focus,
    update(state) {
      const phone = phoneBy(state, chat.phone)
      const isTyping = phone.chats.find((other) => other.with === chat.with)?.isTyping ?? false
      const name = nameOf(state, chat.with, chat.phone)
      setText(title.firstElementChild ?? title, name)
      setText(presence, isTyping ? 'typing…' : displayNumber(chat.with))
      setAttribute(log, 'aria-label', `Messages with ${name}`)
      setAttribute(typing, 'hidden', !isTyping)
      const waiting = state.outgoing.filter((entry) => entry.from === chat.phone && entry.to === chat.with)
      const rows = chatRows(messagesOf(state, chat.phone, chat.with).slice(-MAX_MESSAGES), waiting)
      setAttribute(empty, 'hidden', rows.length > 0 || state.chats?.phone !== chat.phone)
      // Asked now: the event of a scroll comes later than the scroll, and a message may come between them.
      const follows = isAtEnd()
      draw(rows)
      const last = rows.at(-1)
      const isNew = last !== undefined && last.key !== lastKey
      lastKey = last?.key
      if (follows || (isNew && isOwn(last))) log.scrollTop = log.scrollHeight
      else if (isNew) setAttribute(latest, 'hidden', false)
      markRead(phone)
    },
  }
}

function isOwn(row: ChatRow): boolean {
  return row.kind === 'failed' || (row.kind === 'message' && row.message.fromMe)
}

/** Marks the chat read whenever something unread is on the screen, once for each newest message. */
function createReadMarker(app: App, chat: { phone: string; with: string }, notice: Notice): (phone: Phone) => void {
  let marked: string | undefined
  return (phone) => {
    const open = phone.chats.find((other) => other.with === chat.with)
    if (open?.last === undefined || open.unread === 0 || document.visibilityState !== 'visible') return
    if (open.last.id === marked) return
    marked = open.last.id
    void notice.guard(() => app.api.markRead({ phone: chat.phone, from: chat.with }))
  }
}
