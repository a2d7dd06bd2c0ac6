import type { HttpToolSettings } from '@frontdesk/api-contract'
import type { ReplyTools } from '../responder.ts'
import { ToolFailure } from './answer-tool.ts'

/**
 * Headers as they are sent, with the values of the secrets that they name, by names in lower case.
 * @throws ToolFailure when there is no such secret
 */
export async function readHeaders(
  headers: HttpToolSettings['headers'] = {},
  secret: ReplyTools['secret'],
): Promise<Record<string, string>> {
  const read = async ([name, value]: [string, string | { secret: string }]) => {
    if (typeof value === 'string') return [name.toLowerCase(), value] as const
    const found = await secret(value.secret)
    if (found === undefined) throw new ToolFailure(`The secret "${value.secret}" is not there.`)
    return [name.toLowerCase(), found] as const
  }
  return Object.fromEntries(await Promise.all(Object.entries(headers).map(read)))
}
