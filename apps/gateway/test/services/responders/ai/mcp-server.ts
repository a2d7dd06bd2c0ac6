import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'

/** A server of the Model Context Protocol on loopback, with a calendar; without state between requests. */
export async function startMcpServer() {
  const booked: string[] = []
  const headers: unknown[] = []
  const build = () => {
    const server = new McpServer({ name: 'calendar', version: '1.0.0' })
    server.registerTool(
      'book',
      { description: 'Books an appointment.', inputSchema: { day: z.string().max(20) } },
      async ({ day }) => {
        booked.push(day)
        return { content: [{ type: 'text', text: `Booked for ${day}.` }] }
      },
    )
    server.registerTool('fail', { description: 'Never works.' }, async () => ({
      ...{ isError: true, content: [{ type: 'text', text: 'The calendar is closed.' }] },
    }))
    server.registerTool('wipe', { description: 'Deletes everything.' }, async () => {
      booked.length = 0
      return { content: [] }
    })
    return server
  }
  const http = createServer((request, response) => {
    headers.push(request.headers)
    const transport = new StreamableHTTPServerTransport({})
    response.once('close', () => void transport.close())
    build()
      .connect(transport as Parameters<McpServer['connect']>[0])
      .then(() => transport.handleRequest(request, response))
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return {
    ...{ origin, url: `${origin}/mcp`, booked, headers },
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}
