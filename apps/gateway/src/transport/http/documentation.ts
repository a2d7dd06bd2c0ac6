import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { VERSION } from '#src/version.ts'
import { tidyOpenApi } from './tidy-openapi.ts'

const ABOUT = `The WhatsApp front desk: link a company's number, answer its customers, send and follow messages.

Send your key as \`Authorization: Bearer fd_company_...\`. A **platform key** creates companies and their keys; it is printed at the first start. Everything else belongs to one company and takes a **company key**: which company is meant follows from the key alone.

Errors are \`application/problem+json\` (RFC 9457): \`code\` is for programs and never changes, \`title\` says what to do. Requests are strict: an unknown field is an error. Later versions may add fields to answers, never take any away.`

const TAGS = [
  {
    name: 'Platform',
    description:
      'Companies and their keys, what is set while the platform runs, and what concerns all sessions. With a platform key.',
  },
  { name: 'Company', description: "The key's own company and its settings." },
  { name: 'API keys', description: "The company's keys." },
  {
    name: 'Sessions',
    description:
      'Linked WhatsApp numbers: linking by QR or pairing code, how they are, and what can be asked of one or many.',
  },
  { name: 'Messages', description: 'Sending, and reading what was said.' },
  {
    name: 'Answers',
    description:
      'Why something was answered, or was not; trying an answer before customers get it; what responders need.',
  },
  { name: 'Events', description: 'Everything that happened, in order.' },
  { name: 'Alerts', description: 'What a person should know of, until it is over.' },
  { name: 'Webhooks', description: 'Having events posted to a URL.' },
  { name: 'Health', description: 'For supervisors and load balancers.' },
]

const json = (schema: string) => ({ 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } })

/** What Frontdesk calls on a company's own system. */
const WEBHOOKS = {
  answer: {
    post: {
      operationId: 'answerTurn',
      summary: "Ask the company's own system for an answer",
      description:
        "Sent to the URL of a responder `http` in the company's settings. The header `Idempotency-Key` bears the turn's id: after a failure the same turn is posted again, and must then be answered the same. Where the settings name a secret it is signed as Standard Webhooks has it, with the turn's id as `webhook-id`.",
      tags: ['Company'],
      requestBody: { required: true, content: json('ResponderRequest') },
      responses: {
        200: { description: 'The answer: what it holds is sent to the customer.', content: json('ResponderAnswer') },
        204: { description: 'No answer.' },
      },
    },
  },
  event: {
    post: {
      operationId: 'deliverEvent',
      summary: "Post an event to a company's webhook endpoint",
      description:
        'Signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, `webhook-signature`. The same event can come more than once, always with the same `webhook-id`.',
      tags: ['Webhooks'],
      requestBody: { required: true, content: json('WebhookPayload') },
      responses: {
        '2XX': { description: 'Taken. Anything else is tried again for 24 hours.' },
        410: { description: 'Nothing is wanted any more: the endpoint is disabled.' },
      },
    },
  },
}

/** All that the pages at /docs load comes from this server: they work without the internet. */
const DOCS_POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; frame-ancestors 'none'; object-src 'none'"

/** Collects the OpenAPI document from the routes that are added afterwards, and serves it with its reader. */
export function serveDocumentation(server: FastifyInstance): void {
  server.addHook('onRoute', (route) => {
    const access = route.config?.access
    if (access !== undefined) route.schema = { ...route.schema, security: [{ [`${access}Key`]: [] }] }
  })
  server.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Frontdesk',
        version: VERSION,
        description: ABOUT,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      webhooks: WEBHOOKS,
      components: {
        securitySchemes: {
          platformKey: { type: 'http', scheme: 'bearer', description: 'A platform key: `fd_platform_...`' },
          companyKey: { type: 'http', scheme: 'bearer', description: "A company's key: `fd_company_...`" },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidyOpenApi(jsonSchemaTransformObject(document)),
  })
  server.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true, persistAuthorization: false, validatorUrl: null },
    theme: {
      title: 'Frontdesk API',
      css: [{ filename: 'frontdesk.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    staticCSP: DOCS_POLICY,
  })
  server.after(() => {
    server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger())
  })
}
