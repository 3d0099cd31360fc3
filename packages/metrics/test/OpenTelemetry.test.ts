import * as OtelMetrics from "@effect/opentelemetry/Metrics"
import * as Resource from "@effect/opentelemetry/Resource"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import { all, families } from "@holdfast/metrics/MetricFamilies"
import * as RegistryMetrics from "@holdfast/metrics/RegistryMetrics"
import * as ResilienceMetrics from "@holdfast/metrics/ResilienceMetrics"
import { DataPointType, type MetricData, MetricReader } from "@opentelemetry/sdk-metrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"

/** Collects when it is asked, as an exporter does by its timer. */
class Reader extends MetricReader {
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
}

class Busy extends Failure.Retryable("Busy")<{}> {}

class Payments extends Dependency.Service<Payments>()("exported payments", {
  bulkhead: { maxConcurrent: 5 },
  retry: false,
  circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1), openJitter: 0 }
}) {}

describe("OpenTelemetry", () => {
  it.effect("an exporter of Effect's metrics sees the same families, gauges included, with their help and their labels", () =>
    Effect.gen(function*() {
      const reader = new Reader()
      const exporting = OtelMetrics.layer(() => reader).pipe(
        Layer.provide(Resource.layer({ serviceName: "orders" }))
      )
      const metrics = Layer.mergeAll(
        exporting,
        ResilienceMetrics.layer(),
        RegistryMetrics.layer({ every: "10 seconds" })
      )
      const collected = yield* Effect.gen(function*() {
        yield* Payments.call({ operation: "charge" })(Effect.void)
        yield* Effect.exit(Payments.call(new Busy()))
        yield* TestClock.adjust("10 seconds")
        return yield* Effect.promise(() => reader.collect())
      }).pipe(Effect.provide(metrics), Effect.provide(Layer.provideMerge(Payments.layer, DependencyRegistry.layer)))

      const seen = new Map<string, MetricData>(
        collected.resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics).map((
          data
        ) => [data.descriptor.name, data])
      )
      const types = { counter: DataPointType.SUM, gauge: DataPointType.GAUGE, histogram: DataPointType.HISTOGRAM }
      for (const family of all.filter(({ metric }) => seen.has(metric))) {
        const data = seen.get(family.metric)!
        assert.strictEqual(data.dataPointType, types[family.type], family.metric)
        assert.strictEqual(data.descriptor.description, family.help)
        for (const { attributes } of data.dataPoints) {
          assert.deepStrictEqual(Object.keys(attributes), [...family.labels], family.metric)
        }
      }
      const values = (metric: string) =>
        seen.get(metric)?.dataPoints.filter(({ attributes }) => attributes.service === "exported payments")
          .map(({ attributes: { service: _, ...rest }, value }) => [Object.values(rest).join(" "), value])
      assert.deepStrictEqual(values(families.circuitState.metric), [["", 1]])
      assert.deepStrictEqual(values(families.circuitTrips.metric), [["", 1]])
      assert.deepStrictEqual(values(families.bulkheadCapacity.metric), [["", 5]])
      assert.deepStrictEqual(values(families.bulkheadActive.metric), [["", 0]])
      assert.sameDeepMembers(values(families.calls.metric)!, [["charge success", 1], ["unnamed retryable", 1]])
      assert.deepInclude(values(families.circuitSeconds.metric)!, ["open", 10])
      const trips = seen.get(families.circuitTrips.metric)!
      assert.isTrue(trips.dataPointType === DataPointType.SUM && trips.isMonotonic)
      const duration = seen.get(families.requestDuration.metric)!.dataPoints.find(({ attributes }) =>
        attributes.service === "exported payments"
      )!.value as { readonly buckets: { readonly boundaries: ReadonlyArray<number> }; readonly count: number }
      assert.deepStrictEqual([...duration.buckets.boundaries], [...families.requestDuration.buckets])
      assert.strictEqual(duration.count, 1)
    }))
})
