import { z } from 'zod'

const text = z.union([z.string(), z.array(z.looseObject({ type: z.literal('text'), text: z.string() }))])

const toolCall = z.looseObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
})

const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer']), content: text }),
  z.looseObject({ role: z.literal('user'), content: text }),
  z.looseObject({
    role: z.literal('assistant'),
    content: text.nullable().optional(),
    tool_calls: z.array(toolCall).optional(),
  }),
  z.looseObject({ role: z.literal('tool'), content: text, tool_call_id: z.string() }),
])
export type ChatMessage = z.infer<typeof message>

/** What a message says, in one piece. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => part.text).join('\n')
}

/** The body of `POST /v1/chat/completions`, as far as it is looked at. */
export const chatRequest = z
  .looseObject({
    model: z.string().min(1),
    messages: z.array(message).min(1),
    tools: z
      .array(
        z.looseObject({
          type: z.literal('function'),
          function: z.looseObject({
            name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
            description: z.string().optional(),
            parameters: z.record(z.string(), z.json()).optional(),
          }),
        }),
      )
      .optional(),
    stream: z.boolean().nullable().optional(),
  })
  .superRefine(({ messages }, context) => {
    const asked = new Set<string>()
    for (const [index, each] of messages.entries()) {
      if (each.role === 'assistant') for (const { id } of each.tool_calls ?? []) asked.add(id)
      if (each.role === 'tool' && !asked.delete(each.tool_call_id)) {
        context.addIssue({ code: 'custom', path: ['messages', index], message: 'answers no call of a tool before it' })
      }
    }
    if (asked.size > 0) context.addIssue({ code: 'custom', message: 'a call of a tool has no answer' })
  })
export type ChatRequest = z.infer<typeof chatRequest>
