import type { ServerResponse } from 'node:http'
import type { ChangeFeed } from '../core/change-feed.ts'

/** Server-sent events without content: the listener asks for what it shows. */
export function streamChanges(changes: ChangeFeed, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  // The first event makes a listener that was away ask for what it missed.
  const tell = () => response.write('event: changed\ndata: {}\n\n')
  tell()
  response.on('close', changes.subscribe(tell))
}
