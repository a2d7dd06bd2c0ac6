import type { WebSocket } from 'ws'
import type { SessionStore } from '#src/model/session-store.ts'

/**
 * Above this many held frames the socket is not read any further: the server feels it. What arrived and is not handled
 * yet must not count as well, since handling it may need an answer that only comes through the same socket.
 */
export const MAX_HELD_FRAMES = 1000

/** Held frames before the list's used-up front is cut off. */
const COMPACT_AFTER = 4096

interface HeldFrame {
  data: Uint8Array
  /** The newest change published before the frame was made. */
  needs: number
}

/**
 * Stands in front of a socket: a frame leaves only when everything that the session published before it is committed.
 * Baileys runs ahead at full speed on memory; nothing that anyone else can observe runs ahead of the database.
 */
export class CommitGate {
  readonly #socket: WebSocket
  readonly #store: SessionStore
  readonly #onFailure: (error: unknown) => void
  readonly #send: (data: Uint8Array) => void
  #held: HeldFrame[] = []
  #next = 0
  #isWaiting = false
  /** Pieces of work under way that will publish something. */
  #works = 0
  #isPaused = false
  #isShut = false

  /** `onFailure` hears when a commit that frames wait for never comes: they are dropped, and so is all that follows. */
  constructor(socket: WebSocket, store: SessionStore, onFailure: (error: unknown) => void) {
    this.#socket = socket
    this.#store = store
    this.#onFailure = onFailure
    this.#send = socket.send.bind(socket)
    // Baileys awaits the callback inside of the lock under which it handles messages: answering at once keeps commits
    // out of that lock. So that a message "is sent" says nothing; only the server's ack does.
    socket.send = (data: unknown, optionsOrSent?: unknown, sent?: (error?: Error) => void) => {
      this.#enter(data as Uint8Array)
      const answer = typeof optionsOrSent === 'function' ? optionsOrSent : sent
      answer?.()
    }
  }

  get heldFrames(): number {
    return this.#held.length - this.#next
  }

  /** Frames that come from now on leave only behind what this work publishes, too. It must not reject. */
  async holdFor(work: Promise<void>): Promise<void> {
    this.#works += 1
    await work
    this.#works -= 1
    if (this.#works > 0 || this.#isShut) return
    const needs = this.#store.published
    for (let index = this.#next; index < this.#held.length; index++) {
      const frame = this.#held[index]
      if (frame) frame.needs = needs
    }
    if (this.heldFrames > 0 && !this.#isWaiting) void this.#waitForCommit(needs)
  }

  /** Drops what is held and lets nothing pass any more. */
  shut(): void {
    this.#isShut = true
    this.#held = []
    this.#next = 0
  }

  #enter(data: Uint8Array): void {
    if (this.#isShut) return
    const needs = this.#store.published
    if (this.heldFrames === 0 && this.#works === 0 && this.#store.isCommitted(needs)) {
      this.#pass(data)
      return
    }
    this.#held.push({ data, needs })
    if (!this.#isPaused && this.heldFrames > MAX_HELD_FRAMES) {
      this.#isPaused = true
      this.#socket.pause()
    }
    if (!this.#isWaiting && this.#works === 0) void this.#waitForCommit(needs)
  }

  async #waitForCommit(needs: number): Promise<void> {
    this.#isWaiting = true
    try {
      await this.#store.committed(needs)
      this.#isWaiting = false
      this.#release()
    } catch (error) {
      this.shut()
      this.#onFailure(error)
    }
  }

  #release(): void {
    if (this.#isShut) return
    let frame = this.#held[this.#next]
    while (frame && this.#works === 0 && this.#store.isCommitted(frame.needs)) {
      this.#pass(frame.data)
      this.#next += 1
      frame = this.#held[this.#next]
    }
    if (!frame || this.#next > COMPACT_AFTER) {
      this.#held = this.#held.slice(this.#next)
      this.#next = 0
    }
    if (this.#isPaused && this.heldFrames < MAX_HELD_FRAMES / 2) {
      this.#isPaused = false
      this.#socket.resume()
    }
    if (frame && this.#works === 0) void this.#waitForCommit(frame.needs)
  }

  #pass(data: Uint8Array): void {
    // Between the commit and now the socket may have closed; Baileys hears of that from the socket itself.
    if (this.#socket.readyState === this.#socket.OPEN) this.#send(data)
  }
}
