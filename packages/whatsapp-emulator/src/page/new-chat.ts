import type { Phone } from '../control/control.ts'
import type { App } from './app.ts'
import { element, keyedList, setAttribute } from './dom.ts'
import { icon } from './icon.ts'
import { createNumberForm } from './number-form.ts'
import type { Screen } from './phone.ts'
import { displayNumber } from './phone-number.ts'
import { createPhoneRow, updatePhoneRow } from './phone-row.ts'
import { isLinked } from './state.ts'

const MAX_ROWS = 100

/** Whom to write to: linked numbers first, then every other phone, or any number typed. */
export function createNewChat(app: App, phone: string): Screen {
  const back = element(
    'button',
    { type: 'button', class: 'button-round', 'aria-label': 'Back to the chats' },
    icon('back'),
  )
  back.addEventListener('click', () => app.go({ screen: 'chats', phone }))
  const title = element('h2', { tabindex: '-1' }, 'Write to')
  const open = (partner: string): void => app.go({ screen: 'chat', phone, with: partner })
  const form = createNumberForm({
    label: 'Any number',
    button: 'Write',
    submit(partner) {
      if (partner === phone) throw new Error('That is this phone’s own number. Choose another one.')
      open(partner)
    },
  })
  const empty = element(
    'p',
    { class: 'hint' },
    'No number has a linked device yet. Scan a QR code first, or type any number.',
  )
  const list = element('ul', { 'aria-label': 'Phones to write to' })
  const draw = keyedList<Phone, HTMLLIElement>(list, {
    key: (other) => other.phone,
    create: (other) => createPhoneRow(other.phone, () => open(other.phone)),
    update: (item, other) =>
      updatePhoneRow(item, {
        phone: other.phone,
        title: other.name === '' ? displayNumber(other.phone) : other.name,
        detail: other.name === '' ? undefined : displayNumber(other.phone),
        devices: other.devices,
      }),
  })

  return {
    element: element(
      'section',
      { class: 'screen' },
      element('header', { class: 'screen-head' }, back, element('div', { class: 'screen-title' }, title)),
      element('div', { class: 'screen-body' }, element('div', { class: 'inset' }, form.element), empty, list),
    ),
    focus: () => title.focus(),
    update(state) {
      const others = state.phones.filter((other) => other.phone !== phone)
      const linkedFirst = [...others.filter(isLinked), ...others.filter((other) => !isLinked(other))]
      setAttribute(empty, 'hidden', !state.isLoaded || others.some(isLinked))
      draw(linkedFirst.slice(0, MAX_ROWS))
    },
  }
}
