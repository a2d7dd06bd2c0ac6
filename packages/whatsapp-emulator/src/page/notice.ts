import { messageOf } from './app.ts'
import { element, setAttribute, setText } from './dom.ts'

/** A line beside a control that tells how it went: read aloud, and empty until there is something to say. */
export interface Notice {
  readonly element: HTMLElement
  say(text: string): void
  /** Shows an error in words for a person. */
  fail(error: unknown): void
  clear(): void
  /** Runs `work` and shows its error, if it fails, in place of an earlier line. Tells whether it succeeded. */
  guard(work: () => Promise<unknown>): Promise<boolean>
}

export function createNotice(): Notice {
  // Never hidden, only empty: a region that appears together with its text is often not read aloud.
  const node = element('p', { class: 'notice', role: 'status' })

  function show(text: string, kind: 'done' | 'error'): void {
    setAttribute(node, 'data-kind', kind)
    setText(node, text)
  }

  return {
    element: node,
    say: (text) => show(text, 'done'),
    fail: (error) => show(messageOf(error), 'error'),
    clear: () => show('', 'done'),
    async guard(work) {
      show('', 'done')
      try {
        await work()
        return true
      } catch (error) {
        show(messageOf(error), 'error')
        return false
      }
    },
  }
}
