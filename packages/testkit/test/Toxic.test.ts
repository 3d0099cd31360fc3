import { assert, describe, it } from "@effect/vitest"
import * as Toxic from "@holdfast/testkit/Toxic"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"

const refused = (input: unknown) =>
  Either.match(Toxic.decode(input), {
    onLeft: (error) => error.message.replace("The toxic is not valid: ", ""),
    onRight: (toxic) => assert.fail(`accepted ${JSON.stringify(toxic)}`)
  })

describe("Toxic", () => {
  it("fills in what Toxiproxy fills in", () => {
    const decoded = (input: unknown) => Either.getOrThrow(Toxic.decode(input))
    assert.deepStrictEqual(decoded({ type: "latency" }), {
      type: "latency",
      name: "latency_downstream",
      stream: "downstream",
      toxicity: 1,
      attributes: { latency: 0, jitter: 0 }
    })
    assert.deepStrictEqual(decoded({ type: "slicer", stream: "upstream", attributes: { average_size: 9 } }), {
      type: "slicer",
      name: "slicer_upstream",
      stream: "upstream",
      toxicity: 1,
      attributes: { average_size: 9, size_variation: 0, delay: 0 }
    })
    for (const type of ["bandwidth", "slow_close", "timeout", "reset_peer", "limit_data"]) {
      assert.deepStrictEqual(Object.values(decoded({ type }).attributes), [0])
    }
  })

  it("every toxic comes back from JSON as it was", () => {
    const all = [
      Toxic.latency({ latency: "2 seconds", jitter: "500 millis", toxicity: 0.25 }),
      Toxic.bandwidth({ rate: 12.5, stream: "upstream" }),
      Toxic.slowClose({ delay: 10, name: "slow" }),
      Toxic.timeout({}),
      Toxic.timeout({ after: "1 minute" }),
      Toxic.resetPeer({ after: 5 }),
      Toxic.slicer({ averageSize: 10, sizeVariation: 9, delay: Duration.micros(50n) }),
      Toxic.limitData({ bytes: 1024 })
    ]
    for (const toxic of all) {
      assert.deepStrictEqual(Either.getOrThrow(Toxic.decode(JSON.parse(JSON.stringify(toxic)))), toxic)
    }
    assert.deepStrictEqual(all.map((toxic) => toxic.attributes), [
      { latency: 2000, jitter: 500 },
      { rate: 12.5 },
      { delay: 10 },
      { timeout: 0 },
      { timeout: 60_000 },
      { timeout: 5 },
      { average_size: 10, size_variation: 9, delay: 50 },
      { bytes: 1024 }
    ])
  })

  it("says of each wrong field what is allowed, all at once", () => {
    assert.strictEqual(
      refused({
        type: "latency",
        name: "",
        stream: "up",
        toxicity: 2,
        attributes: { latency: -1, jitter: "much", delay: 1 }
      }),
      "name is \"\", allowed is a text that is not empty; stream is \"up\", allowed is upstream or downstream; " +
        "toxicity is 2, allowed is a share from 0 to 1; " +
        "attributes.delay is unexpected, expected: \"latency\" | \"jitter\"; " +
        "attributes.latency is -1, allowed is a number of milliseconds, 0 or more; " +
        "attributes.jitter is \"much\", allowed is a number of milliseconds, 0 or more"
    )
    assert.strictEqual(
      refused({ type: "down" }),
      "type is \"down\", allowed is one of latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data"
    )
    assert.strictEqual(refused({ type: "slicer" }), "attributes.average_size is missing")
    assert.strictEqual(
      refused({ type: "slicer", attributes: { average_size: 5, size_variation: 5 } }),
      "attributes.size_variation is 5, allowed is less than average_size"
    )
    assert.include(refused({ type: "slicer", attributes: { average_size: 0.5 } }), "allowed is a whole number of bytes")
    assert.include(refused({ type: "limit_data", attributes: { bytes: 1e400 } }), "attributes.bytes is null")
    for (const input of [null, undefined, "latency", ["latency"]]) assert.include(refused(input), "allowed is a record")
  })

  it("a constructor refuses what JSON may not say either", () => {
    assert.throws(() => Toxic.latency({ latency: -5 }), "attributes.latency is -5")
    assert.throws(() => Toxic.latency({ latency: "1 second", jitter: NaN }), "attributes.jitter")
    assert.throws(() => Toxic.timeout({ after: Duration.infinity }), "attributes.timeout")
    assert.throws(() => Toxic.slicer({ averageSize: 4, sizeVariation: 4 }), Toxic.InvalidToxic)
    assert.throws(() => Toxic.limitData({ bytes: 1, toxicity: 1.5 }), "toxicity is 1.5")
  })

  it("changes keep what they do not name, and its type", () => {
    const slow = Toxic.latency({ latency: 100, jitter: 10, name: "slow", stream: "upstream" })
    const changed = Either.getOrThrow(Toxic.change(slow, { toxicity: 0.5, attributes: { jitter: 0 } }))
    assert.deepStrictEqual(changed, { ...slow, toxicity: 0.5, attributes: { latency: 100, jitter: 0 } })
    assert.isTrue(Either.isLeft(Toxic.change(slow, { attributes: { rate: 1 } })))
    assert.isTrue(Either.isLeft(Toxic.change(slow, { toxicity: -1 })))
  })
})
