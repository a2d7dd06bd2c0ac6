import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** What the pages name is there: files that were renamed are renamed in the pages, too. */
const repository = resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(repository, file), 'utf8')

async function pages(): Promise<string[]> {
  const below = await readdir(join(repository, 'docs'), { recursive: true })
  return [
    ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'packages/whatsapp-emulator/README.md'],
    'packages/model-emulator/README.md',
    ...below.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
  ]
}

/** The anchors that GitHub gives to a page's headings. */
const anchorsOf = (markdown: string) =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )

test('every link of a page leads to a file, and to a heading where it names one', async () => {
  const broken: string[] = []
  for (const page of await pages()) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      const leads =
        existsSync(join(repository, file)) && (anchor === undefined || anchorsOf(read(file)).includes(anchor))
      if (!leads) broken.push(`${page}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

test('every file that ARCHITECTURE.md names exists', () => {
  const missing: string[] = []
  let count = 0
  for (const line of read('ARCHITECTURE.md').split('\n')) {
    // A name without a folder is in the folder of the one before it, or at the top of the gateway.
    let folder = 'apps/gateway/src'
    for (const [, name = ''] of line.matchAll(/`([\w./-]+(?:\.ts|\.sql|\.json|\/))`/g)) {
      count += 1
      const candidates = [folder, 'apps/gateway/src', 'apps/gateway', '.'].map((base) => join(base, name))
      const found = candidates.find((path) => existsSync(join(repository, path)))
      if (found === undefined) missing.push(name)
      else folder = name.endsWith('/') ? found : dirname(found)
    }
  }
  expect(missing).toEqual([])
  expect(count).toBeGreaterThan(50)
})

test('the list of how-to pages names each of them', async () => {
  const list = read('docs/how-to/README.md')
  const names = (await readdir(join(repository, 'docs/how-to'))).filter((name) => name !== 'README.md')
  expect(names.filter((name) => !list.includes(`(${name})`))).toEqual([])
})
