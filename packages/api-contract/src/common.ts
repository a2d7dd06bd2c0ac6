import { z } from 'zod'

/** Identifiers are UUID v7: they sort by the time of their making. */
export const id = z
  .uuid()
  .toLowerCase()
  .meta({ examples: ['019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11'] })

/** A moment as RFC 3339 in UTC. */
export const moment = z.iso.datetime().meta({ examples: ['2026-11-02T09:15:04.120Z'] })

/** A phone number as WhatsApp knows it: E.164 without the plus. */
export const phone = z
  .string()
  .regex(/^[1-9]\d{6,14}$/, 'must be digits only, country code first, such as 4917012345678')
  .meta({ description: 'Phone number: digits only, country code first.', examples: ['4917012345678'] })

/** What a person calls a thing. */
export const displayName = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .meta({ examples: ['Salon Margot'] })

/** An opaque place in a list: take it from `next`, hand it back unchanged. */
export const cursor = z.string().min(1).max(200)

export const pageSize = (largest: number, usual: number) =>
  z.coerce
    .number()
    .int()
    .min(1)
    .max(largest)
    .default(usual)
    .describe(`How many items at most: 1 to ${largest}, ${usual} unless told.`)

/** Any JSON. By name, since it holds itself. */
export const json = z.json().register(z.globalRegistry, { id: 'Json', description: 'Any JSON.' })
