import type { ChatRequest } from './chat-request.ts'

/** What the model answers to one request. */
export interface ModelReply {
  text?: string
  /** A string as `arguments` goes out as it is, whether it is JSON or not. */
  toolCalls?: readonly { name: string; arguments: unknown }[]
  /** By default about one token for four characters. */
  usage?: { input: number; output: number }
  /** Before the first byte. */
  delayMs?: number
  /** Before each further piece of the answer, which is a few characters long. */
  pieceDelayMs?: number
  /** The connection breaks after so many pieces. */
  cutAfterPieces?: number
  /** Nothing is ever answered. */
  isSilent?: boolean
  /** In place of a completion, as it is. */
  raw?: { status: number; headers?: Readonly<Record<string, string>>; body: string }
}

/**
 * What is answered to which request: the replies in turn, of which the last one stays, or what a function says.
 * `index` counts the requests of the script from 0.
 */
export type Script = readonly ModelReply[] | ((request: ChatRequest, index: number) => ModelReply | Promise<ModelReply>)
