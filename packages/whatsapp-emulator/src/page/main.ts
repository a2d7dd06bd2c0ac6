import { type App, startApp, type View } from './app.ts'
import { element, setAttribute, setText } from './dom.ts'
import { createFaults } from './faults.ts'
import { createLinking } from './linking.ts'
import { createOutgoing } from './outgoing.ts'
import { createPhone } from './phone.ts'
import { createPhoneList } from './phone-list.ts'
import { displayNumber } from './phone-number.ts'
import { phoneOf } from './place.ts'

const TITLE = 'Simulated phones'
let views: View[] | undefined

startApp((app) => {
  views ??= build(app)
  for (const view of views) view.update(app.state)
})

function build(app: App): View[] {
  const head = createHead()
  const linking = createLinking(app)
  const phones = createPhoneList(app)
  const phone = createPhone(app, createOutgoing(app))
  const faults = createFaults(app)
  const back = element('button', { type: 'button', class: 'button button-quiet back-to-phones' }, 'All phones')
  back.addEventListener('click', () => app.go({ screen: 'none' }))
  const page = element(
    'div',
    { class: 'page' },
    element('div', { class: 'side' }, head.element, linking.element, phones.element),
    element('div', { class: 'stage' }, back, phone.element),
    faults.element,
  )
  document.body.append(page)
  let open: string | undefined
  return [
    head,
    linking,
    phones,
    phone,
    faults,
    {
      element: page,
      update(state) {
        const number = phoneOf(state.place)
        document.title = number === undefined ? TITLE : `${displayNumber(number)}, ${TITLE.toLowerCase()}`
        // A narrow window shows either the phones or the open one, each from its top.
        setAttribute(page, 'data-open', number !== undefined)
        if (number !== open) scrollTo({ top: 0 })
        open = number
      },
    },
  ]
}

function createHead(): View {
  const live = element('span', { class: 'live', role: 'status' })
  const problem = element('p', { class: 'notice', role: 'alert', 'data-kind': 'error', hidden: true })
  return {
    element: element('header', { class: 'head' }, element('h1', {}, TITLE), live, problem),
    update(state) {
      setText(live, state.isLive ? 'Live' : 'Connecting…')
      setAttribute(live, 'data-state', state.isLive ? 'connected' : 'disconnected')
      setAttribute(problem, 'hidden', state.problem === undefined)
      setText(problem, state.problem ?? '')
    },
  }
}
