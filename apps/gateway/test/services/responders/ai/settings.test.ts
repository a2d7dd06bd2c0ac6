import { companySettings } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'

const tool = {
  name: 'prices',
  description: 'What a service costs.',
  parameters: { type: 'object', properties: { service: { type: 'string' } } },
  url: 'https://salon.example/prices',
}
const server = { name: 'calendar', url: 'https://mcp.example/mcp', tools: ['book'] }
const parse = (ai: object) => companySettings.safeParse({ responders: [{ kind: 'ai', model: 'some-model', ...ai }] })

test.each([
  ['the least', {}],
  [
    'everything',
    { tools: [tool, { ...tool, name: 'times' }], mcpServers: [server], limits: { steps: 1 }, memoryTokens: 0 },
  ],
  [
    'a schema of an older draft',
    { tools: [{ ...tool, parameters: { $schema: 'http://json-schema.org/draft-07/schema#' } }] },
  ],
])('%s is taken', (_, ai) => {
  expect(parse(ai).error?.issues).toBeUndefined()
})

const parameters = (schema: object) => ({ tools: [{ ...tool, parameters: schema }] })
test.each<[string, object, string, RegExp]>([
  ['no model', { model: '' }, 'model', /./],
  ['a URL with a password', { baseUrl: 'https://me:secret@api.example/v1' }, 'baseUrl', /password/],
  ['no URL', { baseUrl: 'api.example' }, 'baseUrl', /URL/],
  ['a key in place of its name', { apiKey: 'sk-ABC123' }, 'apiKey', /lower-case/],
  ['no time', { timeoutMs: 0 }, 'timeoutMs', /./],
  ['no steps', { limits: { steps: 0 } }, 'limits.steps', /./],
  ['a limit that costs nothing', { limits: { costPerDay: 0 } }, 'limits.costPerDay', /./],
  ['parameters that are no schema', parameters({ type: 'banana' }), 'tools.0.parameters', /^must be a JSON Schema/],
  [
    'a pattern that RE2 does not know',
    parameters({ properties: { a: { pattern: '(?=a)' } } }),
    'tools.0.parameters',
    /RE2/,
  ],
  ['a reference', parameters({ allOf: [{ $ref: '#' }] }), 'tools.0.parameters', /without references/],
  ['a schema of a book', parameters({ description: 'x'.repeat(10_000) }), 'tools.0.parameters', /10000/],
  ['a tool named as the built-in one', { tools: [{ ...tool, name: 'hand_over' }] }, 'tools.0.name', /built in/],
  ['a tool with a name of spaces', { tools: [{ ...tool, name: 'my tool' }] }, 'tools.0.name', /letters/],
  ['two tools of one name', { tools: [tool, tool] }, 'tools', /different names/],
  ['two servers of one name', { mcpServers: [server, server] }, 'mcpServers', /different names/],
  ['a server without tools', { mcpServers: [{ ...server, tools: [] }] }, 'mcpServers.0.tools', /./],
  ['a header with a line end', { tools: [{ ...tool, headers: { 'x\n': 'a' } }] }, 'tools.0.headers', /./],
])('%s is refused, with the place and the reason', (_, ai, path, reason) => {
  const issues = parse(ai).error?.issues ?? []
  expect(issues.length).toBeGreaterThan(0)
  const at = ['responders', '0', ...path.split('.')].join('.')
  expect(issues.some((issue) => issue.path.join('.').startsWith(at) && reason.test(issue.message))).toBe(true)
})
