import { assert, describe, it } from "@effect/vitest"
import type { TestModule } from "vitest/node"
import { count, line } from "../TestCount.js"

/** As much of a finished module as the count reads. */
const module = (run: {
  readonly states?: ReadonlyArray<"passed" | "failed" | "skipped" | "pending">
  readonly errors?: number
  readonly suiteErrors?: number
}): TestModule => {
  const errors = (length: number) => Array.from({ length }, () => ({ message: "broken" }))
  return {
    errors: () => errors(run.errors ?? 0),
    children: {
      allSuites: () => [{ errors: () => errors(run.suiteErrors ?? 0) }],
      allTests: () => (run.states ?? []).map((state) => ({ result: () => ({ state }) }))
    }
  } as unknown as TestModule
}

describe("TestCount", () => {
  it("says how many tests passed and failed, and how many were skipped only if any were", () => {
    assert.strictEqual(line({ passed: 412, failed: 0, skipped: 0 }), "412 passed, 0 failed")
    assert.strictEqual(line({ passed: 7, failed: 2, skipped: 3 }), "7 passed, 2 failed, 3 skipped")
  })

  it("adds up the tests of all modules", () => {
    assert.deepStrictEqual(
      count([module({ states: ["passed", "failed"] }), module({ states: ["passed", "skipped"] })], 0),
      { passed: 2, failed: 1, skipped: 1 }
    )
  })

  it("counts a test that never finished as not passed", () => {
    assert.deepStrictEqual(count([module({ states: ["pending"] })], 0), { passed: 0, failed: 0, skipped: 1 })
  })

  it("counts a module that does not load, a suite whose hook breaks and an error outside tests as failures", () => {
    assert.strictEqual(count([module({ errors: 1 })], 0).failed, 1)
    assert.strictEqual(count([module({ states: ["skipped"], suiteErrors: 1 })], 0).failed, 1)
    assert.strictEqual(count([module({ states: ["passed"] })], 2).failed, 2)
  })
})
