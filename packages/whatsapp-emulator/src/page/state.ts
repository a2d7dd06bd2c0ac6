import type { Chat, ChatMessage, EmulatorInfo, PendingLink, Phone } from '../control/control.ts'
import { displayNumber } from './phone-number.ts'
import type { Place } from './place.ts'

/** Everything that the page shows. Views are drawn from it and never from each other. */
export interface State {
  info: EmulatorInfo | undefined
  phones: readonly Phone[]
  pendingLinks: readonly PendingLink[]
  /** The chats of the open phone; those of the previous one until its own have been read. */
  chats: { phone: string; chats: readonly Chat[] } | undefined
  outgoing: readonly OutgoingText[]
  place: Place
  isLoaded: boolean
  isLive: boolean
  /** Why what is shown may be out of date. */
  problem: string | undefined
}

/** A text that was typed here and does not stand in the emulator's book yet. */
export interface OutgoingText {
  /** Its message id, chosen here: a second attempt is the same message. */
  id: string
  from: string
  to: string
  text: string
  at: string
  error?: string
}

export const INITIAL_STATE: State = {
  info: undefined,
  phones: [],
  pendingLinks: [],
  chats: undefined,
  outgoing: [],
  place: { screen: 'none' },
  isLoaded: false,
  isLive: false,
  problem: undefined,
}

/** A phone by number. Every number exists, so one that the emulator has not met yet is an empty phone. */
export function phoneBy(state: State, number: string): Phone {
  const known = state.phones.find((phone) => phone.phone === number)
  return known ?? { phone: number, lid: '', name: '', devices: [], chats: [] }
}

/** How a phone is called: its name, else its number. A partner that is no phone in the list is known by its chat. */
export function nameOf(state: State, number: string, seenBy?: string): string {
  const chat = seenBy === undefined ? undefined : phoneBy(state, seenBy).chats.find((other) => other.with === number)
  return phoneBy(state, number).name || chat?.name || displayNumber(number)
}

export function messagesOf(state: State, phone: string, partner: string): readonly ChatMessage[] {
  if (state.chats?.phone !== phone) return []
  return state.chats.chats.find((chat) => chat.with === partner)?.messages ?? []
}

/** What a message says, and for one without words what kind it is. */
export function textOf(message: ChatMessage): string {
  return message.text === '' ? `A message without text (${message.type})` : message.text
}

export function unreadOf(phone: Phone): number {
  return phone.chats.reduce((sum, chat) => sum + chat.unread, 0)
}

export function isLinked(phone: Phone): boolean {
  return phone.devices.length > 0
}
