import { assert, describe, it } from "@effect/vitest"
import { runProcess } from "../support/runProcess.js"

describe("a process", () => {
  it(
    "D07, A19: exits at once with idle policies, an answered call under a long limit, and an open circuit",
    async () => {
      const { code, output } = await runProcess("idle")
      assert.strictEqual(code, 0, output)
      assert.isBelow(Number(/ended after ([\d.]+) ms/.exec(output)?.[1]), 1000, output)
    },
    120_000
  )

  it("H05: needs no more memory after a hundred thousand rejected calls", async () => {
    const { code, output } = await runProcess("rejections")
    assert.strictEqual(code, 0, output)
    const grown = Number(/grown (-?\d+)/.exec(output)?.[1])
    assert.isBelow(grown, 2_000_000, output)
  }, 120_000)

  it("works without node:async_hooks", async () => {
    const { code, output } = await runProcess("noAsyncHooks")
    assert.strictEqual(code, 0, output)
    assert.include(output, "answer, answer after 4 attempts")
  }, 120_000)

  it("allocates no more for a call with a place for faults, while nobody injects any", async () => {
    const { code, output } = await runProcess("placeForFaults")
    assert.strictEqual(code, 0, output)
    const bytes = JSON.parse(/done (.*)/.exec(output)?.[1] ?? "{}")
    // The figures of one program differ by a few per cent from run to run; one more object of ours would be more.
    assert.isBelow(bytes.withPlace / bytes.without, 1.1, output)
    assert.isBelow(bytes.retryWithPlace / bytes.retry, 1.1, output)
  }, 120_000)
})
