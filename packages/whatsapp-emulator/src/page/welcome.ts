import { element, setText } from './dom.ts'
import type { Screen } from './phone.ts'

/** What stands on the display while no phone is open: how to begin. */
export function createWelcome(): Screen {
  const title = element('h2', { tabindex: '-1' }, 'No phone is open')
  const url = element('code')
  return {
    element: element(
      'section',
      { class: 'screen welcome' },
      title,
      element('p', {}, 'Here you play both sides: the owner of a company’s number, and its customers.'),
      element(
        'ol',
        {},
        element('li', {}, 'Let a companion connect to ', url, '. It appears under “Waiting to be linked”.'),
        element('li', {}, 'Scan its QR code with any number, or type its pairing code: that phone is now linked.'),
        element('li', {}, 'Open another phone and write to the linked number as a customer.'),
      ),
    ),
    focus: () => title.focus(),
    update: (state) => setText(url, state.info?.url ?? 'this emulator'),
  }
}
