import { ensureProgram } from './ensure-program.ts'

export const ensureChromium = (): string =>
  ensureProgram({
    name: 'Chromium or Chrome',
    purpose: 'the browser tests',
    places: [
      '/usr/bin/chromium',
      '/usr/bin/chromium-browser',
      '/usr/bin/google-chrome',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ],
    variable: 'CHROMIUM_PATH',
    debianPackage: 'chromium',
  })
