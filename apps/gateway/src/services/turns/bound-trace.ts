import type { ToolCallTrace, TurnTrace } from '@frontdesk/api-contract'

const VALUE_BYTES = 4 * 1024
const TRACE_BYTES = 64 * 1024
const MOST_TOOL_CALLS = 100
/** Tried one after the other until the whole is small enough. */
const NARROWER = [VALUE_BYTES, 1024, 256, 64, 0]
const DETAIL_LENGTH = 500
const HIDDEN = '[secret]'

/**
 * The trace as it may be kept and shown: without the secrets that were used, and with what tools were given and said cut
 * to 4 KB each, or to less where the whole would be over 64 KB. What is cut is a text that ends with `…`.
 */
export function boundTrace(trace: TurnTrace, secrets: Iterable<string>): TurnTrace {
  const hidden = hide(trace, [...secrets]) as TurnTrace
  let bounded = hidden
  for (const bytes of NARROWER) {
    bounded = { ...hidden, steps: hidden.steps.map((step) => boundStep(step, bytes)) }
    if (Buffer.byteLength(JSON.stringify(bounded)) <= TRACE_BYTES) break
  }
  return bounded
}

const boundStep = (step: TurnTrace['steps'][number], bytes: number): TurnTrace['steps'][number] => ({
  ...step,
  ...(step.detail !== undefined && { detail: step.detail.slice(0, DETAIL_LENGTH) }),
  ...(step.tools && { tools: step.tools.slice(0, MOST_TOOL_CALLS).map((call) => boundCall(call, bytes)) }),
})

const boundCall = (call: ToolCallTrace, bytes: number): ToolCallTrace => ({
  ...call,
  name: call.name.slice(0, DETAIL_LENGTH),
  callId: call.callId.slice(0, DETAIL_LENGTH),
  arguments: cut(call.arguments, bytes),
  ...(call.result !== undefined && { result: cut(call.result, bytes) }),
  ...(call.error !== undefined && { error: call.error.slice(0, DETAIL_LENGTH) }),
})

function cut(value: ToolCallTrace['arguments'], bytes: number): ToolCallTrace['arguments'] {
  const json = JSON.stringify(value)
  if (Buffer.byteLength(json) <= bytes) return value
  const text = typeof value === 'string' ? value : json
  // A letter that the cut goes through becomes U+FFFD.
  return `${Buffer.from(text).subarray(0, bytes).toString('utf8')}…`
}

/** The value with something else in place of each secret, wherever it stands in a text or a name. */
function hide(value: unknown, secrets: readonly string[]): unknown {
  if (secrets.length === 0) return value
  if (typeof value === 'string') return secrets.reduce((text, secret) => text.replaceAll(secret, HIDDEN), value)
  if (Array.isArray(value)) return value.map((each) => hide(each, secrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [hide(name, secrets), hide(field, secrets)] as const),
  )
}
