import { assert, describe, it } from "@effect/vitest"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as fc from "effect/FastCheck"
import { Line } from "./support/line.js"

/** Toxics that lose nothing. */
const lossless = fc.oneof(
  fc.record({ latency: fc.integer({ min: 0, max: 50 }), jitter: fc.integer({ min: 0, max: 60 }) }).map(Toxic.latency),
  fc.record({ rate: fc.constantFrom(0, 0.05, 1, 100) }).map(Toxic.bandwidth),
  fc.record({ delay: fc.integer({ min: 0, max: 50 }) }).map(Toxic.slowClose),
  fc.record({ averageSize: fc.integer({ min: 1, max: 40 }), delay: fc.constantFrom(0, 0.05, 2) }).chain((slices) =>
    fc.integer({ min: 0, max: slices.averageSize - 1 }).map((sizeVariation) =>
      Toxic.slicer({ ...slices, sizeVariation })
    )
  ),
  fc.record({ bytes: fc.constant(1e9) }).map(Toxic.limitData)
)

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ _tag: fc.constant("write" as const), bytes: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("time" as const), millis: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("add" as const), toxic: lossless }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("remove" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("letGo" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("again" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("full" as const) }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("drain" as const) }) }
)

describe("laws of a pipeline", () => {
  it("whatever toxics come, change and go while data is under way, no byte is lost, turned or said twice", () => {
    const seen = { added: 0, removed: 0, full: 0, held: 0, changed: 0 }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: "max" }), fc.integer(), (steps, seed) => {
        let state = (Math.abs(seed) % 2147483646) + 1
        const line = new Line(() => (state = (state * 16807) % 2147483647) / 2147483648)
        const toxics: Array<Toxic.Toxic> = []
        let sent = 0
        let names = 0
        const written: Array<Uint8Array> = []
        for (const each of steps) {
          switch (each._tag) {
            case "write": {
              // As a socket does: what is read is written, and nothing is read while the pipeline is full.
              if (line.pipeline.full()) {
                seen.full++
                break
              }
              const data = Uint8Array.from({ length: each.bytes }, () => sent++ % 251)
              written.push(data)
              line.pipeline.write(data)
              break
            }
            case "time": {
              line.time.advance(each.millis)
              break
            }
            case "add": {
              seen.added++
              toxics.push(line.add({ ...each.toxic, name: `toxic ${names++}` }))
              break
            }
            case "remove": {
              const [toxic] = toxics.splice(each.which % Math.max(1, toxics.length), 1)
              if (toxic === undefined) break
              seen.removed++
              line.pipeline.remove(toxic.name)
              break
            }
            case "letGo": {
              const toxic = toxics[each.which % Math.max(1, toxics.length)]
              if (toxic !== undefined) line.pipeline.change(toxic.name, undefined)
              break
            }
            case "again": {
              const toxic = toxics[each.which % Math.max(1, toxics.length)]
              if (toxic === undefined) break
              seen.changed++
              line.change(toxic, {})
              break
            }
            case "full": {
              line.full = true
              break
            }
            case "drain": {
              line.drain()
              break
            }
          }
          if (line.pipeline.held > 0) seen.held++
          assert.strictEqual(line.count + line.pipeline.held, sent)
        }
        line.pipeline.end("half")
        line.drain()
        // All that holds something for ever is let go; nothing else is touched, and all must come by itself.
        for (const { attributes, name } of toxics) {
          if ("rate" in attributes && attributes.rate === 0) line.pipeline.change(name, undefined)
        }
        line.time.advance(10_000_000)
        assert.isTrue(line.bytes.equals(Buffer.concat(written)))
        assert.deepStrictEqual([line.ends, line.pipeline.held, line.time.waiting], [["half"], 0, 0])
      }),
      { numRuns: 150, seed: 6 }
    )
    for (const [what, times] of Object.entries(seen)) assert.isAbove(times, 100, what)
  })

  it("ten thousand small messages arrive in order through every lossless toxic at once", () => {
    let state = 7
    const line = new Line(() => (state = (state * 16807) % 2147483647) / 2147483648)
    line.add(Toxic.slicer({ averageSize: 3, sizeVariation: 2, delay: 0.01 }))
    line.add(Toxic.latency({ latency: 20, jitter: 20 }))
    line.add(Toxic.bandwidth({ rate: 50 }))
    line.add(Toxic.slowClose({ delay: 100 }))
    const messages = Array.from({ length: 10_000 }, (_, index) => `message ${index};`)
    for (const [index, message] of messages.entries()) {
      while (line.pipeline.full()) line.time.advance(5)
      line.write(message)
      if (index % 7 === 0) line.time.advance(1)
    }
    line.pipeline.end("half")
    line.time.advance(1e6)
    assert.strictEqual(line.bytes.toString("latin1"), messages.join(""))
    assert.deepStrictEqual(line.ends, ["half"])
  })
})
