import { Ajv2020 } from 'ajv/dist/2020.js'
import { compilePattern } from './pattern.ts'

const MAX_BYTES = 16 * 1024

/** Says what is wrong with the arguments of a call; nothing if they fit. */
type CheckArguments = (input: unknown) => string | undefined
type Compiled = CheckArguments | { problem: string }

const DRAFT = 'https://json-schema.org/draft/2020-12/schema'
/** Knows what a schema looks like. It takes longer to make than to compile a schema, and keeps those that it compiles. */
const judge = new Ajv2020({ strict: false, validateFormats: false, logger: false })

/** To prepare one takes longer than to use it a hundred times. */
const known = new WeakMap<object, Compiled>()

/**
 * Prepares to check arguments by a JSON Schema (draft 2020-12), or says what is wrong with it, in words that go on from
 * "The schema". Names that it does not know are refused at the top, unless it allows them. Patterns are those of RE2, so
 * that no text makes one slow.
 */
export function compileArguments(parameters: Record<string, unknown>): Compiled {
  let compiled = known.get(parameters)
  if (compiled === undefined) {
    compiled = compile(parameters)
    known.set(parameters, compiled)
  }
  return compiled
}

function compile(parameters: Record<string, unknown>): Compiled {
  // Whatever draft it says it is of: what tools use means the same in all of them.
  const schema = { type: 'object', unevaluatedProperties: false, ...parameters, $schema: DRAFT }
  if (judge.validateSchema(schema) !== true) {
    return { problem: `must be a JSON Schema: ${judge.errorsText(judge.errors, { dataVar: 'it' })}` }
  }
  const ajv = new Ajv2020({
    ...{ meta: false, validateSchema: false, strict: false, validateFormats: false, inlineRefs: false, logger: false },
    code: { regExp: Object.assign(patternOf, { code: '' }) },
  })
  let validate: ReturnType<typeof ajv.compile>
  try {
    validate = ajv.compile(schema)
  } catch (error) {
    return { problem: `must be a JSON Schema: ${error instanceof Error ? error.message : String(error)}` }
  }
  return (input) => {
    if (Buffer.byteLength(JSON.stringify(input) ?? '') > MAX_BYTES) return `They are over ${MAX_BYTES} bytes.`
    try {
      return validate(input) ? undefined : ajv.errorsText(validate.errors, { dataVar: 'arguments' })
    } catch (error) {
      if (error instanceof RangeError) return 'Their schema refers to itself without an end.'
      throw error
    }
  }
}

/** Ajv keeps patterns apart by what `toString` says. */
function patternOf(source: string): { test: (text: string) => boolean; toString: () => string } {
  const pattern = compilePattern(source, { isCaseSensitive: true })
  if ('problem' in pattern) throw new Error(`a pattern ${pattern.problem}`)
  return { test: (text) => pattern.search(text) >= 0, toString: () => source }
}
