import { createHash } from 'node:crypto'
import { compileArguments, type ToolCallTrace } from '@frontdesk/api-contract'
import { sanitizeText } from '#src/model/text.ts'
import { type AnswerTool, type Json, ToolFailure } from './answer-tool.ts'

/** A model that wants more for one answer goes round in circles. */
const MOST_CALLS = 30
const MAX_RESULT_LENGTH = 16_000

export interface ToolCallsOptions {
  turnId: string
  /** Whether tools are really called. */
  callsTools: boolean
  signal: AbortSignal
}

/** The calls of tools for one answer: checked, told apart, bounded, and written down. */
export class ToolCalls {
  readonly trace: ToolCallTrace[] = []
  readonly #options: ToolCallsOptions

  constructor(options: ToolCallsOptions) {
    this.#options = options
  }

  /** The tool as a function from what the model asks to what it is told. That rejects only when the signal is aborted. */
  prepare(tool: AnswerTool): (input: unknown) => Promise<Json> {
    const check = compileArguments(tool.parameters)
    return async (input) => {
      const call = { callId: this.#callId(tool.name, input), name: tool.name, arguments: (input ?? null) as Json }
      const beganAt = performance.now()
      const note = (outcome: { result: Json } | { error: string }) => {
        this.trace.push({ ...call, ...outcome, durationMs: Math.round(performance.now() - beganAt) })
        return 'result' in outcome ? outcome.result : { error: outcome.error }
      }
      if (this.trace.length >= MOST_CALLS) return { error: `No more than ${MOST_CALLS} calls. Answer now.` }
      const problem = 'problem' in check ? `Its schema ${check.problem}.` : check(input)
      if (problem !== undefined) return note({ error: `Not called: ${problem}` })
      const { callsTools, signal } = this.#options
      if (!callsTools && tool.isInward !== true) {
        return note({ result: { note: 'This is a trial: not called. Go on as if it had worked.' } })
      }
      try {
        return note({ result: cut(await tool.call(input as Record<string, Json>, call.callId, signal)) })
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof ToolFailure)) throw error
        return note({ error: error.message })
      }
    }
  }

  /** What the model asked for and could not get, as there is no such tool or the arguments are no JSON. */
  refuse(name: string, input: unknown, error: string): void {
    if (this.trace.length >= MOST_CALLS) return
    this.trace.push({
      callId: this.#callId(name, input),
      name,
      arguments: (input ?? null) as Json,
      error,
      durationMs: 0,
    })
  }

  /**
   * From what is asked, not from when: after a restart the model may ask in another order. Asked twice for the same, the
   * two are told apart by a number.
   */
  #callId(name: string, input: unknown): string {
    const digest = createHash('sha256').update(JSON.stringify([name, sorted(input)]))
    const stem = `${this.#options.turnId}-${digest.digest('hex').slice(0, 16)}`
    return `${stem}-${this.trace.filter(({ callId }) => callId.startsWith(stem)).length + 1}`
  }
}

/** The same for the same values, in whichever order a model puts them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([name, each]) => [name, sorted(each)])
}

function cut(result: Json): Json {
  const text = typeof result === 'string' ? result : JSON.stringify(result)
  if (text.length <= MAX_RESULT_LENGTH) return result
  return `${sanitizeText(text.slice(0, MAX_RESULT_LENGTH))}… (cut off)`
}
