import { z } from 'zod'
import { displayName, id, moment } from './common.ts'
import { companySettings } from './settings.ts'

export const company = z
  .strictObject({
    id,
    name: displayName,
    settings: companySettings,
    createdAt: moment,
  })
  .meta({ id: 'Company', description: 'A company: the owner of sessions, contacts and messages.' })
export type Company = z.infer<typeof company>

export const createCompany = z
  .strictObject({
    name: displayName.describe('What people call the company.'),
    settings: companySettings.optional(),
  })
  .meta({ id: 'CreateCompany', examples: [{ name: 'Salon Margot' }] })
export type CreateCompany = z.infer<typeof createCompany>

/** A key of the settings that is sent replaces what stands there; null takes it back to the deployment's setting. */
const settingsUpdate = z.strictObject({
  batching: companySettings.shape.batching.nullable(),
  responders: companySettings.shape.responders.nullable(),
  fallback: companySettings.shape.fallback.nullable(),
  business: companySettings.shape.business.nullable(),
  handoff: companySettings.shape.handoff.nullable(),
  quietHours: companySettings.shape.quietHours.nullable(),
  ignore: companySettings.shape.ignore.nullable(),
  optOut: companySettings.shape.optOut.nullable(),
  openingHours: companySettings.shape.openingHours.nullable(),
  sessions: companySettings.shape.sessions.nullable(),
})
export type SettingsUpdate = z.infer<typeof settingsUpdate>

export const updateCompany = z
  .strictObject({
    name: displayName.optional(),
    settings: settingsUpdate
      .optional()
      .describe(
        "Each key that is sent replaces the one that stands there; null takes it back to the deployment's setting.",
      ),
  })
  .meta({ id: 'UpdateCompany', examples: [{ settings: { batching: { quietMs: 2000 } } }] })
export type UpdateCompany = z.infer<typeof updateCompany>
