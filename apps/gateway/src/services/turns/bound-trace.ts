import type { ResponderStep, ToolCallTrace, TurnTrace } from '@frontdesk/api-contract'

const TRACE_BYTES = 64 * 1024
/** Of one step: how many calls of tools, and how much of each value. The first that makes the whole small enough is taken. */
const BOUNDS = [
  { calls: 100, bytes: 4 * 1024 },
  { calls: 100, bytes: 1024 },
  { calls: 100, bytes: 256 },
  { calls: 20, bytes: 64 },
  { calls: 0, bytes: 0 },
]
const DETAIL_LENGTH = 500
const HIDDEN = '[secret]'

/**
 * The trace as it may be kept and shown: without the secrets that were used, and with what tools were given and said cut
 * to 4 KB each, or to less where the whole would be over 64 KB. A value that is cut is a text that ends with `…`.
 */
export function boundTrace(trace: TurnTrace, secrets: Iterable<string>): TurnTrace {
  const hidden = hide(trace, [...secrets]) as TurnTrace
  let bounded = hidden
  for (const bounds of BOUNDS) {
    bounded = {
      ...hidden,
      steps: hidden.steps.map((step) => boundStep(step, bounds)),
      handoff: hidden.handoff && shorten(hidden.handoff),
    }
    if (Buffer.byteLength(JSON.stringify(bounded)) <= TRACE_BYTES) break
  }
  return bounded
}

const boundStep = (
  { detail, tools, ...step }: ResponderStep,
  { calls, bytes }: (typeof BOUNDS)[number],
): ResponderStep => ({
  ...step,
  ...(detail !== undefined && { detail: shorten(detail) }),
  ...(tools && { tools: tools.slice(0, calls).map((call) => boundCall(call, bytes)) }),
})

const boundCall = (
  { callId, name, arguments: given, result, error, durationMs }: ToolCallTrace,
  bytes: number,
): ToolCallTrace => ({
  ...{ callId: shorten(callId), name: shorten(name), arguments: cut(given, bytes) },
  ...(result !== undefined && { result: cut(result, bytes) }),
  ...(error !== undefined && { error: shorten(error) }),
  durationMs,
})

const shorten = (text: string): string => text.slice(0, DETAIL_LENGTH)

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
