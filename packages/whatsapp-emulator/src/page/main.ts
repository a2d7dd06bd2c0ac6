import { type App, startApp, type View } from './app.ts'
import { element, setAttribute, setText } from './dom.ts'
import { createFaults } from './faults.ts'
import { createLinking } from './linking.ts'
import { createOutgoing } from './outgoing.ts'
import { createPhone } from './phone.ts'
import { createPhoneList } from './phone-list.ts'

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
  return [
    head,
    linking,
    phones,
    phone,
    faults,
    {
      element: page,
      // A narrow window shows either the phones or the open one.
      update: (state) => setAttribute(page, 'data-open', state.place.screen !== 'none'),
    },
  ]
}

function createHead(): View {
  const live = element('span', { class: 'live', role: 'status' })
  const problem = element('p', { class: 'notice', role: 'alert', 'data-kind': 'error', hidden: true })
  return {
    element: element('header', { class: 'head' }, element('h1', {}, 'Simulated phones'), live, problem),
    update(state) {
      setText(live, state.isLive ? 'Live' : 'Reconnecting…')
      setAttribute(live, 'data-state', state.isLive ? 'connected' : 'disconnected')
      setAttribute(problem, 'hidden', state.problem === undefined)
      setText(problem, state.problem ?? '')
    },
  }
}
