import type { ReplyTools } from '#src/services/responders/responder.ts'

/** What a responder may use: of a company without facts, hours, secrets or past, unless told. */
export const replyTools = (tools: Partial<ReplyTools> = {}): ReplyTools => ({
  at: new Date('2026-11-02T09:15:06.000Z'),
  business: {},
  openingHours: undefined,
  isOpen: undefined,
  history: async () => [],
  secret: async () => undefined,
  callsTools: true,
  signal: new AbortController().signal,
  ...tools,
})
