import { answerMessage, type ResponderSettings } from '@frontdesk/api-contract'
import { hostileReplies, startModelEmulator } from 'model-emulator'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CircuitBreaker } from '#src/services/responders/circuit-breaker.ts'
import { createResponder } from '#src/services/responders/create-responder.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { hangUp, startCompanySystem, texts } from './company-system.ts'
import { replyTools } from './reply-tools.ts'
import { turnOf } from './turn-of.ts'

const answering = await startCompanySystem(texts('Yes!'))
const failing = await startCompanySystem(hangUp)
const model = await startModelEmulator({ script: [{ text: 'Yes!' }] })
const brokenModel = await startModelEmulator({ script: [hostileReplies.invalidJson] })

/** Every kind of responder, in a state in which it works and in one in which it cannot. */
const kinds: [string, ResponderSettings][] = [
  ['none', { kind: 'none' }],
  ['rules', { kind: 'rules', keywords: [{ any: ['balayage'], answer: 'Yes!' }] }],
  ['rules without any rule', { kind: 'rules' }],
  ['http', { kind: 'http', url: answering.url }],
  ['http that fails', { kind: 'http', url: failing.url }],
  ['ai', { kind: 'ai', model: 'some-model', baseUrl: model.baseUrl }],
  ['ai that fails', { kind: 'ai', model: 'some-model', baseUrl: brokenModel.baseUrl }],
]

describe.each(kinds)('%s', (_, settings) => {
  const responderOf = () => {
    const urlGuard = createOutgoingUrlGuard(['127.0.0.1'])
    onTestFinished(() => urlGuard[Symbol.asyncDispose]())
    return createResponder(settings, {
      urlGuard,
      mcpServers: [],
      breaker: new CircuitBreaker(),
      onFailure: () => undefined,
      firstRetryMs: 1,
    })
  }
  test('bears the name of its kind', () => {
    expect(responderOf().name).toBe(settings.kind)
  })

  test.each([
    ['a burst', turnOf('Hi!', 'do you do balayage?', 'and how much is it?')],
    ['a message of no known kind', turnOf({ kind: 'unsupported', whatsappType: 'imageMessage' })],
    ['a turn without messages', turnOf()],
    ['hostile text', turnOf('\u202E'.repeat(1000), '(a+)+$', `${'a '.repeat(30_000)}`)],
  ])('answers %s with messages that can be sent, or with none', async (_name, turn) => {
    const { messages } = await responderOf().answer(turn, replyTools())
    for (const message of messages) expect(answerMessage.parse(message)).toEqual(message)
  })

  test('answers the same turn the same again', async () => {
    const responder = responderOf()
    const turn = turnOf('do you do balayage?')
    expect(await responder.answer(turn, replyTools())).toEqual(await responder.answer(turn, replyTools()))
  })

  test('leaves the turn as it is', async () => {
    const turn = turnOf('do you do balayage?')
    const before = structuredClone(turn)
    await responderOf().answer(turn, replyTools())
    expect(turn).toEqual(before)
  })

  test('rejects when it is aborted before it begins', async () => {
    await expect(responderOf().answer(turnOf('Hi!'), replyTools({ signal: AbortSignal.abort() }))).rejects.toThrow()
  })
})
