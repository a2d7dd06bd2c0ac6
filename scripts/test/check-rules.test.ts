import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** Each rule of `npm run check` bites: a small repository with our configuration and one violation is refused, by name. */
const repository = resolve(import.meta.dirname, '../..')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontdesk-rules-'))
  for (const file of [
    'biome.json',
    '.oxlintrc.json',
    'tsconfig.json',
    'knip.json',
    'package.json',
    'apps/gateway/package.json',
  ]) {
    cpSync(join(repository, file), join(folder, file), { recursive: true })
  }
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function check(command: string, files: Record<string, string>): { status: number | null; output: string } {
  const paths = Object.keys(files).map((path) => join(folder, path))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  const [program = '', ...args] = command.split(' ')
  const { status, stdout, stderr } = spawnSync(join(repository, 'node_modules/.bin', program), args, {
    cwd: folder,
    encoding: 'utf8',
  })
  for (const path of paths) rmSync(path)
  return { status, output: stdout + stderr }
}

const biome = 'biome check --error-on-warnings apps packages'
const source = 'apps/gateway/src'
const layerViolations: [string, Record<string, string>][] = [
  ['model importing storage', { [`${source}/model/a.ts`]: "import '#src/storage/database.ts'\n" }],
  ['a provider importing storage', { [`${source}/providers/a.ts`]: "import '#src/storage/database.ts'\n" }],
  [
    'a provider importing a type of a service',
    { [`${source}/providers/a.ts`]: "import type { A } from '#src/services/a.ts'\n\nexport type B = A\n" },
  ],
  ['storage importing a provider', { [`${source}/storage/a.ts`]: "import '#src/providers/provider.ts'\n" }],
  ['a service importing transport', { [`${source}/services/a.ts`]: "import '#src/transport/http/server.ts'\n" }],
  ['a service importing one provider', { [`${source}/services/a.ts`]: "import '#src/providers/baileys/gate.ts'\n" }],
  ['transport importing a provider', { [`${source}/transport/a.ts`]: "import '#src/providers/provider.ts'\n" }],
  ['transport importing the composition root', { [`${source}/transport/a.ts`]: "import '#src/gateway.ts'\n" }],
  ['the emulator importing the gateway', { 'packages/whatsapp-emulator/src/a.ts': "import '@frontdesk/gateway'\n" }],
]

describe('layers', () => {
  test.each(layerViolations)('%s is refused', (_, files) => {
    const { status, output } = check(biome, files)
    expect(output).toContain('noRestrictedImports')
    expect(status).not.toBe(0)
  })
})

describe('lint', () => {
  test.each([
    [
      'an import cycle',
      'noImportCycles',
      {
        [`${source}/model/a.ts`]: "import { b } from './b.ts'\n\nexport const a = () => b\n",
        [`${source}/model/b.ts`]: "import { a } from './a.ts'\n\nexport const b = () => a\n",
      },
    ],
    [
      'the environment outside config.ts',
      'noProcessEnv',
      { [`${source}/services/a.ts`]: "export const a = process.env['A']\n" },
    ],
    ['any', 'noExplicitAny', { [`${source}/model/a.ts`]: 'export const a = (b: any) => b\n' }],
    [
      'a swallowed error',
      'noEmptyBlockStatements',
      { [`${source}/model/a.ts`]: 'try {\n  parseInt("1", 10)\n} catch {}\n' },
    ],
    ['other formatting', 'format', { [`${source}/model/a.ts`]: 'export const a = "a";\n' }],
  ])('%s is refused', (_, rule, files) => {
    const { status, output } = check(biome, files as Record<string, string>)
    expect(output).toContain(rule)
    expect(status).not.toBe(0)
  })
})

describe('type-aware rules and types', () => {
  test('a floating promise is refused', () => {
    const { status, output } = check('oxlint --type-aware --deny-warnings apps', {
      [`${source}/model/a.ts`]: 'const work = async () => 1\nwork()\n',
    })
    expect(output).toContain('no-floating-promises')
    expect(status).not.toBe(0)
  })

  test('a switch that forgets a case is refused', () => {
    const { status, output } = check('oxlint --type-aware --deny-warnings apps', {
      [`${source}/model/a.ts`]:
        "export function a(b: 'x' | 'y'): void {\n  switch (b) {\n    case 'x':\n      console.log(b)\n  }\n}\n",
    })
    expect(output).toContain('switch-exhaustiveness-check')
    expect(status).not.toBe(0)
  })

  test('a type error is refused', () => {
    const { status, output } = check('tsc', { [`${source}/model/a.ts`]: "export const a: number = 'b'\n" })
    expect(output).toContain('TS2322')
    expect(status).not.toBe(0)
  })

  test('dead code is refused', () => {
    const { status, output } = check('knip --workspace apps/gateway', {
      [`${source}/main.ts`]: "import { a } from './a.ts'\n\nconsole.log(a)\n",
      [`${source}/a.ts`]: 'export const a = 1\nexport const deadCode = 2\n',
    })
    expect(output).toContain('deadCode')
    expect(status).not.toBe(0)
  })
})
