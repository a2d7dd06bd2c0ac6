import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import { answer, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Health']

/** For supervisors and load balancers; without a key. */
export function healthRoutes(server: HttpServer, { health }: HttpServices): void {
  server.get(
    '/health',
    {
      schema: {
        tags,
        operationId: 'getHealth',
        summary: 'Whether the process lives',
        response: { 200: answer('It lives.', z.strictObject({ status: z.literal('ok') })) },
      },
    },
    async () => ({ status: 'ok' as const }),
  )

  server.get(
    '/ready',
    {
      schema: {
        tags,
        operationId: 'getReadiness',
        summary: 'Whether requests can be served: the database is reachable and writes are committed',
        response: {
          200: answer('It can serve.', z.strictObject({ status: z.literal('ready') })),
          ...problems('unavailable'),
        },
      },
    },
    async () => {
      const failing = Object.entries(await health.check()).filter(([, works]) => !works)
      if (failing.length > 0) {
        throw new FrontdeskError('unavailable', `Not working now: ${failing.map(([part]) => part).join(', ')}.`)
      }
      return { status: 'ready' as const }
    },
  )
}
