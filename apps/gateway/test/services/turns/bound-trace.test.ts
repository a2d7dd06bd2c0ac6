import { type ResponderStep, type ToolCallTrace, turnTrace } from '@frontdesk/api-contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { boundTrace } from '#src/services/turns/bound-trace.ts'

const traceOf = (...tools: NonNullable<ResponderStep['tools']>) => ({
  guard: null,
  steps: [{ responder: 'ai', outcome: 'answered' as const, durationMs: 1, tools }],
  usedFallback: false,
  handoff: null,
  waitedMs: 0,
  answeredMs: 1,
})
type Json = ToolCallTrace['arguments']

const call = (args: Json, result?: Json) => ({
  ...{ callId: 'call-1', name: 'prices', arguments: args, durationMs: 1 },
  ...(result !== undefined && { result }),
})
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

test('a small trace stays as it is', () => {
  const trace = traceOf(call({ service: 'balayage' }, { price: 120 }))
  expect(boundTrace(trace, [])).toEqual(trace)
})

test('arguments and results are cut to 4 KB each, and say so', () => {
  const trace = boundTrace(traceOf(call({ text: 'ä'.repeat(10_000) }, 'x'.repeat(10_000)), call(1, 2)), [])
  const [first, second] = trace.steps[0]?.tools ?? []
  for (const value of [first?.arguments, first?.result]) {
    expect(value).toMatch(/…$/)
    expect(bytesOf(value)).toBeLessThan(4200)
  }
  expect(second).toEqual(call(1, 2))
})

test('whatever tools do, a trace is of its form and has 64 KB at most', () => {
  const value = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<Json>,
    fc.integer({ min: 0, max: 20_000 }).map((length) => '\u0001'.repeat(length)),
  )
  const tools = fc.array(fc.tuple(value, value), { maxLength: 200 })
  fc.assert(
    fc.property(tools, (calls) => {
      const hostile = calls.map(([args, result]) => {
        const text = JSON.stringify(args)
        return { ...call(args, result), callId: text, name: text, error: text }
      })
      const json = JSON.parse(JSON.stringify(traceOf(...hostile))) as unknown
      const bounded = boundTrace(turnTrace.parse(json), [])
      expect(turnTrace.parse(bounded)).toEqual(bounded)
      expect(bytesOf(bounded)).toBeLessThanOrEqual(64 * 1024)
    }),
    { numRuns: 30 },
  )
})

test('a secret that was used stands nowhere, however deep, also not where a value is cut', () => {
  const secret = 'sk-proj-"0123"-456789abcdef'
  const near = `${'x'.repeat(4090)}${secret}`
  const trace = traceOf(call({ [secret]: [`Bearer ${secret}`], near }, near), call(near, { deep: [{ secret }] }))
  trace.steps[0] = { ...trace.steps[0], detail: `no ${secret}` } as (typeof trace.steps)[0]
  const json = JSON.stringify(boundTrace(trace, [secret]))
  expect(json).not.toContain('sk-proj')
  expect(json).toContain('[secret]')
})
