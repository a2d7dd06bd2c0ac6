import type { App, View } from './app.ts'
import { createChat } from './chat.ts'
import { createChats } from './chats.ts'
import { createDevices } from './devices.ts'
import { element, setAttribute, setText } from './dom.ts'
import { formatTime } from './format.ts'
import { type IconName, icon } from './icon.ts'
import { createNewChat } from './new-chat.ts'
import type { Outgoing } from './outgoing.ts'
import { displayNumber } from './phone-number.ts'
import { type Place, phoneOf, writePlace } from './place.ts'
import { createWelcome } from './welcome.ts'

/** What fills the phone's display. It lives as long as the person stays at one place. */
export interface Screen extends View {
  /** Puts the keyboard where the person most likely goes on. */
  focus(): void
}

/** The open phone, drawn as a phone: a status bar, one screen, and tabs. */
export function createPhone(app: App, outgoing: Outgoing): View {
  const clock = element('span')
  const owner = element('span')
  const display = element('div', { class: 'display' })
  const chats = createTab(app, 'chats', 'Chats', 'chats')
  const devices = createTab(app, 'devices', 'Linked devices', 'devices')
  const tabs = element('nav', { class: 'tabs', 'aria-label': 'Phone' }, chats, devices)
  let place = ''
  let screen: Screen | undefined
  setInterval(() => setText(clock, now()), 5_000)

  return {
    element: element(
      'main',
      { class: 'phone' },
      element('div', { class: 'status-bar', 'aria-hidden': 'true' }, clock, owner),
      display,
      tabs,
    ),
    update(state) {
      const phone = phoneOf(state.place)
      setText(clock, now())
      setText(owner, phone === undefined ? '' : displayNumber(phone))
      setAttribute(tabs, 'hidden', phone === undefined || state.place.screen === 'chat')
      setAttribute(chats, 'aria-current', state.place.screen === 'devices' ? undefined : 'page')
      setAttribute(devices, 'aria-current', state.place.screen === 'devices' ? 'page' : undefined)
      const isMoved = place !== writePlace(state.place)
      if (isMoved || screen === undefined) {
        place = writePlace(state.place)
        screen = createScreen(app, outgoing, state.place)
        display.replaceChildren(screen.element)
      }
      screen.update(state)
      if (isMoved && mayTakeFocus(state.place)) screen.focus()
    },
  }
}

/** Where the focus was in the screen that has gone, or the person has come to write, it moves to the new screen. */
function mayTakeFocus(place: Place): boolean {
  // A finger's keyboard would cover the chat before anything has been read.
  if (place.screen === 'chat') return !matchMedia('(pointer: coarse)').matches
  return document.activeElement === document.body
}

function createScreen(app: App, outgoing: Outgoing, place: Place): Screen {
  switch (place.screen) {
    case 'none':
      return createWelcome()
    case 'chats':
      return createChats(app, place.phone)
    case 'new_chat':
      return createNewChat(app, place.phone)
    case 'devices':
      return createDevices(app, place.phone)
    case 'chat':
      return createChat(app, outgoing, place)
  }
}

function createTab(app: App, screen: 'chats' | 'devices', label: string, picture: IconName): HTMLButtonElement {
  const tab = element('button', { type: 'button', class: 'tab' }, icon(picture), label)
  tab.addEventListener('click', () => {
    const phone = phoneOf(app.state.place)
    if (phone !== undefined) app.go({ screen, phone })
  })
  return tab
}

function now(): string {
  return formatTime(new Date().toISOString())
}
