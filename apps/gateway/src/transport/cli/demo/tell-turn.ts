import type { MessageResource, ResponderStep, ToolCallTrace, TurnDetails } from '@frontdesk/api-contract'
import { ERRORS } from '#src/model/errors.ts'
import { textOf } from './text-of.ts'
import type { Transcript } from './transcript.ts'

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

/** What happened in a turn and why, for people: from what the customer wrote to what was sent. */
export function tellTurn(transcript: Transcript, turn: TurnDetails, messages: readonly MessageResource[]): void {
  const { trace, received, sent } = turn
  if (trace === null) throw new Error('A turn that is over must have a trace.')
  const quote = (id: string) => `“${textOf(messages.find((message) => message.id === id))}”`
  transcript.facts(received.map(quote).join(' '), [
    ['waited', `${seconds(trace.waitedMs)}, in case more was coming`],
    ...(trace.guard === null ? [] : [['guard', titleOf(trace.guard)] as const]),
    ...trace.steps.flatMap((step) => [
      [step.responder, inWords(step)] as const,
      ...(step.tools ?? []).flatMap(toolInWords),
    ]),
    ...(trace.handoff === null ? [] : [['handoff', trace.handoff] as const]),
    ...(sent.length === 0 ? [['sent', 'nothing'] as const] : sent.map((id) => ['sent', quote(id)] as const)),
  ])
}

const titleOf = (code: string): string =>
  Object.hasOwn(ERRORS, code) ? ERRORS[code as keyof typeof ERRORS].title : code

function inWords({ outcome, model, steps, tokens, cost, durationMs, code, detail }: ResponderStep): string {
  return [
    `${outcome} in ${seconds(durationMs)}`,
    ...(model === undefined ? [] : [`model ${model}`]),
    ...(steps === undefined ? [] : [`asked ${steps === 1 ? 'once' : `${steps} times`}`]),
    ...(tokens === undefined ? [] : [`${tokens.input} tokens in and ${tokens.output} out`]),
    ...(cost === undefined ? [] : [`$${cost.toFixed(4)}`]),
    ...(code === undefined ? [] : [titleOf(code)]),
    ...(detail === undefined ? [] : [detail]),
  ].join(', ')
}

const toolInWords = ({ name, arguments: input, result, error, durationMs }: ToolCallTrace) => [
  ['tool', `${name}(${JSON.stringify(input)})`] as const,
  ['', `→ ${error ?? JSON.stringify(result)}, ${durationMs} ms`] as const,
]
