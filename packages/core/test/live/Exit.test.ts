import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Runs a program in a process of its own and tells how it ended and what it said. */
const runProcess = (name: string): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve, reject) => {
    const program = fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url))
    const child = spawn(process.execPath, ["--expose-gc", "--import", "tsx", program], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    const listen = (chunk: Buffer) => {
      output += chunk.toString()
    }
    child.stdout.on("data", listen)
    child.stderr.on("data", listen)
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, output }))
  })

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
