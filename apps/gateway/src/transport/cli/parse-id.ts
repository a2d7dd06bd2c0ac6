import { resourceId } from '@frontdesk/api-contract'
import { InvalidArgumentError } from 'commander'

/** The id that a person has typed. Throws `InvalidArgumentError` for what is none. */
export function parseId(text: string): string {
  const parsed = resourceId.safeParse(text)
  if (!parsed.success) throw new InvalidArgumentError('An id looks like 019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11.')
  return parsed.data
}
