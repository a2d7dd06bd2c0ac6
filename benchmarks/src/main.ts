import { Command, InvalidArgumentError, Option } from 'commander'
import { MAX_PACED_MESSAGES } from './support/receipt-delays.ts'

const ABOUT = `Measures Frontdesk against the WhatsApp emulator, and raw Baileys with it.

Each benchmark runs the emulator, the gateway as it is shipped (\`frontdesk start\`) and unmodified Baileys in its leanest
configuration with keys in memory (benchmarks/src/raw-baileys.ts), each in a process of its own. The two are measured in
turn, and the medians of the rounds are compared: compare figures within a run, not between machines. Progress goes to
the standard error; the standard output holds a table and, as its last line, the figures as JSON.`

const EXAMPLES = `
Examples:
  npm run bench -- sessions --count 2000
  npm run bench -- inbound --messages 5000
  npm run bench -- outbound --messages 5000 --sessions 10
  npm run bench -- startup
  npm run bench -- restart --count 1000
  npm run bench -- takeover --count 1000
  npm run bench -- hold --sessions 1000 --seconds 600 --per-second 50
  npm run bench -- linking --count 1000
  npm run chaos -- --profile week --sessions 200 --seconds 300 --seed 1
  NODE_OPTIONS='--cpu-prof --cpu-prof-dir=profiles' npm run bench -- inbound
`

class Interruption extends Error {}

async function main(): Promise<void> {
  if (process.platform !== 'linux') {
    throw new Error('The benchmarks read memory and processor time from /proc: run them on Linux.')
  }
  /** Processes and directories of the benchmark. They go also when it fails or is interrupted. */
  await using resources = new AsyncDisposableStack()
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Interruption()))
  })
  await Promise.race([commands(resources).parseAsync(), interrupted])
}

/** Each benchmark is loaded when it is called: help is there at once. */
function commands(resources: AsyncDisposableStack): Command {
  const program = new Command('frontdesk bench').description(ABOUT).addHelpText('after', EXAMPLES)
  program
    .command('sessions')
    .description('memory, connection times and idle CPU of many linked sessions')
    .option('--count <number>', 'how many sessions', atLeast(1), 2000)
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 1)
    .option('--settle <seconds>', 'how long a process is left alone before its memory is read', atLeast(0), 15)
    .action(async ({ settle, ...options }) => {
      const { sessions } = await import('./sessions.ts')
      await sessions(resources, { ...options, settleMs: settle * 1000 })
    })
  program
    .command('inbound')
    .description('messages a second from customers into the inbox, and the latency that Frontdesk adds')
    .option('--messages <number>', 'how many messages each burst has', atLeast(1), 5000)
    .option('--sessions <number>', 'how many linked numbers they are spread over', atLeast(1), 1)
    .option('--customers <number>', 'how many customers write to each number', atLeast(1), 50)
    .option(
      '--paced <number>',
      'how many messages the latency is measured with, in each round',
      between(1, MAX_PACED_MESSAGES),
      2000,
    )
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 3)
    .addHelpText(
      'after',
      `
A message counts when its receipt is back at the emulator: Frontdesk lets a receipt go only when the message is
committed, raw Baileys sends it at once. Latency is the time from a message's sending to its receipt, both by the
emulator's clock, with 200 messages a second over 50 sessions; the added latency is Frontdesk's percentile minus raw
Baileys' same percentile, each the median of the rounds. A first round warms up and does not count.`,
    )
    .action(async (options) => {
      const { inbound } = await import('./inbound.ts')
      await inbound(resources, options)
    })
  program
    .command('outbound')
    .description('messages a second from the API to WhatsApp')
    .option('--messages <number>', 'how many messages', atLeast(1), 5000)
    .option('--sessions <number>', 'how many linked numbers send them', atLeast(1), 1)
    .option('--customers <number>', 'how many customers each number writes to', atLeast(1), 50)
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 3)
    .addHelpText(
      'after',
      `
Frontdesk's time runs from the first POST /v1/messages until the emulator has seen the last message; that of raw Baileys
from the first call of sendMessage in its own process. In the same rounds Frontdesk also sends a backlog: messages that
were accepted while the session was stopped, from its start until the emulator has seen the last. A first round warms up
and does not count.`,
    )
    .action(async (options) => {
      const { outbound } = await import('./outbound.ts')
      await outbound(resources, options)
    })
  program
    .command('startup')
    .description('time from the start of the process to the first 200 of /ready, and memory when idle')
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 3)
    .option('--settle <seconds>', 'how long a process is left alone before its memory is read', atLeast(0), 10)
    .action(async ({ settle, ...options }) => {
      const { startup } = await import('./startup.ts')
      await startup(resources, { ...options, settleMs: settle * 1000 })
    })
  program
    .command('restart')
    .description('time from the start of the process until all linked sessions are online')
    .option('--count <number>', 'how many sessions', atLeast(1), 1000)
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 1)
    .action(async (options) => {
      const { restart } = await import('./restart.ts')
      await restart(resources, options)
    })
  program
    .command('takeover')
    .description('time until the sessions of a session host that is killed are online again')
    .option('--count <number>', 'how many sessions it has; another one has as many', atLeast(1), 1000)
    .action(async (options) => {
      const { takeover } = await import('./takeover.ts')
      await takeover(resources, options)
    })
  program
    .command('hold')
    .description('memory and CPU of many sessions with steady traffic, over time')
    .option('--sessions <number>', 'how many sessions', atLeast(1), 1000)
    .option('--seconds <number>', 'how long each side is held', atLeast(1), 600)
    .option('--per-second <number>', 'messages a second, over all sessions', atLeast(1), 50)
    .action(async (options) => {
      const { hold } = await import('./hold.ts')
      await hold(resources, options)
    })
  program
    .command('linking')
    .description('memory of sessions that show a QR code, and whether others notice them')
    .option('--count <number>', 'how many sessions', atLeast(1), 1000)
    .option('--others <number>', 'how many linked sessions have traffic beside them', atLeast(1), 50)
    .option('--settle <seconds>', 'how long the process is left alone before its memory is read', atLeast(0), 15)
    .action(async ({ settle, ...options }) => {
      const { linking } = await import('./linking.ts')
      await linking(resources, { ...options, settleMs: settle * 1000 })
    })
  program
    .command('chaos')
    .description('a week of trouble for many sessions, in minutes: uptime, and what was lost')
    .addOption(new Option('--profile <name>', 'which trouble').choices(['week']).default('week'))
    .option('--sessions <number>', 'how many sessions', atLeast(1), 200)
    .option('--seconds <number>', 'how long it takes', atLeast(10), 300)
    .option('--seed <number>', 'the same seed repeats the same trouble', atLeast(0), Date.now() % 1_000_000)
    .option('--factor <number>', 'how much faster timers run', atLeast(1), 10)
    .action(async ({ profile: _profile, ...options }) => {
      const { chaosWeek } = await import('./chaos/chaos.ts')
      await chaosWeek(resources, options)
    })
  return program
}

const between = (minimum: number, maximum: number) => (text: string) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    const range = maximum === Infinity ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
    throw new InvalidArgumentError(`Give a whole number ${range}.`)
  }
  return value
}

const atLeast = (minimum: number) => between(minimum, Infinity)

try {
  await main()
} catch (error) {
  console.error(error instanceof Interruption ? 'Interrupted.' : error)
  // What was waiting for something that is gone now must not keep the process alive.
  process.exit(error instanceof Interruption ? 130 : 1)
}
