import { runCli } from '#src/transport/cli/run.ts'

// Loaded by the commands that need it: the others answer at once.
const gateway = () => import('#src/gateway.ts')

await runCli(process.argv.slice(2), {
  startGateway: async (config, options) => (await gateway()).startGateway(config, options),
  runSessionHost: async () => (await gateway()).runSessionHost(),
  openDeployment: async (config, options) => (await import('#src/deployment.ts')).openDeployment(config, options),
  migrate: async (config, options) => (await gateway()).migrateDatabase(config, options),
})
