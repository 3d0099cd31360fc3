import { assert, describe, it } from "@effect/vitest"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Backoff from "../src/Backoff.js"
import * as Bulkhead from "../src/Bulkhead.js"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as Deadline from "../src/Deadline.js"
import * as Failure from "../src/Failure.js"
import * as Outcome from "../src/Outcome.js"
import * as ResilienceEvent from "../src/ResilienceEvent.js"
import * as Retry from "../src/Retry.js"
import * as RetryBudget from "../src/RetryBudget.js"
import * as Timeout from "../src/Timeout.js"
import { Busy, compose, Declined, Refused, type Seen, SlowDown, timed, virtual } from "./support/virtual.js"

const steady = (millis: number) => Backoff.constant(millis, { jitter: "none" })

const failureOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const reasons = (seen: Seen) => seen.of("RetryGivenUp").map((event) => event.reason)

/** A call that comes to these ends in turn, the last one for ever, and the instants at which it was made. */
const scripted = (...ends: ReadonlyArray<Effect.Effect<unknown, unknown>>) => {
  const at: Array<number> = []
  const call = Effect.clockWith((clock) =>
    Effect.suspend(() => {
      at.push(clock.unsafeCurrentTimeMillis())
      return ends[Math.min(at.length, ends.length) - 1]!
    })
  )
  return { call, at }
}

/** An end of each class. */
const ends: Readonly<Record<Outcome.Class, Effect.Effect<unknown, unknown>>> = {
  Success: Effect.succeed("answer"),
  Retryable: Effect.fail(new Busy({})),
  Overloaded: Effect.fail(new SlowDown({})),
  Permanent: Effect.fail(new Declined()),
  Unclassified: Effect.fail({ _tag: "Unknown" }),
  Rejected: Effect.fail(new Refused()),
  Interrupted: Effect.interrupt
}

describe("a retry", () => {
  for (const outcome of Outcome.classes) {
    const expected = Outcome.table[outcome].retry ? 3 : 1
    virtual(
      `makes ${expected} of 3 attempts when a call ends as ${outcome}, as the outcome table says`,
      () =>
        Effect.gen(function*() {
          const { at, call } = scripted(ends[outcome])
          const exit = yield* Effect.exit(
            Effect.fork(Retry.make({ schedule: steady(1) })(call)).pipe(Effect.flatMap(Fiber.join))
          )
          assert.strictEqual(at.length, expected)
          assert.strictEqual(Exit.isSuccess(exit), outcome === "Success")
        })
    )
  }

  virtual("does not try again after a defect", () =>
    Effect.gen(function*() {
      const { at, call } = scripted(Effect.die("bug"))
      const exit = yield* Effect.exit(Retry.make({ schedule: steady(1) })(call))
      assert.strictEqual(at.length, 1)
      assert.deepStrictEqual(Exit.isFailure(exit) && Array.from(Cause.defects(exit.cause)), ["bug"])
    }))

  virtual("succeeds on the third attempt after two failures, and tells of each", (seen) =>
    Effect.gen(function*() {
      const { at, call } = scripted(ends.Retryable, ends.Retryable, ends.Success)
      assert.strictEqual(yield* Retry.make({ maxRetries: 3, schedule: steady(10) })(call), "answer")
      assert.deepStrictEqual(at, [0, 10, 20])
      assert.strictEqual(seen.of("RetryScheduled").length, 2)
      assert.deepStrictEqual(seen.of("AttemptEnded").map((event) => [event.call.attempt, event.outcome.class]), [
        [1, "Retryable"],
        [2, "Retryable"],
        [3, "Success"]
      ])
      assert.deepStrictEqual(seen.of("CallEnded").map((event) => [event.attempts, event.outcome.class]), [[
        3,
        "Success"
      ]])
      assert.deepStrictEqual(reasons(seen), [])
    }))

  virtual("C06: waits base, base x 2, base x 4, and so on up to the cap", () =>
    Effect.gen(function*() {
      const { at, call } = scripted(ends.Retryable)
      const schedule = Backoff.exponential(100, { jitter: "none", cap: 500 })
      yield* Effect.exit(Retry.make({ maxRetries: 5, schedule })(call))
      assert.deepStrictEqual(at, [0, 100, 300, 700, 1200, 1700])
    }))

  virtual("C07: no retry at all is honoured", (seen) =>
    Effect.gen(function*() {
      const { at, call } = scripted(ends.Retryable)
      yield* Effect.exit(Retry.make({ maxRetries: 0 })(call))
      assert.strictEqual(at.length, 1)
      assert.deepStrictEqual(reasons(seen), [])
    }))

  virtual(
    "C16: the error of the last attempt comes out as it was, with no wait behind it",
    (seen) =>
      Effect.gen(function*() {
        const last = new Busy({})
        const { call } = scripted(Effect.fail(new Busy({})), Effect.fail(new Busy({})), Effect.fail(last))
        const { exit, took } = yield* timed(Retry.make({ schedule: steady(10) })(call))
        assert.strictEqual(failureOf(exit), last)
        assert.strictEqual(took, 20)
        assert.deepStrictEqual(reasons(seen), ["exhausted"])
      })
  )

  virtual(
    "C08: a caller that leaves during the backoff is not followed by another attempt",
    () =>
      Effect.gen(function*() {
        const { at, call } = scripted(ends.Retryable)
        const caller = yield* Effect.fork(Retry.make({ schedule: steady(100) })(call))
        yield* Effect.zipRight(Effect.sleep(50), Fiber.interruptFork(caller))
        const exit = yield* Fiber.await(caller)
        yield* Effect.sleep(1000)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.strictEqual(at.length, 1)
      })
  )

  virtual(
    "C08: a total limit ends the backoff of a caller that cannot be interrupted, too",
    () =>
      Effect.gen(function*() {
        const { at, call } = scripted(ends.Retryable)
        // A limit that tells no deadline: the wait is begun, and has to be ended.
        const policy = compose(Timeout.make(100), Retry.make({ schedule: steady(1000) }))
        const { exit, took } = yield* timed(Effect.uninterruptible(policy(call)))
        assert.strictEqual(failureOf(exit)._tag, "TimedOut")
        assert.strictEqual(took, 100)
        assert.strictEqual(at.length, 1)
      })
  )

  virtual(
    "C09: gives up at once, with the last error, when the next delay does not fit into the deadline",
    (seen) =>
      Effect.gen(function*() {
        const { at, call } = scripted(ends.Retryable)
        const policy = compose(Timeout.make(100, { scope: "total" }), Retry.make({ schedule: steady(100) }))
        const { exit, took } = yield* timed(policy(call))
        assert.strictEqual(failureOf(exit)._tag, "Busy")
        assert.deepStrictEqual([took, at.length], [0, 1])
        assert.deepStrictEqual(reasons(seen), ["deadline"])
        const inherited = yield* timed(Deadline.within(Retry.make({ schedule: steady(100) })(call), 50))
        assert.strictEqual(inherited.took, 0)
        assert.deepStrictEqual(reasons(seen), ["deadline", "deadline"])
      })
  )

  virtual("a delay that is one millisecond shorter than what is left is waited for", () =>
    Effect.gen(function*() {
      const { at, call } = scripted(ends.Retryable, ends.Success)
      yield* compose(Timeout.make(100, { scope: "total" }), Retry.make({ schedule: steady(99) }))(call)
      assert.deepStrictEqual(at, [0, 99])
    }))

  virtual("retryAfter of an answer is the least delay, and does not shorten the backoff", () =>
    Effect.gen(function*() {
      const asks = (millis: number) => Effect.fail(new SlowDown({ retryAfter: Duration.millis(millis) }))
      const first = scripted(asks(500), ends.Success)
      yield* Retry.make({ schedule: steady(10) })(first.call)
      assert.deepStrictEqual(first.at, [0, 500])
      const second = scripted(asks(5), ends.Success)
      const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* Retry.make({ schedule: steady(10) })(second.call)
      assert.deepStrictEqual(second.at.map((at) => at - started), [0, 10])
    }))

  virtual("retryAfter beyond the deadline is not waited for", (seen) =>
    Effect.gen(function*() {
      const { call } = scripted(Effect.fail(new SlowDown({ retryAfter: Duration.days(1) })))
      const { took } = yield* timed(Deadline.within(Retry.make()(call), "10 seconds"))
      assert.strictEqual(took, 0)
      assert.deepStrictEqual(reasons(seen), ["deadline"])
    }))

  virtual("a call that is not repeatable is tried again only if nothing was sent", (seen) =>
    Effect.gen(function*() {
      const policy = Retry.make({ schedule: steady(1) }).with({ repeatable: false })
      const sent = scripted(ends.Retryable)
      yield* Effect.exit(policy(sent.call))
      assert.strictEqual(sent.at.length, 1)
      assert.deepStrictEqual(reasons(seen), ["notRepeatable"])
      const neverSent = scripted(Effect.fail(new Busy({ neverSent: true })), ends.Success)
      yield* policy(neverSent.call)
      assert.strictEqual(neverSent.at.length, 2)
      const refused = scripted(Effect.fail(Object.assign(new Error(), { code: "ECONNREFUSED" })), ends.Success)
      yield* policy(refused.call)
      assert.strictEqual(refused.at.length, 2)
      const reset = scripted(Effect.fail(Object.assign(new Error(), { code: "ECONNRESET" })), ends.Success)
      yield* Effect.exit(policy(reset.call))
      assert.strictEqual(reset.at.length, 1)
    }))

  virtual("C11: an empty budget ends the call at once with the original error", (seen) =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0 })
      const { at, call } = scripted(ends.Retryable)
      const { exit, took } = yield* timed(Retry.make({ budget, schedule: steady(100) })(call))
      assert.strictEqual(failureOf(exit)._tag, "Busy")
      assert.deepStrictEqual([took, at.length], [0, 1])
      assert.deepStrictEqual(reasons(seen), ["budget"])
    }))

  virtual("a budget of 20 % lets a fifth of a hundred calls be tried again", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ percent: 0.2, minimumPerSecond: 0 })
      const { at, call } = scripted(ends.Retryable)
      const policy = Retry.make({ budget, schedule: Backoff.none })
      yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(policy(call)))
      assert.strictEqual(at.length, 120)
    }))

  virtual("a call that was admitted as a probe makes one attempt", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "b",
        tripPolicy: CircuitBreaker.consecutive(1),
        openDuration: 10,
        openJitter: 0
      })
      const { at, call } = scripted(ends.Retryable)
      const policy = compose(breaker, Retry.make({ schedule: steady(1) }))
      yield* Effect.exit(policy(call))
      assert.strictEqual(at.length, 3)
      yield* Effect.sleep(20)
      yield* Effect.exit(policy(call))
      assert.strictEqual(at.length, 4)
      assert.deepStrictEqual(reasons(seen), ["exhausted", "probe"])
    }))

  virtual(
    "a value can be a failure: thrown-away ones are discarded, the last one is returned as it came",
    () =>
      Effect.gen(function*() {
        const classify: Failure.Classify = (exit) =>
          Exit.isSuccess(exit) && (exit.value as any).status === 503 ? Outcome.retryable : Failure.classify(exit)
        const discarded: Array<number> = []
        let n = 0
        const call = Effect.sync(() => ({ status: 503, n: ++n }))
        const policy = Retry.make({
          classify,
          schedule: steady(1),
          discard: (value) => Effect.sync(() => discarded.push(value.n))
        })
        assert.deepStrictEqual(yield* policy(call), { status: 503, n: 3 })
        assert.deepStrictEqual(discarded, [1, 2])
      })
  )

  virtual(
    "C14: a failing value that is tried again and then succeeds is one failure and one success to listeners",
    (seen) =>
      Effect.gen(function*() {
        const classify: Failure.Classify = (exit) =>
          Exit.isSuccess(exit) && exit.value === "bad" ? Outcome.retryable : Failure.classify(exit)
        const { call } = scripted(Effect.succeed("bad"), Effect.succeed("good"))
        const policy = Retry.make({ schedule: steady(1) }).with({ classify })
        assert.strictEqual(yield* policy(call), "good")
        assert.deepStrictEqual(seen.of("AttemptEnded").map((event) => event.outcome.class), ["Retryable", "Success"])
      })
  )

  virtual(
    "`when` narrows and widens what is tried again, by class, by tag and by predicate",
    () =>
      Effect.gen(function*() {
        const attempts = (when: Failure.When, end: Effect.Effect<unknown, unknown>) =>
          Effect.suspend(() => {
            const { at, call } = scripted(end)
            return Effect.map(Effect.exit(Retry.make({ when, schedule: Backoff.none })(call)), () => at.length)
          })
        assert.strictEqual(yield* attempts(["Overloaded"], ends.Retryable), 1)
        assert.strictEqual(yield* attempts(["Overloaded"], ends.Overloaded), 3)
        assert.strictEqual(yield* attempts(["Unknown"], ends.Unclassified), 3)
        assert.strictEqual(yield* attempts(["Busy"], ends.Retryable), 3)
        assert.strictEqual(yield* attempts((outcome) => outcome.class === "Permanent", ends.Permanent), 3)
        assert.strictEqual(yield* attempts((outcome) => outcome.class === "Permanent", ends.Retryable), 1)
      })
  )

  virtual(
    "a `when` that is too wide repeats no success and no interruption, whoever classifies",
    () =>
      Effect.gen(function*() {
        for (const classify of [undefined, Failure.byTag({})]) {
          const policy = Retry.make({ when: () => true, schedule: Backoff.none, classify })
          for (const [outcome, made] of [["Success", 1], ["Interrupted", 1], ["Permanent", 3]] as const) {
            const { at, call } = scripted(ends[outcome])
            yield* Effect.exit(policy(call))
            assert.strictEqual(at.length, made, outcome)
          }
        }
      })
  )

  virtual(
    "a list never tries a defect again, though its class is Unclassified; a predicate may",
    () =>
      Effect.gen(function*() {
        const attempts = (when: Failure.When, end: Effect.Effect<unknown, unknown>) => {
          const { at, call } = scripted(end)
          return Effect.map(Effect.exit(Retry.make({ when, schedule: Backoff.none })(call)), () => at.length)
        }
        const both = Effect.failCause(Cause.parallel(Cause.fail({ _tag: "Unknown" }), Cause.die("bug")))
        assert.strictEqual(yield* attempts(["Unclassified"], Effect.die("bug")), 1)
        assert.strictEqual(yield* attempts(["Unclassified"], both), 1)
        assert.strictEqual(yield* attempts(["Unclassified"], Effect.fail({ _tag: "Unknown" })), 3)
        assert.strictEqual(yield* attempts((outcome) => outcome.class === "Unclassified", Effect.die("bug")), 3)
        const breaker = yield* CircuitBreaker.make({
          name: "list",
          when: ["Unclassified"],
          tripPolicy: CircuitBreaker.consecutive(1)
        })
        yield* Effect.exit(Effect.die("bug").pipe(breaker))
        assert.strictEqual((yield* breaker.state.get)._tag, "Open")
      })
  )

  virtual("a classifier that answers no outcome is reported by what it answered", (seen) =>
    Effect.gen(function*() {
      const { at, call } = scripted(ends.Retryable)
      const exit = yield* Effect.exit(Retry.make({ classify: () => "Retryable" as any })(call))
      assert.strictEqual(failureOf(exit)._tag, "Busy")
      assert.strictEqual(at.length, 1)
      const faults = seen.of("PolicyFault").map(({ defect }) => String(defect))
      assert.deepStrictEqual(faults, ["TypeError: A classifier answered \"Retryable\", which is no Outcome"])
    }))

  virtual("a tag in `when` does not outrank a defect beside it", () =>
    Effect.gen(function*() {
      const { at, call } = scripted(Effect.failCause(Cause.sequential(Cause.fail(new Busy({})), Cause.die("bug"))))
      yield* Effect.exit(Retry.make({ when: ["Busy"], schedule: Backoff.none })(call))
      assert.strictEqual(at.length, 1)
    }))

  virtual("a schedule that reads the calendar finds the time of the clock", (seen) =>
    Effect.gen(function*() {
      // Time of day and monotonic time have different beginnings, as they do on a live clock.
      const before = yield* Effect.clock
      const midnight = Date.UTC(2030, 0, 1)
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        sleep: (duration) => before.sleep(duration),
        unsafeCurrentTimeMillis: () => midnight + before.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => before.unsafeCurrentTimeNanos() + 12_345_000_000n,
        currentTimeMillis: Effect.sync(() => midnight + before.unsafeCurrentTimeMillis()),
        currentTimeNanos: Effect.sync(() => before.unsafeCurrentTimeNanos() + 12_345_000_000n)
      }
      const { call } = scripted(ends.Retryable)
      yield* Effect.sleep("30 seconds")
      yield* Effect.exit(Retry.make({ maxRetries: 1, schedule: Schedule.cron("1 0 * * *", "UTC") })(call)).pipe(
        Effect.withClock(clock)
      )
      assert.deepStrictEqual(seen.of("RetryScheduled").map((event) => Duration.toMillis(event.delay)), [30_000])
    }))

  virtual(
    "a value that is thrown away is released before the next attempt begins, also without a delay",
    () =>
      Effect.gen(function*() {
        const order: Array<string> = []
        const policy = Retry.make({
          schedule: Backoff.none,
          classify: (exit) => Exit.isSuccess(exit) && exit.value === 1 ? Outcome.retryable : Failure.classify(exit),
          discard: (value) => Effect.sync(() => order.push(`released ${value}`))
        })
        yield* policy.run(({ attempt }) => {
          order.push(`attempt ${attempt}`)
          return Effect.succeed(attempt)
        })
        assert.deepStrictEqual(order, ["attempt 1", "released 1", "attempt 2"])
      })
  )

  /** Values are failures, and every release of one waits for ever once it has begun. */
  const neverReleased = (schedule: Schedule.Schedule<unknown, any>) => {
    const released: Array<string> = []
    const retry = Retry.make({
      schedule,
      classify: (exit) => Exit.isSuccess(exit) ? Outcome.retryable : Failure.classify(exit),
      discard: () =>
        Effect.zipRight(
          Effect.sync(() => released.push("begun")),
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => released.push("cut")))
        )
    })
    return { released, retry }
  }

  virtual(
    "a release that does not end is cut by the total limit, and the permit is given back",
    (seen) =>
      Effect.gen(function*() {
        const { released, retry } = neverReleased(steady(1))
        const bulkhead = yield* Bulkhead.make({ name: "pool", maxConcurrent: 1 })
        const policy = compose(Timeout.make("100 millis", { scope: "total" }), bulkhead, retry)
        const { exit, took } = yield* timed(policy(Effect.succeed("bad")))
        assert.deepStrictEqual([failureOf(exit)?._tag, took], ["TimedOut", 100])
        assert.deepStrictEqual(released, ["begun", "cut"])
        assert.strictEqual((yield* bulkhead.snapshot).active, 0)
        assert.deepStrictEqual(seen.of("TimeoutFired").map(({ late }) => late), [false])
      })
  )

  virtual("a release that does not end is cut when the caller leaves", () =>
    Effect.gen(function*() {
      const { released, retry } = neverReleased(steady(1))
      const bulkhead = yield* Bulkhead.make({ name: "pool", maxConcurrent: 1 })
      const caller = yield* Effect.fork(compose(bulkhead, retry)(Effect.succeed("bad")))
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(released, ["begun"])
      yield* Fiber.interrupt(caller)
      assert.deepStrictEqual(released, ["begun", "cut"])
      assert.strictEqual((yield* bulkhead.snapshot).active, 0)
    }))

  virtual(
    "a value is released once, also where the caller left in the very step that brought it",
    () =>
      Effect.gen(function*() {
        const released: Array<string> = []
        let calls = 0
        const leaving = Effect.withFiberRuntime<string>((fiber) =>
          Retry.make({
            schedule: steady(1),
            classify: (exit) => {
              fiber.unsafeInterruptAsFork(fiber.id())
              return Exit.isSuccess(exit) ? Outcome.retryable : Failure.classify(exit)
            },
            discard: (value: string) => Effect.sync(() => released.push(value))
          })(Effect.sync(() => (calls++, "bad")))
        )
        const exit = yield* Fiber.await(yield* Effect.forkDaemon(leaving))
        assert.isTrue(Exit.isInterrupted(exit))
        assert.deepStrictEqual([released, calls], [["bad"], 1])
      })
  )

  virtual(
    "a schedule that dies, throws or does not end releases the value, which nobody gets",
    () =>
      Effect.gen(function*() {
        const steps: ReadonlyArray<() => Effect.Effect<never>> = [() => Effect.die("bug"), () => Effect.never, () => {
          throw new Error("bug")
        }]
        for (const step of steps) {
          const { released, retry } = neverReleased(Schedule.makeWithState(undefined, step))
          const policy = compose(Timeout.make("100 millis", { scope: "total" }), retry)
          const { exit, took } = yield* timed(policy(Effect.succeed("bad")))
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual([took, released], [100, ["begun", "cut"]])
        }
      })
  )

  virtual(
    "a predicate or classifier that throws is reported once, and the end comes out as it was",
    (seen) =>
      Effect.gen(function*() {
        const throwing = () => {
          throw new Error("user's bug")
        }
        const { at, call } = scripted(ends.Retryable)
        const exit = yield* Effect.exit(Retry.make({ when: throwing })(call))
        assert.strictEqual(failureOf(exit)._tag, "Busy")
        assert.strictEqual(at.length, 1)
        assert.strictEqual(seen.of("PolicyFault").length, 1)
        assert.strictEqual(seen.logs.filter((line) => line.includes("threw")).length, 1)
        const second = yield* Effect.exit(Retry.make({ classify: throwing })(call))
        assert.strictEqual(failureOf(second)._tag, "Busy")
        assert.strictEqual(seen.of("PolicyFault").length, 2)
      })
  )

  virtual("C15: one policy value used by many calls at once shares no state", () =>
    Effect.gen(function*() {
      const policy = Retry.make({ maxRetries: 3, schedule: steady(10) })
      const scripts = Array.from({ length: 20 }, (_, index) =>
        scripted(...Array.from({ length: index % 4 }, () => ends.Retryable), ends.Success))
      const shared = yield* Effect.forEach(scripts, ({ call }) =>
        Effect.exit(policy(call)), { concurrency: "unbounded" })
      assert.isTrue(shared.every(Exit.isSuccess))
      assert.deepStrictEqual(scripts.map(({ at }) => at.length), scripts.map((_, index) => index % 4 + 1))
    }))

  virtual(
    "C10: three layers multiply, and the number of the attempt is there for inner layers to see",
    (seen) =>
      Effect.gen(function*() {
        const { at, call } = scripted(ends.Retryable)
        const policy = Retry.make({ maxRetries: 2, schedule: Backoff.none })
        yield* Effect.exit(policy(policy(policy(call))))
        assert.strictEqual(at.length, 27)
        assert.strictEqual(Math.max(...seen.of("AttemptEnded").map((event) => event.call.attempt)), 3)
      })
  )

  virtual(
    "a schedule of the user's own gives the delays, and its end is the end of the retries",
    (seen) =>
      Effect.gen(function*() {
        const { at, call } = scripted(ends.Retryable)
        yield* Effect.exit(
          Retry.make({ maxRetries: 9, schedule: Schedule.intersect(Schedule.spaced(7), Schedule.recurs(2)) })(call)
        )
        assert.deepStrictEqual(at, [0, 7, 14])
        assert.deepStrictEqual(reasons(seen), ["exhausted"])
      })
  )

  virtual(
    "C18: with full jitter the retries of a thousand clients are spread evenly, without it they are one instant",
    () =>
      Effect.gen(function*() {
        const instants = (jitter: "full" | "none") =>
          Effect.gen(function*() {
            const at: Array<number> = []
            const policy = Retry.make({ maxRetries: 1, schedule: Backoff.constant(1000, { jitter }) })
            yield* Effect.forEach(
              Array.from({ length: 1000 }),
              () => timed(policy(Effect.fail(new Busy({})))).pipe(Effect.map(({ took }) => at.push(took))),
              {
                concurrency: "unbounded",
                discard: true
              }
            )
            return at
          })
        const spread = yield* instants("full")
        const tenths = Array.from(
          { length: 10 },
          (_, tenth) => spread.filter((at) => Math.min(9, Math.floor(at / 100)) === tenth).length
        )
        // Chi-squared with 9 degrees of freedom: 27.9 is passed once in a thousand seeds, and the seed is fixed.
        const chi = tenths.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
        assert.isBelow(chi, 27.9)
        assert.deepStrictEqual(Array.from(new Set(yield* instants("none"))), [1000])
      }).pipe(Effect.withRandom(Random.make("C18")))
  )

  it("C17: a thousand attempts leave no listener on the signal of a caller who lives long", async () => {
    const { signal } = new AbortController()
    const listening = { own: 0, most: 0, ever: 0 }
    const [add, remove] = [signal.addEventListener, signal.removeEventListener]
    signal.addEventListener = function(this: AbortSignal, ...args: any) {
      listening.ever++
      listening.most = Math.max(listening.most, ++listening.own)
      return add.apply(this, args)
    } as typeof add
    signal.removeEventListener = function(this: AbortSignal, ...args: any) {
      listening.own--
      return remove.apply(this, args)
    } as typeof remove
    const warnings: Array<string> = []
    const warned = (warning: Error) => warnings.push(warning.name)
    process.on("warning", warned)
    let attempts = 0
    const call = Effect.tryPromise({
      try: (own) =>
        new Promise((_, reject) => {
          attempts++
          assert.notStrictEqual(own, signal)
          queueMicrotask(() => reject(new Busy({})))
        }),
      catch: (error) => error as Busy
    })
    const policy = compose(
      Timeout.make("1 hour", { scope: "total" }),
      Retry.make({ maxRetries: 999, schedule: Backoff.none }),
      Timeout.make("1 hour")
    )
    const exit = await Effect.runPromiseExit(policy(call) as Effect.Effect<unknown, unknown>, { signal })
    await new Promise((resolve) => setImmediate(resolve))
    process.off("warning", warned)
    assert.strictEqual(attempts, 1000)
    assert.strictEqual(failureOf(exit)?._tag, "Busy")
    // One for the caller, none for an attempt.
    assert.isAtMost(listening.ever, 1)
    assert.deepStrictEqual(warnings, [])
  })

  it("presets: one retry for whom somebody waits for, five in the background", () => {
    assert.strictEqual(Retry.interactive.steps[0]?.settings["maxRetries"], 1)
    assert.strictEqual(Retry.background.steps[0]?.settings["maxRetries"], 5)
  })

  it("wrong options are a defect that names field, value and what is allowed", () => {
    for (
      const options of [
        { maxRetries: -1 },
        { maxRetries: 1.5 },
        { schedule: "100 millis" },
        { budget: {} },
        { when: [] },
        { retries: 2 }
      ]
    ) {
      assert.throws(() => Retry.make(options as never), /Retry.make: .*(allowed is|unknown field)/)
    }
  })
})

describe("a dependency that asks for a long wait", () => {
  class Later extends Failure.Overloaded("Later")<{ readonly retryAfter: Duration.Duration }> {}

  const ask = (wait: Duration.DurationInput, options: Retry.Options = {}) =>
    Effect.gen(function*() {
      const reasons: Array<string> = []
      let calls = 0
      const exit = yield* Effect.exit(
        Effect.suspend(() => {
          calls++
          return Effect.fail(new Later({ retryAfter: Duration.decode(wait) }))
        }).pipe(
          Retry.make({ maxRetries: 1, schedule: Backoff.none, ...options }),
          ResilienceEvent.listen((event) => {
            if (event._tag === "RetryGivenUp") {
              reasons.push(event.reason)
            }
          })
        )
      )
      return { calls, reasons, exit }
    })

  it.live("F06: is not waited for beyond maxRetryAfter: the call fails with the answer it has", () =>
    VirtualClock.run(Effect.gen(function*() {
      assert.deepStrictEqual((yield* ask("300 seconds")).reasons, ["exhausted"])
      const { calls, exit, reasons } = yield* ask("301 seconds")
      assert.deepStrictEqual([calls, reasons], [1, ["retryAfter"]])
      assert.include(String(exit), "Later")
      assert.strictEqual((yield* ask("2 hours", { maxRetryAfter: "2 hours" })).calls, 2)
      assert.deepStrictEqual((yield* ask(Duration.infinity, { maxRetryAfter: "2 hours" })).reasons, ["retryAfter"])
    })))
})
