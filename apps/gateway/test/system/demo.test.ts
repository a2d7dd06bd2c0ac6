import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmulatedModel } from '#src/transport/cli/demo/emulated-model.ts'
import { until } from '../support/until.ts'
import { runFrontdesk } from '../transport/cli/run-frontdesk.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-demo-test-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('tells the whole conversation, ends by itself and leaves nothing behind', async () => {
  await using demo = runFrontdesk(['demo', '--once'], { TMPDIR: directory })
  const { code, output, errors } = await demo.ended
  expect({ code, errors }).toEqual({ code: 0, errors: '' })
  expectStory(output, [
    'WhatsApp offers a QR code',
    '▄', // the code is drawn
    'Online as +491700000001',
    'Hi!',
    'do you do balayage?',
    'and how much is it?',
    'balayage: Lena',
    '140 €',
    '✓✓',
    'Answered once, delivered and read',
  ])
  await expectNothingLeft()
})

test('--ai: a model answers with a tool, hands over, is silent, answers again, and its traces are told', async () => {
  await using demo = runFrontdesk(['demo', '--ai', '--once'], { TMPDIR: directory })
  const { code, output, errors } = await demo.ended
  expect({ code, errors }).toEqual({ code: 0, errors: '' })
  expectStory(output, [
    'Online as +491700000001',
    'What does balayage cost',
    'Our balayage is 140 €',
    '✓✓',
    'prices({"service":"balayage"})',
    'ask a person',
    'Somebody of us will answer you',
    'waits for a person',
    'Hi Mia, Lena here',
    'the conversation is hers',
    'thank you!',
    'The bot is silent',
    'gives the conversation back',
    'how much is a haircut',
    'Our haircut is 48 €',
    'prices({"service":"haircut"})',
    'Why it said what it said',
    'model emulated, asked 2 times',
    'tokens in',
    '$0.00',
    '→ {"prices":[{"price":"140 €"',
    'hand_over({"reason"',
    'guard     A person answers in this conversation',
    'sent      nothing',
    'sent      “Our haircut is 48 €',
  ])
  await expectNothingLeft()
}, 120_000)

test('--ai with a model of the newcomer’s own stays up with addresses that work, until Ctrl-C', async () => {
  await using model = await startEmulatedModel('key-of-the-tester')
  await using demo = runFrontdesk(['demo', '--ai', '--model', 'of-the-tester', '--model-url', model.baseUrl], {
    TMPDIR: directory,
    FRONTDESK_MODEL_KEY: 'key-of-the-tester',
  })
  await until(() => demo.lines.some((line) => line.includes('Ctrl-C')), { timeoutMs: 110_000 })
  const output = demo.lines.join('\n')
  expect(model.requests.map((request) => request.model)).toEqual(Array.from({ length: 5 }, () => 'of-the-tester'))
  for (const [, address] of output.matchAll(/(?:phones?|API)\s+(http:\S+)/g)) {
    const response = await fetch(String(address))
    expect({ address, status: response.status, html: /<html/i.test(await response.text()) }).toMatchObject({
      status: 200,
      html: true,
    })
  }
  const turns = output.match(/curl (\S+turns) .*(Bearer \S+)'/)
  const told = await fetch(String(turns?.[1]), { headers: { authorization: String(turns?.[2]) } })
  expect(await told.json()).toMatchObject({ items: [{ responder: 'ai', state: 'answered' }, {}, {}, {}] })
  const curl = output.match(/curl (\S+messages) [\s\S]*Authorization: (Bearer \S+)'[\s\S]*-d '(.*)'/)
  const sent = await fetch(String(curl?.[1]), {
    method: 'POST',
    headers: { authorization: String(curl?.[2]), 'content-type': 'application/json' },
    body: String(curl?.[3]),
  })
  expect(sent.status).toBe(202)
  demo.signal('SIGINT')
  expect(await demo.ended).toMatchObject({ code: 0, errors: '' })
  await expectNothingLeft()
}, 120_000)

/** All of it is told, in this order. */
function expectStory(output: string, parts: readonly string[]): void {
  let from = 0
  for (const part of parts) {
    const place = output.indexOf(part, from)
    expect(place, `“${part}” after the first ${from} characters of:\n${output}`).toBeGreaterThanOrEqual(from)
    from = place + part.length
  }
}

/** No file, and on Linux no process that works in the demonstration's directory. */
async function expectNothingLeft(): Promise<void> {
  expect(await readdir(directory)).toEqual([])
  if (process.platform !== 'linux') return
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  // A process may end while it is looked at, and one of another user does not say.
  const places = await Promise.all(processes.map((id) => readlink(`/proc/${id}/cwd`).catch(() => '')))
  expect(places.filter((place) => place.startsWith(directory))).toEqual([])
}
