import type { LookupFunction } from 'node:net'
import { buildConnector, Dispatcher1Wrapper, ProxyAgent, Socks5ProxyAgent } from 'undici'

/** What Node's `fetch` takes. */
type FetchDispatcher = NonNullable<RequestInit['dispatcher']>

/**
 * What takes Baileys' downloads, which are made by `fetch`, through a session's proxy. To be destroyed after use.
 * `lookup` finds the proxy, or refuses to.
 */
export function createDownloadProxy(proxy: string, lookup: LookupFunction | undefined): FetchDispatcher {
  const finding = { ...(lookup && { lookup }) }
  const agent = proxy.startsWith('socks')
    ? // It always has the proxy look the host up.
      new Socks5ProxyAgent(proxy.replace(/^socks5h:/, 'socks5:'), { connect: buildConnector(finding) })
    : new ProxyAgent({ uri: proxy, proxyTls: finding })
  // The `fetch` of Node is of an earlier version of the library, which the wrapper speaks and its types do not.
  return new Dispatcher1Wrapper(agent) as unknown as FetchDispatcher
}
