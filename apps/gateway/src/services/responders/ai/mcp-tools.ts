import { createMCPClient, type MCPClient } from '@ai-sdk/mcp'
import type { McpServerSettings } from '@frontdesk/api-contract'
import type { ReplyTools } from '../responder.ts'
import { type AnswerTool, type Json, ToolFailure } from './answer-tool.ts'
import { describeNetworkError } from './guarded-fetch.ts'
import { readHeaders } from './read-headers.ts'

const TIMEOUT_MS = 10_000
const MAX_DESCRIPTION_LENGTH = 1000
/** A server that has more pages of tools is not listed to its end. */
const MOST_PAGES = 10

export interface McpToolsOptions {
  fetch: typeof globalThis.fetch
  /** Origins of servers that the deployment allows. */
  allowedOrigins: readonly string[]
  secret: ReplyTools['secret']
  signal: AbortSignal
}

export interface McpTools extends Disposable {
  tools: AnswerTool[]
  /** Why the tools of a server are missing: for the trace. */
  problems: string[]
}

/**
 * Connects to the servers for the time of one answer, and has those of their tools that the company names, as
 * `<server>_<tool>`. A server that cannot be used leaves its tools out; the answer goes on without them.
 */
export async function openMcpTools(servers: readonly McpServerSettings[], options: McpToolsOptions): Promise<McpTools> {
  const clients: MCPClient[] = []
  const problems: string[] = []
  const open = async (server: McpServerSettings): Promise<AnswerTool[]> => {
    if (!options.allowedOrigins.includes(new URL(server.url).origin)) {
      problems.push(`MCP server ${server.name}: the deployment does not allow its host.`)
      return []
    }
    try {
      const client = await connect(server, options)
      clients.push(client)
      return await listTools(client, server, options.signal)
    } catch (error) {
      options.signal.throwIfAborted()
      const why = error instanceof ToolFailure ? error.message : describeNetworkError(error)
      problems.push(`MCP server ${server.name}: ${why}`)
      return []
    }
  }
  const close = () => {
    // The customer does not wait for how connections end.
    void Promise.allSettled(clients.map((client) => client.close()))
  }
  try {
    const tools = (await Promise.all(servers.map(open))).flat()
    return { tools, problems, [Symbol.dispose]: close }
  } catch (error) {
    close()
    throw error
  }
}

const connect = async ({ url, headers }: McpServerSettings, { fetch, secret, signal }: McpToolsOptions) =>
  await createMCPClient({
    transport: { type: 'http', url, headers: await readHeaders(headers, secret), fetch, redirect: 'error' },
    protocolVersionDiscovery: false,
    initializationOptions: { signal, timeout: TIMEOUT_MS },
    clientName: 'frontdesk',
  })

async function listTools(client: MCPClient, server: McpServerSettings, signal: AbortSignal): Promise<AnswerTool[]> {
  const wanted = new Set(server.tools)
  const found: AnswerTool[] = []
  let cursor: string | undefined
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const listed = await client.listTools({
      ...(cursor !== undefined && { params: { cursor } }),
      options: { signal, timeout: TIMEOUT_MS },
    })
    for (const { name, description = '', inputSchema } of listed.tools) {
      if (!wanted.delete(name)) continue
      found.push({
        name: `${server.name}_${name}`.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64),
        description: description.slice(0, MAX_DESCRIPTION_LENGTH),
        parameters: inputSchema as Record<string, Json>,
        call: (input, _callId, callSignal) => callTool(client, name, input, callSignal),
      })
    }
    cursor = listed.nextCursor
    if (cursor === undefined || wanted.size === 0) break
  }
  return found
}

async function callTool(
  client: MCPClient,
  name: string,
  input: Record<string, Json>,
  signal: AbortSignal,
): Promise<Json> {
  let result: Awaited<ReturnType<MCPClient['callTool']>>
  try {
    result = await client.callTool({ name, arguments: input, options: { signal, timeout: TIMEOUT_MS } })
  } catch (error) {
    throw new ToolFailure(describeNetworkError(error), { cause: error })
  }
  const { content, structuredContent, isError } = result
  const parts = Array.isArray(content) ? (content as { type: string; text?: string }[]) : []
  const text = parts.map((part) => part.text ?? `[${part.type}]`).join('\n')
  if (isError === true) throw new ToolFailure(text.slice(0, MAX_DESCRIPTION_LENGTH))
  return structuredContent === undefined ? text : (structuredContent as Json)
}
