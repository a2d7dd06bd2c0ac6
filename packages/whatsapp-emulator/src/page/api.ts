import type { EmulatorControl } from '../control/control.ts'

/** What the page asks of the emulator. */
export type Api = Pick<
  EmulatorControl,
  | 'info'
  | 'phones'
  | 'pendingLinks'
  | 'scanQr'
  | 'enterPairingCode'
  | 'sendText'
  | 'setTyping'
  | 'markRead'
  | 'unlink'
  | 'fault'
  | 'chats'
>

/** The emulator over HTTP. Every call rejects with an `Error` whose message can be shown to a person. */
export const api: Api = {
  info: () => call('info'),
  phones: () => call('phones'),
  pendingLinks: () => call('pendingLinks'),
  scanQr: (scan) => call('scanQr', scan),
  enterPairingCode: (entry) => call('enterPairingCode', entry),
  sendText: (message) => call('sendText', message),
  setTyping: (typing) => call('setTyping', typing),
  markRead: (chat) => call('markRead', chat),
  unlink: (device) => call('unlink', device),
  fault: (fault) => call('fault', fault),
  chats: (phone) => call('chats', phone),
}

async function call<Result>(method: keyof Api, argument?: unknown): Promise<Result> {
  const response = await post(method, argument)
  const text = await response.text()
  if (!response.ok) throw new Error(errorText(text) ?? `The emulator answered ${response.status}.`)
  // The types of the answers are the contract's; both sides are built from the same file.
  return (text === '' ? undefined : JSON.parse(text)) as Result
}

async function post(method: string, argument: unknown): Promise<Response> {
  try {
    if (argument === undefined) return await fetch(`./control/${method}`, { method: 'POST' })
    return await fetch(`./control/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(argument),
    })
  } catch (cause) {
    throw new Error('The emulator does not answer. Is it still running?', { cause })
  }
}

/** The sentence in a refusal's body; `undefined` when there is none. */
function errorText(body: string): string | undefined {
  try {
    const refusal: unknown = JSON.parse(body)
    const text = typeof refusal === 'object' && refusal !== null ? Reflect.get(refusal, 'error') : undefined
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined // Not JSON, so not the emulator's own words: the status is all that can be told.
  }
}

/** Calls back whenever something changed in the emulator, and when the live connection comes or goes. */
export function watchChanges(on: { changed(): void; live(isLive: boolean): void }): void {
  const source = new EventSource('./control/changes')
  source.addEventListener('changed', () => on.changed())
  source.addEventListener('open', () => on.live(true))
  source.addEventListener('error', () => {
    on.live(false)
    // The browser tries again by itself, except after an answer that is no event stream, such as a proxy's error page.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => watchChanges(on), 2_000)
  })
}
