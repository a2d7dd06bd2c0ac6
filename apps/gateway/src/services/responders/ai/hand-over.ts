import { z } from 'zod'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import type { AnswerTool } from './answer-tool.ts'

const handOver = z.strictObject({
  reason: z.string().min(1).max(500).describe('For the person: what it is about.'),
  message: z
    .string()
    .max(1000)
    .describe('What the customer is told now, in their language: that a person will answer.'),
})
/** What the model says when it gives the conversation to a person. */
export type HandOver = z.infer<typeof handOver>

const parameters = z.toJSONSchema(handOver) as AnswerTool['parameters']

/** The tool by which the model gives the conversation to a person, which ends its answer. */
export function createHandOverTool(onHandOver: (said: HandOver) => void): AnswerTool {
  return {
    name: 'hand_over',
    description:
      'Gives the conversation to a person of the company, who reads all of it. Use it when the customer asks for a person, complains, or needs what you cannot settle.',
    parameters,
    isInward: true,
    async call(input) {
      const { reason, message } = handOver.parse(input)
      const clean = sanitizeText(reason).trim()
      onHandOver({ reason: isBlank(clean) ? 'hand_over' : clean, message })
      return { handedOver: true }
    },
  }
}
