/** Loaded before a program (`node --import`): its clock is ahead. Timers, and what is given a moment, are as ever. */
const aheadMs = Number(process.env['CLOCK_AHEAD_MS'])

const now = Date.now.bind(Date)

globalThis.Date = new Proxy(Date, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [now() + aheadMs] : values, newTarget),
  get: (target, key, receiver) => (key === 'now' ? () => now() + aheadMs : Reflect.get(target, key, receiver)),
})
