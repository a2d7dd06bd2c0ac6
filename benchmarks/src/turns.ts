import type { CompanySettings } from '@frontdesk/api-contract'
import { startModelEmulator } from 'model-emulator'
import { medians } from './support/alternate.ts'
import { establishChats } from './support/chats.ts'
import { type EmulatorProcess, startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { progress, report } from './support/report.ts'
import { percentile, round } from './support/statistics.ts'
import { until } from './support/until.ts'
import { LOOPBACK_ALLOWED } from './support/webhook-receiver.ts'

/** A customer who answers every answer at once for longer than that is taken for a program. */
const MOST_ROUNDS = 8
/** Each message is answered at once and by itself. */
const NO_BATCHING = { FRONTDESK_BATCH_QUIET_MS: '0', FRONTDESK_BATCH_MAX_MS: '0' }
const ANSWER = 'Yes, we do balayage: it is 140 € and takes about three hours.'

export interface TurnsOptions {
  /** At once, spread over the sessions. */
  chats: number
  sessions: number
  /** How long the model takes, milliseconds. */
  modelMs: number
  rounds: number
}

/** A type, not an interface: it is a record of numbers. */
type Sample = {
  /** From the first message's sending to the last answer at its customer. */
  turnsPerSecond: number
  /** From a message's sending to its answer at the customer, less what the model took. */
  addedP50Ms: number
  addedP99Ms: number
}

/** What Frontdesk adds when many customers write at once and a model answers, beside the same with rules. */
export async function turns(resources: AsyncDisposableStack, options: TurnsOptions): Promise<void> {
  const { chats, sessions, modelMs, rounds } = options
  const customers = Math.ceil(chats / sessions)
  const count = customers * sessions
  const emulator = await startEmulatorProcess(resources)
  const model = resources.use(await startModelEmulator({ script: () => ({ text: ANSWER, delayMs: modelMs }) }))
  const kinds = {
    ai: { takesMs: modelMs, settings: { responders: [{ kind: 'ai', baseUrl: model.baseUrl, model: 'emulated' }] } },
    rules: {
      takesMs: 0,
      settings: { responders: [{ kind: 'rules', keywords: [{ any: ['hello'], answer: ANSWER }] }] },
    },
  } as const satisfies Record<string, { takesMs: number; settings: CompanySettings }>

  if (rounds > MOST_ROUNDS) throw new Error(`Measure at most ${MOST_ROUNDS} rounds.`)
  // Each kind has numbers of its own.
  const linked = sessions * 2
  progress(`turns: linking ${linked} numbers, each with ${customers} customers`)
  const side = await openFrontdeskSide(resources, emulator, 4_915_400_000_000, linked, {
    environment: { ...LOOPBACK_ALLOWED, ...NO_BATCHING },
  })
  await establishChats(emulator.control, side, customers)
  await emulator.control.configure({ keepsBooks: true })
  const phonesOf = { rules: side.phones.slice(0, sessions), ai: side.phones.slice(sessions) }
  for (const name of ['rules', 'ai'] as const) {
    for (const phone of phonesOf[name]) {
      await side.call(phone, 'PATCH', '/v1/company', { settings: kinds[name].settings })
    }
  }

  const measure = async (name: keyof typeof kinds, number: number): Promise<Sample> => {
    const exchanges = await askAtOnce(emulator, phonesOf[name], { customers, number })
    const added = exchanges.map(({ sentAtMs, answeredAtMs }) => answeredAtMs - sentAtMs - kinds[name].takesMs)
    const beganAtMs = Math.min(...exchanges.map(({ sentAtMs }) => sentAtMs))
    const endedAtMs = Math.max(...exchanges.map(({ answeredAtMs }) => answeredAtMs))
    return {
      turnsPerSecond: (exchanges.length / (endedAtMs - beganAtMs)) * 1000,
      addedP50Ms: percentile(added, 0.5),
      addedP99Ms: percentile(added, 0.99),
    }
  }

  const samples: Record<keyof typeof kinds, Sample[]> = { ai: [], rules: [] }
  // A first round warms up and does not count.
  for (let number = 0; number <= rounds; number++) {
    for (const name of ['rules', 'ai'] as const) {
      const sample = await measure(name, number)
      progress(
        `round ${number}, ${name}: ${round(sample.turnsPerSecond)} turns a second, ${round(sample.addedP50Ms)} ms added (p50), ${round(sample.addedP99Ms)} ms (p99)`,
      )
      if (number > 0) samples[name].push(sample)
    }
  }
  const [ai, rules] = [medians(samples.ai), medians(samples.rules)]
  const row = (name: string, figure: keyof Sample) => [name, ai[figure].toFixed(0), rules[figure].toFixed(0)]
  report(
    `Turns: ${count} chats of ${sessions} sessions at once, medians of ${rounds} rounds`,
    [
      ['', `a model of ${modelMs} ms`, 'rules'],
      row('turns a second, from the first message to the last answer', 'turnsPerSecond'),
      row('added from a message to its answer, p50, ms', 'addedP50Ms'),
      row('the same, p99, ms', 'addedP99Ms'),
    ],
    [
      'Added: from the customer’s sending to the answer on the customer’s phone, less what the model takes. All write in the',
      'same instant and nothing is batched, so that most of it is waiting for the others.',
    ],
    {
      benchmark: 'turns',
      ...{ rounds, chats: count, sessions, modelMs },
      turnsPerSecond: round(ai.turnsPerSecond, 1),
      addedLatencyP50Ms: round(ai.addedP50Ms, 1),
      addedLatencyP99Ms: round(ai.addedP99Ms, 1),
      rulesTurnsPerSecond: round(rules.turnsPerSecond, 1),
      rulesLatencyP50Ms: round(rules.addedP50Ms, 1),
      rulesLatencyP99Ms: round(rules.addedP99Ms, 1),
    },
  )
}

/**
 * Every customer writes in the same instant, for the time of this number; when each message left, and when its answer was
 * on the customer's phone.
 */
async function askAtOnce(
  { control }: EmulatorProcess,
  phones: readonly string[],
  { customers, number }: { customers: number; number: number },
) {
  const before = await control.counters()
  await control.prepareBurst({ to: [...phones], customers, each: customers, text: `hello for the ${number}th time,` })
  const sent = await control.fireBurst()
  // Who asks the emulator for every chat all the time would be in its way.
  await until('all are answered', async () => {
    return (await control.counters()).messagesFromCompanions - before.messagesFromCompanions >= sent.length
  })
  const exchanges = sent.map(async ({ from, to, atMs }) => {
    const answers = async () => {
      const chat = (await control.chats(from)).find((each) => each.with === to)
      return chat?.messages.filter(({ fromMe }) => !fromMe) ?? []
    }
    await until(`${from} has an answer`, async () => (await answers()).length > number)
    const all = await answers()
    const answer = all.at(-1)
    if (answer?.text !== ANSWER || all.length > number + 1) throw new Error(`${from} has not got one answer to each.`)
    return { sentAtMs: atMs, answeredAtMs: Date.parse(answer.at) }
  })
  return Promise.all(exchanges)
}
