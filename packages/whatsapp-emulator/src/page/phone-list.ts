import type { Phone } from '../control/control.ts'
import type { App, View } from './app.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { plural } from './format.ts'
import { createNumberForm } from './number-form.ts'
import { displayNumber } from './phone-number.ts'
import { createPhoneRow, type PhoneRow, updatePhoneRow } from './phone-row.ts'
import { phoneOf } from './place.ts'
import { isLinked, unreadOf } from './state.ts'

/** More rows than this help nobody and slow the browser; a benchmark makes thousands of phones. */
const MAX_ROWS = 200

/** All phones: linked numbers first, then customers, and a field that opens any number. */
export function createPhoneList(app: App): View {
  const linked = createGroup(app, 'Linked numbers', 'linked-numbers')
  const customers = createGroup(app, 'Customers', 'customers')
  const known = element('datalist', { id: 'known-numbers' })
  const drawKnown = keyedList<Phone, HTMLOptionElement>(known, {
    key: (phone) => phone.phone,
    create: (phone) => element('option', { value: phone.phone }),
    update: (option, phone) => setText(option, phone.name),
  })
  const open = createNumberForm({
    label: 'Open a phone',
    button: 'Open',
    submit: (phone) => app.go({ screen: 'chats', phone }),
  })
  const empty = element(
    'p',
    { class: 'hint' },
    'No phone has been used yet. Type any number, say 491711111111, and it is a customer’s phone.',
  )

  return {
    element: element(
      'nav',
      { class: 'phones', 'aria-label': 'Phones' },
      open.element,
      empty,
      linked.element,
      customers.element,
      known,
    ),
    update(state) {
      const current = phoneOf(state.place)
      setAttribute(empty, 'hidden', !state.isLoaded || state.phones.length > 0)
      linked.draw(state.phones.filter(isLinked), current)
      customers.draw(
        state.phones.filter((phone) => !isLinked(phone)),
        current,
      )
      drawKnown(state.phones.slice(0, MAX_ROWS))
    },
  }
}

interface Group {
  element: HTMLElement
  draw(phones: readonly Phone[], current: string | undefined): void
}

function createGroup(app: App, title: string, id: string): Group {
  const list = element('ul', { 'aria-labelledby': id })
  const more = element('p', { class: 'hint' })
  const section = element('div', { class: 'group' }, element('h2', { id }, title), list, more)
  let current: string | undefined
  const draw = keyedList<Phone, HTMLLIElement>(list, {
    key: (phone) => phone.phone,
    create: ({ phone }) => createPhoneRow(phone, () => app.go({ screen: 'chats', phone })),
    update: (item, phone) => updatePhoneRow(item, { ...describe(phone), isCurrent: phone.phone === current }),
  })
  return {
    element: section,
    draw(phones, open) {
      current = open
      const hidden = Math.max(0, phones.length - MAX_ROWS)
      setAttribute(section, 'hidden', phones.length === 0)
      setAttribute(more, 'hidden', hidden === 0)
      setText(more, `and ${plural(hidden, 'more phone', 'more phones')}: type the number to open one.`)
      draw(phones.slice(0, MAX_ROWS))
    },
  }
}

function describe(phone: Phone): PhoneRow {
  const number = displayNumber(phone.phone)
  return {
    phone: phone.phone,
    title: phone.name === '' ? number : phone.name,
    detail: phone.name === '' ? undefined : number,
    unread: unreadOf(phone),
    devices: phone.devices,
  }
}
