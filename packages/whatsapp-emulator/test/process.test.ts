import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { BaileysClient } from './support/baileys-client.ts'
import { runCommand, spawnEmulator } from './support/emulator-process.ts'
import { ANNA, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('the emulator as a process is controlled over HTTP like the library', async () => {
  await using emulator = await spawnEmulator()
  const { control, info } = emulator
  expect(await control.info()).toEqual(info)
  using linking = new BaileysClient(info)
  const qr = await linking.qr()
  await control.announceQr({ qr })
  expect(await control.pendingLinks()).toEqual([expect.objectContaining({ qr })])

  const linked = await control.scanQr({ phone: SALON, qr })
  await linking.closed()
  using salon = await new BaileysClient(info, linking.store).opened()

  expect(salon.socket.user).toMatchObject({ id: linked.jid, lid: linked.lid })
  await control.setName({ phone: ANNA, name: 'Anna' })
  await control.sendText({ from: ANNA, to: SALON, text: 'Hi!' })
  expect((await salon.text('Hi!')).message.pushName).toBe('Anna')
  await control.setTyping({ from: ANNA, to: SALON, isTyping: true })
  await until('the companion saw it', () => salon.typing.length > 0)
  await control.configure({ receipts: 'delivered' })
  await salon.send(jidOf(ANNA), 'Hello')
  await until('Anna saw it', async () => (await control.chats(ANNA))[0]?.messages.length === 2)
  await control.markRead({ phone: ANNA, from: SALON })
  expect(await control.counters()).toMatchObject({ logins: 1, messagesFromCompanions: 1 })
  expect((await control.wire({ limit: 3 })).map(({ number }) => number)).toEqual([1, 2, 3])
  await until('nothing was pending', async () => (await control.pending()) === 0)
  await control.fault({ kind: 'stream_error', code: '503', phone: SALON })
  expect(await salon.closed()).toBe(503)
  await control.unlink({ phone: SALON })
  expect((await control.phones()).flatMap(({ devices }) => devices)).toEqual([])
  await expect(control.unlink({ phone: SALON, deviceId: 1 })).rejects.toThrow(`${SALON} has no linked device 1.`)
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends the process cleanly, with clients connected', async (signal) => {
  await using emulator = await spawnEmulator()
  using client = new BaileysClient(emulator.info)
  await client.qr()
  await fetch(new URL('/control/changes', emulator.info.pageUrl))

  emulator.child.kill(signal)

  expect(await emulator.exited).toEqual({ code: 0, signal: null })
  await client.closed()
})

test('the process ends with the one that started it', async () => {
  await using emulator = await spawnEmulator()

  emulator.child.disconnect()

  expect(await emulator.exited).toEqual({ code: 0, signal: null })
})

test('the command explains itself and refuses what it cannot use', async () => {
  const help = await runCommand('--help')
  expect(help).toMatchObject({ code: 0, stderr: '' })
  expect(help.stdout).toContain('--port <number>')

  const refused = await runCommand('--port', 'many')
  expect(refused).toEqual({
    code: 1,
    stdout: '',
    stderr: '--port must be a whole number from 0 to 65535, not "many".\n',
  })
  expect((await runCommand('--colour')).stderr).toContain("Unknown option '--colour'")

  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  const address = occupied.address()
  const port = typeof address === 'object' && address ? String(address.port) : ''
  expect((await runCommand('--port', port)).stderr).toContain(`Port ${port} is in use`)
  occupied.close()
})
