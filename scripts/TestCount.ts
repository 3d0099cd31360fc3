/**
 * The last word of a test run: how many tests passed and failed, on a line of its own, and no success without a test.
 */
import type { Reporter, TestModule } from "vitest/node"

/** What a run came to. A module or a suite that breaks before its tests counts as one failure. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** `412 passed, 0 failed`, with `, 3 skipped` where there are any. */
export const line = ({ failed, passed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`

/** Adds up a run. */
export const count = (modules: ReadonlyArray<TestModule>, unhandledErrors: number): Counts => {
  let passed = 0
  let failed = unhandledErrors
  let skipped = 0
  for (const module of modules) {
    failed += module.errors().length
    for (const suite of module.children.allSuites()) failed += suite.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === "passed") passed++
      else if (state === "failed") failed++
      else skipped++
    }
  }
  return { passed, failed, skipped }
}

/** Prints the line when all other reporters have had their say. */
export const reporter = (): Reporter => ({
  onTestRunEnd: (modules, unhandledErrors) => {
    const counts = count(modules, unhandledErrors.length)
    // A run in which nothing ran proves nothing, whatever was skipped or filtered out.
    if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1
    // Other reporters write in the same turn; the line goes out in a later one.
    return new Promise((resolve) => {
      setImmediate(() => {
        process.stdout.write(`\n${line(counts)}\n`, () => resolve())
      })
    })
  }
})
