import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { VERSION } from '#src/version.ts'

const STYLE = `
:root { color-scheme: light dark; font: 1.05rem/1.6 system-ui, sans-serif }
body { max-width: 40rem; margin: 12vh auto; padding: 0 1.5rem }
h1 { font-size: 2rem; margin: 0 }
p.about { margin-top: .25rem; opacity: .8 }
dt { margin-top: 1rem; font-weight: 600 }
dd { margin: 0 }
a { color: light-dark(#00695c, #4dd0b1) }
code { font-size: .9em }
`

const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frontdesk</title>
<style>${STYLE}</style>
<h1>Frontdesk</h1>
<p class="about">The WhatsApp front desk: it links a company's number, answers its customers and loses no message. Version ${VERSION}.</p>
<dl>
<dt><a href="/docs">API documentation</a></dt>
<dd>Every call, to read and to try. Begin with <code>POST /v1/companies</code> and the platform key that the first start printed.</dd>
<dt><a href="/openapi.json">OpenAPI 3.1 document</a></dt>
<dd>For generators and tools.</dd>
<dt><a href="/health">Health</a> and <a href="/ready">readiness</a></dt>
<dd>For supervisors and load balancers.</dd>
</dl>
</html>
`

/** What a person sees who opens the server's address in a browser. */
export function serveLandingPage(server: FastifyInstance): void {
  server.get('/', { schema: { hide: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', POLICY).send(PAGE),
  )
}
