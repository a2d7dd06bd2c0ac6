import { type LookupAddress, lookup as resolveHost } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent } from 'undici'
import { FrontdeskError } from '#src/model/errors.ts'

type Resolve = (
  hostname: string,
  options: { all: true; family?: number; hints?: number },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface OutgoingUrlGuard extends AsyncDisposable {
  /**
   * What can be known of a company's URL without a network: throws `url_not_allowed` for another scheme than http and
   * https and for a private address. A host name is judged when it is connected to.
   */
  check(url: string): URL
  /** Throws `url_not_allowed` for a proxy in a private network. A host that is not known now may be known later. */
  checkProxy(url: string): Promise<void>
  /** As `dns.lookup`, but fails with `url_not_allowed` for a host in a private network. */
  readonly lookup: LookupFunction
  /** Connects only to allowed addresses: to the very ones that were checked, so that a second answer of DNS changes nothing. */
  readonly agent: Agent
}

/**
 * Keeps companies' URLs out of private networks. `allowedHosts` are the operator's exceptions: host names or addresses,
 * in lower case.
 */
export function createOutgoingUrlGuard(
  allowedHosts: readonly string[],
  resolve: Resolve = resolveHost,
): OutgoingUrlGuard {
  const exceptions = new Set(allowedHosts.map(bareHost))

  const lookup: LookupFunction = (hostname, { all, family, hints }, callback) => {
    const options = { all: true, ...(typeof family === 'number' && { family }), ...(hints && { hints }) } as const
    resolve(hostname, options, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null || first === undefined) {
        callback(error ?? new Error(`No address for ${hostname}.`), all ? [] : '')
      } else if (!exceptions.has(bareHost(hostname)) && !addresses.every(({ address }) => isPublic(address))) {
        callback(new FrontdeskError('url_not_allowed'), all ? [] : '')
      } else if (all) {
        callback(null, addresses)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }

  // A literal address is never looked up, so the check of a look-up would miss it. The URL parser brings other spellings,
  // such as 0x7f.1 or 2130706433, into the usual form.
  const isPrivateLiteral = (host: string) => isIP(host) !== 0 && !exceptions.has(host) && !isPublic(host)

  const agent = new Agent({ connect: { lookup, timeout: 10_000 }, allowH2: false })
  return {
    check(text) {
      const url = URL.canParse(text) ? new URL(text) : undefined
      if (url?.protocol !== 'https:' && url?.protocol !== 'http:') throw new FrontdeskError('url_not_allowed')
      if (isPrivateLiteral(bareHost(url.hostname))) throw new FrontdeskError('url_not_allowed')
      return url
    },
    async checkProxy(text) {
      // The parser leaves the host of a scheme that browsers do not know, such as socks5, as it was written.
      const host = bareHost(new URL(text.replace(/^[^:]*/, 'http')).hostname)
      if (isPrivateLiteral(host)) throw new FrontdeskError('url_not_allowed')
      if (isIP(host) !== 0) return
      const refusal = await new Promise<Error | null>((done) => lookup(host, { all: true }, done))
      if (refusal instanceof FrontdeskError) throw refusal
    },
    lookup,
    agent,
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

const bareHost = (host: string) => host.toLowerCase().replace(/^\[|\]$|\.$/g, '')

const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

function isPublic(address: string): boolean {
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv6 && parsed.match(NAT64)) {
    // The last 32 bits are the IPv4 address that is really reached.
    return isPublic(new ipaddr.IPv4(parsed.toByteArray().slice(-4)).toString())
  }
  return parsed.range() === 'unicast'
}
