import type { Agent } from 'node:https'
import type { SecureContext } from 'node:tls'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { SocksProxyAgent } from 'socks-proxy-agent'

export interface ProxyAgentOptions {
  proxy: string
  /** Whether there is TLS inside of the tunnel. */
  isSecure: boolean
  secureContext: SecureContext
  /** Destroys what is still on its way to an HTTP proxy. A SOCKS proxy that hangs is given up after 30 s. */
  signal: AbortSignal
  /** The proxy answers, and does not let the connection through. */
  onRefused: (httpStatus: number) => void
}

export class ProxyAddressError extends Error {}

/** Connects through an HTTP or SOCKS proxy. @throws ProxyAddressError */
export function createProxyAgent({ proxy, isSecure, secureContext, signal, onRefused }: ProxyAgentOptions): Agent {
  const protocol = URL.parse(proxy)?.protocol ?? ''
  if (!/^(https?|socks5h?):$/.test(protocol)) throw new ProxyAddressError('The proxy must be http, https or socks5.')
  // Handed on to the sockets.
  const options = { keepAlive: false, secureContext, signal }
  const agent = protocol.startsWith('socks') ? new SocksProxyAgent(proxy, options) : new HttpsProxyAgent(proxy, options)
  if (agent instanceof HttpsProxyAgent) {
    agent.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      if (statusCode !== 200) onRefused(statusCode)
    })
  }
  // The library looks for "https" in a stack trace, and there is none in a process with `--stack-trace-limit=0`.
  agent.isSecureEndpoint = () => isSecure
  return agent
}
