import type { Phone } from '../control/control.ts'
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
  devices?: Phone['devices']
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
      element('bdi', { class: 'row-detail' }),
      element('span', { class: 'row-devices' }),
    ),
    element('span', { class: 'row-side' }, element('span', { class: 'moment' }), element('span', { class: 'badge' })),
  )
  button.addEventListener('click', choose)
  return element('li', { 'data-phone': phone }, button)
}

export function updatePhoneRow(item: HTMLLIElement, row: PhoneRow): void {
  const unread = row.unread ?? 0
  setText(part(item, '.row-title'), row.title)
  setText(part(item, '.row-detail'), row.detail ?? '')
  setText(part(item, '.moment'), row.moment ?? '')
  setAttribute(part(item, '.row-detail'), 'hidden', row.detail === undefined)
  updateDevices(part(item, '.row-devices'), row.devices ?? [])
  const badge = part(item, '.badge')
  setAttribute(badge, 'hidden', unread === 0)
  setText(badge, unread === 0 ? '' : String(unread))
  setAttribute(badge, 'aria-label', `${unread} unread`)
  setAttribute(part(item, '.row'), 'aria-current', row.isCurrent === true ? 'true' : undefined)
}

/** The linked devices as names with a dot each: coloured, and in words for those who do not see colours. */
function updateDevices(line: HTMLElement, devices: Phone['devices']): void {
  const shown = devices.map((device) => `${device.platform} ${device.isConnected}`).join()
  if (line.dataset['shown'] === shown) return
  line.dataset['shown'] = shown
  setAttribute(line, 'hidden', devices.length === 0)
  line.replaceChildren(
    ...devices.map(({ id, platform, isConnected }) =>
      element(
        'span',
        { class: 'device-name', 'data-state': isConnected ? 'connected' : 'disconnected' },
        element('bdi', {}, platform === '' ? `Device ${id}` : platform),
        element('span', { class: 'visually-hidden' }, isConnected ? 'connected' : 'not connected'),
      ),
    ),
  )
}

/** A part that the row was created with. */
function part(item: HTMLLIElement, selector: string): HTMLElement {
  const found = item.querySelector<HTMLElement>(selector)
  if (found === null) throw new Error(`A row has no ${selector}`)
  return found
}
