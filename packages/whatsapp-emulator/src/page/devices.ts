import type { Phone } from '../control/control.ts'
import type { App } from './app.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { createNotice } from './notice.ts'
import type { Screen } from './phone.ts'
import { displayNumber } from './phone-number.ts'
import { phoneBy } from './state.ts'

type Device = Phone['devices'][number]

/** The phone's linked devices, each with a way to remove it. */
export function createDevices(app: App, phone: string): Screen {
  const title = element('h2', { tabindex: '-1' }, 'Linked devices')
  const notice = createNotice()
  const empty = element(
    'p',
    { class: 'hint' },
    'No device is linked. When a companion shows a QR code, it stands under “Waiting to be linked”: choose this number there and scan it.',
  )
  const all = element('button', { type: 'button', class: 'button button-quiet' }, 'Unlink all')
  all.addEventListener('click', () => void unlink())
  const list = element('ul', { class: 'devices' })
  const draw = keyedList<Device, HTMLLIElement>(list, {
    key: (device) => String(device.id),
    create: (device) => createDevice(device, () => unlink(device.id)),
    update(row, device) {
      const state = row.querySelector('.device-name')
      if (state === null) return
      setAttribute(state, 'data-state', device.isConnected ? 'connected' : 'disconnected')
      setText(state, device.isConnected ? 'connected' : 'not connected')
    },
  })

  async function unlink(deviceId?: number): Promise<void> {
    const isDone = await notice.guard(() => app.api.unlink(deviceId === undefined ? { phone } : { phone, deviceId }))
    if (!isDone) return
    await app.refresh()
    notice.say(deviceId === undefined ? 'All devices are unlinked.' : `Device ${deviceId} is unlinked.`)
    // The button is gone with its row; the keyboard goes on from the top of the screen.
    if (document.activeElement === document.body) title.focus()
  }

  return {
    element: element(
      'section',
      { class: 'screen' },
      element(
        'header',
        { class: 'screen-head' },
        element('div', { class: 'screen-title' }, title, element('p', { class: 'presence' }, displayNumber(phone))),
      ),
      element('div', { class: 'screen-body' }, element('div', { class: 'inset' }, notice.element, empty, list, all)),
    ),
    focus: () => title.focus(),
    update(state) {
      const { devices } = phoneBy(state, phone)
      setAttribute(empty, 'hidden', !state.isLoaded || devices.length > 0)
      setAttribute(all, 'hidden', devices.length < 2)
      draw(devices)
    },
  }
}

function createDevice(device: Device, unlink: () => Promise<void>): HTMLLIElement {
  const name = device.platform === '' ? `Device ${device.id}` : device.platform
  const button = element(
    'button',
    { type: 'button', class: 'button button-danger', 'aria-label': `Unlink ${name}, device ${device.id}` },
    'Unlink',
  )
  button.addEventListener('click', () => void unlink())
  return element(
    'li',
    { class: 'device' },
    element(
      'div',
      { class: 'device-text' },
      element('strong', {}, element('bdi', {}, name)),
      element('span', { class: 'device-name row-detail' }),
      element('code', {}, device.jid),
    ),
    button,
  )
}
