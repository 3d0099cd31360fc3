import { assert, describe, it } from "@effect/vitest"
import type { TestModule } from "vitest/node"
import { count, isGood, line, linesOf, wanting } from "../TestCount.js"

/** As much of a finished module as the count reads. */
const module = (run: {
  readonly states?: ReadonlyArray<"passed" | "failed" | "skipped" | "pending">
  readonly errors?: number
  readonly suiteErrors?: number
  readonly suite?: string
}): TestModule => {
  const errors = (length: number) => Array.from({ length }, () => ({ message: "broken" }))
  return {
    errors: () => errors(run.errors ?? 0),
    children: {
      allSuites: () => [{ name: run.suite ?? "suite", errors: () => errors(run.suiteErrors ?? 0) }],
      allTests: () => (run.states ?? []).map((state) => ({ result: () => ({ state }) }))
    }
  } as unknown as TestModule
}

describe("TestCount", () => {
  it("says how many tests passed and failed, and how many were skipped only if any were", () => {
    assert.strictEqual(line({ passed: 412, failed: 0, skipped: 0, printed: 0 }), "412 passed, 0 failed")
    assert.strictEqual(line({ passed: 7, failed: 2, skipped: 3, printed: 0 }), "7 passed, 2 failed, 3 skipped")
  })

  it("adds up the tests of all modules", () => {
    assert.deepStrictEqual(
      count([module({ states: ["passed", "failed"] }), module({ states: ["passed", "skipped"] })], 0),
      { passed: 2, failed: 1, skipped: 1, printed: 0 }
    )
  })

  it("counts a test that never finished as not passed", () => {
    assert.deepStrictEqual(count([module({ states: ["pending"] })], 0), {
      passed: 0,
      failed: 0,
      skipped: 1,
      printed: 0
    })
  })

  it("counts a module that does not load, a suite whose hook breaks and an error outside tests as failures", () => {
    assert.strictEqual(count([module({ errors: 1 })], 0).failed, 1)
    assert.strictEqual(count([module({ states: ["skipped"], suiteErrors: 1 })], 0).failed, 1)
    assert.strictEqual(count([module({ states: ["passed"] })], 2).failed, 2)
  })
  it("fails a run in which a test printed a line, and says how many were printed", () => {
    const counts = count([module({ states: ["passed"] })], 0, linesOf("level=WARN one\nlevel=WARN two\n"))
    assert.isFalse(isGood(counts))
    assert.strictEqual(line(counts), "1 passed, 0 failed, 2 lines printed by tests, which may print none")
    assert.strictEqual(
      line({ ...counts, skipped: 3, printed: 1 }),
      "1 passed, 0 failed, 3 skipped, 1 line printed by tests, which may print none"
    )
    assert.isTrue(isGood(count([module({ states: ["passed"] })], 0, linesOf(""))))
    assert.isFalse(isGood(count([module({ states: ["skipped"] })], 0)))
  })

  it("names the suites that were skipped for want of a program", () => {
    assert.deepStrictEqual(
      wanting([module({ suite: "nginx that limits (nginx is not installed)" }), module({ suite: "the rest" })]),
      ["nginx that limits (nginx is not installed)"]
    )
  })
})
