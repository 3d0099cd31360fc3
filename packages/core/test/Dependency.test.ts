import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import { UnsafePolicy } from "@holdfast/core/LiveDependency"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"

class Busy extends Failure.Retryable("Busy")<{}> {}

/** Each test has a registry of its own: dependencies of other tests may have the same names. */
const isolated = <A, E>(layer: Layer.Layer<A, E>) => Layer.provide(layer, DependencyRegistry.layer)

const busy = (calls: Ref.Ref<number>) => Effect.zipRight(Ref.update(calls, (n) => n + 1), new Busy())

/** Lets time pass until the effect has ended. */
const underTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    for (let second = 0; second < 60; second++) {
      yield* TestClock.adjust("1 second")
    }
    return yield* Fiber.join(fiber)
  })

const described = (policy: Policy.Policy.Any) =>
  policy.steps.map(({ kind, policy, settings }) => ({ kind, policy, settings }))

describe("Dependency", () => {
  class Payments extends Dependency.Service<Payments>()("payments", {
    bulkhead: { maxConcurrent: 2 },
    circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(3), openJitter: 0 },
    rateLimiter: { rate: 100 },
    operations: {
      charge: { repeatable: false, attemptTimeout: "5 seconds", totalTimeout: "20 seconds" },
      report: {
        bulkhead: { maxConcurrent: 1 },
        circuitBreaker: {},
        totalTimeout: "1 minute",
        retry: { maxRetries: 0 }
      },
      ping: { totalTimeout: false, bulkhead: false, circuitBreaker: false, retry: false, rateLimiter: false }
    }
  }) {}

  const live = isolated(Payments.layer)

  it.effect("a call succeeds with the value of its effect", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Effect.succeed(1).pipe(Payments.call), 1)
      assert.strictEqual(yield* Effect.succeed(2).pipe(Payments.call({ operation: "charge" })), 2)
    }).pipe(Effect.provide(live)))

  it.effect("its policy is the standard stack of its slots, in the same order", () =>
    Effect.gen(function*() {
      const slots = {
        bulkhead: { maxConcurrent: 2, maxQueue: 3, maxWait: "1 second" },
        rateLimiter: { rate: 100, scope: "call" },
        circuitBreaker: { scope: "attempt" },
        retry: { maxRetries: 1 }
      } as const
      class Wide extends Dependency.Service<Wide>()("wide", slots) {}
      class Plain extends Dependency.Service<Plain>()("plain") {}
      const wide = yield* Effect.flatMap(Wide, (self) => self.policy()).pipe(Effect.provide(isolated(Wide.layer)))
      const plain = yield* Effect.flatMap(Plain, (self) => self.policy()).pipe(Effect.provide(isolated(Plain.layer)))
      assert.deepStrictEqual(described(wide), described(yield* Policy.standard("wide", slots)))
      assert.deepStrictEqual(described(plain), described(yield* Policy.standard("plain")))
    }))

  it.effect("an operation has its own settings, and shares what it leaves out", () =>
    Effect.gen(function*() {
      const { policy } = yield* Payments
      const names = (steps: Policy.Policy.Any["steps"]) => steps.map((step) => step.policy)
      assert.deepStrictEqual(names((yield* policy("charge")).steps), [
        "payments.charge.totalTimeout",
        "payments.bulkhead",
        "payments.circuitBreaker",
        "payments.retry",
        "payments.rateLimiter",
        "payments.charge.attemptTimeout"
      ])
      assert.deepStrictEqual(names((yield* policy("report")).steps), [
        "payments.report.totalTimeout",
        "payments.report.bulkhead",
        "payments.report.circuitBreaker",
        "payments.report.retry",
        "payments.rateLimiter",
        "payments.attemptTimeout"
      ])
      assert.deepStrictEqual(names((yield* policy("ping")).steps), ["payments.attemptTimeout"])
      assert.strictEqual(yield* policy("unheard of"), yield* policy())
    }).pipe(Effect.provide(live)))

  it.effect("calls of several operations share the bulkhead of the dependency, and not that of an operation", () =>
    Effect.gen(function*() {
      const free = yield* Deferred.make<void>()
      const hold = Effect.as(Deferred.await(free), "done")
      const held = [
        yield* Effect.fork(hold.pipe(Payments.call)),
        yield* Effect.fork(hold.pipe(Payments.call({ operation: "charge" })))
      ]
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Effect.flip(Effect.void.pipe(Payments.call)))._tag, "BulkheadFull")
      yield* Effect.void.pipe(Payments.call({ operation: "report" }))
      yield* Effect.void.pipe(Payments.call({ operation: "ping" }))
      yield* Deferred.succeed(free, void 0)
      assert.deepStrictEqual(yield* Effect.forEach(held, (fiber) => Fiber.join(fiber)), ["done", "done"])
    }).pipe(Effect.provide(live)))

  it.effect("an operation that is declared not repeatable is tried once, whatever a fact of the call says", () =>
    underTime(Effect.gen(function*() {
      const calls = yield* Ref.make(0)
      yield* Effect.exit(busy(calls).pipe(Payments.call({ operation: "charge" })))
      assert.strictEqual(yield* Ref.getAndSet(calls, 0), 1)
      yield* Effect.exit(busy(calls).pipe(Payments.call({ operation: "charge", repeatable: true })))
      assert.strictEqual(yield* Ref.getAndSet(calls, 0), 1)
      yield* Effect.exit(busy(calls).pipe(Payments.call))
      assert.strictEqual(yield* Ref.get(calls), 3)
    })).pipe(Effect.provide(live)))

  it.effect("a fact that is undefined is not given: it makes nothing repeatable that its operation says is not", () =>
    underTime(Effect.gen(function*() {
      const calls = yield* Ref.make(0)
      yield* Effect.exit(busy(calls).pipe(Payments.call({ operation: "charge", repeatable: undefined })))
      assert.strictEqual(yield* Ref.get(calls), 1)
    })).pipe(Effect.provide(live)))

  it.effect("failures of an operation with a breaker of its own do not open the one of the dependency", () =>
    Effect.gen(function*() {
      class Shop extends Dependency.Service<Shop>()("shop", {
        retry: false,
        circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) },
        operations: { search: { circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) } }, buy: {} }
      }) {}
      yield* Effect.gen(function*() {
        const fail = (operation: "search" | "buy") => Effect.flip(new Busy().pipe(Shop.call({ operation })))
        yield* fail("search")
        yield* fail("search")
        assert.strictEqual((yield* fail("search"))._tag, "CircuitOpen")
        assert.strictEqual((yield* fail("buy"))._tag, "Busy")
        assert.strictEqual((yield* fail("buy"))._tag, "Busy")
        assert.strictEqual((yield* fail("buy"))._tag, "CircuitOpen")
      }).pipe(Effect.provide(isolated(Shop.layer)))
    }))

  it.effect("the retries of all operations draw on one budget", () =>
    underTime(Effect.gen(function*() {
      class Store extends Dependency.Service<Store>()("store", {
        circuitBreaker: false,
        retry: { maxRetries: 1, budget: { percent: 0, minimumPerSecond: 0.2, ttl: "10 seconds" } },
        operations: { list: { retry: { maxRetries: 5 } }, own: { retry: { maxRetries: 5, budget: false } } }
      }) {}
      yield* Effect.gen(function*() {
        const calls = yield* Ref.make(0)
        yield* Effect.exit(busy(calls).pipe(Store.call))
        yield* Effect.exit(busy(calls).pipe(Store.call({ operation: "list" })))
        yield* Effect.exit(busy(calls).pipe(Store.call))
        assert.strictEqual(yield* Ref.getAndSet(calls, 0), 3 + 2)
        yield* Effect.exit(busy(calls).pipe(Store.call({ operation: "own" })))
        assert.strictEqual(yield* Ref.get(calls), 6)
      }).pipe(Effect.provide(isolated(Store.layer)))
    })))

  it.effect("a probe of the shared breaker may take as long as the longest attempt that the breaker sees", () =>
    Effect.gen(function*() {
      const { policy } = yield* Payments
      const breaker = (yield* policy()).steps.find((step) => step.kind === "CircuitBreaker")
      assert.strictEqual(breaker?.settings.probeTimeoutMillis, 6250)
    }).pipe(Effect.provide(live)))

  it.effect("the operation is a fact of the call for listeners", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      yield* Effect.void.pipe(
        Payments.call({ operation: "charge", requestId: "r-1" }),
        ResilienceEvent.listen((event) => {
          if (event._tag === "CallEnded") {
            seen.push(
              `${event.call.dependency} ${event.call.operation} ${event.call.requestId} ${event.call.repeatable}`
            )
          }
        })
      )
      assert.deepStrictEqual(seen, ["payments charge r-1 false"])
    }).pipe(Effect.provide(live)))

  it.effect("two live dependencies of one name fail the second layer, and the name is free again afterwards", () =>
    Effect.gen(function*() {
      class First extends Dependency.Service<First>()("twin") {}
      class Second extends Dependency.Service<Second>()("twin") {}
      const both = Layer.provide(
        Layer.merge(First.layer, Layer.provide(Second.layer, First.layer)),
        DependencyRegistry.layer
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(both)))
      assert.instanceOf(error, DependencyRegistry.DuplicateDependency)
      assert.strictEqual(
        error.message,
        "The dependency twin is live already: provide its layer once, at the edge of the program"
      )
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Layer.build(First.layer))
        yield* Effect.scoped(Layer.build(Second.layer))
        assert.deepStrictEqual(yield* DependencyRegistry.list, [])
      }).pipe(Effect.provide(DependencyRegistry.layer))
    }))

  it.effect("one layer provided to several parts of a program is one dependency", () =>
    Effect.gen(function*() {
      class One extends Dependency.Service<One>()("one") {}
      const part = (name: string) => Layer.provide(Layer.effectDiscard(Effect.log(name).pipe(One.call)), One.layer)
      yield* Effect.scoped(Layer.build(isolated(Layer.mergeAll(One.layer, part("a"), part("b")))))
    }))

  const quietly = Effect.provide(Logger.replace(Logger.defaultLogger, Logger.none))

  it.effect("errors of the linter fail the layer with the findings", () =>
    Effect.gen(function*() {
      class Slow extends Dependency.Service<Slow>()("slow", {
        bulkhead: { maxConcurrent: 20 },
        lint: { sla: "5 seconds", pool: { size: 10 } },
        operations: { export: { lint: { sla: "1 hour" } } }
      }) {}
      const error = yield* Effect.flip(Effect.scoped(Layer.build(isolated(Slow.layer)))).pipe(quietly)
      assert.instanceOf(error, UnsafePolicy)
      assert.deepStrictEqual(
        error.findings.map(({ at, rule, severity }) => `${severity} ${rule} ${at}`).sort(),
        ["error bulkhead-larger-than-pool slow.bulkhead", "error worst-case-beyond-sla slow.retry"]
      )
      assert.match(error.message, /^The policy of slow is not safe:\n {2}/)
    }))

  it.effect("warnings of the linter are logged once for all operations, and the dependency lives", () =>
    Effect.gen(function*() {
      class Warned extends Dependency.Service<Warned>()("warned", {
        retry: { maxRetries: 5 },
        operations: { list: {}, show: {} }
      }) {}
      const lines: Array<string> = []
      const logger = Logger.make(({ annotations, logLevel, message }) => {
        lines.push(
          `${logLevel.label} ${HashMap.unsafeGet(annotations, "dependency")} ${
            HashMap.unsafeGet(annotations, "rule")
          }: ${message}`
        )
      })
      const answer = yield* Effect.succeed(1).pipe(
        Warned.call({ operation: "list" }),
        Effect.provide(isolated(Warned.layer)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.strictEqual(answer, 1)
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^WARN warned worst-case-beyond-total: worst-case-beyond-total at warned.retry: /)
    }))

  const refusal = (options: unknown) =>
    Effect.gen(function*() {
      class Wrong extends Dependency.Service<Wrong>()("wrong", options as any) {}
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(isolated(Wrong.layer))))
      assert.isTrue(Exit.isFailure(exit))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, InvalidOptions)
      return defect
    })

  it.effect("wrong numbers of a declaration are a defect that names all of them", () =>
    Effect.gen(function*() {
      const defect = yield* refusal({
        totalTimeout: -1,
        bulkhead: { maxConcurrent: 0 },
        circuitBreaker: { openDuration: "soon", scope: "sometimes" },
        retry: { maxRetries: 1.5, budget: { percent: -1 } },
        rateLimiter: { rate: 0 },
        operations: { charge: { attemptTimeout: "never", bulkhead: { maxConcurrent: 1, maxWait: "1 second" } } }
      })
      assert.deepStrictEqual(defect.findings.map((finding) => finding.field), [
        "circuitBreaker.scope",
        "totalTimeout",
        "bulkhead.maxConcurrent",
        "circuitBreaker.openDuration",
        "retry.budget.percent",
        "retry.maxRetries",
        "rateLimiter.rate",
        "operations.charge.bulkhead.maxWait",
        "operations.charge.attemptTimeout"
      ])
    }))

  it.effect("misspelt slots, operations' fields and names of our own are refused at run time too", () =>
    Effect.gen(function*() {
      assert.match(
        (yield* refusal({ bulkhed: { maxConcurrent: 1 } })).message,
        /^Dependency wrong: bulkhed is .*unknown field/
      )
      const defect = yield* refusal({
        bulkhead: { maxConcurrent: 1, name: "mine" },
        operations: { charge: { retries: 2, repeatable: "yes", criticality: "high", retry: { classify: () => 1 } } }
      })
      assert.deepStrictEqual(defect.findings.map((finding) => finding.field), [
        "bulkhead.name",
        "operations.charge.retries",
        "operations.charge.repeatable",
        "operations.charge.criticality",
        "operations.charge.retry.classify"
      ])
      assert.deepStrictEqual((yield* refusal({ bulkhead: 20, retry: true })).findings.map((finding) => finding.field), [
        "bulkhead",
        "retry"
      ])
    }))
})
