import { type Command, Option } from 'commander'
import { type Flags, flagKey } from '#src/config.ts'
import { type Setting, settings } from '#src/deployment-settings.ts'

type SettingKey = keyof typeof settings

const all: Setting[] = Object.values(settings)

/** What commands need that open the database and the keys without serving anything. */
export const DEPLOYMENT_SETTINGS = [
  'dataDirectory',
  'databaseUrl',
  'databaseDirectUrl',
  'masterKey',
  'logLevel',
] as const satisfies readonly SettingKey[]

const defaultOf = (setting: Setting) => (setting.default ? ` Default: ${setting.default}.` : '')

/**
 * Adds the options that set the same as the environment, and names the settings that only the environment has: all of
 * them, or those that the command needs.
 */
export function addSettingOptions(command: Command, needed?: readonly SettingKey[]): Command {
  const relevant: Setting[] = needed?.map((key) => settings[key]) ?? all
  for (const setting of relevant) {
    if (setting.flag === undefined) continue
    command.addOption(new Option(setting.flag, `${setting.about}${defaultOf(setting)} Environment: ${setting.name}.`))
  }
  const others = relevant.filter(({ flag }) => flag === undefined)
  return command.addHelpText('after', () => {
    const helper = command.createHelp()
    helper.prepareContext({ helpWidth: process.stdout.columns ?? 80 })
    const width = Math.max(...others.map(({ name }) => name.length))
    const items = others.map((each) => helper.formatItem(each.name, width, `${each.about}${defaultOf(each)}`, helper))
    return `\nSettings in the environment:\n${items.join('\n')}`
  })
}

/** The settings that were given as options. */
export function flagsOf(options: Readonly<Record<string, unknown>>): Flags {
  const flags: Flags = {}
  for (const { flag } of all) {
    const value = flag === undefined ? undefined : options[flagKey(flag)]
    if (flag !== undefined && typeof value === 'string') flags[flagKey(flag)] = value
  }
  return flags
}

/** The page docs/how-to/settings.md. */
export function settingsPage(): string {
  const cell = (text: string | undefined) => (text ? `\`${text}\`` : '')
  const rows = all.map(
    (setting) => `| \`${setting.name}\` | ${cell(setting.flag)} | ${cell(setting.default)} | ${setting.about} |`,
  )
  return `# Settings

A setting is an environment variable; some are options of \`frontdesk start\` as well, and the option goes first. \`frontdesk settings\` shows what stands now, without secrets. What is wrong is said at the start, by name, and nothing is started.

What a company may set for itself (how it is answered, how long a burst of messages is waited for) is not here but in the API: \`PATCH /v1/company\`.

| environment | option | default | meaning |
|---|---|---|---|
${rows.join('\n')}

This page is made by \`frontdesk settings --markdown\`.
`
}
