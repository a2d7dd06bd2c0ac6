import type { Responder } from './responder.ts'

/** Leaves every turn unanswered: a person will write, or nobody. */
export const noneResponder: Responder = {
  name: 'none',
  answer: async (_turn, { signal }) => {
    signal.throwIfAborted()
    return { outcome: 'silent', messages: [] }
  },
}
