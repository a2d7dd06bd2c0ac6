/** Test set-up: a test worker may be ended without a chance to write V8's coverage at exit, so each file's tests write it. */
import { takeCoverage } from 'node:v8'
import { afterAll } from 'vitest'

afterAll(() => takeCoverage())
