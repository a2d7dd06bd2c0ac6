import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Actor } from '#src/services/security/actor.ts'
import type { Identity } from '#src/services/security/api-keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whose key opens this address. An address under /v1 must say. */
    access?: Identity['kind']
  }
  interface FastifyRequest {
    identity: Identity | null
  }
}

export interface Authenticator {
  /** Whose key this is; undefined for one that is unknown, expired or revoked. */
  authenticate(key: string): Promise<Identity | undefined>
}

/** Runs before the body is read: a stranger's body is never looked at. */
const requireKey =
  (authenticator: Authenticator, access: Identity['kind']): onRequestHookHandler =>
  async (request) => {
    const [, key] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
    if (key === undefined) throw new FrontdeskError('api_key_missing')
    const identity = await authenticator.authenticate(key)
    if (identity === undefined) throw new FrontdeskError('api_key_invalid')
    if (identity.kind !== access) throw new FrontdeskError('api_key_wrong_scope')
    request.identity = identity
  }

/** Adds the check of the key to every route that names its `access`; a route of the API without one is a mistake. */
export function requireAccess(server: FastifyInstance, authenticator: Authenticator): void {
  server.decorateRequest('identity', null)
  server.addHook('onRoute', (route) => {
    const access = route.config?.access
    if (access === undefined) {
      if (route.url.startsWith('/v1')) throw new Error(`The route ${route.url} does not say who may use it.`)
      return
    }
    route.onRequest = [requireKey(authenticator, access), ...[route.onRequest ?? []].flat()]
  })
}

/** Who asks. Only for routes with `access`. */
export function actorOf({ identity }: FastifyRequest): Actor {
  if (identity === null) throw new Error('This route does not require a key.')
  return { apiKeyId: identity.apiKeyId }
}

/** The company that the key belongs to: the only place where a request's company comes from. */
export function companyOf({ identity }: FastifyRequest): string {
  if (identity?.kind !== 'company') throw new Error("This route does not require a company's key.")
  return identity.companyId
}
