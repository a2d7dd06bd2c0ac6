import type { Agent } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { SocksProxyAgent } from 'socks-proxy-agent'

export interface ProxyAgentOptions {
  proxy: string
  /** Whether there is TLS inside of the tunnel. */
  isSecure: boolean
  secureContext: SecureContext
  /** Finds the proxy, or refuses to. */
  lookup: LookupFunction | undefined
  /** Destroys what is still on its way to an HTTP proxy. A SOCKS proxy that hangs is given up after 30 s. */
  signal: AbortSignal
  /** The proxy answers, and does not let the connection through. */
  onRefused: (httpStatus: number) => void
}

export class ProxyAddressError extends Error {}

/** Connects through an HTTP or SOCKS proxy. @throws ProxyAddressError */
export function createProxyAgent(agentOptions: ProxyAgentOptions): Agent {
  const { proxy, isSecure, secureContext, lookup, signal, onRefused } = agentOptions
  const protocol = URL.parse(proxy)?.protocol ?? ''
  if (!/^(https?|socks5h?):$/.test(protocol)) throw new ProxyAddressError('The proxy must be http, https or socks5.')
  // Handed on to the sockets.
  const options = { keepAlive: false, secureContext, signal }
  const findingIt = lookup && { lookup }
  const agent = protocol.startsWith('socks')
    ? // There, what stands beside `socketOptions` is for the way on from the proxy.
      new SocksProxyAgent(proxy, { ...options, ...(findingIt && { socketOptions: findingIt }) })
    : new HttpsProxyAgent(proxy, { ...options, ...findingIt })
  if (agent instanceof HttpsProxyAgent) {
    agent.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      if (statusCode !== 200) onRefused(statusCode)
    })
  }
  // The library looks for "https" in a stack trace, and there is none in a process with `--stack-trace-limit=0`.
  agent.isSecureEndpoint = () => isSecure
  return agent
}
