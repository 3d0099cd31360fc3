import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Fallback from "@holdfast/core/Fallback"
import * as Figures from "@holdfast/core/Figures"
import * as Health from "@holdfast/core/Health"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ResilienceLog from "@holdfast/core/ResilienceLog"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { Busy } from "./support/virtual.js"

const fails = Effect.fail(new Busy({}))

const times = <R>(count: number, effect: Effect.Effect<unknown, unknown, R>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.exit(effect), { discard: true })

const own = { circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2), openJitter: 0 }, retry: false } as const

class Payments extends Dependency.Service<Payments>()("payments", {
  ...own,
  bulkhead: { maxConcurrent: 5 },
  operations: { charge: { ...own, bulkhead: { maxConcurrent: 1 } } }
}) {}

/** Its breaker and its bulkhead are named as those that the operation `charge` of `payments` has for itself. */
class Charge extends Dependency.Service<Charge>()("payments.charge", { ...own, bulkhead: { maxConcurrent: 1 } }) {}

const live = Layer.provideMerge(Layer.merge(Payments.layer, Charge.layer), DependencyRegistry.layer)

describe("a dependency named as an operation of another", () => {
  it.effect("has a health of its own: an open circuit is hidden by neither", () =>
    Effect.gen(function*() {
      const { listener, report } = yield* Health.make()
      yield* Effect.gen(function*() {
        yield* times(2, fails.pipe(Payments.call({ operation: "charge" })))
        const of = (name: string) =>
          Effect.map(report, ({ dependencies }) => dependencies.find(({ dependency }) => dependency === name)!)
        assert.strictEqual((yield* of("payments")).status, "degraded")
        assert.strictEqual((yield* of("payments.charge")).status, "healthy")
        assert.deepStrictEqual((yield* of("payments.charge")).circuits.map(({ trips }) => trips.lastDay), [0])
        assert.deepStrictEqual((yield* of("payments")).circuits.map(({ trips }) => trips.lastDay), [0, 1])
        yield* times(2, fails.pipe(Charge.call))
        assert.strictEqual((yield* of("payments.charge")).status, "down")
        assert.deepStrictEqual((yield* of("payments.charge")).circuits.map(({ trips }) => trips.lastDay), [1])
        assert.deepStrictEqual((yield* of("payments")).circuits.map(({ trips }) => trips.lastDay), [0, 1])
      }).pipe(ResilienceEvent.listen(listener))
    }).pipe(Effect.provide(live)))

  it.effect("has figures of its own: circuits and bulkheads are counted for the one they belong to", () =>
    Effect.gen(function*() {
      const { listener, snapshot } = yield* Figures.make()
      yield* Effect.gen(function*() {
        const holder = yield* Effect.fork(Effect.never.pipe(Payments.call({ operation: "charge" })))
        yield* Effect.yieldNow()
        yield* times(3, Effect.void.pipe(Payments.call({ operation: "charge" })))
        yield* Fiber.interrupt(holder)
        const second = yield* Effect.fork(Effect.never.pipe(Charge.call))
        yield* Effect.yieldNow()
        yield* times(1, Effect.void.pipe(Charge.call))
        yield* Fiber.interrupt(second)
        yield* times(2, fails.pipe(Payments.call({ operation: "charge" })))
        yield* times(2, fails.pipe(Charge.call))
        const { bulkheads, dependencies } = yield* snapshot
        assert.deepStrictEqual(
          bulkheads.map(({ operations, rejected }) => [operations[0]?.dependency, rejected]),
          [["payments", 3], ["payments.charge", 1]]
        )
        assert.deepStrictEqual(
          dependencies.map(({ circuits, dependency }) => [dependency, circuits.map(({ trips }) => trips)]),
          [["payments", [1]], ["payments.charge", [1]]]
        )
      }).pipe(ResilienceEvent.listen(listener))
    }).pipe(Effect.provide(live)))

  it.effect("has log lines of its own when many are summed up", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        lines.push(String(Array.isArray(message) ? message[0] : message))
      })
      yield* Effect.gen(function*() {
        const listener = yield* ResilienceLog.make({ burst: 1 })
        yield* times(2, fails.pipe(Payments.call({ operation: "charge" }))).pipe(ResilienceEvent.listen(listener))
        yield* times(2, fails.pipe(Charge.call)).pipe(ResilienceEvent.listen(listener))
      }).pipe(Effect.scoped, Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.strictEqual(lines.filter((line) => line.startsWith("Circuit OPENED for")).length, 2, lines.join("\n"))
    }).pipe(Effect.provide(live)))
})

describe("fallbacks of one name", () => {
  const list = (dependency: string) =>
    Fallback.make({ name: "list", dependency, tiers: [Fallback.value(0, { name: "zero" })] })

  it.effect("that stand in for two dependencies degrade each its own", () =>
    Effect.gen(function*() {
      const health = yield* Health.make({ fallbacks: [{ name: "list" }] })
      const figures = yield* Figures.make()
      yield* Effect.gen(function*() {
        yield* fails.pipe(list("prices"))
        yield* fails.pipe(list("stock"))
        yield* fails.pipe(list("stock"))
      }).pipe(ResilienceEvent.listen(health.listener), ResilienceEvent.listen(figures.listener))
      const { dependencies, fallbacks } = yield* health.report
      assert.deepStrictEqual(
        dependencies.map(({ dependency, fallbacks, status }) => [dependency, status, fallbacks.length]),
        [["prices", "degraded", 1], ["stock", "degraded", 1]]
      )
      assert.deepStrictEqual(fallbacks, [])
      assert.deepStrictEqual(
        (yield* figures.snapshot).fallbacks.map(({ dependency, tiers }) => [dependency, tiers[0]?.served]),
        [["prices", 1], ["stock", 2]]
      )
    }).pipe(Effect.provide(DependencyRegistry.layer)))

  it("no bulkhead that several dependencies share is taken apart", () =>
    Effect.runPromise(
      Effect.gen(function*() {
        const { listener, snapshot } = yield* Figures.make()
        const pool = yield* Bulkhead.make({ name: "pool", maxConcurrent: 1 })
        yield* Effect.gen(function*() {
          const holder = yield* Effect.fork(pool(Effect.never))
          yield* Effect.yieldNow()
          yield* times(2, pool(Effect.void))
          yield* Fiber.interrupt(holder)
        }).pipe(ResilienceEvent.listen(listener))
        assert.deepStrictEqual((yield* snapshot).bulkheads.map(({ bulkhead }) => bulkhead), ["pool"])
      }).pipe(Effect.provide(DependencyRegistry.layer))
    ))
})

describe("names that every object inherits", () => {
  const names = ["constructor", "__proto__", "toString", "hasOwnProperty"] as const

  class Odd extends Dependency.Service<Odd>()("odd", {
    ...own,
    operations: Object.fromEntries(names.map((name) => [name, { ...own, repeatable: false }])) as {
      readonly [name: string]: typeof own & { readonly repeatable: false }
    }
  }) {}

  const odd = Layer.provideMerge(Odd.layer, DependencyRegistry.layer)

  it.effect("are operations like others: declared, told and read by their own", () =>
    Effect.gen(function*() {
      yield* times(2, fails.pipe(Odd.call({ operation: "__proto__" })))
      const { operations } = yield* DependencyRegistry.state("odd")
      assert.deepStrictEqual(Object.keys(operations).sort(), [...names].sort())
      const states = new Map(Object.entries(operations).map(([name, one]) => [name, one.circuitBreaker?.state._tag]))
      assert.deepStrictEqual([states.get("__proto__"), states.get("constructor")], ["Open", "Closed"])
      const plain = yield* Effect.map(Odd, (self) => self.policy("valueOf"))
      assert.strictEqual(yield* plain, yield* Effect.flatMap(Odd, (self) => self.policy()))
    }).pipe(Effect.provide(odd)))

  it.effect("are found in no record that does not have them: rehearsals and branches", () =>
    Effect.gen(function*() {
      const health = yield* Health.make({ rehearsed: {}, fallbacks: names.map((name) => ({ name })) })
      const { fallbacks } = yield* health.report
      assert.deepStrictEqual(fallbacks.map(({ lastRehearsed }) => lastRehearsed), names.map(() => undefined))
      const branches = Object.fromEntries(
        names.map((name) => [name, Fallback.branch(Effect.succeed(name), { criticality: "critical" })])
      )
      const all = yield* Fallback.all(branches)
      assert.deepStrictEqual(Object.entries(all), names.map((name) => [name, name] as [string, typeof name]))
    }).pipe(Effect.provide(DependencyRegistry.layer)))
})

describe("names in the environment", () => {
  class Dashed extends Dependency.Service<Dashed>()("ledger-api") {}
  class Dotted extends Dependency.Service<Dotted>()("ledger.api") {}

  it.effect("two dependencies never read one variable unless they are told to", () =>
    Effect.gen(function*() {
      const built = (layer: Layer.Layer<any, any>) =>
        Effect.map(
          Effect.exit(Effect.scoped(Layer.build(layer))),
          (exit) => Exit.isSuccess(exit) ? "built" : String(Cause.squash(exit.cause))
        )
      assert.strictEqual(yield* built(Dashed.layerConfig()), "built")
      assert.match(yield* built(Dotted.layerConfig()), /prefix is "LEDGER_API", allowed is a prefix of its own/)
      assert.strictEqual(yield* built(Dotted.layerConfig("LEDGER")), "built")
      assert.strictEqual(yield* built(Dashed.layerConfig()), "built")
    }).pipe(Effect.provide(DependencyRegistry.layer)))
})
