import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Curve, generateSignalPubKey } from 'baileys'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { silenceLibsignal } from '#src/providers/baileys/silence-libsignal.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { TestSession } from './support/test-session.ts'

const requireAsBaileys = createRequire(fileURLToPath(import.meta.resolve('baileys')))
const libsignalSources = join(dirname(requireAsBaileys.resolve('libsignal')), 'src')
const { curve }: { curve: Libsignal } = requireAsBaileys('libsignal')

interface Libsignal {
  calculateSignature(privateKey: Uint8Array, message: Uint8Array): Uint8Array
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}

describe('signatures', () => {
  test('are checked: a right one passes, a wrong one and a malformed one do not', () => {
    createBaileysProvider()
    const pair = Curve.generateKeyPair()
    const message = Buffer.from('message')
    const signature = Curve.sign(pair.private, message)
    expect(Curve.verify(pair.public, message, signature)).toBe(true)
    expect(Curve.verify(generateSignalPubKey(pair.public), message, signature)).toBe(true)
    expect(Curve.verify(pair.public, Buffer.from('another'), signature)).toBe(false)
    expect(Curve.verify(pair.public, message, new Uint8Array(64))).toBe(false)
    expect(Curve.verify(pair.public, message, new Uint8Array(3))).toBe(false)
    expect(Curve.verify(new Uint8Array(5), message, signature)).toBe(false)
  })

  test('are made as libsignal makes and checks them', () => {
    createBaileysProvider()
    const pair = Curve.generateKeyPair()
    const message = Buffer.from('message')
    const theirs = generateSignalPubKey(pair.public)
    const signature = Curve.sign(pair.private, message)
    expect(curve.verifySignature(theirs, message, signature)).toBe(true)
    expect(curve.verifySignature(theirs, Buffer.from('another'), signature)).toBe(false)
    expect(Curve.verify(pair.public, message, curve.calculateSignature(pair.private, message))).toBe(true)
  })

  test('a server that another root key vouches for is not talked to', async () => {
    await using emulator = await startEmulator()
    const stranger = Curve.generateKeyPair()
    const rootKey = Buffer.from(stranger.public).toString('hex')
    const provider = createBaileysProvider({ emulator: { url: emulator.url, rootKey } })
    const { events } = new TestSession({ provider, store: new MemorySessionStore() }).open()
    const { detail } = await until(() => events.closings[0])
    expect(detail).toContain('certificate signature invalid')
    expect(events.codes).toEqual([])
  })
})

describe('libsignal, which prints private keys', () => {
  const { info, warn, error } = console
  afterEach(() => Object.assign(console, { info, warn, error }))

  test('is silenced in everything that its sources print', () => {
    const sources = readdirSync(libsignalSources, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.js'))
      .map((name) => readFileSync(join(libsignalSources, name), 'utf8'))
    const printed = sources.flatMap((source) =>
      [...source.matchAll(/^\s*console\.\w+\(\s*["'`]([^"'`]*)/gm)].map((match) => match[1] ?? ''),
    )
    expect(printed.length).toBeGreaterThan(10)
    const calls = sources.flatMap((source) => [...source.matchAll(/^\s*console\.\w+\(/gm)])
    expect(calls).toHaveLength(printed.length)

    const print = vi.fn()
    Object.assign(console, { info: print, warn: print, error: print })
    silenceLibsignal()
    for (const text of printed) {
      for (const method of ['info', 'warn', 'error'] as const) console[method](text, {})
    }
    expect(print).not.toHaveBeenCalled()
  })

  test('everything else is still printed', () => {
    const print = vi.fn()
    Object.assign(console, { info: print, warn: print, error: print })
    silenceLibsignal()
    console.info('A session was closed.')
    console.warn('Session', { id: 1 })
    console.error(new Error('Failed'))
    console.error()
    expect(print).toHaveBeenCalledTimes(4)
  })

  test('no private key comes out of a process whose sessions are opened, closed and fail to decrypt', async () => {
    const script = fileURLToPath(new URL('./support/noisy-process.ts', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script])
    expect(stdout).toBe('done\n')
    expect(stderr).toBe('')
  })
})
