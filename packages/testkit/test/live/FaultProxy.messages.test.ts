import { assert, describe, it } from "@effect/vitest"
import * as FaultProxy from "@holdfast/testkit/FaultProxy"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { connect, echo, eventually } from "../support/network.js"

const slices = fc.record({
  averageSize: fc.integer({ min: 4, max: 400 }),
  delay: fc.constantFrom(0, 0.01, 0.05),
  stream: fc.constantFrom("upstream" as const, "downstream" as const)
}).chain((options) =>
  fc.integer({ min: 0, max: options.averageSize - 1 }).map((sizeVariation) => ({ ...options, sizeVariation }))
)

describe("FaultProxy under many small messages", () => {
  it.live("ten thousand come back in order, whatever slicers, delays and limits come and go meanwhile", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(slices, { minLength: 2, maxLength: 6 }), (all) =>
          Effect.gen(function*() {
            const { address } = yield* echo
            const proxy = yield* FaultProxy.make({ upstream: address })
            const client = yield* connect(proxy.port())
            const toxics = all.map((options, index) => Toxic.slicer({ ...options, name: `slicer ${index}` }))
            const messages = Array.from({ length: 10_000 }, (_, index) => `${index};`)
            const part = Math.ceil(messages.length / toxics.length)
            for (const [index, toxic] of toxics.entries()) {
              yield* proxy.add(toxic)
              yield* proxy.add(Toxic.latency({ latency: 2, jitter: 2, name: `latency ${index}` }))
              yield* proxy.add(Toxic.bandwidth({ rate: 2000, name: `bandwidth ${index}`, stream: toxic.stream }))
              const before = client.received().length
              for (const message of messages.slice(index * part, (index + 1) * part)) client.write(message)
              yield* eventually(() => client.received().length > before)
              // The rest is under way while the toxics change and go.
              yield* proxy.change(`bandwidth ${index}`, { attributes: { rate: 500 } })
              yield* proxy.remove(`latency ${index}`)
              if (index > 0) yield* proxy.remove(`slicer ${index - 1}`)
              yield* proxy.remove(`bandwidth ${index}`)
            }
            client.end()
            yield* eventually(() => client.state() === "closed")
            assert.strictEqual(String(client.received()), messages.join(""))
          }).pipe(Effect.scoped, Effect.runPromise)),
        { numRuns: 5, seed: 6 }
      )
    ))

  it.live("a process ends by itself once the scopes of its proxies are closed, whatever they held back", () =>
    Effect.gen(function*() {
      const program = fileURLToPath(new URL("programs/scopes.ts", import.meta.url))
      const { code, output } = yield* Effect.async<{ readonly code: number | null; readonly output: string }>(
        (resume) => {
          const child = spawn(process.execPath, ["--import", "tsx", program], { stdio: ["ignore", "pipe", "inherit"] })
          let output = ""
          child.stdout.on("data", (data) => (output += data))
          child.once("close", (code) => resume(Effect.succeed({ code, output })))
          return Effect.sync(() => child.kill())
        }
      )
      assert.deepStrictEqual([code, output], [0, "scopes closed\n"])
    }))
})
