import { describe, expect, it } from 'vitest'
import { createLog, redactText } from '#src/log.ts'

function logged(write: (log: ReturnType<typeof createLog>) => void, format: 'json' | 'text' = 'json'): string {
  let lines = ''
  write(createLog({ level: 'trace', format, to: { write: (line) => (lines += line) } }))
  return lines
}

const KEY = `fd_company_${'aB-_'.repeat(10)}xyz`

describe('the log', () => {
  it.each([
    ['a key in a text', `refused ${KEY}`, KEY],
    ['a phone number', 'cannot reach 4917012345678.', '4917012345678'],
    ['a phone number as people write it', 'call +49 (170) 123-45678 now', '123-45678'],
    ['an address of WhatsApp', 'for 4917012345678:12@s.whatsapp.net', '4917012345678'],
    ['a group, named by its founder', 'in 4917012345678-1600000000@g.us', '4917012345678'],
    ['a LID', 'from 123456789012345@lid', '123456789012345'],
    ['a password in a URL', 'connect to postgres://frontdesk:s3cret@db:5432/x', 's3cret'],
  ])('does not hold %s', (_name, text, secret) => {
    expect(logged((log) => log.info(text))).not.toContain(secret)
    expect(logged((log) => log.error(new Error(text)))).not.toContain(secret)
    expect(logged((log) => log.warn({ deeply: { nested: { detail: [text] } } }, 'x'))).not.toContain(secret)
    expect(logged((log) => log.info(text), 'text')).not.toContain(secret)
  })

  it.each([
    'authorization',
    'apiKey',
    'masterKey',
    'password',
    'token',
    'text',
    'content',
    'body',
    'raw',
    'qr',
    'phone',
  ])('does not hold the field %s at any of three depths', (field) => {
    const lines = logged((log) => {
      log.info({ [field]: 'private' })
      log.info({ a: { [field]: 'private' } })
      log.info({ a: { b: { [field]: { text: 'private' } } } })
      log.child({ [field]: 'private' }).info('x')
    })
    expect(lines).not.toContain('private')
    expect(lines.match(/\[redacted\]/g)).toHaveLength(4)
  })

  it('keeps what tells things apart: ids, figures, times', () => {
    const id = '019a6f0e-9c1f-7c3e-8a53-123456789012'
    const line = logged((log) => log.info({ sessionId: id, bytes: 123_456_789, tookMs: 12.5 }, `session ${id} is up`))
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      sessionId: id,
      bytes: 123_456_789,
      tookMs: 12.5,
      msg: `session ${id} is up`,
    })
    expect(redactText('3EB0ABCDEF0123456789 in 1500 ms, port 8480')).toBe('3EB0ABCDEF0123456789 in 1500 ms, port 8480')
  })

  it('stays JSON whatever is in it', () => {
    const line = logged((log) => log.info({ note: 'a "quoted" \\ 4917012345678 \n' }, '{"phone":"4917012345678"}'))
    expect(JSON.parse(line)).toEqual({
      level: 'info',
      time: expect.any(String),
      note: 'a "quoted" \\ [redacted] \n',
      msg: '{"phone":"[redacted]"}',
    })
  })

  it('is readable at a terminal: one line, and the stack of an error below it', () => {
    const lines = logged((log) => log.warn({ sessionId: 'x' }, 'lost the connection'), 'text')
    expect(lines).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}lost the connection sessionId="x"\n$/)
    expect(logged((log) => log.error(new Error('boom')), 'text')).toMatch(/ERROR boom\n.*Error: boom\n\s+at /)
  })
})
