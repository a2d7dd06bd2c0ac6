import type { PacingSettings } from '@frontdesk/api-contract'

/** What holds for one session. For numbers a 0 means that there is no limit. */
export type EffectivePacing = { [Name in keyof PacingSettings]-?: NonNullable<PacingSettings[Name]> }

/** Each setting from the last of `overrides` that has it, else the deployment's. */
export const effectivePacing = (
  deployment: EffectivePacing,
  ...overrides: readonly PacingSettings[]
): EffectivePacing => Object.assign({}, deployment, ...overrides)
