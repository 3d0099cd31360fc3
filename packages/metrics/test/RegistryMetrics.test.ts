import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import { InvalidOptions } from "@holdfast/core/Options"
import { families, type Family } from "@holdfast/metrics/MetricFamilies"
import * as RegistryMetrics from "@holdfast/metrics/RegistryMetrics"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { counterOf, gaugeOf } from "./support/series.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const fragile = {
  circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1), openDuration: "30 seconds", openJitter: 0 },
  retry: false
} as const

class Payments extends Dependency.Service<Payments>()("read payments", {
  ...fragile,
  bulkhead: { maxConcurrent: 2, maxQueue: 5 },
  operations: { charge: { circuitBreaker: fragile.circuitBreaker }, ping: {} }
}) {}

class Search extends Dependency.Service<Search>()("read search", {
  retry: { maxRetries: 1, budget: { percent: 0, minimumPerSecond: 1, ttl: "10 seconds" } },
  rateLimiter: { rate: 10, capacity: 2, maxWait: "1 second", scope: "call" }
}) {}

const live = Layer.provideMerge(Layer.mergeAll(Payments.layer, Search.layer), DependencyRegistry.layer)

/** What is read of a family, by its labels. */
const reading = (family: Family) =>
  Effect.map(RegistryMetrics.read, (readings) =>
    Object.fromEntries(
      readings.filter((one) => one.family === family).map(({ labels, value }) => [labels.join(" "), value])
    ))

const fail = Effect.exit(new Busy().pipe(Payments.call))

describe("what is read at the registry", () => {
  it.effect("circuit_breaker_state: 0 closed, 1 open, 2 half-open, and an open one that is due is open until a call probes it", () =>
    Effect.gen(function*() {
      const state = Effect.map(reading(families.circuitState), (states) => states["read payments"])
      assert.strictEqual(yield* state, 0)
      yield* fail
      assert.strictEqual(yield* state, 1)
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual(yield* state, 1)
      const free = yield* Deferred.make<void>()
      const probe = yield* Effect.fork(Payments.call(Deferred.await(free)))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* state, 2)
      yield* Deferred.succeed(free, void 0)
      yield* Fiber.join(probe)
      assert.strictEqual(yield* state, 0)
      yield* DependencyRegistry.isolate("read payments")
      assert.strictEqual(yield* state, 1, "isolated")
      yield* DependencyRegistry.disable("read payments")
      assert.strictEqual(yield* state, 0, "disabled")
    }).pipe(Effect.provide(live)))

  it.effect("time in each state, and the age of the present one, to the millisecond", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1500 millis")
      yield* fail
      yield* TestClock.adjust("31 seconds")
      yield* Payments.call(Effect.void)
      yield* TestClock.adjust("2 seconds")
      yield* DependencyRegistry.isolate("read payments")
      yield* TestClock.adjust("250 millis")
      const seconds = yield* reading(families.circuitSeconds)
      const of = (state: string) => seconds[`read payments ${state}`]
      assert.deepStrictEqual(["closed", "open", "half_open", "isolated", "disabled"].map(of), [3.5, 31, 0, 0.25, 0])
      assert.strictEqual((yield* reading(families.circuitAge))["read payments"], 0.25)
      // `isolate` moves the breakers of operations as well.
      assert.strictEqual(seconds["read payments.charge closed"], 34.5)
    }).pipe(Effect.provide(live)))

  it.effect("bulkhead_active_count, its capacity and its queue", () =>
    Effect.gen(function*() {
      const free = yield* Deferred.make<void>()
      const calls = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(Payments.call(Deferred.await(free))))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(yield* reading(families.bulkheadActive), { "read payments": 2 })
      assert.deepStrictEqual(yield* reading(families.bulkheadQueued), { "read payments": 3 })
      assert.deepStrictEqual(yield* reading(families.bulkheadCapacity), { "read payments": 2 })
      yield* Deferred.succeed(free, void 0)
      yield* Effect.forEach(calls, Fiber.join)
      assert.deepStrictEqual(yield* reading(families.bulkheadActive), { "read payments": 0 })
      yield* DependencyRegistry.reconfigure("read payments", { bulkhead: { maxConcurrent: 7 } })
      assert.deepStrictEqual(yield* reading(families.bulkheadCapacity), { "read payments": 7 })
    }).pipe(Effect.provide(live)))

  it.effect("retry budget and limiter decisions, and nothing of a piece that is switched off", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* reading(families.retryBudget), { "read search": 10 })
      const calls = yield* Effect.fork(
        Effect.forEach([1, 2, 3], () => Search.call(Effect.void), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(calls)
      assert.deepStrictEqual(yield* reading(families.limiterDecisions), {
        "read search admitted": 2,
        "read search waited": 1
      })
      const retried = yield* Effect.fork(Effect.exit(Search.call(new Busy())))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(retried)
      assert.deepStrictEqual(yield* reading(families.retryBudget), { "read search": 9 })
      yield* DependencyRegistry.reconfigure("read search", { rateLimiter: false, circuitBreaker: false })
      assert.deepStrictEqual(yield* reading(families.limiterDecisions), {})
      assert.deepStrictEqual(Object.keys(yield* reading(families.circuitState)), [
        "read payments",
        "read payments.charge"
      ])
    }).pipe(Effect.provide(live)))
})

describe("the layer", () => {
  it.effect("writes what it reads into Effect's metrics, at once and again, counters by what they grew", () =>
    Effect.gen(function*() {
      class Mail extends Dependency.Service<Mail>()("written mail", { ...fragile, bulkhead: { maxConcurrent: 4 } }) {}
      const labels = { service: "written mail" }
      const open = { service: "written mail", state: "open" }
      const registry = yield* Layer.build(DependencyRegistry.layer)
      const mailScope = yield* Scope.make()
      const metricsScope = yield* Scope.make()
      const mail = yield* Layer.build(Mail.layer).pipe(Effect.provide(registry), Scope.extend(mailScope))
      const metrics = Layer.build(RegistryMetrics.layer({ every: "10 seconds" })).pipe(
        Effect.provide(registry),
        Scope.extend(metricsScope)
      )
      yield* metrics
      assert.strictEqual(gaugeOf(families.bulkheadCapacity, labels), 4)
      yield* Effect.provide(Effect.exit(Mail.call(new Busy())), mail)
      assert.strictEqual(gaugeOf(families.circuitState, labels), 0, "until the next reading")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(gaugeOf(families.circuitState, labels), 1)
      assert.strictEqual(counterOf(families.circuitSeconds, open), 10)
      yield* TestClock.adjust("25 seconds")
      assert.strictEqual(counterOf(families.circuitSeconds, open), 30)
      // Built once more, it adds nothing twice.
      yield* metrics
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(counterOf(families.circuitSeconds, open), 40)

      yield* Scope.close(mailScope, Exit.void)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(gaugeOf(families.circuitState, labels), 0, "it is gone")
      assert.strictEqual(gaugeOf(families.bulkheadCapacity, labels), 0)
      assert.strictEqual(counterOf(families.circuitSeconds, open), 40, "what was counted stays")

      yield* Effect.provide(
        Effect.zipRight(
          Effect.exit(Mail.call(new Busy())),
          Effect.zipRight(TestClock.adjust("10 seconds"), Effect.sync(() => gaugeOf(families.circuitState, labels)))
        ),
        Layer.provideMerge(Mail.layer, Layer.succeedContext(registry))
      ).pipe(Effect.map((state) => assert.strictEqual(state, 1)))
      assert.strictEqual(counterOf(families.circuitSeconds, open), 50, "started anew it counts on")
      yield* Scope.close(metricsScope, Exit.void)
    }).pipe(Effect.scoped))

  it.effect("its gauges read 0 when its scope is closed", () =>
    Effect.gen(function*() {
      class Stock extends Dependency.Service<Stock>()("written stock", { bulkhead: { maxConcurrent: 4 } }) {}
      yield* Effect.void.pipe(
        Effect.provide(RegistryMetrics.layer()),
        Effect.provide(Layer.provideMerge(Stock.layer, DependencyRegistry.layer))
      )
      assert.strictEqual(gaugeOf(families.bulkheadCapacity, { service: "written stock" }), 0)
    }))

  for (const every of [0, -1, NaN, Infinity, "soon"]) {
    it.effect(`every ${every} is refused when the layer is built`, () =>
      Effect.gen(function*() {
        const layer = RegistryMetrics.layer({ every: every as number })
        const defect = yield* Effect.void.pipe(Effect.provide(layer), Effect.catchAllDefect(Effect.succeed))
        assert.instanceOf(defect, InvalidOptions)
      }))
  }

  for (const options of [{ evry: "1 second" }, null, "5 seconds"]) {
    it.effect(`${JSON.stringify(options)} is refused when the layer is built`, () =>
      Effect.gen(function*() {
        const layer = RegistryMetrics.layer(options as any)
        const defect = yield* Effect.void.pipe(Effect.provide(layer), Effect.catchAllDefect(Effect.succeed))
        assert.instanceOf(defect, InvalidOptions)
      }))
  }
})
