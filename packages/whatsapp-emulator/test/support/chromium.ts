import { type Browser, chromium } from 'playwright-core'
import { ensureChromium } from '../../../../scripts/ensure-chromium.ts'

/** Starts the Chromium or Chrome of this machine. Throws, with what to install, when there is none. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: ensureChromium(),
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}
