import { assert, describe, it } from "@effect/vitest"
import * as Alarm from "@holdfast/core/Alarm"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import type * as Call from "@holdfast/core/Call"
import * as Deadline from "@holdfast/core/Deadline"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"

// E05 and E06 are of the bucket alone and tested there; E09 to E12 need a store or a fixed window, which this limiter is not.

/** With time enough for a busy machine. */
const virtual = (name: string, body: () => Effect.Effect<void, unknown>) =>
  it.live(name, () => VirtualClock.run(Effect.suspend(body)), 60_000)

/** For tests that set the clock themselves. */
const byHand = (name: string, body: (time: VirtualClock.VirtualClock) => Effect.Effect<void, unknown>) =>
  it.live(
    name,
    () => Effect.flatMap(VirtualClock.make({ start: 100_000_000 }), (time) => VirtualClock.provide(body(time), time))
  )

const now = Clock.currentTimeMillis

const settle = Effect.sleep("1 millis")

const clean = (limiter: RateLimiter.RateLimiter) =>
  Effect.gen(function*() {
    assert.strictEqual(yield* limiter.queued, 0)
    assert.strictEqual(Alarm.of(yield* Effect.clock).size, 0)
  })

const remaining = (limiter: RateLimiter.RateLimiter, facts?: Call.Facts) =>
  Effect.map(limiter.level(facts), (level) => level.remaining)

/** Uses up what the bucket holds. */
const drain = (limiter: RateLimiter.RateLimiter, calls: number, facts: Call.Facts = {}) =>
  Effect.repeatN(limiter.with(facts)(Effect.void), calls - 1)

const millisOf = (error: RateLimiter.RateLimited) => Duration.toMillis(error.retryAfter!)

const refusal = (exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isSuccess(exit)) return assert.fail("the call should have been refused")
  const error = Cause.squash(exit.cause)
  assert.instanceOf(error, RateLimiter.RateLimited)
  return error
}

describe("RateLimiter", () => {
  virtual(
    "counts whom it let through at once and after a wait, and whom it refused, but not who went past it",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({
          name: "counted",
          rate: 10,
          capacity: 2,
          maxWait: "100 millis",
          bypass: ({ operation }) => operation === "GET /health"
        })
        const call = Effect.exit(limiter(Effect.void))
        yield* Effect.all([call, call, call, call, Effect.exit(limiter.with({ cost: 0 })(Effect.void))], {
          concurrency: "unbounded"
        })
        yield* limiter.with({ operation: "GET /health" })(Effect.void)
        assert.deepStrictEqual(yield* limiter.decisions, { admitted: 2, waited: 1, refused: 1 })
        yield* Effect.flip(limiter.with({ cost: 3 })(Effect.void))
        assert.deepStrictEqual(yield* limiter.decisions, { admitted: 2, waited: 1, refused: 2 })
      })
  )

  virtual("lets a burst of the capacity through, refuses the next and does not start it", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "search", rate: 10, capacity: 3 })
      yield* drain(limiter, 3)
      let started = false
      const error = yield* Effect.flip(limiter(Effect.sync(() => {
        started = true
      })))
      assert.isFalse(started)
      assert.strictEqual(error._tag, "RateLimited")
      assert.deepStrictEqual(
        [error.policy, error.dependency, error.key, error.limit, millisOf(error)],
        ["search", "search", undefined, 3, 100]
      )
      assert.strictEqual(error.message, "The rate limit of search is used up; try again in 100ms")
      yield* clean(limiter)
    }))

  virtual("refills by its rate and never above its capacity", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 30, per: "1 minute", capacity: 5 })
      yield* drain(limiter, 5)
      yield* Effect.sleep("4 seconds")
      assert.strictEqual(yield* remaining(limiter), 2)
      const { limit, resetAfter } = yield* limiter.level()
      assert.deepStrictEqual([limit, Duration.toMillis(resetAfter)], [5, 6000])
      yield* Effect.sleep("1 hour")
      assert.strictEqual(yield* remaining(limiter), 5)
      yield* drain(limiter, 5)
      assert.strictEqual(millisOf(yield* Effect.flip(limiter(Effect.void))), 2000)
    }))

  virtual("the capacity is the rate unless said otherwise, and never below 1", () =>
    Effect.gen(function*() {
      const many = yield* RateLimiter.make({ name: "l", rate: 7 })
      const few = yield* RateLimiter.make({ name: "l", rate: 0.1 })
      assert.deepStrictEqual([yield* remaining(many), yield* remaining(few)], [7, 1])
    }))

  virtual("a call pays its cost, all or nothing", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 10 })
      yield* limiter.with({ cost: 6 })(Effect.void)
      const error = yield* Effect.flip(limiter.with({ cost: 5 })(Effect.void))
      assert.strictEqual(millisOf(error), 100)
      assert.strictEqual(yield* remaining(limiter), 4)
      yield* limiter.with({ cost: 4 })(Effect.void)
      assert.strictEqual(yield* remaining(limiter), 0)
    }))

  virtual(
    "a call that costs more than the bucket holds is refused for good: retryAfter is undefined, waiting or not",
    () =>
      Effect.gen(function*() {
        for (const maxWait of ["0 millis", "1 hour"] as const) {
          const limiter = yield* RateLimiter.make({ name: "l", rate: 10, maxWait })
          const error = yield* Effect.flip(limiter.with({ cost: 11 })(Effect.void))
          assert.isUndefined(error.retryAfter)
          assert.strictEqual(
            error.message,
            "The rate limit of l holds 10 at most, and the call costs more"
          )
          assert.strictEqual(yield* remaining(limiter), 10)
          yield* clean(limiter)
        }
      })
  )

  virtual("a call that costs nothing is let through, even past those who wait", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1, maxWait: "10 seconds" })
      yield* drain(limiter, 1)
      const waiting = yield* Effect.fork(limiter(Effect.void))
      yield* settle
      const before = yield* now
      yield* limiter.with({ cost: 0 })(Effect.void)
      assert.strictEqual(yield* now, before)
      yield* Fiber.join(waiting)
      yield* clean(limiter)
    }))

  for (const cost of [NaN, -1, -Infinity, "5" as any, null as any]) {
    virtual(
      `a cost of ${JSON.stringify(cost) ?? cost} (${cost}) is a defect that names it, and harms nobody who waits`,
      () =>
        Effect.gen(function*() {
          const limiter = yield* RateLimiter.make({ name: "l", rate: 1, maxWait: "10 seconds" })
          yield* drain(limiter, 1)
          const waiting = yield* Effect.fork(limiter(now))
          yield* settle
          const exit = yield* Effect.exit(limiter.with({ cost })(Effect.void))
          const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) as any : undefined
          assert.strictEqual(defect?._tag, "InvalidOptions")
          assert.include(defect.message, "cost is ")
          assert.strictEqual(yield* Fiber.join(waiting), 1000)
          yield* clean(limiter)
        })
    )
  }

  virtual("has one bucket per key, and says whose rate is used up", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 2, maximumKeys: 10 })
      yield* drain(limiter, 2, { key: "a" })
      const error = yield* Effect.flip(limiter.with({ key: "a" })(Effect.void))
      assert.deepStrictEqual([error.key, millisOf(error)], ["a", 500])
      assert.include(error.message, "for \"a\"")
      yield* drain(limiter, 2, { key: "b" })
      assert.strictEqual(yield* remaining(limiter, { key: "c" }), 2)
    }))

  virtual("without keys the key of the call is not looked at", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1 })
      yield* limiter.with({ key: "a" })(Effect.void)
      assert.isUndefined((yield* Effect.flip(limiter.with({ key: "b" })(Effect.void))).key)
    }))

  virtual("the key used least recently goes first, and starts full again", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 0.001, maximumKeys: 2 })
      yield* drain(limiter, 1, { key: "a" })
      yield* drain(limiter, 1, { key: "b" })
      yield* Effect.exit(limiter.with({ key: "a" })(Effect.void))
      yield* drain(limiter, 1, { key: "c" })
      assert.isBelow(yield* remaining(limiter, { key: "a" }), 1)
      assert.strictEqual(yield* remaining(limiter, { key: "b" }), 1)
    }))

  virtual("E07: a million keys leave no more behind than the bound, and no line", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 0.001, maximumKeys: 100 })
      for (let index = 0; index < 20_000; index++) {
        yield* limiter.with({ key: `key-${index}` })(Effect.void)
      }
      let known = 0
      for (let index = 0; index < 20_000; index++) {
        if ((yield* remaining(limiter, { key: `key-${index}` })) < 1) known++
      }
      assert.strictEqual(known, 100)
      yield* clean(limiter)
    }))

  virtual("E08: the empty key is a key like any other, and is put out like any other", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 0.001, maximumKeys: 2 })
      yield* drain(limiter, 1, { key: "" })
      assert.strictEqual((yield* Effect.flip(limiter.with({ key: "" })(Effect.void))).key, "")
      yield* drain(limiter, 1, { key: "a" })
      yield* drain(limiter, 1, { key: "b" })
      assert.strictEqual(yield* remaining(limiter, { key: "" }), 1)
      // A call without a key shares the bucket of the empty one.
      yield* drain(limiter, 1)
      assert.isBelow(yield* remaining(limiter, { key: "" }), 1)
    }))

  virtual("a tier has a rate of its own; an unknown tier means the default rate", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({
        name: "l",
        rate: 1,
        maximumKeys: 10,
        tiers: { gold: { rate: 5 }, slow: { rate: 1, per: "1 minute" } },
        tierOf: (facts) => facts.key === "vip" ? "gold" : facts.key === "crawler" ? "slow" : facts.key
      })
      yield* drain(limiter, 5, { key: "vip" })
      assert.deepStrictEqual(
        yield* Effect.map(
          Effect.flip(limiter.with({ key: "vip" })(Effect.void)),
          (error) => [error.limit, millisOf(error)]
        ),
        [5, 200]
      )
      yield* drain(limiter, 1, { key: "crawler" })
      assert.strictEqual(millisOf(yield* Effect.flip(limiter.with({ key: "crawler" })(Effect.void))), 60_000)
      for (const key of ["toString", "constructor", "nobody"]) {
        yield* drain(limiter, 1, { key })
        assert.strictEqual((yield* Effect.flip(limiter.with({ key })(Effect.void))).limit, 1)
      }
      assert.strictEqual((yield* limiter.level({ key: "vip" })).limit, 5)
    }))

  virtual("a bypassed call pays nothing and does not wait", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({
        name: "l",
        rate: 1,
        bypass: (facts) => facts.operation === "GET /health"
      })
      yield* drain(limiter, 1)
      yield* drain(limiter, 50, { operation: "GET /health" })
      assert.strictEqual(yield* remaining(limiter), 0)
      yield* Effect.flip(limiter(Effect.void))
    }))

  virtual(
    "calls that wait go in order, each at the instant at which its tokens are there",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 2, maxWait: "1 second" })
        const log: Array<readonly [string, number]> = []
        const call = (name: string, cost: number) =>
          Effect.fork(limiter.with({ cost })(Effect.flatMap(now, (at) => Effect.sync(() => log.push([name, at])))))
        const fibers = []
        for (const [name, cost] of [["a", 2], ["b", 1], ["c", 2], ["d", 1]] as const) {
          fibers.push(yield* call(name, cost))
          yield* Effect.yieldNow()
        }
        yield* Effect.forEach(fibers, Fiber.join)
        // "d" is cheaper than "c" and does not overtake it.
        assert.deepStrictEqual(log, [["a", 0], ["b", 100], ["c", 300], ["d", 400]])
        yield* clean(limiter)
      })
  )

  virtual(
    "a wait that cannot end within maxWait is refused at once, whether or not others wait",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 1, maxWait: "250 millis" })
        yield* drain(limiter, 1)
        const waiting = yield* Effect.forEach([1, 2], () => Effect.fork(limiter(now)))
        yield* Effect.yieldNow()
        const error = yield* Effect.flip(limiter(Effect.void))
        assert.deepStrictEqual([yield* now, millisOf(error)], [0, 300])
        assert.deepStrictEqual(yield* Effect.forEach(waiting, Fiber.join), [100, 200])
        yield* clean(limiter)
      })
  )

  virtual(
    "a wait that cannot end before the deadline is refused at once, one that can is made",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 1, maxWait: "1 minute" })
        yield* drain(limiter, 1)
        const error = yield* Effect.flip(Deadline.within(limiter(Effect.void), "100 millis"))
        assert.deepStrictEqual([yield* now, millisOf(error)], [0, 100])
        assert.strictEqual(yield* Deadline.within(limiter(now), "101 millis"), 100)
        const total = Policy.compose(Timeout.make("50 millis", { scope: "total" }), limiter)
        assert.strictEqual((yield* Effect.flip(total(Effect.void)))._tag, "RateLimited")
        assert.strictEqual(yield* now, 100)
        yield* clean(limiter)
      })
  )

  virtual(
    "an attempt limit ends the wait of an uninterruptible caller with TimedOut of scope \"queue\"",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 1, maxWait: "1 minute" })
        const policy = Policy.compose(Timeout.make("300 millis"), limiter)
        yield* drain(limiter, 1)
        const error = yield* Effect.uninterruptible(Effect.flip(policy(Effect.void)))
        assert.deepStrictEqual([error._tag, (error as Timeout.TimedOut).scope, yield* now], ["TimedOut", "queue", 300])
        yield* clean(limiter)
      })
  )

  virtual("at most maxQueue calls wait, over all keys", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1, maxWait: "1 minute", maxQueue: 2, maximumKeys: 9 })
      const waiting = yield* Effect.forEach(["a", "b"], (key) =>
        Effect.fork(Effect.zipRight(drain(limiter, 1, { key }), limiter.with({ key })(now))))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* limiter.queued, 2)
      yield* drain(limiter, 1, { key: "c" })
      const error = yield* Effect.flip(limiter.with({ key: "c" })(Effect.void))
      assert.strictEqual(millisOf(error), 1000)
      assert.deepStrictEqual(yield* Effect.forEach(waiting, Fiber.join), [1000, 1000])
      yield* clean(limiter)
    }))

  it("retryAfter is exact: after it the same call passes, and a thousandth earlier it does not", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 5000, noNaN: true }),
        fc.double({ min: 1, max: 100, noNaN: true }),
        fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 2_000_000_000 }),
        (rate, capacity, shares, start) => {
          const hand = Effect.runSync(VirtualClock.make({ start }))
          let nanos = BigInt(start) * 1_000_000n
          const clock = { ...hand.clock, unsafeCurrentTimeNanos: () => nanos }
          const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSyncExit(Effect.withClock(effect, clock))
          const limiter = Effect.runSync(Effect.withClock(RateLimiter.make({ name: "l", rate, capacity }), clock))
          for (const share of shares) {
            const call = limiter.with({ cost: Math.max(0.01, share * capacity) })(Effect.void)
            const first = run(call)
            if (Exit.isSuccess(first)) continue
            const wait = Duration.unsafeToNanos(refusal(first).retryAfter!)
            const at = nanos
            nanos = at + ((wait - 2_000n) * 999n) / 1000n
            if (wait > 100_000n) refusal(run(call))
            nanos = at + wait
            assert.isTrue(Exit.isSuccess(run(call)), `rate ${rate}, capacity ${capacity}, wait ${wait}`)
          }
        }
      ),
      { numRuns: 500, seed: 20 }
    )
  })

  byHand(
    "retryAfter is exact behind a line too: whoever comes back after it finds the others served",
    (time) =>
      Effect.gen(function*() {
        for (
          const [rate, capacity, costs] of [[7, 3, [3, 1, 2.5, 3]], [333, 10, [10, 7, 3.3, 9.9]], [0.3, 2, [
            2,
            1,
            0.7,
            2
          ]]] as const
        ) {
          const limiter = yield* RateLimiter.make({
            name: "l",
            rate,
            capacity,
            maxWait: "1 minute",
            maxQueue: costs.length - 1
          })
          const waiting = []
          for (const cost of costs) {
            waiting.push(yield* Effect.fork(limiter.with({ cost })(Effect.void)))
            yield* time.runToIdle
          }
          const call = limiter.with({ cost: 1 })
          const wait = (yield* Effect.flip(call(Effect.void))).retryAfter!
          const from = time.now()
          yield* time.advance(Duration.toMillis(wait))
          const again = yield* Effect.fork(call(now))
          yield* time.runToIdle
          const end = again.unsafePoll()
          assert.isTrue(end !== null && Exit.isSuccess(end), `rate ${rate}: ${time.now() - from} ms`)
          for (const fiber of waiting) assert.isNotNull(fiber.unsafePoll())
          yield* clean(limiter)
        }
      })
  )

  virtual(
    "tokens come back when a gate further in refuses, since the call never started",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({
          name: "l",
          rate: 5,
          maximumKeys: 3,
          tiers: { gold: { rate: 7 } },
          tierOf: (facts) => facts.operation
        })
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
        const policy = Policy.compose(limiter, bulkhead)
        yield* Effect.fork(bulkhead(Effect.never))
        yield* Effect.yieldNow()
        for (const facts of [{ key: "a", cost: 3 }, { key: "a", operation: "gold", cost: 2 }]) {
          const before = yield* remaining(limiter, facts)
          assert.strictEqual((yield* Effect.flip(policy.with(facts)(Effect.void)))._tag, "BulkheadFull")
          assert.strictEqual(yield* remaining(limiter, facts), before)
        }
      })
  )

  virtual("tokens of a call that started are gone, however it ended", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 0.001, capacity: 4 })
      yield* Effect.exit(limiter(Effect.fail("no")))
      yield* Effect.exit(limiter(Effect.die("bug")))
      const running = yield* Effect.fork(limiter(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(running)
      yield* limiter(Effect.void)
      assert.strictEqual(yield* remaining(limiter), 0)
    }))

  virtual("tokens that come back serve those who wait at once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 0.01, capacity: 1, maxWait: "10 minutes" })
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueue: 1, maxWait: "200 millis" })
      yield* Effect.fork(bulkhead(Effect.sleep("1 hour")))
      yield* Effect.yieldNow()
      // It holds the only token while it waits for a place in vain.
      const first = yield* Effect.fork(Effect.flip(Policy.compose(limiter, bulkhead)(Effect.void)))
      yield* settle
      const second = yield* Effect.fork(limiter(now))
      assert.strictEqual(yield* Fiber.join(second), 200)
      assert.strictEqual((yield* Fiber.join(first))._tag, "BulkheadFull")
      assert.strictEqual(yield* limiter.queued, 0)
    }))

  virtual(
    "E04: a waiter that is interrupted pays nothing and delays nobody, wherever it stands",
    () =>
      Effect.gen(function*() {
        for (const leaving of [0, 1, 2]) {
          const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 5, maxWait: "10 seconds" })
          yield* drain(limiter, 5)
          const from = yield* now
          const fibers = []
          for (const cost of [5, 2, 3]) {
            fibers.push(yield* Effect.fork(limiter.with({ cost })(Effect.map(now, (at) => at - from))))
            yield* Effect.yieldNow()
          }
          yield* Fiber.interrupt(fibers[leaving]!)
          assert.strictEqual(yield* limiter.queued, 2)
          const instants = []
          for (const [index, fiber] of fibers.entries()) if (index !== leaving) instants.push(yield* Fiber.join(fiber))
          assert.deepStrictEqual(instants, [[200, 500], [500, 800], [500, 700]][leaving])
          yield* clean(limiter)
        }
      })
  )

  byHand("E01: a clock that is set back locks nobody out", (time) =>
    Effect.gen(function*() {
      for (const back of [11_000, 28_800_000]) {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 2, maxWait: "1 second" })
        yield* drain(limiter, 2)
        yield* time.set(time.now() - back)
        const error = yield* Effect.flip(limiter.with({ cost: 3 })(Effect.void))
        assert.isUndefined(error.retryAfter)
        const call = yield* Effect.fork(limiter(Effect.void))
        yield* time.advance("100 millis")
        assert.isTrue(call.unsafePoll() !== null && Exit.isSuccess(call.unsafePoll()!))
        yield* clean(limiter)
      }
    }))

  byHand(
    "E01: those who wait when the clock is set back are served once the first of them would have been",
    (time) =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 1, maxWait: "1 second" })
        yield* drain(limiter, 1)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(limiter(Effect.void)))
        yield* time.runToIdle
        yield* time.set(time.now() - 2_000)
        // Whoever comes next finds the clock as it is now, and goes behind them.
        const late = yield* Effect.fork(limiter(Effect.void))
        yield* time.advance("3 seconds")
        for (const fiber of [...waiting, late]) assert.isTrue(fiber.unsafePoll() !== null)
        yield* clean(limiter)
      })
  )

  byHand("E02: a clock that is set forwards an hour gives no more than the capacity", (time) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 3 })
      yield* drain(limiter, 3)
      yield* time.set(time.now() + 3_600_000)
      yield* drain(limiter, 3)
      yield* Effect.flip(limiter(Effect.void))
    }))

  byHand(
    "E03: a call that comes with an older reading of the clock brings no tokens",
    (time) =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 2 })
        yield* drain(limiter, 2)
        const from = time.now()
        for (let round = 0; round < 50; round++) {
          yield* time.set(from - 500)
          yield* Effect.flip(limiter(Effect.void))
          yield* time.set(from)
          yield* Effect.flip(limiter(Effect.void))
        }
        assert.strictEqual(yield* remaining(limiter), 0)
      })
  )

  byHand(
    "a limit that rings in the same late wake-up in which the tokens come never lets the call run without limit",
    (time) =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ name: "l", rate: 10, capacity: 1, maxWait: "1 second" })
        const policy = Policy.compose(Timeout.make("150 millis", { scope: "total" }), limiter)
        yield* drain(limiter, 1)
        const call = yield* Effect.fork(policy(Effect.never))
        yield* time.runToIdle
        yield* time.set(time.now() + 1_000)
        const end = call.unsafePoll()
        assert.isTrue(end !== null && Exit.isFailure(end) && (Cause.squash(end.cause) as any)._tag === "TimedOut")
        assert.strictEqual(yield* remaining(limiter), 1)
        yield* clean(limiter)
      })
  )

  virtual(
    "10,000 callers: never more than capacity + rate x time, in order, everyone served or refused",
    () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({
          name: "l",
          rate: 1000,
          capacity: 50,
          maxWait: "6 seconds",
          maxQueue: 9_000
        })
        const starts: Array<readonly [number, number]> = []
        let refused = 0
        let interrupted = 0
        yield* Effect.forEach(Array.from({ length: 10_000 }, (_, index) => index), (index) => {
          const call = limiter(Effect.flatMap(now, (at) => Effect.sync(() => starts.push([index, at]))))
          return Effect.gen(function*() {
            const fiber = yield* Effect.fork(call)
            if (index % 10 === 3) {
              yield* Effect.sleep(1 + (index % 3_000))
              yield* Fiber.interruptFork(fiber)
            }
            const exit = yield* Fiber.await(fiber)
            if (Exit.isSuccess(exit)) return
            if (Cause.isInterrupted(exit.cause)) interrupted++
            else refused++
          })
        }, { concurrency: "unbounded", discard: true })
        assert.strictEqual(starts.length + refused + interrupted, 10_000)
        assert.isAbove(refused, 500)
        assert.isAbove(interrupted, 300)
        assert.isAbove(starts.length, 5_500)
        for (const [position, [index, at]] of starts.entries()) {
          assert.isAtMost(position + 1, 50 + at + 1e-6)
          if (position > 0) assert.isAbove(index, starts[position - 1]![0])
        }
        // Whoever was interrupted left no gap: the last one went when all who started had been paid for.
        assert.strictEqual(starts.at(-1)![1], starts.length - 50)
        yield* clean(limiter)
      })
  )

  virtual("tells listeners who is refused", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "api.rateLimiter", dependency: "api", rate: 1, maximumKeys: 2 })
      const events: Array<ResilienceEvent.ResilienceEvent> = []
      const observed = ResilienceEvent.listen((event) => events.push(event))
      yield* observed(drain(limiter, 1, { key: "a" }))
      yield* observed(Effect.exit(limiter.with({ key: "a" })(Effect.void)))
      const told = events.filter((event) => event._tag === "RateLimitExceeded")
      assert.deepStrictEqual(
        told.map((
          event
        ) => [event.at, event.limiter, event.key, Duration.toMillis(event.retryAfter!), event.call.dependency]),
        [[0, "api.rateLimiter", "a", 1000, "api"]]
      )
    }))

  virtual("describes itself with its numbers, and is a policy", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({
        name: "l",
        rate: 30,
        per: "1 minute",
        maxWait: "1 second",
        maxQueue: 7,
        maximumKeys: 3
      })
      assert.isTrue(Policy.isPolicy(limiter))
      assert.deepStrictEqual(limiter.steps, [{
        kind: "RateLimiter",
        policy: "l",
        dependency: "l",
        settings: { capacity: 30, perSecond: 0.5, maxWaitMillis: 1000, maxQueue: 7, maximumKeys: 3 }
      }])
    }))
})
