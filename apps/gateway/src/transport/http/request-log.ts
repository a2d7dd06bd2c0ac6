import type { FastifyInstance } from 'fastify'

/** One line for each request: the route's pattern instead of its address, and nothing that was sent. */
export function logRequests(server: FastifyInstance): void {
  server.addHook('onResponse', async (request, reply) => {
    request.log.debug(
      {
        method: request.method,
        route: request.routeOptions.url ?? 'unknown',
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 10) / 10,
        apiKeyId: request.identity?.apiKeyId,
      },
      'request',
    )
  })
}
