import type { ModelReply } from './model-reply.ts'

const errorBody = (message: string, type: string) => JSON.stringify({ error: { message, type, code: null } })

/** What models and the networks before them have been seen to do, by name. Given again and again, unless a list goes on. */
export const hostileReplies = {
  /** Asks for the same tool for ever. */
  toolLoop: (name: string, input: unknown = {}): ModelReply => ({ toolCalls: [{ name, arguments: input }] }),
  /** Asks for a tool that nobody has offered. */
  wrongTool: { toolCalls: [{ name: 'delete_everything', arguments: { sure: true } }] },
  /** Asks for a tool with what no JSON Schema of an object takes. */
  wrongArguments: (name: string): ModelReply => ({ toolCalls: [{ name, arguments: ['not', 'an', 'object'] }] }),
  /** Asks for a tool with arguments that are no JSON. */
  brokenArguments: (name: string): ModelReply => ({ toolCalls: [{ name, arguments: '{"service": "hair' }] }),
  /** Begins at once, and goes on so slowly that it takes minutes. */
  slowTokens: { text: 'word '.repeat(200), pieceDelayMs: 2000 },
  /** The connection breaks in the middle of the answer. */
  cutStream: { text: 'This sentence is going to be cut off in the middle of it.', cutAfterPieces: 3 },
  /** Asks to come again in a second. */
  rateLimited: {
    raw: { status: 429, headers: { 'retry-after': '1' }, body: errorBody('Rate limit reached.', 'rate_limit_error') },
  },
  serverError: { raw: { status: 500, body: errorBody('The server had an error.', 'server_error') } },
  /** Status 200 with what is no JSON. */
  invalidJson: { raw: { status: 200, body: '{"choices": [{"message": {"content": "Hel' } },
  /** Status 200 with JSON that is no completion. */
  wrongForm: { raw: { status: 200, body: '{"ok": true}' } },
  /** Status 200 with a page for people. */
  html: { raw: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html><h1>Welcome</h1></html>' } },
  /** Ten megabytes. */
  hugeAnswer: { text: 'All work and no play. '.repeat(480_000) },
  emptyAnswer: { text: '' },
  neverAnswers: { isSilent: true },
} as const satisfies Record<string, ModelReply | ((name: string) => ModelReply)>
