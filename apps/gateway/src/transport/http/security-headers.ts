import type { FastifyInstance } from 'fastify'

const NOTHING_IS_LOADED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** For answers that no browser should interpret, frame, guess about or keep. A page may set its own policy first. */
export function addSecurityHeaders(server: FastifyInstance): void {
  server.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'content-security-policy': NOTHING_IS_LOADED,
      'x-request-id': request.id,
    })
    if (request.url.startsWith('/v1')) reply.header('cache-control', 'no-store')
  })
}
