import { type Api, api, watchChanges } from './api.ts'
import { coalesce } from './coalesce.ts'
import { type Place, phoneOf, readPlace, writePlace } from './place.ts'
import { INITIAL_STATE, type State } from './state.ts'

const REFRESH_MS = 15_000

/** What a view can do besides drawing. */
export interface App {
  readonly api: Api
  readonly state: State
  update(change: Partial<State>): void
  go(place: Place): void
  /** Reads everything shown from the emulator again. Trouble becomes `state.problem`; it never rejects. */
  refresh(): Promise<void>
}

/** Part of the page: an element, and how it follows the state. */
export interface View {
  readonly element: HTMLElement
  update(state: State): void
}

/** Starts the page's life: reads the emulator, follows its changes and the address, and calls `draw` after each change. */
export function startApp(draw: (app: App) => void): void {
  let state: State = { ...INITIAL_STATE, place: readPlace(location.hash) }
  const refresh = coalesce(load)
  const app: App = {
    api,
    get state() {
      return state
    },
    update(change) {
      state = { ...state, ...change }
      draw(app)
    },
    go(place) {
      location.hash = writePlace(place)
    },
    refresh,
  }

  async function load(): Promise<void> {
    try {
      const phone = phoneOf(state.place)
      const [info, phones, pendingLinks, chats] = await Promise.all([
        state.info ?? api.info(),
        api.phones(),
        api.pendingLinks(),
        phone === undefined ? undefined : api.chats(phone),
      ])
      const open = phone === undefined || chats === undefined ? undefined : { phone, chats }
      app.update({ info, phones, pendingLinks, chats: open, isLoaded: true, problem: undefined })
    } catch (error) {
      app.update({ problem: messageOf(error) })
    }
  }

  addEventListener('hashchange', () => {
    app.update({ place: readPlace(location.hash) })
    void refresh()
  })
  // What arrived while the page was hidden counts as read only from now on.
  document.addEventListener('visibilitychange', () => draw(app))
  watchChanges({
    changed: () => void refresh(),
    live(isLive) {
      app.update({ isLive })
      if (isLive) void refresh()
    },
  })
  // Some things end without an event, such as typing that nobody stopped.
  setInterval(() => void refresh(), REFRESH_MS)
  draw(app)
  void refresh()
}

/** An error in words for a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
