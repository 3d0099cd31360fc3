import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import { families, type Family } from "@holdfast/metrics/MetricFamilies"
import * as PrometheusText from "@holdfast/metrics/PrometheusText"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as MetricKey from "effect/MetricKey"
import * as Key from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as fc from "fast-check"
import { labelValue, serviceKey, serviceLabel } from "../src/internal/services.js"
import { ended } from "./support/events.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const own = {
  circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1), openJitter: 0 },
  retry: false
} as const

class Payments extends Dependency.Service<Payments>()("twin", { ...own, operations: { charge: own } }) {}
class Charge extends Dependency.Service<Charge>()("twin.charge", own) {}

const live = Layer.provideMerge(Layer.merge(Payments.layer, Charge.layer), DependencyRegistry.layer)

/** The lines of a family about services whose names begin so, as a scraper reads them: in UTF-8. */
const scraped = (family: Family, service: string) =>
  Effect.map(PrometheusText.render(), (text) =>
    new TextDecoder().decode(new TextEncoder().encode(text)).split("\n")
      .filter((line) => line.startsWith(`${family.metric}{service="${service}`)).sort())

const counter = (name: string, count: number, labels: ReadonlyArray<readonly [string, string]> = []) =>
  MetricPair.unsafeMake(
    Key.taggedWithLabels(
      Key.counter(name, { incremental: true }),
      labels.map(([key, value]) => MetricLabel.make(key, value))
    ) as MetricKey.MetricKey<any>,
    MetricState.counter(count)
  )

const foreign = (...pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>) =>
  new TextDecoder().decode(new TextEncoder().encode(PrometheusText.format(pairs, [], { include: "all" }))).split("\n")

describe("two names are never one series", () => {
  it.effect("a dependency and an operation that read alike: an open circuit is hidden by neither", () =>
    Effect.gen(function*() {
      const charged = (effect: Effect.Effect<unknown, unknown, Charge | Payments>) => Effect.exit(effect)
      yield* charged(new Busy().pipe(Payments.call({ operation: "charge" })))
      assert.deepStrictEqual(yield* scraped(families.circuitState, "twin"), [
        "circuit_breaker_state{service=\"twin\"} 0",
        "circuit_breaker_state{service=\"twin.charge [\\\"twin\\\",\\\"charge\\\"]\"} 1",
        "circuit_breaker_state{service=\"twin.charge\"} 0"
      ])
      assert.deepStrictEqual(yield* scraped(families.circuitTrips, "twin"), [
        "circuit_breaker_trips_total{service=\"twin\"} 0",
        "circuit_breaker_trips_total{service=\"twin.charge [\\\"twin\\\",\\\"charge\\\"]\"} 0",
        "circuit_breaker_trips_total{service=\"twin.charge\"} 0"
      ])
      yield* charged(new Busy().pipe(Charge.call))
      assert.deepStrictEqual((yield* scraped(families.circuitState, "twin.charge")).map((line) => line.slice(-1)), [
        "1",
        "1"
      ])
    }).pipe(Effect.provide(live)))

  it.effect("events and the registry name a service alike, whichever comes first", () =>
    Effect.gen(function*() {
      yield* Effect.exit(new Busy().pipe(Payments.call({ operation: "charge" }))).pipe(
        Effect.provide(ResilienceMetrics.layer())
      )
      yield* Effect.exit(new Busy().pipe(Charge.call)).pipe(Effect.provide(ResilienceMetrics.layer()))
      assert.deepStrictEqual((yield* scraped(families.circuitTrips, "twin.charge")).map((line) => line.slice(-1)), [
        "1",
        "1"
      ])
    }).pipe(Effect.provide(live)))

  it.effect("declared operations that differ in half a surrogate pair", () =>
    Effect.gen(function*() {
      const listen = ResilienceMetrics.listener()
      const operations = ["get \ud800", "get \udc00", "get \ufffd", "encoded:get %uD800"]
      class Halves extends Dependency.Service<Halves>()("halves", {
        operations: Object.fromEntries(operations.map((operation) => [operation, {}])) as { [name: string]: {} }
      }) {}
      yield* Effect.scoped(Layer.build(Halves.layer))
      for (const operation of operations) {
        listen(ended("halves", operation, "200"))
      }
      const lines = yield* scraped(families.attempts, "halves")
      assert.strictEqual(new Set(lines).size, 4, lines.join("\n"))
      assert.include(lines.join("\n"), "endpoint=\"encoded:get %uD800\"")
    }).pipe(Effect.provide(DependencyRegistry.layer)))

  it.effect("names that are words of ours", () =>
    Effect.gen(function*() {
      const listen = ResilienceMetrics.listener()
      for (const operation of ["unnamed", undefined, "other"]) {
        listen(ended("words", operation, "200"))
      }
      const lines = yield* scraped(families.attempts, "words")
      assert.deepStrictEqual(lines.map((line) => /endpoint="([^"]*)"/.exec(line)?.[1]), [
        "encoded:other",
        "encoded:unnamed",
        "unnamed"
      ])
    }))

  it("no two names have one value of a label, in UTF-8 too, and no two services", () => {
    const text = fc.oneof(
      fc.string({
        unit: fc.constantFrom("a", ".", "%", "\ud800", "\udc00", "u", "D", "8", "0", "\u0000"),
        maxLength: 6
      }),
      fc.constantFrom("other", "unnamed", "encoded:", "encoded:other", "[\"a\",\"a\"]")
    )
    const values = new Map<string, string>()
    const services = new Map<string, string>()
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), (name, operation) => {
        const value = new TextDecoder().decode(new TextEncoder().encode(labelValue(name)))
        assert.strictEqual(values.get(value) ?? name, name)
        values.set(value, name)
        const label = new TextDecoder().decode(new TextEncoder().encode(serviceLabel(serviceKey(name, operation))))
        const identity = JSON.stringify([name, operation])
        assert.strictEqual(services.get(label) ?? identity, identity)
        services.set(label, identity)
      }),
      { seed: 11, numRuns: 3000 }
    )
  })

  it("metrics of the program that only read alike: the second is left out, and the text says so", () => {
    const lines = foreign(counter("a-b", 1), counter("a.b", 2), counter("a-b", 4))
    assert.deepStrictEqual(lines.filter((line) => line.startsWith("a_b")), ["a_b_total 5"])
    assert.include(lines, "# The counter a.b is left out: a_b_total is the name of a-b.")
  })

  it("labels of the program that only read alike, and values that differ in half a surrogate pair, stay apart", () => {
    const lines = foreign(
      counter("jobs", 1, [["a-b", "x"]]),
      counter("jobs", 2, [["a.b", "x"]]),
      counter("jobs", 3, [["a-b", "\ud800"]]),
      counter("jobs", 4, [["a-b", "\udc00"]])
    )
    assert.deepStrictEqual(lines.filter((line) => line.startsWith("jobs_total{")), [
      "jobs_total{a_b=\"encoded:%uD800\"} 3",
      "jobs_total{a_b=\"encoded:%uDC00\"} 4",
      "jobs_total{a_b=\"x\"} 1",
      "jobs_total{a_b_2=\"x\"} 2"
    ])
  })
})
