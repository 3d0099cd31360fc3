import { assert, describe, it } from "@effect/vitest"
import { runProcess } from "../support/runProcess.js"

interface Figures {
  readonly counts: { readonly burst: number; readonly during: number; readonly after: number; readonly kept: number }
  readonly bytes: { readonly alone: number; readonly byKey: number }
  readonly fewCost: { readonly alone: number; readonly byKey: number }
  readonly manyCost: { readonly alone: number; readonly byKey: number }
}

/** One process for all of them: they need a heap that is only theirs. */
const figures = runProcess("keyed").then(({ code, output }): Figures => {
  assert.strictEqual(code, 0, output)
  return JSON.parse(/done (.*)/.exec(output)![1]!)
})
figures.catch(() => {})

describe("the policies of a keyed policy", () => {
  it(
    "that are alive are no more than its capacity, when many new keys come in one turn of the event loop",
    async () => {
      const { counts } = await figures
      assert.isAtMost(counts.burst, 100)
    },
    120_000
  )

  it(
    "that are alive are one for each key with calls in flight, and no more than the capacity when these have ended",
    async () => {
      const { counts } = await figures
      assert.strictEqual(counts.during, 30)
      assert.isAtMost(counts.after, 10)
      assert.strictEqual(counts.kept, 10)
    },
    120_000
  )

  it("of the standard stack hold less than 6 kB each after a call, as one that is kept by itself", async () => {
    const { bytes } = await figures
    assert.isBelow(bytes.byKey, 6_000, JSON.stringify(bytes))
    assert.isBelow(bytes.alone, 7_000, JSON.stringify(bytes))
  }, 120_000)

  it("take as long to build beside 5,000 live ones as beside 100, as those that are kept by themselves", async () => {
    const { fewCost, manyCost } = await figures
    const all = JSON.stringify({ fewCost, manyCost })
    assert.isBelow(manyCost.byKey / fewCost.byKey, 3, all)
    assert.isBelow(manyCost.alone / fewCost.alone, 3, all)
  }, 120_000)
})
