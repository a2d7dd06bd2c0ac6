import fc from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { OutcomeRecorder } from '#src/services/webhooks/outcome-recorder.ts'
import type { AlertSubject } from '#src/storage/alerts.ts'
import { claimDeliveries } from '#src/storage/delivery-claims.ts'
import { appendEvents } from '#src/storage/events.ts'
import { insertWebhookEndpoint, updateWebhookEndpoint } from '#src/storage/webhook-endpoints.ts'
import { type SimulatedTime, startSimulatedTime } from '../../support/simulated-time.ts'

let time: SimulatedTime
beforeAll(async () => {
  time = await startSimulatedTime()
})
afterAll(() => time[Symbol.asyncDispose]())

type Answer = 'takes' | 'refuses' | 'gone'
type Step =
  | { what: 'happens'; count: number }
  | { what: 'claims'; room: number }
  | { what: 'answers'; answers: Answer[] }
  | { what: 'passes'; seconds: number }
  | { what: 'changes' }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ what: fc.constant('happens'), count: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('claims'), room: fc.integer({ min: 1, max: 16 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant('answers'),
      answers: fc.oneof(
        { weight: 3, arbitrary: fc.array(fc.constant('refuses'), { minLength: 1, maxLength: 16 }) },
        { weight: 2, arbitrary: fc.array(fc.constantFrom('takes', 'refuses'), { minLength: 1, maxLength: 16 }) },
        { weight: 1, arbitrary: fc.constant(['gone']) },
      ),
    }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('passes'), seconds: fc.constantFrom(3, 5, 29, 30, 31) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('changes') }) },
) as fc.Arbitrary<Step>

/** Every run begins with about as much trouble as an endpoint is forgiven, and a time after which it is tried again. */
const trouble = (failures: number): Step[] => [
  { what: 'happens', count: 30 },
  { what: 'claims', room: failures },
  { what: 'answers', answers: Array.from({ length: failures }, () => 'refuses') },
  { what: 'claims', room: 1 },
  { what: 'passes', seconds: 30 },
  { what: 'claims', room: 16 },
]

/**
 * The breaker as the pages describe it. closed: everything that is due is tried. open: nothing is. half-open: one delivery
 * is tried, by one process. Seconds since the begin.
 */
class Model {
  now = 0
  isEnabled = true
  isRaised = false
  #failures = 0
  #openUntil: number | undefined
  readonly #dueAt = new Map<string, number>()

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#openUntil === undefined) return 'closed'
    return this.now < this.#openUntil ? 'open' : 'half-open'
  }

  happens(count: number): void {
    for (let index = 0; index < count; index += 1) this.#dueAt.set(`not claimed ${newId()}`, this.now)
  }

  /** How many are to be claimed. */
  claimable(room: number): number {
    const due = [...this.#dueAt.values()].filter((at) => at <= this.now).length
    if (!this.isEnabled || this.state === 'open') return 0
    return Math.min(due, this.state === 'half-open' ? 1 : room)
  }

  claims(ids: readonly string[]): void {
    const isProbe = this.state === 'half-open'
    for (const id of ids) {
      // Which of those that nobody has tried yet it is makes no difference.
      const known = this.#dueAt.has(id) ? id : [...this.#dueAt.keys()].find((each) => each.startsWith('not claimed'))
      if (known !== undefined) this.#dueAt.delete(known)
      // Nobody keeps a claim here.
      this.#dueAt.set(id, this.now + 5)
      if (isProbe) this.#openUntil = this.now + 30
    }
  }

  answers(results: readonly { id: string; isLastClaim: boolean; answer: Answer }[]): void {
    for (const { id, isLastClaim, answer } of results) {
      this.#failures = answer === 'takes' ? 0 : this.#failures + 1
      if (answer === 'gone') this.isEnabled = false
      if (!isLastClaim) continue
      if (answer === 'refuses') this.#dueAt.set(id, this.now)
      else this.#dueAt.delete(id)
    }
    this.#openUntil = this.#failures >= 10 ? this.now + 30 : undefined
    this.isRaised = this.#failures >= 10
  }

  changes(): void {
    this.#failures = 0
    this.#openUntil = undefined
    this.isEnabled = true
    this.isRaised = false
  }
}

/** An endpoint, and the process that delivers to it as slowly as it is told. */
async function setUp() {
  const { testDatabase } = time
  const { database } = testDatabase
  const { worker } = database
  const companyId = await testDatabase.createCompany()
  const endpointId = newId()
  const endpoint = { id: endpointId, url: 'http://salon.example', ordering: 'none', eventTypes: null } as const
  await insertWebhookEndpoint(companyId, worker, { ...endpoint, secrets: new Uint8Array() }, 1)
  let isRaised = false
  const ofBreaker = (work: () => void) => (subject: AlertSubject) => void (subject.kind === 'webhook_failing' && work())
  const recorder = new OutcomeRecorder({
    database,
    alerts: { raise: ofBreaker(() => (isRaised = true)), clear: ofBreaker(() => (isRaised = false)) },
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
  })
  const lastClaims = new Map<string, number>()
  const underWay: { id: string; claim: number }[] = []
  return {
    isRaised: () => isRaised,
    happens: (count: number) =>
      appendEvents(
        worker,
        Array.from({ length: count }, () => ({ companyId, type: 'turn.opened' })),
      ),
    async claims(room: number): Promise<string[]> {
      const claimed = await claimDeliveries(worker, [{ endpointId, room }])
      for (const { id, claim } of claimed) {
        lastClaims.set(id, claim)
        underWay.push({ id, claim })
      }
      return claimed.map(({ id }) => id)
    },
    /** The first that are under way are answered, together. */
    async answers(answers: readonly Answer[]) {
      const results = underWay.splice(0, answers.length).map(({ id, claim }, index) => {
        const answer = answers[index] ?? 'takes'
        return { id, claim, answer, isLastClaim: lastClaims.get(id) === claim }
      })
      await Promise.all(
        results.map(({ id, claim, answer }) =>
          recorder.store({
            delivery: { id, claim },
            endpoint: { id: endpointId, companyId },
            attempt: { at: new Date().toISOString(), durationMs: 1, status: null, code: null, answer: '' },
            nextAttemptAt: answer === 'refuses' ? new Date() : undefined,
            notBefore: undefined,
            isDelivered: answer === 'takes',
            isGone: answer === 'gone',
          }),
        ),
      )
      return results
    },
    async changes() {
      await updateWebhookEndpoint(companyId, worker, endpointId, { isEnabled: true })
      // As the service does it.
      isRaised = false
    },
  }
}

test('closed, open and half-open: after ten failures nothing, then one probe at a time, and one alert as long as it lasts', async () => {
  const visited = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 9, max: 11 }), fc.array(step, { maxLength: 30 }), async (failures, steps) => {
      const model = new Model()
      const real = await setUp()
      const begin = Date.now()
      for (const each of [...trouble(failures), ...steps]) {
        switch (each.what) {
          case 'happens':
            if (model.isEnabled) model.happens(each.count)
            await real.happens(each.count)
            break
          case 'claims': {
            const expected = model.claimable(each.room)
            visited.add(`${model.state}: ${expected > 0 ? 'some' : 'none'}`)
            const ids = await real.claims(each.room)
            expect(ids).toHaveLength(expected)
            model.claims(ids)
            break
          }
          case 'answers': {
            const results = await real.answers(each.answers)
            if (results.length > 0) model.answers(results)
            break
          }
          case 'passes':
            model.now += each.seconds
            await time.passTo(begin + model.now * 1000)
            break
          case 'changes':
            await real.changes()
            model.changes()
        }
        expect(real.isRaised()).toBe(model.isRaised)
      }
    }),
    { numRuns: 50 },
  )
  expect([...visited]).toEqual(expect.arrayContaining(['closed: some', 'open: none', 'half-open: some']))
})
