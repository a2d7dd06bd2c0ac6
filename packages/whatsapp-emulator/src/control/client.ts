import type { EmulatorControl } from './control.ts'
import { ControlError } from './control-error.ts'

export type EmulatorClient = EmulatorControl

/**
 * The control of an emulator in another process. `baseUrl` is its page's address. A call rejects with `ControlError`
 * when the emulator refuses it, and with what `fetch` rejects with when it cannot be reached.
 */
export function connectEmulator(baseUrl: string): EmulatorClient {
  const root = new URL('/control/', baseUrl)
  const ask = async <Result>(method: keyof EmulatorControl, argument?: unknown): Promise<Result> => {
    const text = await post(new URL(method, root), argument)
    // Both ends are built from the same contract, which the other end checks.
    return (text === '' ? undefined : JSON.parse(text)) as Result
  }
  return {
    info: () => ask('info'),
    phones: () => ask('phones'),
    pendingLinks: () => ask('pendingLinks'),
    announceQr: (announcement) => ask('announceQr', announcement),
    scanQr: (scan) => ask('scanQr', scan),
    enterPairingCode: (entry) => ask('enterPairingCode', entry),
    sendText: (message) => ask('sendText', message),
    setTyping: (typing) => ask('setTyping', typing),
    markRead: (chat) => ask('markRead', chat),
    unlink: (device) => ask('unlink', device),
    provision: (companions) => ask('provision', companions),
    fault: (fault) => ask('fault', fault),
    configure: (behaviour) => ask('configure', behaviour),
    setName: (owner) => ask('setName', owner),
    wire: (query) => ask('wire', query),
    chats: (phone) => ask('chats', phone),
    counters: () => ask('counters'),
    companionStats: (query) => ask('companionStats', query),
    resetStats: () => ask('resetStats'),
    prepareBurst: (burst) => ask('prepareBurst', burst),
    fireBurst: (pace) => ask('fireBurst', pace),
    pending: () => ask('pending'),
  }
}

async function post(url: URL, argument: unknown): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    ...(argument !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(argument),
    }),
  })
  const text = await response.text()
  if (!response.ok) throw new ControlError(refusalIn(text) ?? `The emulator answered ${response.status}.`)
  return text
}

function refusalIn(text: string): string | undefined {
  const body: unknown = text.startsWith('{') ? JSON.parse(text) : undefined
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined
  return String(body.error)
}
