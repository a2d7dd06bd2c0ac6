import { AsyncLocalStorage } from 'node:async_hooks'

/** The id of the session that what runs now is run for: whose an error is that nobody has caught. */
export const sessionContext = new AsyncLocalStorage<string>()
