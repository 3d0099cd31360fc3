/**
 * Who counts is one for the whole process, and its bound only grows: these tests have a process of their own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import { families } from "@holdfast/metrics/MetricFamilies"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { ended } from "./support/events.js"
import { seriesOf } from "./support/series.js"

class Down extends Failure.Permanent("Down")<{}> {}

class Quotes extends Dependency.Service<Quotes>()("quotes", {
  circuitBreaker: { tripPolicy: CircuitBreaker.lowTraffic, when: ["Down"] },
  operations: { late: { circuitBreaker: { tripPolicy: CircuitBreaker.lowTraffic, when: ["Down"] } } }
}) {}

const calls = (service: string, endpoint: string, by: string) =>
  Effect.map(
    Metric.value(ResilienceMetrics.metric(families.calls, { service, endpoint, class: by })),
    ({ count }) => count
  )

const trips = (service: string) =>
  Effect.map(Metric.value(ResilienceMetrics.metric(families.circuitTrips, { service })), ({ count }) => count)

const all = Layer.merge(Quotes.layer, ResilienceMetrics.layer())

// One after the other: the last one fills the bound.
describe.sequential("the names that metrics count under", () => {
  it("a name that is too long to be one is `other`, and none is cut so that it equals another", () => {
    const listen = ResilienceMetrics.listener()
    const long = "x".repeat(300)
    for (const name of [`${long}1`, `${long}2`, long, "\ud800", "\ud801"]) {
      listen(ended("lengths", name, "200"))
    }
    listen(ended("lengths", "x".repeat(200), "200"))
    assert.deepStrictEqual(seriesOf(families.requestDuration, "lengths"), {
      "other 200": 5,
      [`${"x".repeat(200)} 200`]: 1
    })
    listen(ended("lengths", "GET /", "9".repeat(1_000)))
    assert.strictEqual(seriesOf(families.requestDuration, "lengths")["GET / other"], 1)
    listen(ended("y".repeat(1_000), "GET /", "200"))
    assert.strictEqual(seriesOf(families.requestDuration, "other")["GET / 200"], 1)
  })

  it("keyed policies count under one name, that of the keyed policy", () =>
    Effect.gen(function*() {
      const perTenant = yield* Policy.keyed({
        name: "webhooks",
        capacity: 1_000,
        make: (tenant) =>
          Policy.standard(`webhooks.${tenant}`, {
            circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1), when: ["Down"] }
          })
      })
      for (let tenant = 0; tenant < 300; tenant++) {
        yield* Effect.void.pipe(perTenant.with({ key: `${tenant}`, operation: "post" }))
      }
      assert.strictEqual(yield* calls("webhooks", "post", "success"), 300)
      yield* Effect.exit(Effect.fail(new Down()).pipe(perTenant.with({ key: "1", operation: "post" })))
      yield* Effect.exit(Effect.void.pipe(perTenant.with({ key: "1", operation: "post" })))
      assert.strictEqual(yield* trips("webhooks"), 1)
      assert.deepStrictEqual(seriesOf(families.circuitRejected, "webhooks"), { open: 1 })
      assert.deepStrictEqual(seriesOf(families.calls, "webhooks.1"), {})
      assert.deepStrictEqual(seriesOf(families.calls, "webhooks.299"), {})
    }).pipe(Effect.provide(ResilienceMetrics.layer()), Effect.runPromise))

  it("what is declared is counted, whatever else has filled the bound", () =>
    Effect.gen(function*() {
      for (let tenant = 0; tenant < 500; tenant++) {
        const policy = yield* Policy.standard(`crowd ${tenant}`)
        yield* Effect.exit(Effect.void.pipe(policy))
      }
      const listen = ResilienceMetrics.listener()
      for (let endpoint = 0; endpoint < 200; endpoint++) {
        listen(ended("quotes", `data ${endpoint}`))
      }
      for (let call = 0; call < 6; call++) {
        yield* Effect.exit(Quotes.call(Effect.fail(new Down())))
        yield* Effect.exit(Quotes.call({ operation: "late" })(Effect.fail(new Down())))
      }
      assert.strictEqual(yield* calls("quotes", "late", "permanent"), 5)
      assert.strictEqual(yield* trips("quotes"), 1)
      assert.strictEqual(yield* trips("quotes.late"), 1)
      assert.strictEqual(seriesOf(families.circuitRejected, "quotes.late")["open"], 1)
      assert.deepStrictEqual(seriesOf(families.calls, "crowd 400"), {})
    }).pipe(Effect.provide(all), Effect.runPromise))
})
