import type { MessageResource } from '@frontdesk/api-contract'

/** What stands in a message; nothing in one of another kind. */
export const textOf = (message: MessageResource | undefined): string =>
  message?.content.kind === 'text' ? message.content.text : ''
