import { playgroundAnswer, playgroundRequest } from '@frontdesk/api-contract'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

/** Longer than the playground takes at most: it says itself what it has waited for. */
const HANDLER_TIMEOUT_MS = 65_000

/** Trying an answer before customers get it. */
export function playgroundRoutes(server: HttpServer, { playground }: HttpServices): void {
  server.post(
    '/v1/playground',
    {
      config: { access: 'company' },
      handlerTimeout: HANDLER_TIMEOUT_MS,
      schema: {
        tags: ['Answers'],
        operationId: 'tryAnswer',
        summary: 'Try how customers would be answered',
        description:
          "The company's settings with those of the draft over them, the same guardrails and the same responders: also tells which rules would apply. Nothing is sent and nothing is stored, but what a model costs counts towards the limits of the day. An `http` responder is asked, and told that it is a trial. Two at once for a company; 60 seconds at most.",
        body: playgroundRequest,
        response: {
          200: answer('What would have been answered, and why.', playgroundAnswer),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'playground_busy', 'playground_timed_out'),
        },
      },
    },
    async (request, reply) => {
      const left = new AbortController()
      // The framework's own signal is aborted as soon as the body has been read.
      reply.raw.once('close', () => left.abort())
      return await playground.try(companyOf(request), request.body, left.signal)
    },
  )
}
