import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** Runs the demo in a process of its own; `onOutput` sees all that it has written so far, and may send it a signal. */
const demo = (
  args: ReadonlyArray<string>,
  onOutput: (out: string, interrupt: () => void) => void = () => {}
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const program = fileURLToPath(new URL("../src/demo.ts", import.meta.url))
    const child = spawn(process.execPath, ["--import", "tsx", program, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let error = ""
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString()
      onOutput(out, () => child.kill("SIGINT"))
    })
    child.stderr.on("data", (chunk: Buffer) => {
      error += chunk.toString()
    })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, out, error }))
  })

describe("the process of the demo", () => {
  it("ends cleanly with 130 on Ctrl-C, in the middle of a run", async () => {
    const { code, error, out } = await demo([], (written, interrupt) => {
      // The first line of progress: servers listen, orders are under way.
      if (written.includes("orders  ")) interrupt()
    })
    assert.strictEqual(code, 130)
    assert.strictEqual(error, "")
    assert.notInclude(out, "Promises")
  }, 120_000)

  it("refuses flags and files that make no sense with 2, before anything is started", async () => {
    const [flag, file] = await Promise.all([
      demo(["--jsn", "figures.json"]),
      demo(["--json", "no-such-folder/figures.json"])
    ])
    assert.deepStrictEqual([flag.code, flag.out], [2, ""])
    assert.include(flag.error, "--jsn")
    assert.include(flag.error, "Usage: npm run demo")
    assert.deepStrictEqual([file.code, file.out], [2, ""])
    assert.include(file.error, "Cannot write the figures to no-such-folder/figures.json")
  }, 120_000)
})
