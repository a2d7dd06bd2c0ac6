import { Command, InvalidArgumentError, Option } from 'commander'

const ABOUT = `Measures Frontdesk against the WhatsApp emulator, and raw Baileys with it.

Each benchmark runs the emulator, the gateway as it is shipped (\`frontdesk start\`) and unmodified Baileys in its leanest
configuration with keys in memory (benchmarks/src/raw-baileys.ts), each in a process of its own. The two are measured in
turn, and the medians of the rounds are compared: compare figures within a run, not between machines. Progress goes to
the standard error; the standard output holds a table and, as its last line, the figures as JSON.`

const EXAMPLES = `
Examples:
  npm run bench -- sessions --count 2000
  npm run bench -- pipeline --rate 200
  npm run bench -- webhooks
  npm run bench -- turns
  npm run bench -- startup
  npm run bench -- restart --count 1000
  npm run bench -- takeover --count 1000
  npm run bench -- hold --sessions 1000 --seconds 600 --per-second 50
  npm run bench -- linking --count 1000
  npm run chaos -- --profile week --sessions 200 --seconds 300 --seed 1
  npm run chaos -- --profile kill --rounds 50 --seed 1
  NODE_OPTIONS='--cpu-prof --cpu-prof-dir=profiles' npm run bench -- pipeline --only inbound
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
    .command('pipeline')
    .description('the way of a message: the latency that Frontdesk adds, and messages a second both ways')
    .option('--rate <number>', 'messages a second while the latency is measured', atLeast(1), 200)
    .option('--paced <number>', 'how many messages the latency is measured with, in each round', atLeast(1), 4000)
    .option('--messages <number>', 'how many messages each burst has', atLeast(1), 5000)
    .option('--sessions <number>', 'how many linked numbers the bursts are spread over', atLeast(1), 1)
    .option('--customers <number>', 'how many customers each of these numbers has', atLeast(1), 50)
    .option('--rounds <number>', 'how often each side is measured', atLeast(1), 3)
    .addOption(new Option('--only <part>', 'measure one part alone').choices(['latency', 'inbound', 'outbound']))
    .addHelpText(
      'after',
      `
Latency is the time from a message's sending by the emulator to its arrival at a webhook endpoint, with the messages
spread over 50 numbers of 50 companies. Inbound, a message counts when its receipt is back at the emulator: Frontdesk
lets a receipt go only when the message is committed, raw Baileys sends it at once. Outbound, both send what they have:
Frontdesk messages that were accepted while the session was stopped, raw Baileys by calls of sendMessage in its own
process, until the customers' phones have decrypted the last. "From the API on" counts Frontdesk's requests as well. A
first round warms up and does not count.`,
    )
    .action(async (options) => {
      const { pipeline } = await import('./pipeline/pipeline.ts')
      await pipeline(resources, options)
    })
  program
    .command('webhooks')
    .description('webhook deliveries a second, and what a dead and a slow endpoint cost the others')
    .option('--messages <number>', 'how many messages each round has, each for ten endpoints', atLeast(1), 1000)
    .option('--rate <number>', 'messages a second while the latency is measured', atLeast(1), 20)
    .option('--rounds <number>', 'how often each is measured', atLeast(1), 3)
    .addHelpText(
      'after',
      `
One company has ten endpoints. Deliveries a second are counted from a burst's first message to the last arrival with all
of them well. Then messages come at a pace, in turn with all ten well and with one that refuses connections and one that
takes two seconds to answer; healthyP99AloneMs and healthyP99Ms are the 99th percentile from a message's sending to its
arrival at the other eight.`,
    )
    .action(async (options) => {
      const { webhooks } = await import('./webhooks.ts')
      await webhooks(resources, options)
    })
  program
    .command('turns')
    .description('customers who write at once: turns a second, and what is added to the time that a model takes')
    .option('--chats <number>', 'how many customers write in the same instant', atLeast(1), 200)
    .option(
      '--sessions <number>',
      'how many linked numbers, each of a company of its own, they write to',
      atLeast(1),
      8,
    )
    .option('--model-ms <milliseconds>', 'how long the emulated model takes', atLeast(0), 300)
    .option('--rounds <number>', 'how often each is measured', atLeast(1), 3)
    .action(async (options) => {
      const { turns } = await import('./turns.ts')
      await turns(resources, options)
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
    .description('trouble for many sessions: what was lost, and how long they were away')
    .addOption(new Option('--profile <name>', 'which trouble').choices(['week', 'kill']).default('week'))
    .option('--sessions <number>', 'how many sessions: 200, or 50 to be killed', atLeast(1))
    .option('--seed <number>', 'the same seed repeats the same trouble', atLeast(0), Date.now() % 1_000_000)
    .option('--seconds <number>', 'week: how long it takes', atLeast(10), 300)
    .option('--factor <number>', 'week: how much faster timers run', atLeast(1), 10)
    .option('--rounds <number>', 'kill: how often something is killed', atLeast(1), 50)
    .option(
      '--per-second <number>',
      'kill: messages a second of customers, and at least as many to them',
      atLeast(1),
      100,
    )
    .addHelpText(
      'after',
      `
week: dropped sockets, errors of WhatsApp, an outage and a deployment, as a session meets them in seven days.

kill: round for round, kill -9 of the gateway, of one of its two session hosts, of its database or of all of them at
once, at a random moment, while customers write and the API sends all the time; ten chats for each session, a responder
and a receiver of webhooks. In the end it is compared what customers wrote, what they saw, what companies were told and
what the database holds. The exit code is 1 when anything was lost, came twice or in another order; the standard error
then lists it.`,
    )
    .action(async ({ profile, sessions, seed, seconds, factor, rounds, perSecond }) => {
      if (profile === 'week') {
        const { chaosWeek } = await import('./chaos/chaos.ts')
        await chaosWeek(resources, { sessions: sessions ?? 200, seconds, seed, factor })
      } else {
        const { chaosKill } = await import('./chaos/kill.ts')
        await chaosKill(resources, { sessions: sessions ?? 50, rounds, perSecond, seed })
      }
    })
  return program
}

const atLeast = (minimum: number) => (text: string) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < minimum) {
    throw new InvalidArgumentError(`Give a whole number of at least ${minimum}.`)
  }
  return value
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Interruption ? 'Interrupted.' : error)
  // What was waiting for something that is gone now must not keep the process alive.
  process.exit(error instanceof Interruption ? 130 : 1)
}
