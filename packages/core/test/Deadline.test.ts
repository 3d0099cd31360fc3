import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"

class Busy extends Failure.Retryable("Busy")<{}> {}

const left = Effect.map(Deadline.remaining, Option.map(Duration.toMillis))

/** Runs an effect to its end, letting time pass. */
const timed = <A, E>(effect: Effect.Effect<A, E>, pass = "1 minute" as const) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.fork(
      Effect.flatMap(Effect.exit(effect), (exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => ({ exit, took: now - start })))
    )
    yield* TestClock.adjust(pass)
    return yield* Fiber.join(fiber)
  })

describe("Deadline", () => {
  it.effect("there is none unless somebody sets one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* left, Option.none())
    }))

  it.effect("is absolute: it comes nearer as time passes, and is never negative", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* left, Option.some(2000))
        yield* TestClock.adjust("500 millis")
        assert.deepStrictEqual(yield* left, Option.some(1500))
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* left, Option.some(0))
      }).pipe(Deadline.within("2 seconds"))
      assert.deepStrictEqual(yield* left, Option.none())
    }))

  it.effect("whoever holds the fiber reads the same from it", () =>
    Effect.gen(function*() {
      const ofFiber = Effect.withFiberRuntime<number>((fiber) => Effect.succeed(Deadline.unsafeRemaining(fiber)))
      assert.strictEqual(yield* ofFiber, Infinity)
      yield* Effect.gen(function*() {
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(yield* ofFiber, 1500)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* ofFiber, 0)
      }).pipe(Deadline.within("2 seconds"))
    }))

  it.effect("nested deadlines only ever come nearer", () =>
    Effect.gen(function*() {
      const inner = (duration: Duration.DurationInput) =>
        left.pipe(Deadline.within(duration), Deadline.within("2 seconds"))
      assert.deepStrictEqual(yield* inner("1 second"), Option.some(1000))
      assert.deepStrictEqual(yield* inner("5 seconds"), Option.some(2000))
    }))

  it.effect("less than no time is a deadline that has passed, and time without end is what is inherited", () =>
    Effect.gen(function*() {
      for (const passed of [-5, -5n, "-5 seconds", Duration.millis(-5)] as const) {
        assert.deepStrictEqual(yield* left.pipe(Deadline.within(passed)), Option.some(0))
      }
      for (const endless of [Infinity, Duration.infinity]) {
        assert.deepStrictEqual(yield* left.pipe(Deadline.within(endless)), Option.none())
        assert.deepStrictEqual(
          yield* left.pipe(Deadline.within(endless), Deadline.within("2 seconds")),
          Option.some(2000)
        )
      }
    }))

  it("what is no duration is a defect of the effect, and nothing is thrown while it is built", () => {
    const effect = Effect.void.pipe(Deadline.within("soon" as any))
    const exit = Effect.runSyncExit(effect)
    assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "duration is \"soon\"")
  })

  it.effect("forks inherit it, and a fiber that is joined does not bring its own back", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.flatMap(Effect.fork(left), Fiber.join), Option.some(2000))
        assert.deepStrictEqual(yield* Effect.flatMap(Effect.forkDaemon(left), Fiber.join), Option.some(2000))
        yield* Effect.flatMap(Effect.fork(Deadline.within(Effect.void, "1 second")), Fiber.join)
        return yield* left
      })
      assert.deepStrictEqual(yield* program.pipe(Deadline.within("2 seconds")), Option.some(2000))
    }))

  it.effect("detached work has none: the notification outlives its order", () =>
    Effect.gen(function*() {
      let sent = false
      const notification = Deadline.detached(
        Timeout.make("3 seconds")(Effect.delay(
          Effect.sync(() => {
            sent = true
          }),
          "2 seconds"
        ))
      )
      const order = Effect.forkDaemon(notification).pipe(Deadline.within("1 second"))
      yield* order
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(sent)
    }))

  it.effect("the total timeout of a policy is the deadline of what it protects", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("told", { totalTimeout: "4 seconds" })
      assert.deepStrictEqual(yield* policy(left), Option.some(4000))
      assert.deepStrictEqual(yield* policy(left).pipe(Deadline.within("1 second")), Option.some(1000))
      assert.deepStrictEqual(yield* left, Option.none(), "it is put back")
      yield* Effect.exit(policy(Effect.fail("no")))
      assert.deepStrictEqual(yield* left, Option.none(), "also after a failure")
    }))

  it.effect("it is told behind a step of the user's own too, and put back as it was", () =>
    Effect.gen(function*() {
      const own = Policy.make("own", Effect.withSpan("call"))
      const total = Timeout.make("2 seconds", { scope: "total" })
      const bulkhead = yield* Bulkhead.make({ name: "own", maxConcurrent: 1 })
      for (const policy of [total, Policy.compose(own, total), Policy.compose(bulkhead, own, total)]) {
        const [inside, after] = yield* Effect.all([policy(left), left]).pipe(Deadline.within("5 seconds"))
        assert.deepStrictEqual([inside, after], [Option.some(2_000), Option.some(5_000)])
      }
      const patient = Retry.make({ maxRetries: 3, schedule: Backoff.constant("5 seconds", { jitter: "none" }) })
      const { exit, took } = yield* timed(Effect.fail(new Busy()).pipe(Policy.compose(own, total, patient)))
      assert.deepStrictEqual([Exit.isFailure(exit), took], [true, 0], "no delay of 5 s fits into 2 s")
    }))

  it.effect("two runs of what is inside a step of the user's own have each their own", () =>
    Effect.gen(function*() {
      const twice = Policy.make("twice", (effect) => Effect.zipLeft(effect, Effect.delay(effect, "1 second")))
      const seen: Array<number> = []
      const look = Effect.map(left, (found) => seen.push(Option.getOrElse(found, () => -1)))
      yield* timed(look.pipe(Policy.compose(twice, Timeout.make("2 seconds", { scope: "total" }))))
      assert.deepStrictEqual(seen, [2_000, 2_000])
    }))

  it.effect("one that is set inside a policy holds for what is inside it: retries, limits and waits", () =>
    Effect.gen(function*() {
      const soon = Policy.make("soon", Deadline.within("50 millis"))
      const retry = Retry.make({ maxRetries: 3, schedule: Backoff.constant("300 millis", { jitter: "none" }) })
      const outer = Timeout.make("10 seconds", { scope: "total" })
      for (const policy of [Policy.compose(soon, retry), Policy.compose(outer, soon, retry)]) {
        const { exit, took } = yield* timed(Effect.fail(new Busy()).pipe(policy))
        assert.deepStrictEqual([Exit.isFailure(exit), took], [true, 0])
      }
      const { took } = yield* timed(Effect.never.pipe(Policy.compose(outer, soon, Timeout.make("1 second"))))
      assert.strictEqual(took, 50)
    }))

  it.effect("cuts a timeout to what is left", () =>
    Effect.gen(function*() {
      const { exit, took } = yield* timed(
        Effect.never.pipe(Timeout.make("10 seconds"), Deadline.within("300 millis"))
      )
      assert.strictEqual(took, 300)
      assert.include(String(exit), "TimedOut")
    }))

  it.effect("a timeout under a deadline that has passed refuses at once, and nothing is sent", () =>
    Effect.gen(function*() {
      let called = false
      const call = Effect.sync(() => {
        called = true
      }).pipe(Timeout.make("10 seconds"))
      const error = yield* Effect.flip(
        Effect.zipRight(TestClock.adjust("2 seconds"), call).pipe(Deadline.within("1 second"))
      )
      assert.strictEqual(error.scope, "queue")
      assert.isFalse(called)
      assert.strictEqual(Failure.classifyError(error).class, "Rejected")
    }))

  it.effect("C09: a retry gives up at once when its next delay does not fit, with the last real error", () =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      const { exit, took } = yield* timed(
        Effect.fail(new Busy()).pipe(
          Retry.make({ maxRetries: 5, schedule: Backoff.constant("400 millis", { jitter: "none" }) }),
          Deadline.within("1 second"),
          ResilienceEvent.listen((event) => {
            if (event._tag === "RetryGivenUp") {
              reasons.push(event.reason)
            }
          })
        )
      )
      assert.strictEqual(took, 800)
      assert.include(String(exit), "Busy")
      assert.deepStrictEqual(reasons, ["deadline"])
    }))

  it.effect("ends a wait in a bulkhead's queue, also for a caller that cannot be interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 5, maxWait: "1 hour" })
      yield* Effect.fork(bulkhead(Effect.never))
      yield* Effect.yieldNow()
      for (const caller of [(effect: Effect.Effect<void, any>) => effect, Effect.uninterruptible]) {
        const { exit, took } = yield* timed(caller(bulkhead(Effect.void).pipe(Deadline.within("200 millis"))))
        assert.strictEqual(took, 200)
        assert.include(String(exit), "BulkheadFull")
        assert.include(String(exit), "deadline")
      }
      assert.strictEqual((yield* bulkhead.snapshot).queued, 0)
    }))

  it.effect("a limiter's wait that cannot end in time is refused at once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1, capacity: 1, maxWait: "1 hour" })
      yield* limiter(Effect.void)
      const { exit, took } = yield* timed(limiter(Effect.void).pipe(Deadline.within("500 millis")))
      assert.strictEqual(took, 0)
      assert.include(String(exit), "RateLimited")
    }))

  it.effect("what a deadline from outside cut says nothing about the dependency", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "c", tripPolicy: CircuitBreaker.consecutive(1) })
      const policy = Policy.compose(breaker, Timeout.make("1 second"))
      yield* timed(policy(Effect.never).pipe(Deadline.within("100 millis")))
      assert.strictEqual((yield* breaker.state.get)._tag, "Closed")
      yield* timed(policy(Effect.never))
      assert.strictEqual((yield* breaker.state.get)._tag, "Open", "its own limit does")
    }))

  it.effect("a cascade of three hops: each sees what is left for it", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const hop = (name: string, work: Duration.DurationInput, next: Effect.Effect<unknown, unknown>) =>
        Effect.flatMap(
          Policy.standard(name, { totalTimeout: "3 seconds", retry: false }),
          (policy) =>
            policy(Effect.gen(function*() {
              seen.push(Option.getOrThrow(yield* left))
              yield* Effect.sleep(work)
              yield* next
            }))
        )
      const { took } = yield* timed(
        hop("a", "500 millis", hop("b", "500 millis", hop("c", "10 seconds", Effect.void)))
      )
      assert.deepStrictEqual(seen, [3000, 2500, 2000])
      assert.strictEqual(took, 3000)
    }))
})

describe("a limit that the caller's deadline cut", () => {
  it.effect("says so, and does not claim that its own limit ran out", () =>
    Effect.gen(function*() {
      const { exit } = yield* timed(
        Effect.flip(
          Effect.never.pipe(Timeout.make("10 seconds", { dependency: "payments" }), Deadline.within("30 millis"))
        )
      )
      const error = Exit.isSuccess(exit) ? exit.value : undefined
      assert.strictEqual(
        error?.message,
        "The call to payments was ended by the deadline of its caller (its own limit is 10000 ms)"
      )
      assert.strictEqual(error?.inherited, true)
    }))
})
