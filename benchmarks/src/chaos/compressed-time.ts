import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import promises from 'node:timers/promises'
import { promisify } from 'node:util'

/**
 * Loaded before a program (`node --import`): its clock and its timers run so many times faster. Its work, the network and
 * the database take as long as ever; moments (`Date`) stay true.
 */
const factor = Number(process.env['CHAOS_TIME_FACTOR'] ?? 1)

type Callback = (...values: unknown[]) => void

const { setTimeout: timeout, setInterval: interval } = timers
const { setTimeout: pause } = promises
const now = performance.now.bind(performance)

const setTimeout = (callback: Callback, ms = 0, ...values: unknown[]) => timeout(callback, ms / factor, ...values)
const setInterval = (callback: Callback, ms = 0, ...values: unknown[]) => interval(callback, ms / factor, ...values)
const setTimeoutPromise: typeof pause = (ms = 0, value, options) => pause(ms / factor, value, options)

performance.now = () => now() * factor
for (const target of [globalThis, timers]) {
  Object.assign(target, {
    setTimeout: Object.assign(setTimeout, { [promisify.custom]: setTimeoutPromise }),
    setInterval,
  })
}
promises.setTimeout = setTimeoutPromise
syncBuiltinESMExports()
