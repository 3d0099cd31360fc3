/**
 * Who counts is one for the whole process, and its bound only grows: these tests have a process of their own, and run one after the other.
 */
import { assert, describe, it } from "@effect/vitest"
import { families } from "@holdfast/metrics/MetricFamilies"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { ended } from "./support/events.js"
import { seriesOf } from "./support/series.js"

describe.sequential("the bound of a label", () => {
  it("H06: past the bound every new value is `other`, and the known ones go on", () => {
    const listen = ResilienceMetrics.listener({ maximumLabelValues: 3 })
    for (let order = 0; order < 1000; order++) {
      listen(ended("bounded endpoints", `GET /orders/${order}`, "200"))
    }
    listen(ended("bounded endpoints", "GET /orders/1", "200"))
    assert.deepStrictEqual(seriesOf(families.requestDuration, "bounded endpoints"), {
      "GET /orders/0 200": 1,
      "GET /orders/1 200": 2,
      "GET /orders/2 200": 1,
      "other 200": 997
    })
    for (let status = 200; status < 300; status++) {
      listen(ended("bounded endpoints", "GET /orders/0", String(status)))
    }
    const statuses = seriesOf(families.requestDuration, "bounded endpoints")
    assert.strictEqual(statuses["GET /orders/0 other"], 97)
    for (let tenant = 0; tenant < 100; tenant++) {
      listen(ended(`tenant ${tenant}`, "get", "200"))
    }
    assert.deepStrictEqual(seriesOf(families.requestDuration, "tenant 1"), { "get 200": 1 })
    assert.deepStrictEqual(seriesOf(families.requestDuration, "tenant 2"), {}, "two tenants and the endpoints before")
    assert.strictEqual(seriesOf(families.requestDuration, "other")["get 200"], 98)
  })

  it("random names never make more series than the bound allows", () =>
    Effect.gen(function*() {
      const most = 8
      const listen = ResilienceMetrics.listener({ maximumLabelValues: most })
      for (let count = 0; count < 3000; count++) {
        const draw = (range: number) => Random.nextIntBetween(0, range)
        const dependency = `random ${yield* draw(20)}`
        listen(ended(dependency, `operation ${yield* draw(20)}`, String(yield* draw(20))))
        listen({
          ...ended(dependency, "op"),
          _tag: "BulkheadRejected",
          bulkhead: `${dependency}.op${yield* draw(50)}.bulkhead`,
          reason: "full",
          maxConcurrent: 1,
          active: 1,
          queued: 0,
          rejected: 1
        })
      }
      const services = Array.from({ length: 20 }, (_, index) => `random ${index}`)
        .filter((service) => Object.keys(seriesOf(families.requestDuration, service)).length > 0)
      assert.isAtMost(services.length, most)
      assert.isAbove(services.length, 0)
      for (const service of services) {
        assert.isAtMost(Object.keys(seriesOf(families.requestDuration, service)).length, (most + 1) * (most + 1))
      }
    }).pipe(Effect.withRandom(Random.make("labels")), Effect.runPromise))

  it("of several bounds the largest counts, and what came before stays where it is", () => {
    const listen = ResilienceMetrics.listener({ maximumLabelValues: 20 })
    assert.strictEqual(ResilienceMetrics.listener({ maximumLabelValues: 2 }), listen)
    for (let endpoint = 0; endpoint < 30; endpoint++) {
      listen(ended("bounded endpoints", `GET /${endpoint}`, "200"))
    }
    const series = seriesOf(families.requestDuration, "bounded endpoints")
    assert.strictEqual(series["GET /orders/1 200"], 2)
    assert.strictEqual(series["GET /16 200"], 1, "three were known before")
    assert.strictEqual(series["GET /17 200"], undefined)
    assert.strictEqual(series["other 200"], 997 + 13)
  })
})
