import { z } from 'zod'
import { moment } from './common.ts'

/** The media type of `problem`. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

export const problem = z
  .strictObject({
    type: z.string().meta({ examples: ['urn:frontdesk:error:invalid_request'] }),
    title: z.string().describe('What is wrong and what to do about it, for people.'),
    status: z.int().min(100).max(599).describe('The HTTP status.'),
    detail: z.string().optional().describe('What is particular to this case.'),
    code: z.string().meta({
      description: 'For programs. A code never changes its meaning.',
      examples: ['invalid_request'],
    }),
    stage: z.string().meta({
      description:
        'How far the request came: `request` (not understood), `access` (not allowed), `accept` (refused as things stand), `inside` (our fault).',
      examples: ['request'],
    }),
    instance: z.string().meta({
      description: "This request's id, for a report: the log has it too.",
      examples: ['urn:uuid:019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11'],
    }),
    errors: z
      .array(
        z.strictObject({
          field: z.string().meta({ description: 'Path of the field, such as `content.text`.', examples: ['to'] }),
          message: z.string(),
        }),
      )
      .optional()
      .describe('Each field that is wrong.'),
    retryAt: moment.optional().describe('From when on the same request can succeed, where that is known.'),
  })
  .meta({
    id: 'Problem',
    description: 'An error (RFC 9457).',
    examples: [
      {
        type: 'urn:frontdesk:error:invalid_request',
        title: 'A field of the request is not valid. See `errors` for each field and what it must be.',
        status: 400,
        code: 'invalid_request',
        stage: 'request',
        instance: 'urn:uuid:019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11',
        errors: [{ field: 'to', message: 'must be there' }],
      },
    ],
  })
export type Problem = z.infer<typeof problem>
