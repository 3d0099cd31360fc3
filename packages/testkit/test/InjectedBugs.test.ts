import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { bugs } from "./broken/index.js"

describe("bugs put into policies on purpose", () => {
  for (const { ofBroken, ofReal, policy, title, tool } of bugs) {
    it.live(`${policy}, ${title}: ${tool} sees it`, () =>
      Effect.gen(function*() {
        const says = yield* ofBroken
        assert.notStrictEqual(says, "")
        // To write the table anew: `GOLDEN=write` in the environment.
        if (process.env.GOLDEN !== "write") {
          assert.include(fs.readFileSync(docs, "utf8"), row({ policy, title, tool, says }))
        }
      }))

    it.live(`${policy}, ${title}: ${tool} has nothing to say of the policy of Holdfast`, () =>
      Effect.map(ofReal, (says) => assert.strictEqual(says, "")))
  }

  it.live("are all in the table, and nothing else is", () =>
    Effect.gen(function*() {
      if (process.env.GOLDEN === "write") {
        const rows = yield* Effect.forEach(bugs, (bug) => Effect.map(bug.ofBroken, (says) => row({ ...bug, says })))
        const [head] = fs.readFileSync(docs, "utf8").split(separator)
        fs.writeFileSync(docs, `${head}${separator}${rows.join("\n")}\n`)
      }
      const [, table = ""] = fs.readFileSync(docs, "utf8").split(separator)
      assert.deepStrictEqual(
        table.trim().split("\n").map((line) => line.split(" | ").slice(0, 3).join(" | ")),
        bugs.map(({ policy, title, tool }) => `| ${policy} | ${title} | ${tool}`)
      )
    }))

  it("take every tool of the kit, and every core policy", () => {
    assert.deepStrictEqual(Array.from(new Set(bugs.map(({ tool }) => tool))).sort(), [
      "FaultProxy",
      "MachineLaws",
      "OperationSweep",
      "ScriptedDependency",
      "VirtualClock"
    ])
    assert.deepStrictEqual(Array.from(new Set(bugs.map(({ policy }) => policy))).sort(), [
      "Bulkhead",
      "CircuitBreaker",
      "Fallback",
      "RateLimiter",
      "Retry",
      "Timeout"
    ])
  })
})

const docs = new URL("../docs/injected-bugs.md", import.meta.url)

const separator = "| --- | --- | --- | --- |\n"

const row = (bug: { readonly policy: string; readonly title: string; readonly tool: string; readonly says: string }) =>
  `| ${bug.policy} | ${bug.title} | ${bug.tool} | ${bug.says} |`
