import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { z } from 'zod'

// The figures of so small a run say nothing, and nothing is asserted of them: only that each is measured and named.
const positive = z.number().positive()
const common = { rounds: z.literal(1) }
/** Of one direction, the names of its figures beginning with `name`. */
const throughput = (name: string) =>
  Object.fromEntries(
    ['PerSecond', 'RawPerSecond', 'Ratio', 'CpuMs', 'RawCpuMs', 'DatabaseCpuMs'].map((figure) => [
      `${name}${figure}`,
      figure.endsWith('CpuMs') ? z.number() : positive,
    ]),
  )

const figures = {
  sessions: z.strictObject({
    ...common,
    benchmark: z.literal('sessions'),
    count: z.literal(3),
    rssPerSessionMb: z.number(),
    rawRssPerSessionMb: z.number(),
    idleRssMb: positive,
    rawIdleRssMb: positive,
    connectP50Ms: positive,
    rawConnectP50Ms: positive,
  }),
  pipeline: z.strictObject({
    ...common,
    benchmark: z.literal('pipeline'),
    count: z.literal(20),
    sessions: z.literal(2),
    rate: z.literal(200),
    addedLatencyP50Ms: positive,
    addedLatencyP99Ms: positive,
    ...throughput('inbound'),
    ...throughput('outbound'),
    ...throughput('fromApi'),
  }),
  webhooks: z.strictObject({
    ...common,
    benchmark: z.literal('webhooks'),
    count: z.literal(20),
    rate: z.literal(20),
    deliveriesPerSecond: positive,
    healthyP99Ms: positive,
    healthyP99AloneMs: positive,
  }),
  turns: z.strictObject({
    ...common,
    benchmark: z.literal('turns'),
    chats: z.literal(4),
    sessions: z.literal(2),
    modelMs: z.literal(20),
    turnsPerSecond: positive,
    addedLatencyP50Ms: z.number(),
    addedLatencyP99Ms: z.number(),
    rulesTurnsPerSecond: positive,
    rulesLatencyP50Ms: z.number(),
    rulesLatencyP99Ms: z.number(),
  }),
  startup: z.strictObject({
    ...common,
    benchmark: z.literal('startup'),
    startToServingMs: positive,
    firstRunMs: positive,
    idleRssMb: positive,
    rawIdleRssMb: positive,
  }),
  restart: z.strictObject({
    ...common,
    benchmark: z.literal('restart'),
    count: z.literal(3),
    secondsToAllOnline: positive,
    rawSecondsToAllOnline: positive,
    cpuMsPerConnect: positive,
    rawCpuMsPerConnect: positive,
  }),
  takeover: z.strictObject({
    benchmark: z.literal('takeover'),
    count: z.literal(2),
    secondsToAllOnline: positive,
    staleWrites: z.literal(0),
    doubleSockets: z.literal(0),
  }),
  hold: z.strictObject({
    benchmark: z.literal('hold'),
    sessions: z.literal(2),
    seconds: z.literal(2),
    perSecond: z.literal(5),
    messages: z.literal(10),
    lost: z.literal(0),
    retryReceipts: z.number(),
    rssPerSessionMb: positive,
    rawRssPerSessionMb: positive,
    growthPercent: z.number(),
    cpuPercent: z.number(),
    rawCpuPercent: z.number(),
    databaseMb: positive,
  }),
  linking: z.strictObject({
    benchmark: z.literal('linking'),
    count: z.literal(2),
    others: z.literal(2),
    rssPerSessionMb: z.number(),
    othersP50AloneMs: z.number(),
    othersP99AloneMs: z.number(),
    othersP50BeginningMs: z.number(),
    othersP99BeginningMs: z.number(),
    othersP50Ms: z.number(),
    othersP99Ms: z.number(),
  }),
}

const tiny: [keyof typeof figures, string[]][] = [
  ['sessions', ['--count', '3', '--rounds', '1', '--settle', '0']],
  ['pipeline', '--messages 20 --sessions 2 --customers 3 --paced 10 --rounds 1'.split(' ')],
  ['webhooks', '--messages 20 --rounds 1'.split(' ')],
  ['turns', '--chats 4 --sessions 2 --model-ms 20 --rounds 1'.split(' ')],
  ['startup', ['--rounds', '1', '--settle', '0']],
  ['restart', ['--count', '3', '--rounds', '1']],
  ['takeover', ['--count', '2']],
  ['hold', '--sessions 2 --seconds 2 --per-second 5'.split(' ')],
  ['linking', '--count 2 --others 2 --settle 0'.split(' ')],
]

/** Raw Baileys does nothing of the kind. */
const WITHOUT_RIVAL = new Set(['linking', 'takeover', 'turns', 'webhooks'])

test.each(tiny)(
  '%s measures and prints its figures as the last line',
  async (name, options) => {
    const { code, output, errors } = await bench(name, ...options)
    expect(code, errors).toBe(0)
    const last = output.trimEnd().split('\n').at(-1) ?? ''
    expect(figures[name].safeParse(JSON.parse(last)).error).toBeUndefined()
    if (!WITHOUT_RIVAL.has(name)) expect(output).toContain('raw Baileys')
  },
  180_000,
)

test('--help lists the benchmarks and gives examples', async () => {
  const { code, output } = await bench('--help')
  expect(code).toBe(0)
  for (const name of Object.keys(figures)) expect(output).toContain(`npm run bench -- ${name}`)
})

test('an option that is not a number is refused before anything starts', async () => {
  const { code, errors } = await bench('pipeline', '--messages', 'many')
  expect(code).toBe(1)
  expect(errors).toContain('whole number')
})

async function bench(...options: string[]) {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await ended, output, errors }
}
