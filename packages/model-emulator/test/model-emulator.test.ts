import OpenAI from 'openai'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hostileReplies, type ModelEmulatorOptions, type ModelReply, startModelEmulator } from '../src/index.ts'

const PRICES = {
  name: 'prices',
  description: 'What a service costs.',
  parameters: { type: 'object', properties: { service: { type: 'string' } } },
}

async function setUp(options: ModelEmulatorOptions = {}, maxRetries = 0) {
  const emulator = await startModelEmulator(options)
  onTestFinished(() => emulator.close())
  const client = new OpenAI({ baseURL: emulator.baseUrl, apiKey: 'sk-test', maxRetries })
  const ask = () =>
    client.chat.completions.create({ model: 'some-model', messages: [{ role: 'user', content: 'Hi!' }] })
  const stream = () =>
    client.chat.completions.stream({ model: 'some-model', messages: [{ role: 'user', content: 'Hi!' }] })
  return { emulator, client, ask, stream }
}

test('the official client gets the scripted answers in turn; the last one stays', async () => {
  const { emulator, ask } = await setUp({
    script: [{ text: 'One.' }, { text: 'Two.', usage: { input: 7, output: 3 } }],
  })
  const answers = [await ask(), await ask(), await ask()]
  expect(answers.map(({ choices }) => choices[0]?.message.content)).toEqual(['One.', 'Two.', 'Two.'])
  expect(answers[2]).toMatchObject({
    model: 'some-model',
    choices: [{ finish_reason: 'stop' }],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  })
  expect(emulator.requests.length).toBe(3)
  expect(emulator.requests[0]).toMatchObject({ model: 'some-model', messages: [{ role: 'user', content: 'Hi!' }] })
})

test('a stream holds the same text, with the usage at its end', async () => {
  const text = 'Balayage is 120 € for shoulder-length hair. 💇🏽 See you!'
  const { stream } = await setUp({ script: [{ text }] })
  const answer = await stream().finalChatCompletion()
  expect(answer.choices[0]?.message.content).toBe(text)
  expect(answer.usage?.total_tokens).toBeGreaterThan(0)
})

test.each(['one piece', 'a stream'])('the client runs the tools that are asked for in %s', async (form) => {
  const { client, emulator } = await setUp({
    script: ({ messages }) => {
      const result = messages.findLast(({ role }) => role === 'tool')
      return result === undefined
        ? { toolCalls: [{ name: 'prices', arguments: { service: 'balayage' } }] }
        : { text: `It is ${JSON.stringify(result.content)}.` }
    },
  })
  const prices = {
    ...PRICES,
    parse: JSON.parse,
    function: ({ service }: { service: string }) => `120 € for ${service}`,
  }
  const body = {
    model: 'some-model',
    messages: [{ role: 'user' as const, content: 'How much?' }],
    tools: [{ type: 'function' as const, function: prices }],
  }
  const { completions } = client.chat
  const runner = form === 'a stream' ? completions.runTools({ ...body, stream: true }) : completions.runTools(body)
  expect(await runner.finalContent()).toBe('It is "120 € for balayage".')
  expect(emulator.requests.map(({ tools }) => tools?.[0]?.function.name)).toEqual(['prices', 'prices'])
})

test('a script can be a function that sees the request, and be replaced', async () => {
  const { emulator, ask } = await setUp({ script: ({ messages }, index) => ({ text: `${index}: ${messages.length}` }) })
  const content = async () => (await ask()).choices[0]?.message.content
  expect([await content(), await content()]).toEqual(['0: 1', '1: 1'])
  emulator.follow([{ text: 'Other.' }])
  expect(await content()).toBe('Other.')
})

test('the models are listed, and another key is refused', async () => {
  const { client } = await setUp({ models: ['a', 'b'], apiKey: 'sk-test' })
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['a', 'b'])
  const stranger = client.withOptions({ apiKey: 'sk-other' })
  await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
})

const unpaired: [string, OpenAI.ChatCompletionMessageParam[]][] = [
  ['a result that no call asked for', [{ role: 'tool', content: '1', tool_call_id: 'call_1' }]],
  [
    'a call without a result',
    [{ role: 'assistant', tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'a', arguments: '{}' } }] }],
  ],
  ['no messages', []],
]

test.each(unpaired)('%s is refused, as OpenAI does', async (_, messages) => {
  const { client, emulator } = await setUp()
  const asking = client.chat.completions.create({ model: 'some-model', messages })
  await expect(asking).rejects.toBeInstanceOf(OpenAI.BadRequestError)
  expect(emulator.requests).toEqual([])
})

describe('hostile replies', () => {
  const setUpReply = (reply: ModelReply) => setUp({ script: [reply] })

  test('429 says when to come again, and the client does', async () => {
    const raw = { ...hostileReplies.rateLimited.raw, headers: { 'retry-after': '0' } }
    const { ask, emulator } = await setUp({ script: [{ raw }, { text: 'Now.' }] }, 1)
    expect((await ask()).choices[0]?.message.content).toBe('Now.')
    expect(emulator.requests.length).toBe(2)
    emulator.follow([hostileReplies.rateLimited, hostileReplies.rateLimited])
    await expect(ask()).rejects.toMatchObject({ status: 429 })
  })

  test('500', async () => {
    const { ask } = await setUpReply(hostileReplies.serverError)
    await expect(ask()).rejects.toBeInstanceOf(OpenAI.InternalServerError)
  })

  test('what is no JSON', async () => {
    const { ask } = await setUpReply(hostileReplies.invalidJson)
    await expect(ask()).rejects.toThrow()
  })

  test.each(['in one piece', 'as a stream'])('an answer that is cut off %s', async (form) => {
    const { ask, stream } = await setUpReply(hostileReplies.cutStream)
    await expect(form === 'as a stream' ? stream().finalChatCompletion() : ask()).rejects.toThrow()
  })

  test.each([
    ['never comes', hostileReplies.neverAnswers],
    ['comes too slowly', hostileReplies.slowTokens],
    ['comes too late', { text: 'Late.', delayMs: 3_600_000 }],
  ])('an answer that %s ends with the patience of the client', async (_, reply) => {
    const { client, emulator } = await setUpReply(reply)
    const patience = new AbortController()
    const asking = client.chat.completions.create(
      { model: 'some-model', messages: [{ role: 'user', content: 'Hi!' }] },
      { signal: patience.signal },
    )
    await expect.poll(() => emulator.requests.length, { timeout: 30_000 }).toBe(1)
    patience.abort()
    await expect(asking).rejects.toThrow()
  })

  test('an answer of ten megabytes', async () => {
    const { ask } = await setUpReply(hostileReplies.hugeAnswer)
    expect((await ask()).choices[0]?.message.content?.length).toBeGreaterThan(10_000_000)
  })

  test.each([
    ['a tool that is not there', hostileReplies.wrongTool, 'delete_everything', '{"sure":true}'],
    ['a list as arguments', hostileReplies.wrongArguments('prices'), 'prices', '["not","an","object"]'],
    ['arguments that are no JSON', hostileReplies.brokenArguments('prices'), 'prices', '{"service": "hair'],
    ['the same tool again', hostileReplies.toolLoop('prices'), 'prices', '{}'],
  ])('%s', async (_, reply, name, input) => {
    const { ask } = await setUpReply(reply)
    const { choices } = await ask()
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ type: 'function', function: { name, arguments: input } }] },
    })
  })
})
