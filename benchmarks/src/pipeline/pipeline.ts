import { startEmulatorProcess } from '../support/emulator-process.ts'
import { type Figures, report } from '../support/report.ts'
import { round } from '../support/statistics.ts'
import { type Throughput, throughputRows } from '../support/throughput.ts'
import { measureInbound } from './inbound.ts'
import { measureLatency } from './latency.ts'
import { measureOutbound } from './outbound.ts'
import type { SaturationOptions } from './saturation-options.ts'

const PARTS = ['latency', 'inbound', 'outbound'] as const

export interface PipelineOptions extends SaturationOptions {
  rate: number
  paced: number
  /** All, unless told. */
  only?: (typeof PARTS)[number]
}

/** The way of a message through Frontdesk: what it adds at a usual pace, and how much goes through both ways. */
export async function pipeline(resources: AsyncDisposableStack, asked: PipelineOptions): Promise<void> {
  // Each session gets as many as the others.
  const options = { ...asked, messages: Math.ceil(asked.messages / asked.sessions) * asked.sessions }
  const { messages, sessions, customers, rounds, rate, only } = options
  const emulator = await startEmulatorProcess(resources)
  const notes: string[] = []
  const compared: Record<string, Throughput> = {}
  const figures: Figures = { benchmark: 'pipeline', rounds, count: messages, sessions }

  if (only === undefined || only === 'latency') {
    const { p50Ms, p99Ms } = await measureLatency(resources, emulator, options)
    notes.push(
      `Socket to webhook receiver at ${rate} messages a second: ${p50Ms.toFixed(1)} ms (p50), ${p99Ms.toFixed(1)} ms (p99).`,
    )
    Object.assign(figures, { rate, addedLatencyP50Ms: round(p50Ms, 1), addedLatencyP99Ms: round(p99Ms, 1) })
  }
  if (only === undefined || only === 'inbound') {
    const { raw, frontdesk } = await measureInbound(resources, emulator, options)
    Object.assign(compared, { 'raw Baileys, in': raw, 'Frontdesk, in': frontdesk })
    Object.assign(figures, named('inbound', frontdesk, raw))
    notes.push('Every message stands in the inbox once.')
  }
  if (only === undefined || only === 'outbound') {
    const { raw, frontdesk, fromApi } = await measureOutbound(resources, emulator, options)
    Object.assign(compared, { 'raw Baileys, out': raw, 'Frontdesk, out': frontdesk, 'from the API on': fromApi })
    Object.assign(figures, named('outbound', frontdesk, raw))
    Object.assign(figures, named('fromApi', fromApi, raw))
    notes.push('Every message stands in the outbox once, and was read by its customer.')
  }
  const title = `Pipeline: ${messages} messages of ${customers} customers on each of ${sessions} sessions, medians of ${rounds} rounds`
  report(title, throughputRows(compared), notes, figures)
}

const named = (name: string, frontdesk: Throughput, raw: Throughput): Record<string, number> => ({
  [`${name}PerSecond`]: round(frontdesk.messagesPerSecond, 1),
  [`${name}RawPerSecond`]: round(raw.messagesPerSecond, 1),
  [`${name}Ratio`]: round(frontdesk.messagesPerSecond / raw.messagesPerSecond, 3),
  [`${name}CpuMs`]: round(frontdesk.cpuMsPerMessage, 3),
  [`${name}RawCpuMs`]: round(raw.cpuMsPerMessage, 3),
  [`${name}DatabaseCpuMs`]: round(frontdesk.databaseCpuMsPerMessage, 3),
})
