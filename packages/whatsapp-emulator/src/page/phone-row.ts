import { avatar } from './avatar.ts'
import { element, setAttribute, setText } from './dom.ts'

/** What a row of a list of phones or chats shows. */
export interface PhoneRow {
  phone: string
  title: string
  /** A second line; `undefined` leaves it out. */
  detail: string | undefined
  moment?: string | undefined
  unread?: number
  isCurrent?: boolean
  /** Stands before the second line when set: a linked device that is connected, or one that is not. */
  dot?: 'connected' | 'disconnected' | undefined
}

/** A list item with one wide button: avatar, name, second line, time and unread count. */
export function createPhoneRow(phone: string, choose: () => void): HTMLLIElement {
  const button = element(
    'button',
    { type: 'button', class: 'row' },
    avatar(phone),
    element(
      'span',
      { class: 'row-text' },
      element('bdi', { class: 'row-title' }),
      element('span', { class: 'row-detail' }, element('span', { class: 'dot' }), element('bdi', { class: 'detail' })),
    ),
    element('span', { class: 'row-side' }, element('span', { class: 'moment' }), element('span', { class: 'badge' })),
  )
  button.addEventListener('click', choose)
  return element('li', { 'data-phone': phone }, button)
}

export function updatePhoneRow(item: HTMLLIElement, row: PhoneRow): void {
  const unread = row.unread ?? 0
  setText(part(item, '.row-title'), row.title)
  setText(part(item, '.detail'), row.detail ?? '')
  setText(part(item, '.moment'), row.moment ?? '')
  const dot = part(item, '.dot')
  setAttribute(dot, 'hidden', row.dot === undefined)
  setAttribute(dot, 'data-state', row.dot)
  const badge = part(item, '.badge')
  setAttribute(badge, 'hidden', unread === 0)
  setText(badge, unread === 0 ? '' : String(unread))
  setAttribute(badge, 'aria-label', `${unread} unread`)
  setAttribute(part(item, '.row'), 'aria-current', row.isCurrent === true ? 'true' : undefined)
}

/** A part that the row was created with. */
function part(item: HTMLLIElement, selector: string): HTMLElement {
  const found = item.querySelector<HTMLElement>(selector)
  if (found === null) throw new Error(`A row has no ${selector}`)
  return found
}
