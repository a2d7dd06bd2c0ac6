import { z } from 'zod'
import { sessionSettings } from './session.ts'

const waVersion = sessionSettings.shape.waVersion.unwrap()

export const platformSettings = z
  .strictObject({
    waVersion: waVersion
      .nullable()
      .describe(
        "Version of WhatsApp Web that sessions announce; null for the deployment's. A company's and a session's own setting go first.",
      ),
  })
  .meta({ id: 'PlatformSettings', description: 'What the operator sets while the platform runs.' })
export type PlatformSettings = z.infer<typeof platformSettings>

export const updatePlatformSettings = platformSettings
  .partial()
  .meta({ id: 'UpdatePlatformSettings', examples: [{ waVersion: '2.3000.1023456789' }] })
export type UpdatePlatformSettings = z.infer<typeof updatePlatformSettings>
