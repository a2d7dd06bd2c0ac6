import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
  const story = [
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
  ]
  const places = story.map((part) => output.indexOf(part))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  await expectNothingLeft()
})

test('stays up with addresses that work, until Ctrl-C', async () => {
  await using demo = runFrontdesk(['demo'], { TMPDIR: directory })
  await until(() => demo.lines.some((line) => line.includes('Ctrl-C')), { timeoutMs: 60_000 })
  const output = demo.lines.join('\n')
  for (const [, address] of output.matchAll(/(?:phones?|API)\s+(http:\S+)/g)) {
    const response = await fetch(String(address))
    expect({ address, status: response.status, html: /<html/i.test(await response.text()) }).toMatchObject({
      status: 200,
      html: true,
    })
  }
  const curl = output.match(/curl (\S+) [\s\S]*Authorization: (Bearer \S+)'[\s\S]*-d '(.*)'/)
  const sent = await fetch(String(curl?.[1]), {
    method: 'POST',
    headers: { authorization: String(curl?.[2]), 'content-type': 'application/json' },
    body: String(curl?.[3]),
  })
  expect(sent.status).toBe(202)
  demo.signal('SIGINT')
  expect(await demo.ended).toMatchObject({ code: 0, errors: '' })
  await expectNothingLeft()
})

/** No file, and on Linux no process that works in the demonstration's directory. */
async function expectNothingLeft(): Promise<void> {
  expect(await readdir(directory)).toEqual([])
  if (process.platform !== 'linux') return
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  // A process may end while it is looked at, and one of another user does not say.
  const places = await Promise.all(processes.map((id) => readlink(`/proc/${id}/cwd`).catch(() => '')))
  expect(places.filter((place) => place.startsWith(directory))).toEqual([])
}
