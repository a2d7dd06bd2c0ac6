import type { App, View } from './app.ts'
import { element, setAttribute, setText } from './dom.ts'
import { FAULT_CATALOGUE, type FaultGroup, type FaultOffer } from './fault-catalogue.ts'
import { formatTime } from './format.ts'
import { createNotice, type Notice } from './notice.ts'
import { displayNumber } from './phone-number.ts'
import { phoneOf } from './place.ts'
import { isLinked, phoneBy, type State } from './state.ts'

const DEFAULT_COUNT = 1
const MAX_COUNT = 1_000

/** What can go wrong for the open phone and its companions, at the press of a button. */
export function createFaults(app: App): View {
  const about = element('p', { class: 'hint' })
  const groups = FAULT_CATALOGUE.map((group) => createGroup(app, group))
  return {
    element: element(
      'aside',
      { class: 'faults', 'aria-labelledby': 'faults-title' },
      element('h2', { id: 'faults-title' }, 'Make something go wrong'),
      about,
      ...groups.map((group) => group.element),
    ),
    update(state) {
      setText(about, aboutText(state))
      for (const group of groups) group.update(state)
    },
  }
}

function aboutText(state: State): string {
  const number = phoneOf(state.place)
  if (number === undefined) return 'Open a phone to disturb it.'
  const name = displayNumber(number)
  return isLinked(phoneBy(state, number))
    ? `Happens to ${name} and its linked devices, nobody else.`
    : `${name} has no linked device. Open a linked number to break its connection.`
}

function createGroup(app: App, group: FaultGroup): View {
  const notice = createNotice()
  const count = element('input', {
    type: 'number',
    min: '1',
    max: String(MAX_COUNT),
    value: String(DEFAULT_COUNT),
    inputmode: 'numeric',
  })
  const countLine = element('label', { class: 'count' }, 'How many messages', count)
  const list = element('ul', {}, ...group.offers.map((offer) => createOffer(app, offer, notice, countIn(count))))
  const details = element(
    'details',
    { class: 'card fault-group', open: group.isOpen },
    element('summary', {}, group.title),
    group.isCounted ? countLine : undefined,
    list,
    notice.element,
  )
  let open: string | undefined
  return {
    element: details,
    update(state) {
      const number = phoneOf(state.place)
      // What happened to another phone says nothing about this one.
      if (number !== open) notice.clear()
      open = number
      setAttribute(details, 'hidden', !applies(group, state))
    },
  }
}

/** Reads the field each time; what is no number in the range is explained. */
function countIn(field: HTMLInputElement): () => number {
  return () => {
    const value = Number(field.value)
    if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT) {
      throw new Error(`Choose how many messages: a whole number from 1 to ${MAX_COUNT}.`)
    }
    return value
  }
}

function createOffer(app: App, offer: FaultOffer, notice: Notice, count: () => number): HTMLLIElement {
  const id = `fault-${offer.label.toLowerCase().replaceAll(' ', '-')}`
  const button = element(
    'button',
    { type: 'button', class: 'button button-quiet', 'aria-labelledby': id, 'aria-describedby': `${id}-explanation` },
    element('span', { id }, offer.label),
    element('span', { id: `${id}-explanation`, class: 'explanation' }, offer.explanation),
  )
  button.addEventListener('click', () => void happen())

  async function happen(): Promise<void> {
    const isDone = await notice.guard(async () => {
      await app.api.fault(offer.build({ phone: phoneOf(app.state.place) ?? '', count: count() }))
    })
    if (isDone) notice.say(`${offer.label}: done at ${formatTime(new Date().toISOString())}.`)
  }
  return element('li', {}, button)
}

function applies(group: FaultGroup, state: State): boolean {
  const number = phoneOf(state.place)
  switch (group.needs) {
    case 'linked_device':
      return number !== undefined && isLinked(phoneBy(state, number))
    case 'phone':
      return number !== undefined
    case 'nothing':
      return true
  }
}
