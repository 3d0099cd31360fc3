import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import { type Change, InvalidSettings, SlotOff, UnsafePolicy } from "@holdfast/core/LiveDependency"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"

class Busy extends Failure.Retryable("Busy")<{}> {}

class Payments extends Dependency.Service<Payments>()("payments", {
  totalTimeout: "10 seconds",
  bulkhead: { maxConcurrent: 2, maxQueue: 5 },
  circuitBreaker: {
    tripPolicy: CircuitBreaker.any(
      CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 20 }, minimumCalls: 20 }),
      CircuitBreaker.consecutive(3)
    ),
    openJitter: 0
  },
  retry: { maxRetries: 0 },
  rateLimiter: { rate: 10, capacity: 10 },
  operations: {
    charge: { circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2) }, attemptTimeout: "1 second" },
    ping: { circuitBreaker: false, rateLimiter: false, bulkhead: false }
  }
}) {}

class Search extends Dependency.Service<Search>()("search", {
  circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) }
}) {}

class Plain extends Dependency.Service<Plain>()("plain", { circuitBreaker: false }) {}

const live = Layer.provideMerge(Layer.mergeAll(Payments.layer, Search.layer, Plain.layer), DependencyRegistry.layer)

const fail = Effect.flip(new Busy().pipe(Payments.call))

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, { onFailure: (error) => error._tag, onSuccess: () => "Success" })

const outcome = tagOf(Effect.void.pipe(Payments.call))

const payments = DependencyRegistry.state("payments")

const reconfigure = (change: Change) => DependencyRegistry.reconfigure("payments", change)

/** Calls that run, or wait, until the test lets them go. */
const hold = (count: number) =>
  Effect.gen(function*() {
    const free = yield* Deferred.make<void>()
    const fibers = yield* Effect.forEach(Array.from({ length: count }), () =>
      Effect.fork(tagOf(Deferred.await(free).pipe(Payments.call))))
    yield* Effect.yieldNow()
    return {
      ends: Effect.zipRight(
        Deferred.succeed(free, void 0),
        Effect.forEach(fibers, (fiber) =>
          Fiber.join(fiber))
      )
    }
  })

describe("DependencyRegistry", () => {
  it.effect("lists every live dependency by name, and forgets it with the scope of its layer", () =>
    Effect.gen(function*() {
      const names = Effect.map(DependencyRegistry.list, (all) => all.map((one) => one.dependency))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Layer.build(Layer.merge(Search.layer, Payments.layer))
        assert.deepStrictEqual(yield* names, ["payments", "search"])
        assert.deepStrictEqual((yield* DependencyRegistry.states).map((one) => one.dependency), ["payments", "search"])
      }))
      assert.deepStrictEqual(yield* names, [])
    }).pipe(Effect.provide(DependencyRegistry.layer)))

  it.effect("without a layer there is one registry for the whole process", () =>
    Effect.scoped(Effect.gen(function*() {
      class Shared extends Dependency.Service<Shared>()("a name for this test only") {}
      yield* Layer.build(Shared.layer)
      assert.strictEqual((yield* DependencyRegistry.get("a name for this test only")).dependency, Shared.dependency)
    })))

  it.effect("tells what every piece holds", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      yield* fail
      const held = yield* hold(3)
      yield* TestClock.adjust("2 seconds")
      const state = yield* payments
      assert.strictEqual(state.circuitBreaker?.on, true)
      assert.strictEqual(state.circuitBreaker?.state._tag, "Closed")
      assert.strictEqual(state.circuitBreaker?.since, 0)
      assert.strictEqual(Duration.toMillis(state.circuitBreaker!.inState), 62_000)
      assert.strictEqual(state.circuitBreaker?.millisIn.Closed, 62_000)
      assert.strictEqual(state.circuitBreaker?.trips, 0)
      assert.strictEqual(state.circuitBreaker?.failures, 1)
      assert.deepStrictEqual(state.bulkhead, {
        on: true,
        active: 2,
        queued: 1,
        maxConcurrent: 2,
        maxQueue: 5,
        rejected: 0
      })
      assert.deepStrictEqual(state.rateLimiter, {
        on: true,
        remaining: 10,
        limit: 10,
        queued: 0,
        dryRun: false,
        wouldHaveRefused: 0,
        decisions: { admitted: 3, waited: 0, refused: 0 }
      })
      assert.strictEqual(state.retryBudget?.balance, 10)
      assert.deepStrictEqual(Object.keys(state.operations), ["charge"])
      assert.isUndefined(state.operations.charge?.bulkhead)
      assert.isUndefined((yield* DependencyRegistry.state("plain")).circuitBreaker)
      yield* held.ends
    }).pipe(Effect.provide(live)))

  it.effect("an unknown name is refused, with the names that there are", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(DependencyRegistry.isolate("paymens"))
      assert.instanceOf(error, DependencyRegistry.UnknownDependency)
      assert.strictEqual(error.message, "The dependency paymens is not live; live are payments, plain, search")
    }).pipe(Effect.provide(live)))

  it.effect("isolate, disable and reset move the breaker and those of the operations", () =>
    Effect.gen(function*() {
      const charge = tagOf(Effect.void.pipe(Payments.call({ operation: "charge" })))
      const ping = tagOf(Effect.void.pipe(Payments.call({ operation: "ping" })))
      yield* DependencyRegistry.isolate("payments")
      assert.deepStrictEqual([yield* outcome, yield* charge, yield* ping], ["CircuitOpen", "CircuitOpen", "Success"])
      yield* DependencyRegistry.disable("payments")
      yield* Effect.repeatN(fail, 5)
      assert.deepStrictEqual([yield* outcome, yield* charge], ["Success", "Success"])
      assert.strictEqual((yield* payments).circuitBreaker?.state._tag, "Disabled")
      yield* DependencyRegistry.reset("payments")
      assert.strictEqual((yield* payments).circuitBreaker?.state._tag, "Closed")
      const error = yield* Effect.flip(DependencyRegistry.isolate("plain"))
      assert.instanceOf(error, SlotOff)
    }).pipe(Effect.provide(live)))

  it.effect("transitions of all dependencies are one stream, with their causes in order", () =>
    Effect.gen(function*() {
      const heard = yield* Effect.fork(Stream.runCollect(Stream.take(DependencyRegistry.transitions, 5)))
      yield* Effect.yieldNow()
      class Late extends Dependency.Service<Late>()("late") {}
      yield* Layer.build(Late.layer)
      yield* Effect.repeatN(fail, 2)
      yield* Effect.flip(new Busy().pipe(Payments.call({ operation: "charge" })))
      yield* Effect.flip(new Busy().pipe(Payments.call({ operation: "charge" })))
      yield* DependencyRegistry.isolate("late")
      yield* DependencyRegistry.reset("payments")
      const all = Chunk.toReadonlyArray(yield* Fiber.join(heard)).map(({ dependency, from, operation, to }) =>
        `${dependency}${operation === undefined ? "" : `/${operation}`} ${from._tag} ${to._tag}`
      )
      assert.sameMembers(all, [
        "payments Closed Open",
        "payments/charge Closed Open",
        "late Closed Isolated",
        "payments Open Closed",
        "payments/charge Open Closed"
      ])
      assert.isBelow(all.indexOf("payments Closed Open"), all.indexOf("payments Open Closed"))
    }).pipe(Effect.scoped, Effect.provide(live)))

  it.effect("a dry run of the breaker and the limiter counts, tells and refuses nobody", () =>
    Effect.gen(function*() {
      yield* DependencyRegistry.dryRun("payments", { circuitBreaker: true, rateLimiter: true })
      const told: Array<string> = []
      yield* Effect.repeatN(fail, 3).pipe(
        Effect.zipRight(Effect.repeatN(outcome, 9)),
        ResilienceEvent.listen((event) => {
          if (event._tag === "CircuitRejected" || event._tag === "RateLimitExceeded") {
            told.push(`${event._tag} ${event.dryRun}`)
          }
        })
      )
      const dry = yield* payments
      assert.strictEqual(dry.circuitBreaker?.state._tag, "Open")
      assert.strictEqual(dry.circuitBreaker?.wouldHaveRejected, 11)
      assert.isTrue(dry.circuitBreaker?.dryRun)
      assert.deepStrictEqual([dry.rateLimiter?.remaining, dry.rateLimiter?.wouldHaveRefused], [0, 4])
      assert.deepStrictEqual(dry.rateLimiter?.decisions, { admitted: 10, waited: 0, refused: 0 })
      assert.lengthOf(told.filter((one) => one === "CircuitRejected true"), 11)
      assert.lengthOf(told.filter((one) => one === "RateLimitExceeded true"), 4)
      yield* DependencyRegistry.dryRun("payments", { circuitBreaker: false })
      assert.strictEqual(yield* outcome, "CircuitOpen")
      yield* DependencyRegistry.reset("payments")
      assert.strictEqual(yield* outcome, "Success")
      yield* DependencyRegistry.dryRun("payments", { rateLimiter: false })
      assert.strictEqual(yield* outcome, "RateLimited")
    }).pipe(Effect.provide(live)))
})

describe("DependencyRegistry.reconfigure", () => {
  it.effect("timeouts and retries count for the next call, also through a caller that was made before", () =>
    Effect.gen(function*() {
      let calls = 0
      const slow = Effect.never.pipe(Payments.call)
      const busy = Effect.suspend(() => {
        calls++
        return new Busy()
      }).pipe(Payments.call)
      const before = yield* Effect.fork(tagOf(slow))
      yield* Effect.yieldNow()
      yield* reconfigure({ attemptTimeout: "100 millis", retry: { maxRetries: 2, budget: { minimumPerSecond: 3 } } })
      const after = yield* Effect.fork(tagOf(busy))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(after), "Busy")
      assert.strictEqual(calls, 3)
      assert.isNull(yield* Fiber.poll(before).pipe(Effect.map((exit) => exit._tag === "None" ? null : exit)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(before), "TimedOut")
    }).pipe(Effect.provide(live)))

  it.effect("the breaker keeps its state, its generation and the counts of a window that keeps its shape", () =>
    Effect.gen(function*() {
      yield* Effect.repeatN(fail, 1)
      const before = (yield* payments).circuitBreaker!
      yield* reconfigure({
        circuitBreaker: {
          openDuration: "5 seconds",
          tripPolicy: CircuitBreaker.any(
            CircuitBreaker.failureRate({ threshold: 0.9, window: { calls: 20 }, minimumCalls: 10 }),
            CircuitBreaker.consecutive(4)
          )
        }
      })
      const after = (yield* payments).circuitBreaker!
      assert.strictEqual(after.state, before.state)
      assert.deepStrictEqual([after.calls, after.failures], [2, 2])
      yield* fail
      assert.strictEqual((yield* payments).circuitBreaker?.state._tag, "Closed")
      yield* fail
      const open = (yield* payments).circuitBreaker!
      assert.strictEqual(open.state._tag, "Open")
      assert.strictEqual(open.state.generation, 2)
      // The open period that has begun keeps its end; the next one is shorter.
      yield* reconfigure({ circuitBreaker: { openDuration: "1 second" } })
      assert.strictEqual((yield* payments).circuitBreaker?.state, open.state)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* outcome, "CircuitOpen")
      yield* TestClock.adjust("1 second")
      yield* fail
      assert.strictEqual((yield* payments).circuitBreaker?.state.generation, 4)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* outcome, "Success")
    }).pipe(Effect.provide(live)))

  it.effect("a window of another shape starts empty", () =>
    Effect.gen(function*() {
      yield* fail
      yield* reconfigure({
        circuitBreaker: {
          tripPolicy: CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 4 }, minimumCalls: 2 })
        }
      })
      assert.strictEqual((yield* payments).circuitBreaker?.calls, 0)
      yield* fail
      assert.strictEqual((yield* payments).circuitBreaker?.state._tag, "Closed")
      yield* fail
      assert.strictEqual((yield* payments).circuitBreaker?.state._tag, "Open")
    }).pipe(Effect.provide(live)))

  it.effect("a larger bulkhead takes in those who wait at once, a smaller one stops nobody", () =>
    Effect.gen(function*() {
      const held = yield* hold(5)
      const places = Effect.map(
        payments,
        ({ bulkhead }) => [bulkhead?.active, bulkhead?.queued, bulkhead?.maxConcurrent]
      )
      assert.deepStrictEqual(yield* places, [2, 3, 2])
      yield* reconfigure({ bulkhead: { maxConcurrent: 4 } })
      assert.deepStrictEqual(yield* places, [4, 1, 4])
      yield* reconfigure({ bulkhead: { maxConcurrent: 1 } })
      assert.deepStrictEqual(yield* places, [4, 1, 1])
      assert.deepStrictEqual(yield* held.ends, Array.from({ length: 5 }, () => "Success"))
      assert.deepStrictEqual(yield* places, [0, 0, 1])
    }).pipe(Effect.provide(live)))

  it.effect("a slot that is switched off lets calls by, and comes back with its counts", () =>
    Effect.gen(function*() {
      const held = yield* hold(2)
      yield* reconfigure({ bulkhead: false, circuitBreaker: false })
      assert.strictEqual((yield* payments).bulkhead?.on, false)
      assert.strictEqual((yield* payments).bulkhead?.active, 2)
      yield* Effect.repeatN(fail, 5)
      assert.strictEqual((yield* payments).circuitBreaker?.failures, 0)
      assert.strictEqual(yield* outcome, "Success")
      yield* reconfigure({ bulkhead: { maxQueue: 0 }, circuitBreaker: {}, rateLimiter: { rate: 100 } })
      assert.strictEqual(yield* outcome, "BulkheadFull")
      assert.deepStrictEqual(yield* held.ends, ["Success", "Success"])
      assert.strictEqual(yield* outcome, "Success")
    }).pipe(Effect.provide(live)))

  it.effect("a limiter keeps its share of the capacity, and those who wait go on at the new rate", () =>
    Effect.gen(function*() {
      yield* Effect.repeatN(outcome, 4)
      yield* reconfigure({ rateLimiter: { rate: 1, capacity: 20, maxWait: "5 seconds" } })
      assert.strictEqual((yield* payments).rateLimiter?.remaining, 10)
      yield* Effect.repeatN(outcome, 9)
      const waiting = yield* Effect.fork(outcome)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* payments).rateLimiter?.queued, 1)
      yield* reconfigure({ rateLimiter: { rate: 10 } })
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(waiting), "Success")
    }).pipe(Effect.provide(live)))

  it.effect("who waits for more tokens than the limiter holds from now on is refused, and takes none along", () =>
    Effect.gen(function*() {
      yield* reconfigure({ rateLimiter: { maxWait: "9 seconds" } })
      yield* Effect.void.pipe(Payments.call({ cost: 10 }))
      const dear = yield* Effect.fork(Effect.flip(Effect.void.pipe(Payments.call({ cost: 8 }))))
      const cheap = yield* Effect.fork(outcome)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* payments).rateLimiter?.queued, 2)
      yield* reconfigure({ rateLimiter: { capacity: 5, rate: 5 } })
      const error = yield* Fiber.join(dear)
      assert.strictEqual(error._tag, "RateLimited")
      assert.deepStrictEqual([(error as any).limit, (error as any).retryAfter], [5, undefined])
      assert.strictEqual((yield* payments).rateLimiter?.queued, 1)
      assert.strictEqual((yield* payments).rateLimiter?.remaining, 0)
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(yield* Fiber.join(cheap), "Success")
    }).pipe(Effect.provide(live)))

  it.effect("retries that calls have earned stay earned under a new share", () =>
    Effect.gen(function*() {
      yield* reconfigure({
        retry: { budget: { percent: 0.5, minimumPerSecond: 0 } },
        rateLimiter: { rate: 1000, capacity: 1000 }
      })
      const balance = Effect.map(payments, (state) => state.retryBudget?.balance)
      yield* Effect.repeatN(outcome, 9)
      assert.strictEqual(yield* balance, 5)
      yield* reconfigure({ retry: { budget: { percent: 0.1 } } })
      assert.strictEqual(yield* balance, 5)
      yield* Effect.repeatN(outcome, 9)
      assert.strictEqual(yield* balance, 6)
      yield* reconfigure({ retry: { budget: { ttl: "60 seconds" } } })
      assert.strictEqual(yield* balance, 6)
      yield* reconfigure({ retry: { budget: { percent: 0, minimumPerSecond: 1 } } })
      assert.strictEqual(yield* balance, 66)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* balance, 60)
    }).pipe(Effect.provide(live)))

  it.effect("the budget of an operation changes only where the operation has one of its own", () =>
    Effect.gen(function*() {
      class Store extends Dependency.Service<Store>()("store", {
        operations: {
          list: { retry: { maxRetries: 1 } },
          show: { retry: { maxRetries: 1, budget: { percent: 0, minimumPerSecond: 1 } } }
        }
      }) {}
      yield* Layer.build(Store.layer)
      const budget = { minimumPerSecond: 2 }
      const error = yield* Effect.flip(
        DependencyRegistry.reconfigure("store", { operations: { list: { retry: { budget } } } })
      )
      assert.match(
        error.message,
        /operations.list.retry.budget is .*, allowed is nothing: the budget is not declared here/
      )
      yield* DependencyRegistry.reconfigure("store", { operations: { show: { retry: { budget } } } })
      assert.strictEqual((yield* DependencyRegistry.state("store")).operations.show?.retryBudget?.balance, 20)
    }).pipe(Effect.scoped, Effect.provide(DependencyRegistry.layer)))

  it.effect("operations have settings of their own to change", () =>
    Effect.gen(function*() {
      yield* reconfigure({ operations: { charge: { attemptTimeout: "50 millis" } } })
      const charge = yield* Effect.fork(tagOf(Effect.never.pipe(Payments.call({ operation: "charge" }))))
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* Fiber.join(charge), "TimedOut")
      yield* reconfigure({ operations: { charge: { circuitBreaker: false } } })
      assert.strictEqual((yield* payments).operations.charge?.circuitBreaker?.on, false)
    }).pipe(Effect.provide(live)))

  it.effect("a change that is no record, as a body of JSON may be, is a typed error", () =>
    Effect.gen(function*() {
      for (
        const [change, path] of [[null, "change"], ["off", "change"], [{ operations: "x" }, "operations"], [
          { operations: { charge: null } },
          "operations.charge"
        ]] as const
      ) {
        const error = yield* Effect.flip(reconfigure(change as never))
        assert.instanceOf(error, InvalidSettings)
        assert.deepStrictEqual(error.findings.map((finding) => finding.path), [path])
      }
    }).pipe(Effect.provide(live)))

  it.effect("wrong numbers, undeclared slots and unknown operations are all named, and nothing changes", () =>
    Effect.gen(function*() {
      const before = yield* payments
      const error = yield* Effect.flip(reconfigure({
        totalTimeout: -1,
        bulkhead: { maxConcurrent: 4, maxQueue: -1 },
        retry: { retries: 3 } as any,
        circuitBreaker: { probes: 0 },
        bulkhed: {},
        operations: { charge: { bulkhead: { maxConcurrent: 1 } }, ping: { rateLimiter: { rate: 1 } }, pong: {} }
      } as any))
      assert.instanceOf(error, InvalidSettings)
      assert.sameMembers(error.findings.map((finding) => finding.path), [
        "totalTimeout",
        "bulkhead.maxQueue",
        "retry.retries",
        "circuitBreaker.probes",
        "bulkhed",
        "operations.charge.bulkhead",
        "operations.ping.rateLimiter",
        "operations.pong"
      ])
      assert.deepStrictEqual(yield* payments, before)
      const undeclared = yield* Effect.flip(DependencyRegistry.reconfigure("plain", { circuitBreaker: {} }))
      assert.strictEqual(
        undeclared.message,
        "The settings of plain are wrong:\n" +
          "  circuitBreaker is {}, allowed is nothing: the slot is not declared, and only its declaration can add it"
      )
    }).pipe(Effect.provide(live)))

  it.effect("what the breaker derives from another slot follows that slot when it is switched off", () =>
    Effect.gen(function*() {
      const { policy } = yield* DependencyRegistry.get("payments")
      const probeTimeout = Effect.map(
        policy(),
        ({ steps }) => steps.find(({ kind }) => kind === "CircuitBreaker")?.settings["probeTimeoutMillis"]
      )
      const before = yield* probeTimeout
      yield* reconfigure({ attemptTimeout: false })
      assert.deepStrictEqual([before, yield* probeTimeout], [3750, 30_000])
    }).pipe(Effect.provide(live)))

  it.effect("a trip policy from a file of settings is checked number by number", () =>
    Effect.gen(function*() {
      const tripPolicy: any = { _tag: "Any", policies: [{ _tag: "Consecutive" }] }
      const error = yield* Effect.flip(reconfigure({ circuitBreaker: { tripPolicy } }))
      assert.instanceOf(error, InvalidSettings)
      assert.deepStrictEqual(error.findings.map(({ path }) => path), [
        "circuitBreaker.tripPolicy.policies[0].failures"
      ])
    }).pipe(Effect.provide(live)))

  it.effect("numbers that the linter calls an error are refused, and nothing changes", () =>
    Effect.gen(function*() {
      class Pooled extends Dependency.Service<Pooled>()("pooled", {
        bulkhead: { maxConcurrent: 5 },
        lint: { pool: { size: 5 } }
      }) {}
      yield* Layer.build(Pooled.layer)
      const error = yield* Effect.flip(DependencyRegistry.reconfigure("pooled", { bulkhead: { maxConcurrent: 6 } }))
      assert.instanceOf(error, UnsafePolicy)
      assert.strictEqual((yield* DependencyRegistry.state("pooled")).bulkhead?.maxConcurrent, 5)
    }).pipe(Effect.scoped, Effect.provide(DependencyRegistry.layer)))

  it.effect("two changes at once are both applied", () =>
    Effect.gen(function*() {
      yield* Effect.all([
        reconfigure({ bulkhead: { maxConcurrent: 9 } }),
        reconfigure({ rateLimiter: { capacity: 30 } }),
        reconfigure({ bulkhead: { maxQueue: 7 } })
      ], { concurrency: "unbounded" })
      const { bulkhead, rateLimiter } = yield* payments
      assert.deepStrictEqual([bulkhead?.maxConcurrent, bulkhead?.maxQueue, rateLimiter?.limit], [9, 7, 30])
    }).pipe(Effect.provide(live)))

  it.effect("in random histories no permit is lost, no limit is passed by an admission, and no change moves the breaker", () => {
    type Move = "call" | "end" | "grow" | "shrink" | "off" | "on" | "trip policy" | "reset"
    const moves: ReadonlyArray<Move> = ["call", "end", "grow", "shrink", "off", "on", "trip policy", "reset"]
    const taken = new Map<string, number>()
    const history = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constant<Move>("call") },
        ...moves.map((move) => ({
          weight: 1,
          arbitrary: fc.constant(move)
        }))
      ),
      { minLength: 10, maxLength: 40 }
    )
    const run = (history: ReadonlyArray<Move>) =>
      Effect.gen(function*() {
        const running: Array<{ readonly free: Deferred.Deferred<void>; readonly fiber: Fiber.Fiber<string> }> = []
        let limit = 2
        for (const move of history) {
          const before = yield* payments
          const count = (name: string) => taken.set(name, (taken.get(name) ?? 0) + 1)
          count(move)
          if (move === "call") {
            const free = yield* Deferred.make<void>()
            running.push({ free, fiber: yield* Effect.fork(tagOf(Deferred.await(free).pipe(Payments.call))) })
            yield* Effect.yieldNow()
            const { bulkhead } = yield* payments
            if (bulkhead!.active > before.bulkhead!.active) {
              count("admitted")
              assert.isAtMost(bulkhead!.active, limit)
            } else if (bulkhead!.queued > before.bulkhead!.queued) {
              count("queued")
            }
          } else if (move === "end") {
            const one = running.shift()
            if (one !== undefined) {
              yield* Deferred.succeed(one.free, void 0)
              yield* Effect.yieldNow()
            }
          } else if (move === "reset") {
            yield* DependencyRegistry.reset("payments")
          } else {
            if (move === "grow") limit = 4
            if (move === "shrink") limit = 1
            yield* reconfigure(
              move === "grow" || move === "shrink" ?
                { bulkhead: { maxConcurrent: limit } } :
                move === "off" ?
                { bulkhead: false } :
                move === "on" ?
                { bulkhead: {} } :
                { circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(5), probes: 2 } }
            )
            const after = yield* payments
            assert.strictEqual(after.circuitBreaker?.state, before.circuitBreaker?.state)
            if (move !== "on" && move !== "off") {
              assert.strictEqual(
                after.bulkhead!.active + after.bulkhead!.queued,
                before.bulkhead!.active + before.bulkhead!.queued
              )
            }
          }
        }
        for (const { fiber, free } of running) {
          yield* Deferred.succeed(free, void 0)
          yield* Fiber.join(fiber)
        }
        const { bulkhead } = yield* payments
        assert.deepStrictEqual([bulkhead?.active, bulkhead?.queued], [0, 0])
      }).pipe(
        Effect.provide(Layer.provideMerge(Payments.layer, DependencyRegistry.layer))
      )
    return Effect.gen(function*() {
      for (const sample of fc.sample(history, { seed: 20_240_901, numRuns: 100 })) {
        yield* run(sample)
      }
      for (const name of [...moves, "admitted", "queued"]) {
        assert.isAtLeast(taken.get(name) ?? 0, 50, name)
      }
    })
  })
})
