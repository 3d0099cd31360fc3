import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Diagnosis from "@holdfast/core/Diagnosis"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Figures from "@holdfast/core/Figures"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Recorder } from "../src/internal/figuresRecorder.js"

class Busy extends Failure.Retryable("Busy")<{}> {}
class SlowDown extends Failure.Overloaded("SlowDown")<{}> {}
class Declined extends Failure.Permanent("Declined")<{}> {}

/** A test in virtual time, whose policies are listened to. */
const watching = (
  name: string,
  body: (read: Effect.Effect<Figures.Snapshot>) => Effect.Effect<unknown, unknown>,
  options?: Figures.Options
) =>
  it.live(name, () =>
    VirtualClock.run(
      Effect.gen(function*() {
        const { listener, snapshot } = yield* Figures.make(options)
        yield* body(snapshot).pipe(ResilienceEvent.listen(listener))
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.provide(DependencyRegistry.layer)),
      { start: 1_000_000 }
    ))

const times = (count: number, effect: Effect.Effect<unknown, unknown>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.exit(effect), { discard: true })

/** The figures of one operation; the test fails without them. */
const of = ({ dependencies }: Figures.Snapshot, dependency: string, operation?: string): Figures.OperationFigures =>
  dependencies.find((one) => one.dependency === dependency)?.operations.find((one) => one.operation === operation) ??
    assert.fail(`no figures of ${dependency} ${operation}`)

const none = { Success: 0, Retryable: 0, Overloaded: 0, Permanent: 0, Unclassified: 0, Rejected: 0, Interrupted: 0 }

const answering = (millis: number) => Effect.delay(Effect.succeed("answer"), millis)

describe("Figures", () => {
  watching("count calls and attempts by class", (read) =>
    Effect.gen(function*() {
      const policy = Retry.make({ maxRetries: 2, schedule: Backoff.constant(100), dependency: "stock" })
      yield* times(3, policy(Effect.void))
      yield* times(2, policy(Effect.fail(new Busy())))
      yield* times(1, policy(Effect.fail(new SlowDown())))
      yield* times(4, policy(Effect.fail(new Declined())))
      yield* times(1, policy(Effect.die("bug")))
      const fiber = yield* Effect.fork(policy(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      const { attempts, calls, failed } = of(yield* read, "stock")
      const once = { Success: 3, Permanent: 4, Unclassified: 1, Interrupted: 1 }
      assert.deepStrictEqual(calls, { ...none, ...once, Retryable: 2, Overloaded: 1 })
      assert.deepStrictEqual(attempts, { ...none, ...once, Retryable: 6, Overloaded: 3 })
      assert.deepStrictEqual(failed, { critical: 0, important: 4, optional: 0 })
    }))

  watching("count retries, what they brought, and why there were no more", (read) =>
    Effect.gen(function*() {
      const policy = Retry.make({
        maxRetries: 2,
        schedule: Backoff.exponential(100, { jitter: "none" }),
        dependency: "stock"
      })
      let made = 0
      const third = Effect.suspend(() => ++made % 3 === 0 ? Effect.void : Effect.fail(new Busy()))
      yield* times(2, policy(third))
      yield* times(1, policy(Effect.fail(new Busy())))
      yield* times(1, policy.with({ repeatable: false })(Effect.fail(new Busy())))
      yield* times(1, Deadline.within(policy(Effect.fail(new Busy())), 50))
      const figures = of(yield* read, "stock")
      assert.strictEqual(figures.retries, 6)
      assert.strictEqual(figures.maxAttempts, 3)
      assert.deepStrictEqual([figures.retriedCalls, figures.successAfterRetry], [3, 2])
      assert.deepStrictEqual(figures.givenUp, {
        exhausted: 1,
        budget: 0,
        deadline: 1,
        retryAfter: 0,
        notRepeatable: 1,
        probe: 0
      })
      assert.deepStrictEqual(figures.delays, [
        { count: 3, shortestMillis: 100, longestMillis: 100 },
        { count: 3, shortestMillis: 200, longestMillis: 200 }
      ])
    }))

  watching("tell retries that come back at once from those that are spread", (read) =>
    Effect.gen(function*() {
      for (const jitter of ["none", "full"] as const) {
        const policy = Retry.make({
          maxRetries: 1,
          schedule: Backoff.constant("10 seconds", { jitter }),
          dependency: jitter
        })
        const calls = Array.from({ length: 40 }, () => Effect.exit(policy(Effect.fail(new Busy()))))
        yield* Effect.all(calls, { concurrency: 40 })
      }
      assert.strictEqual(of(yield* read, "none").herd, 40)
      assert.isBelow(of(yield* read, "full").herd, 5)
    }))

  watching(
    "count limits that rang by what they bound, and keep those of callers apart",
    (read) =>
      Effect.gen(function*() {
        const attempt = Timeout.make(100, { dependency: "mail" })
        const total = Timeout.make(300, { scope: "total", dependency: "mail" })
        yield* times(3, attempt(Effect.never))
        yield* times(2, total(Effect.never))
        const full = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 1 })
        const holder = yield* Effect.fork(full(Effect.never))
        yield* Effect.yieldNow()
        yield* times(1, Policy.compose(attempt, full)(Effect.void))
        yield* Fiber.interrupt(holder)
        yield* times(1, Deadline.within(attempt(Effect.never), 20))
        const { cutByCaller, limits, timeouts } = of(yield* read, "mail")
        assert.deepStrictEqual(timeouts, { attempt: 3, total: 2, queue: 1 })
        assert.strictEqual(cutByCaller, 1)
        assert.deepStrictEqual(limits, { attemptMillis: 100, totalMillis: 300 })
      })
  )

  watching("count who was refused and by what; a dry run refuses nobody", (read) =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "stock" })
      yield* breaker.isolate
      yield* times(3, breaker(Effect.void))
      const limiter = yield* RateLimiter.make({ name: "limited", dependency: "stock", rate: 1, per: "1 day" })
      yield* times(3, limiter(Effect.void))
      const trial = yield* RateLimiter.make({ name: "trial", dependency: "stock", rate: 1, per: "1 day", dryRun: true })
      yield* times(3, trial(Effect.void))
      const pool = yield* Bulkhead.make({ name: "pool", dependency: "stock", maxConcurrent: 1 })
      const holder = yield* Effect.fork(pool(Effect.never))
      yield* Effect.yieldNow()
      yield* times(4, pool.with({ operation: "GET /stock" })(Effect.void))
      yield* Fiber.interrupt(holder)
      const snapshot = yield* read
      assert.deepStrictEqual(of(snapshot, "stock").rejections, { circuit: 3, bulkhead: 0, rateLimit: 2 })
      assert.strictEqual(of(snapshot, "stock").calls.Rejected, 5)
      assert.deepStrictEqual(of(snapshot, "stock", "GET /stock").rejections, { circuit: 0, bulkhead: 4, rateLimit: 0 })
      assert.deepStrictEqual(snapshot.bulkheads, [{
        bulkhead: "pool",
        maxConcurrent: 1,
        rejected: 4,
        operations: [{ dependency: "stock", operation: "GET /stock", rejected: 4 }]
      }])
    }))

  watching(
    "follow circuits: state, since when, trips, reopenings, and the requests behind the narrowest opening",
    (read) =>
      Effect.gen(function*() {
        const options = {
          openJitter: 0,
          openDuration: "30 seconds",
          tripPolicy: CircuitBreaker.consecutive(4)
        } as const
        const retry = Retry.make({ maxRetries: 1, schedule: Backoff.constant(0) })
        const perCall = yield* CircuitBreaker.make({ name: "call", ...options })
        const perAttempt = yield* CircuitBreaker.make({ name: "attempt", ...options })
        yield* times(4, Policy.compose(perCall, retry)(Effect.fail(new Busy())))
        yield* times(4, Policy.compose(retry, perAttempt)(Effect.fail(new Busy())))
        yield* Effect.sleep("30 seconds")
        yield* times(1, perCall(Effect.fail(new Busy())))
        yield* times(1, perAttempt(Effect.void))
        const circuits = (yield* read).dependencies.map(({ circuits }) => circuits[0]!)
        assert.deepStrictEqual<unknown>(circuits, [
          {
            breaker: "attempt",
            state: "closed",
            since: 1_030_000,
            trips: 1,
            reopened: 0,
            narrowest: {
              at: 1_000_000,
              trip: { policy: CircuitBreaker.consecutive(4), counted: 4, calls: undefined },
              requests: 2
            }
          },
          {
            breaker: "call",
            state: "open",
            since: 1_030_000,
            trips: 1,
            reopened: 1,
            narrowest: {
              at: 1_000_000,
              trip: { policy: CircuitBreaker.consecutive(4), counted: 4, calls: undefined },
              requests: 4
            }
          }
        ])
      })
  )

  watching("count what each tier of a fallback served, and where it could not", (read) =>
    Effect.gen(function*() {
      const fallback = Fallback.make({
        name: "prices",
        dependency: "pricing",
        tiers: [
          Fallback.tier({ name: "near", kind: "cache", run: () => Effect.fail("empty"), when: ["Busy"] }),
          Fallback.value(0, { name: "list price" })
        ]
      })
      yield* times(3, fallback(Effect.fail(new Busy())))
      yield* times(2, fallback(Effect.fail(new SlowDown())))
      yield* times(2, fallback(Effect.succeed(1)))
      assert.deepStrictEqual((yield* read).fallbacks, [{
        fallback: "prices",
        dependency: "pricing",
        tiers: [
          { tier: "near", kind: "cache", served: 0, failed: 3 },
          { tier: "list price", kind: "default", served: 5, failed: 0 }
        ]
      }])
    }))

  watching("measure good attempts, whole calls and failures apart", (read) =>
    Effect.gen(function*() {
      const policy = Retry.make({
        maxRetries: 1,
        schedule: Backoff.constant(1000, { jitter: "none" }),
        dependency: "stock"
      })
      for (let millis = 1; millis <= 100; millis++) yield* policy(answering(millis))
      yield* times(10, policy(Effect.delay(Effect.fail(new Busy()), 500)))
      const { callLatency, callMillis, failedLatency, latency, lastEndedAt } = of(yield* read, "stock")
      const near = (value: number | undefined, expected: number) =>
        assert.approximately(value!, expected, expected * 0.032)
      assert.deepStrictEqual([latency.samples, latency.since, latency.maxMillis, latency.meanMillis], [
        100,
        1_000_001,
        100,
        50.5
      ])
      near(latency.p50Millis, 50)
      near(latency.p95Millis, 95)
      near(latency.p99Millis, 99)
      assert.deepStrictEqual([failedLatency.samples, failedLatency.meanMillis], [10, 2000])
      assert.strictEqual(callLatency.samples, 110)
      assert.strictEqual(callMillis, 5050 + 10 * 2000)
      assert.strictEqual(lastEndedAt, 1_000_000 + 5050 + 10 * 2000)
    }))

  watching("know slow calls, blips, and the longest time in which nearly all failed", (read) =>
    Effect.gen(function*() {
      const policy = Retry.make({ maxRetries: 0, dependency: "stock" })
      const failing = Effect.delay(Effect.fail(new Busy()), 1000)
      yield* Effect.all([policy(answering(7000)), policy(answering(6000)), policy(answering(4999))], { concurrency: 3 })
      yield* times(2, policy(failing))
      yield* times(1, policy(Effect.void))
      yield* times(20, policy(failing))
      // One success among failures does not end it, ten do.
      yield* times(1, policy(Effect.void))
      yield* times(5, policy(failing))
      yield* times(10, policy(Effect.void))
      yield* times(1, policy(failing))
      // A limit of half an hour is a limit; so is a deadline of the caller.
      const limited = Policy.compose(policy, Timeout.make("30 minutes"))
      yield* Effect.all([limited(answering(9000)), Deadline.within(policy(answering(9000)), "1 hour")], {
        concurrency: 2
      })
      const { blips, failing: spell, slow } = of(yield* read, "stock")
      assert.deepStrictEqual(slow, { from: 1_000_000, until: 1_007_000, calls: 2, millis: 13_000 })
      assert.deepStrictEqual(blips, { count: 4, longestMillis: 19_000 })
      assert.deepStrictEqual(spell, { from: 1_008_000, until: 1_034_000, calls: 27, millis: 27_000 })
    }))

  watching("know the busiest second, by when calls began", (read) =>
    Effect.gen(function*() {
      const policy = Retry.make({ maxRetries: 0, dependency: "stock" })
      const sent = yield* Effect.forEach([3, 8, 2], (count) =>
        Effect.forkAll(Array.from({ length: count }, () =>
          policy(answering(3500)))).pipe(
            Effect.zipLeft(Effect.sleep(1000))
          ))
      yield* Effect.forEach(sent, Fiber.join)
      assert.strictEqual(of(yield* read, "stock").busiestSecond, 8)
    }))

  watching("count nothing for a policy that names no dependency", (read) =>
    Effect.gen(function*() {
      yield* Timeout.make(100)(Effect.void)
      assert.deepStrictEqual((yield* read).dependencies, [])
    }))
})

describe("The requests behind an opening", () => {
  const options = { openJitter: 0, tripPolicy: CircuitBreaker.consecutive(3), dependency: "stock" } as const
  const retry = Retry.make({ maxRetries: 2, schedule: Backoff.constant(100, { jitter: "none" }), dependency: "stock" })
  const counted = (snapshot: Figures.Snapshot) =>
    snapshot.dependencies.flatMap(({ circuits }) => circuits.map(({ narrowest }) => narrowest?.requests))
  const codes = (snapshot: Figures.Snapshot) => Diagnosis.fromSnapshot(snapshot).map(({ code }) => code)
  /** Begun together: their first attempts fail before the last good attempt of another call, their ends come after it. */
  const around = (policy: Policy.Policy<any>) =>
    Effect.gen(function*() {
      const failing = yield* Effect.fork(
        Effect.all(Array.from({ length: 3 }, () => Effect.exit(policy(Effect.fail(new Busy())))), {
          concurrency: "unbounded"
        })
      )
      yield* policy(answering(150))
      yield* Fiber.join(failing)
    })

  watching(
    "are the calls that ended, for a breaker that counts calls: their first attempts may be older",
    (read) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make({ name: "stock", ...options })
        yield* around(Policy.compose(breaker, retry))
        const snapshot = yield* read
        assert.deepStrictEqual(counted(snapshot), [3])
        assert.notInclude(codes(snapshot), "retries-counted")
      })
  )

  watching(
    "are one for the attempts of one call, for a breaker that counts attempts",
    (read) =>
      Effect.gen(function*() {
        const breaker = yield* CircuitBreaker.make({ name: "stock", ...options })
        yield* times(1, Policy.compose(retry, breaker)(Effect.fail(new Busy())))
        const snapshot = yield* read
        assert.deepStrictEqual(counted(snapshot), [1])
        assert.include(codes(snapshot), "retries-counted")
      })
  )
})

describe("Figures over time", () => {
  const policy = Retry.make({ maxRetries: 0, dependency: "stock" })
  const calls = (snapshot: Figures.Snapshot) => of(snapshot, "stock").calls.Success

  watching("are of the present and the previous period, and say since when", (read) =>
    Effect.gen(function*() {
      yield* times(5, policy(Effect.void))
      yield* Effect.sleep("59 minutes")
      yield* times(3, policy(Effect.void))
      assert.deepStrictEqual([calls(yield* read), (yield* read).since], [8, 1_000_000])
      yield* Effect.sleep("2 minutes")
      yield* times(1, policy(Effect.void))
      assert.deepStrictEqual([calls(yield* read), (yield* read).since], [9, 1_000_000])
      yield* Effect.sleep("60 minutes")
      const later = yield* read
      assert.deepStrictEqual([calls(later), later.since, later.at], [
        1,
        1_000_000 + 3_600_000,
        1_000_000 + 121 * 60_000
      ])
      // The latencies reach further back.
      assert.strictEqual(of(later, "stock").latency.samples, 9)
      yield* Effect.sleep("3 hours")
      const idle = yield* read
      assert.deepStrictEqual([calls(idle), idle.since], [0, idle.at])
    }))

  watching("are forgotten with the operation that was not called for long", (read) =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "stock" })
      const pool = yield* Bulkhead.make({ name: "pool", dependency: "stock", maxConcurrent: 1 })
      yield* pool(Effect.exit(pool(Effect.void)))
      yield* breaker.isolate
      yield* breaker.reset
      yield* Effect.fail(new Busy()).pipe(policy, Fallback.orElse(0))
      const busy = yield* read
      assert.deepStrictEqual(
        [busy.dependencies.length, busy.dependencies[0]!.circuits.length, busy.bulkheads.length, busy.fallbacks.length],
        [1, 1, 1, 1]
      )
      yield* Effect.sleep("21 days")
      const { bulkheads, dependencies, fallbacks } = yield* read
      assert.deepStrictEqual([dependencies, bulkheads, fallbacks], [[], [], []])
    }))

  watching("a snapshot does not change any more", (read) =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "stock", tripPolicy: CircuitBreaker.consecutive(3) })
      const call = breaker(Effect.delay(Effect.fail(new Busy()), 6000)).pipe(Fallback.orElse(0))
      yield* times(2, call)
      const before = yield* read
      const copy = structuredClone(before)
      yield* times(5, call)
      assert.deepStrictEqual(before, copy)
      assert.notDeepEqual(yield* read, copy)
    }))

  it.live("keep their age when the clock is set back, and lose nothing", () =>
    Effect.gen(function*() {
      const told: Array<ResilienceEvent.ResilienceEvent> = []
      yield* policy(Effect.void).pipe(ResilienceEvent.listen((event) => told.push(event)))
      const recorder = new Recorder(
        { windowMillis: 1000, latencyWindowMillis: 9000, slowerThanMillis: 100 },
        9,
        9,
        5000
      )
      const at = (now: number) => {
        told.forEach((event) => recorder.hear({ ...event, at: now } as typeof event))
        const { operations, since } = recorder.read(now, 0)
        return [since, operations[0]?.calls.Success]
      }
      assert.deepStrictEqual([5000, 5400, 6100].map(at), [[5000, 1], [5000, 2], [5000, 3]])
      // What was counted 1100 ms ago still was.
      assert.deepStrictEqual([100, 500, 1100, 2100].map(at), [[-900, 4], [-900, 5], [100, 4], [1100, 2]])
    }))
})

class Kept extends Dependency.Service<Kept>()("figures.kept", { operations: { late: {} } }) {}

describe("Figures in bounded memory", () => {
  watching(
    "a dependency that is declared is told apart, whatever else has filled the bound",
    (read) =>
      Effect.gen(function*() {
        for (let tenant = 0; tenant < 30; tenant++) {
          yield* Retry.make({ maxRetries: 0, dependency: `d${tenant}` }).with({ operation: `op ${tenant}` })(
            Effect.void
          )
        }
        yield* Kept.call({ operation: "late" })(Effect.void).pipe(Effect.provide(Kept.layer))
        const { dependencies } = yield* read
        const found = dependencies.find(({ dependency }) => dependency === "figures.kept")
        assert.deepStrictEqual(found?.operations.map(({ calls, operation }) => [operation, calls.Success]), [[
          "late",
          1
        ]])
      }),
    { maximumDependencies: 2, maximumOperations: 2 }
  )

  watching(
    "operations and dependencies beyond what is told apart are counted as other",
    (read) =>
      Effect.gen(function*() {
        for (let dependency = 0; dependency < 30; dependency++) {
          const policy = Retry.make({ maxRetries: 0, dependency: `d${dependency}` })
          for (let operation = 0; operation < 30; operation++) {
            yield* policy.with({ operation: `GET /${operation}` })(Effect.void)
          }
          const breaker = yield* CircuitBreaker.make({ name: `b${dependency}`, dependency: "d0" })
          yield* breaker.isolate
          const fallback = Fallback.make({ name: `f${dependency}`, tiers: [Fallback.value(0)] })
          yield* Effect.fail(new Busy()).pipe(fallback)
        }
        const { dependencies, fallbacks } = yield* read
        assert.deepStrictEqual(dependencies.map((one) => [one.dependency, one.operations.length]), [
          ["d0", 10],
          ["d1", 1],
          ["other", 1]
        ])
        const all = dependencies.flatMap(({ operations }) => operations)
        assert.deepStrictEqual(
          all.filter(({ operation }) => operation === "other").map((one) => [one.dependency, one.calls.Success]),
          [["d0", 21], ["d1", 30], ["other", 840]]
        )
        assert.strictEqual(all.reduce((sum, { calls }) => sum + calls.Success, 0), 900)
        assert.lengthOf(dependencies[0]!.circuits, 10)
        assert.lengthOf(fallbacks, 10)
      }),
    { maximumDependencies: 2, maximumOperations: 9 }
  )
})

class Mail extends Dependency.Service<Mail>()("mail", { bulkhead: { maxConcurrent: 3 } }) {}

describe("Figures of a program", () => {
  it.live("are a service, and show what the pieces of live dependencies hold", () =>
    Effect.gen(function*() {
      const held = yield* Effect.fork(Mail.call(Effect.never))
      yield* Effect.yieldNow()
      const { snapshot } = yield* Figures.Figures
      const before = yield* snapshot
      yield* Fiber.interrupt(held)
      assert.deepStrictEqual(before.dependencies.map(({ dependency, operations }) => [dependency, operations.length]), [
        ["mail", 0]
      ])
      assert.strictEqual(before.dependencies[0]!.live?.bulkhead?.active, 1)
      assert.isTrue(before.dependencies[0]!.limited)
      const after = yield* snapshot
      assert.strictEqual(of(after, "mail").calls.Interrupted, 1)
      assert.strictEqual(after.dependencies[0]!.live?.bulkhead?.active, 0)
    }).pipe(Effect.provide(Mail.layer), Effect.provide(Figures.layer()), Effect.provide(DependencyRegistry.layer)))

  it("have no options but these", () => {
    const refused = (options: any): string => {
      const exit = Effect.runSyncExit(Figures.make(options))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, InvalidOptions)
      return (defect as InvalidOptions).message
    }
    const wrong = { window: 0, latencyWindow: "long", slowerThan: -1, maximumDependencies: 0, maximumOperations: 1.5 }
    assert.match(
      refused(wrong),
      /window is 0.*latencyWindow is "long".*slowerThan is -1.*maximumDependencies is 0.*maximumOperations is 1.5/
    )
    assert.match(refused({ windows: 1 }), /windows is 1: unknown field/)
  })
})
