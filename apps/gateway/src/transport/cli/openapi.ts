import { Command } from 'commander'
import { openApiDocument } from '../http/openapi-document.ts'

const EXAMPLES = `
Examples:
  $ frontdesk openapi > openapi.json
  $ frontdesk openapi | npx openapi-typescript /dev/stdin`

/** `frontdesk openapi`: the API's description without a running gateway. */
export function openapiCommand(): Command {
  return new Command('openapi')
    .description('Print the OpenAPI 3.1 document of the HTTP API')
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      process.stdout.write(`${JSON.stringify(await openApiDocument(), null, 2)}\n`)
    })
}
