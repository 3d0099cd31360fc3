/**
 * The last word of a test run: what was skipped for want of a program, and how many tests passed and failed, on a line of its own.
 * No success without a test, and none where a test prints: a log line of a fault that a test expects hides the one that nothing
 * expects. A test captures such lines and compares them.
 */
import type { Reporter, TestModule } from "vitest/node"

/** What a run came to. A module or a suite that breaks before its tests counts as one failure. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Lines that tests printed. */
  readonly printed: number
}

/** `412 passed, 0 failed`, with `, 3 skipped` and `, 5 lines printed by tests` where there are any. */
export const line = ({ failed, passed, printed, skipped }: Counts): string =>
  [
    `${passed} passed, ${failed} failed`,
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(printed > 0 ? [`${printed} ${printed === 1 ? "line" : "lines"} printed by tests, which may print none`] : [])
  ].join(", ")

/** Whether the run is a success. A run in which nothing ran proves nothing, whatever was skipped or filtered out. */
export const isGood = ({ failed, passed, printed }: Counts): boolean => failed === 0 && passed > 0 && printed === 0

/** How many lines a text has; the end of the last one may be missing. */
export const linesOf = (text: string): number => text === "" ? 0 : text.replace(/\n$/, "").split("\n").length

/** The titles of the suites that were skipped for want of a program: `describeWith` of the packages writes the reason there. */
export const wanting = (modules: ReadonlyArray<TestModule>): ReadonlyArray<string> =>
  modules.flatMap((module) =>
    [...module.children.allSuites()].map(({ name }) => name).filter((name) => / is not installed\)$/.test(name))
  )

/** Adds up a run. */
export const count = (modules: ReadonlyArray<TestModule>, unhandledErrors: number, printed = 0): Counts => {
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
  return { passed, failed, skipped, printed }
}

/** Prints the line when all other reporters have had their say. */
export const reporter = (): Reporter => {
  let printed = 0
  return {
    // Watch mode runs again with the same reporter.
    onTestRunStart: () => {
      printed = 0
    },
    onUserConsoleLog: ({ content }) => {
      printed += linesOf(content)
    },
    onTestRunEnd: (modules, unhandledErrors) => {
      const counts = count(modules, unhandledErrors.length, printed)
      if (!isGood(counts)) process.exitCode = 1
      const missing = wanting(modules)
      const hint = missing.length > 0 ? "on Debian, scripts/peers.sh installs what is missing\n" : ""
      const text = [...missing.map((title) => `skipped: ${title}\n`), hint, `\n${line(counts)}\n`].join("")
      // Other reporters write in the same turn; the text goes out in a later one.
      return new Promise((resolve) => {
        setImmediate(() => {
          process.stdout.write(text, () => resolve())
        })
      })
    }
  }
}
