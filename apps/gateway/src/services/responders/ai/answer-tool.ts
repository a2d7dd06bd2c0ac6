import type { ToolCallTrace } from '@frontdesk/api-contract'

export type Json = ToolCallTrace['arguments']

/** A function that the model may ask for. */
export interface AnswerTool {
  name: string
  description: string
  /** A JSON Schema of an object: what does not fit is refused before the call. */
  parameters: Record<string, Json>
  /** Nothing outside comes of it: it is also called where tools are not to be. */
  isInward?: boolean
  /**
   * `callId` is the same for the same call of the same turn, whenever that is tried again.
   * @throws ToolFailure
   */
  call(input: Record<string, Json>, callId: string, signal: AbortSignal): Promise<Json>
}

/** A tool could not do what it was asked for. The message is told to the model, and stands in the trace. */
export class ToolFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ToolFailure'
  }
}
