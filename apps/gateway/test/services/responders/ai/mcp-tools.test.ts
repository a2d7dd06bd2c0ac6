import type { ModelReply } from 'model-emulator'
import { expect, test } from 'vitest'
import { replyTools } from '../reply-tools.ts'
import { turnOf } from '../turn-of.ts'
import { setUpAi } from './ai-desk.ts'
import { startMcpServer } from './mcp-server.ts'

const asks = (name: string, input: unknown): ModelReply => ({ toolCalls: [{ name, arguments: input }] })
const calendar = (url: string) => ({ name: 'calendar', url, tools: ['book', 'fail'] })

test('the named tools of an allowed server can be used', async () => {
  await using server = await startMcpServer()
  const { model, responder } = await setUpAi(
    [asks('calendar_book', { day: 'Friday' }), { text: 'See you on Friday.' }],
    {
      mcpServers: [server.origin],
      settings: { mcpServers: [{ ...calendar(server.url), headers: { authorization: { secret: 'calendar' } } }] },
    },
  )
  const reply = await responder.answer(turnOf('Friday, please.'), replyTools({ secret: async () => 'Bearer abc' }))
  expect(server.booked).toEqual(['Friday'])
  expect(server.headers[0]).toMatchObject({ authorization: 'Bearer abc' })
  expect(model.requests[0]?.tools?.map((tool) => tool.function.name)).toEqual([
    ...['calendar_book', 'calendar_fail', 'hand_over'],
  ])
  expect(reply).toMatchObject({
    messages: [{ text: 'See you on Friday.' }],
    trace: { tools: [{ name: 'calendar_book', arguments: { day: 'Friday' }, result: 'Booked for Friday.' }] },
  })
})

test.each<[string, ModelReply, string | RegExp]>([
  ['a tool that the company has not named', asks('calendar_wipe', {}), /no such tool/],
  ['wrong arguments', asks('calendar_book', { day: 5 }), /^Not called: /],
  ['a tool that fails', asks('calendar_fail', {}), 'The calendar is closed.'],
])('%s: the model is told, and goes on', async (_, reply, error) => {
  await using server = await startMcpServer()
  server.booked.push('Monday')
  const { responder } = await setUpAi([reply, { text: 'Sorry.' }], {
    ...{ mcpServers: [server.origin], settings: { mcpServers: [calendar(server.url)] } },
  })
  const { messages, trace } = await responder.answer(turnOf('Hi!'), replyTools())
  expect(messages).toMatchObject([{ text: 'Sorry.' }])
  expect(trace?.tools?.[0]?.error).toMatch(error)
  expect(server.booked).toEqual(['Monday'])
})

test('a server that the deployment does not allow is not connected to, and the answer says so in its trace', async () => {
  await using server = await startMcpServer()
  const { responder } = await setUpAi([{ text: 'Hello!' }], {
    ...{ mcpServers: ['https://mcp.example'], settings: { mcpServers: [calendar(server.url)] } },
  })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    messages: [{ text: 'Hello!' }],
    trace: { detail: 'MCP server calendar: the deployment does not allow its host.' },
  })
  expect(server.headers).toEqual([])
})

test('without a server that is down, the answer goes on', async () => {
  const server = await startMcpServer()
  await server[Symbol.asyncDispose]()
  const { responder } = await setUpAi([{ text: 'Hello!' }], {
    ...{ mcpServers: [server.origin], settings: { mcpServers: [calendar(server.url)] } },
  })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    messages: [{ text: 'Hello!' }],
    trace: { detail: expect.stringMatching(/^MCP server calendar: /) },
  })
})
