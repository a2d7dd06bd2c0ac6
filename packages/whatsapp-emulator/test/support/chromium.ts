import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** Starts the Chromium or Chrome of this machine. Throws, with what to install, when there is none. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}

function findChromium(): string {
  const path = [process.env['CHROMIUM_PATH'], ...PLACES].find((place) => place !== undefined && existsSync(place))
  if (path === undefined) {
    throw new Error(
      'The browser tests need Chromium or Chrome. Install it (Debian and Ubuntu: sudo apt-get install chromium) or set CHROMIUM_PATH to its executable.',
    )
  }
  return path
}
