import { Command } from 'commander'
import { describeSettings, loadConfig } from '#src/config.ts'
import type { Output } from './output.ts'
import { addSettingOptions, flagsOf, settingsPage } from './setting-options.ts'

/** `frontdesk settings`: what is set now, checked, without secrets. */
export function settingsCommand(output: () => Output): Command {
  return addSettingOptions(new Command('settings'))
    .description('Show all settings as they stand now, without secrets, and check them')
    .option('--markdown', 'print the page docs/how-to/settings.md instead')
    .action((options: { markdown?: boolean } & Record<string, unknown>) => {
      if (options.markdown === true) {
        process.stdout.write(settingsPage())
        return
      }
      const flags = flagsOf(options)
      loadConfig(flags)
      const all = describeSettings(flags)
      const width = Math.max(...all.map(({ name }) => name.length))
      for (const { name, value, isDefault } of all) {
        output().say(`${name.padEnd(width)}  ${value || '(not set)'}${isDefault && value ? '  (default)' : ''}`)
      }
      output().report({ type: 'settings', settings: all.map(({ name, value }) => ({ name, value: value ?? null })) })
    })
}
