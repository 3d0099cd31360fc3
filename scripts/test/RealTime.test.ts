import { assert, describe, it } from "@effect/vitest"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { read, realTimeTests, reasons, testFiles } from "../RealTime.js"

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..")

/** The reasons for a test file among others. */
const why = (text: string, others: Record<string, string> = {}) => {
  const all: Record<string, string> = { "test/a.test.ts": text, ...others }
  return reasons("test/a.test.ts", (file) => all[file] === undefined ? undefined : read(file, all[file]))
}

describe("the tests that run beside busy processes", () => {
  it("are those that import sockets, processes or a platform of node's, themselves or through a helper", () => {
    for (
      const module of ["node:net", "node:http", "node:child_process", "undici", "@effect/platform-node/NodeHttpServer"]
    ) {
      assert.deepStrictEqual(why(`import * as It from "${module}"`), [`test/a.test.ts: ${module}`])
      assert.deepStrictEqual(
        why(`import { serve } from "./support/b.js"`, {
          "test/support/b.ts": `import { more } from "./c.js"`,
          "test/support/c.ts": `import * as It from "${module}"`
        }),
        [`test/support/c.ts: ${module}`]
      )
    }
    assert.deepStrictEqual(why(`import type * as It from "node:net"`), [], "a type opens nothing")
  })

  it("are those that read or set a timer of the process, and not those that write of one", () => {
    assert.deepStrictEqual(why(`new Promise((resolve) => setTimeout(resolve, 5))`), ["test/a.test.ts: setTimeout"])
    assert.deepStrictEqual(why(`const began = performance.now()`), ["test/a.test.ts: performance.now"])
    assert.deepStrictEqual(why(`const clock = Clock.make()`), ["test/a.test.ts: Clock.make"])
    assert.deepStrictEqual(why(`lint("setTimeout(() => {}, Date.now())")`), [])
  })

  it("are those that run an effect by the live clock, unless it runs by a virtual one inside", () => {
    const live = ["test/a.test.ts: it.live by the live clock"]
    assert.deepStrictEqual(why(`describe("a", () => { it.live("b", () => Effect.sleep(5)) })`), live)
    assert.deepStrictEqual(why(`describe("a", () => { it.live("b", () => VirtualClock.run(Effect.sleep(5))) })`), [])
    const virtual = `export const virtual = (name, body) => it.live(name, () => VirtualClock.run(body()))`
    assert.deepStrictEqual(why(`${virtual}\nvirtual("b", () => Effect.sleep(5))`), [])
    assert.deepStrictEqual(
      why(`import { run } from "./support/b.js"\nit.live("b", () => run(Effect.sleep(5)))`, {
        "test/support/b.ts": `export const run = (effect) => VirtualClock.run(effect)`
      }),
      []
    )
    const sweep = (options: string) => `it.live("b", () => OperationSweep.run({ ${options} }))`
    assert.deepStrictEqual(why(sweep("make")), [])
    assert.deepStrictEqual(why(sweep(`clock: "live"`)), ["test/a.test.ts: a sweep by the live clock"])
    // One test by a virtual clock does not excuse its neighbour.
    assert.deepStrictEqual(
      why(`describe("a", () => {
        it.live("b", () => VirtualClock.run(Effect.void))
        it.live("c", () => Effect.sleep(5))
      })`),
      live
    )
  })

  it("are found in every package, and hold every folder of tests on live clocks and real peers", () => {
    const found = realTimeTests(root)
    for (const file of testFiles(root)) {
      if (/\/(live|peers)\//.test(file)) assert.isTrue(found.has(file), file)
    }
    for (const folder of ["examples", "packages/core", "packages/http", "packages/metrics", "packages/testkit"]) {
      assert.isTrue([...found.keys()].some((file) => file.startsWith(`${folder}/test/`)), folder)
    }
  })
})
