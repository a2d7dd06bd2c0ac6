import type { Phone } from '../control/control.ts'
import type { App } from './app.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { formatMoment } from './format.ts'
import { icon } from './icon.ts'
import type { Screen } from './phone.ts'
import { displayNumber } from './phone-number.ts'
import { createPhoneRow, type PhoneRow, updatePhoneRow } from './phone-row.ts'
import { nameOf, phoneBy, textOf } from './state.ts'

/** A phone's chats, newest first. */
export function createChats(app: App, phone: string): Screen {
  const title = element('h2', { tabindex: '-1' }, element('bdi'))
  const add = element('button', { type: 'button', class: 'button button-icon' }, icon('plus'), 'New chat')
  add.addEventListener('click', () => app.go({ screen: 'new_chat', phone }))
  const empty = element(
    'p',
    { class: 'hint' },
    'No chats yet. “New chat” writes to any number; linked numbers come first.',
  )
  const list = element('ul', { 'aria-label': 'Chats' })
  const draw = keyedList<Phone['chats'][number], HTMLLIElement>(list, {
    key: (chat) => chat.with,
    create: (chat) => createPhoneRow(chat.with, () => app.go({ screen: 'chat', phone, with: chat.with })),
    update: (item, chat) => updatePhoneRow(item, describe(chat)),
  })

  return {
    element: element(
      'section',
      { class: 'screen' },
      element(
        'header',
        { class: 'screen-head' },
        element('div', { class: 'screen-title' }, title, element('p', { class: 'presence' }, displayNumber(phone))),
        add,
      ),
      element('div', { class: 'screen-body' }, empty, list),
    ),
    focus: () => title.focus(),
    update(state) {
      const open = phoneBy(state, phone)
      setText(title.firstElementChild ?? title, nameOf(state, phone))
      setAttribute(empty, 'hidden', !state.isLoaded || open.chats.length > 0)
      draw(open.chats.toSorted((one, other) => momentOf(other) - momentOf(one)))
    },
  }
}

function momentOf(chat: Phone['chats'][number]): number {
  return chat.last === undefined ? 0 : Date.parse(chat.last.at)
}

function describe(chat: Phone['chats'][number]): PhoneRow {
  const { last } = chat
  const text = last === undefined ? '' : textOf(last)
  return {
    phone: chat.with,
    title: chat.name === '' ? displayNumber(chat.with) : chat.name,
    detail: chat.isTyping ? 'typing…' : last?.fromMe === true ? `You: ${text}` : text,
    moment: last === undefined ? undefined : formatMoment(last.at),
    unread: chat.unread,
  }
}
