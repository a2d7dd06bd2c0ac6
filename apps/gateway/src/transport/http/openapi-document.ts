import { createLog } from '#src/log.ts'
import { createHttpServer } from './http-server.ts'
import type { HttpServices } from './services.ts'

/** The OpenAPI document as the server serves it. */
export async function openApiDocument(): Promise<object> {
  // Routes are only registered, never called: what they would call can be missing.
  const server = createHttpServer({ apiKeys: {} } as HttpServices, {
    log: createLog({ level: 'silent' }),
    maxBodyBytes: 1024,
  })
  await server.ready()
  const document = server.swagger()
  await server.close()
  return document
}
