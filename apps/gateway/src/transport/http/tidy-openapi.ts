type Json = unknown
type Schemas = Record<string, Json>

const REF = '#/components/schemas/'
const INPUT = /Input$/
/** Formats whose regular expression says nothing to a reader that the format does not. */
const SELF_EXPLAINING = new Set<Json>(['uuid', 'date-time', 'uri'])

/** The document's named schemas. */
function schemasOf(document: object): Schemas {
  const { components } = document as { components?: { schemas?: Schemas } }
  return components?.schemas ?? {}
}

/**
 * Makes a generated document pleasant to read: one schema where what is sent and what is answered have the same form,
 * none that nothing refers to, and no regular expressions for well-known formats.
 */
export function tidyOpenApi<Doc extends object>(document: Doc): Doc {
  const named = withoutSuffix(withoutPatterns(document) as Doc)
  const schemas = schemasOf(named)
  const used = new Set<string>()
  const follow = (value: Json) => {
    for (const name of refsIn(value)) {
      if (used.has(name)) continue
      used.add(name)
      follow(schemas[name])
    }
  }
  follow({ ...named, components: undefined })
  const kept = Object.entries(schemas).filter(([name]) => used.has(name))
  kept.sort(([left], [right]) => (left < right ? -1 : 1))
  const components = 'components' in named ? named.components : {}
  return { ...named, components: { ...Object(components), schemas: Object.fromEntries(kept) } }
}

/** `ThingInput` is `Thing` wherever both say the same. */
function withoutSuffix<Doc extends object>(document: Doc): Doc {
  const schemas = schemasOf(document)
  const neutral = (value: Json) => JSON.stringify(value).replaceAll(/Input"/g, '"')
  const same = new Set(
    Object.entries(schemas)
      .filter(([name, schema]) => INPUT.test(name) && neutral(schema) === neutral(schemas[name.replace(INPUT, '')]))
      .map(([name]) => name),
  )
  return rewrite(document, (key, value) => {
    const name = key === '$ref' && typeof value === 'string' ? value.slice(REF.length) : ''
    return same.has(name) ? `${REF}${name.replace(INPUT, '')}` : value
  }) as Doc
}

const withoutPatterns = (document: Json): Json =>
  rewrite(document, (_key, value) => {
    if (typeof value !== 'object' || value === null || !('format' in value) || !('pattern' in value)) return value
    const { pattern, ...rest } = value
    return SELF_EXPLAINING.has(value.format) && typeof pattern === 'string' ? rest : value
  })

const rewrite = (value: Json, change: (key: string, value: Json) => Json): Json =>
  JSON.parse(JSON.stringify(value), (key, item: Json) => change(key, item))

function refsIn(value: Json): string[] {
  const names: string[] = []
  JSON.stringify(value, (key, item: Json) => {
    if (key === '$ref' && typeof item === 'string' && item.startsWith(REF)) names.push(item.slice(REF.length))
    return item
  })
  return names
}
