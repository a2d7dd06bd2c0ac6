import { platformSettings as resource, updatePlatformSettings } from '@frontdesk/api-contract'
import { actorOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Platform']
const config = { access: 'platform' } as const

/** What the operator sets while the platform runs. */
export function platformSettingsRoutes(server: HttpServer, { platformSettings }: HttpServices): void {
  server.get(
    '/v1/platform/settings',
    {
      config,
      schema: {
        tags,
        operationId: 'getPlatformSettings',
        summary: 'Read the settings of the platform',
        response: { 200: answer('The settings.', resource), ...problems(...ACCESS_PROBLEMS) },
      },
    },
    () => platformSettings.get(),
  )

  server.patch(
    '/v1/platform/settings',
    {
      config,
      schema: {
        tags,
        operationId: 'updatePlatformSettings',
        summary: 'Change the settings of the platform',
        description:
          'What is left out stays. Another `waVersion` is taken at once by sessions whose version WhatsApp has refused, and by all others at their next connection.',
        body: updatePlatformSettings,
        response: {
          200: answer('The settings as they are now.', resource),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS),
        },
      },
    },
    (request) => platformSettings.update(request.body, actorOf(request)),
  )
}
