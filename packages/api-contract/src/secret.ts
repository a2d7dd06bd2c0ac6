import { z } from 'zod'
import { moment } from './common.ts'
import { secretName } from './responder-settings.ts'

export const secret = z
  .strictObject({
    name: secretName,
    hint: z.string().describe('The value’s last characters, for people to tell it; nothing of a short one.'),
    updatedAt: moment,
  })
  .meta({ id: 'Secret', description: 'A key or password that settings refer to by name. Its value is never shown.' })
export type Secret = z.infer<typeof secret>

export const putSecret = z
  .strictObject({
    value: z
      .string()
      .min(8)
      .max(4000)
      .regex(/^\P{Cc}+$/u, 'must hold no line break and no other control character'),
  })
  .meta({ id: 'PutSecret', examples: [{ value: 'sk-proj-3f9b...' }] })
export type PutSecret = z.infer<typeof putSecret>

export const secretParams = z.strictObject({ name: secretName })
