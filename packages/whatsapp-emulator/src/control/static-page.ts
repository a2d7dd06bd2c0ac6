import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { HttpError } from './http-error.ts'

const PAGE_DIRECTORY = new URL('../page/', import.meta.url)
const FILE_NAME = /^[a-z0-9][a-z0-9-]*\.(html|css|ts|svg)$/
const CONTENT_TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  ts: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'"

/** Serves the page of simulated phones; its TypeScript reaches the browser without the types. */
export async function servePage(path: string, response: ServerResponse): Promise<void> {
  const name = path === '/' ? 'index.html' : path.slice(1)
  const extension = FILE_NAME.exec(name)?.[1]
  const source = extension === undefined ? undefined : await readIfThere(new URL(name, PAGE_DIRECTORY))
  if (extension === undefined || source === undefined) throw new HttpError(404, 'There is no such file.')
  response.writeHead(200, {
    'content-type': CONTENT_TYPES[extension],
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-cache',
  })
  response.end(extension === 'ts' ? withoutTypes(source) : source)
}

/** Node warns, once, that stripping types is experimental: nothing that whoever opens the page could act upon. */
function withoutTypes(source: string): string {
  const emitWarning: unknown = Reflect.get(process, 'emitWarning')
  process.emitWarning = () => undefined
  try {
    return stripTypeScriptTypes(source)
  } finally {
    Reflect.set(process, 'emitWarning', emitWarning)
  }
}

async function readIfThere(file: URL): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
