import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Alarm from "../src/Alarm.js"
import * as Backoff from "../src/Backoff.js"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as Deadline from "../src/Deadline.js"
import * as Failure from "../src/Failure.js"
import { type Gate, mustWait } from "../src/internal/gate.js"
import * as Retry from "../src/Retry.js"
import * as Step from "../src/Step.js"
import * as Timeout from "../src/Timeout.js"
import { compose, timed, virtual } from "./support/virtual.js"

class Busy extends Failure.Retryable("Busy")<{}> {}

const failureOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const timedOut = (exit: Exit.Exit<unknown, unknown>): Timeout.TimedOut => {
  const failure = failureOf(exit)
  assert.instanceOf(failure, Timeout.TimedOut)
  return failure
}

describe("a time limit", () => {
  virtual("fires on a dependency that is slow, after exactly its limit", () =>
    Effect.gen(function*() {
      const { exit, took } = yield* timed(Timeout.make("2 seconds")(Effect.sleep("5 seconds")))
      assert.strictEqual(timedOut(exit).scope, "attempt")
      assert.strictEqual(Duration.toMillis(timedOut(exit).limit), 2000)
      assert.strictEqual(took, 2000)
    }))

  virtual("releases what the stopped effect held before the caller goes on", () =>
    Effect.gen(function*() {
      let held = 0
      const body = Effect.acquireUseRelease(
        Effect.sync(() => held++),
        () => Effect.never,
        () => Effect.zipRight(Effect.sleep("30 millis"), Effect.sync(() => held--))
      )
      const { exit, took } = yield* timed(Timeout.make("50 millis")(body))
      timedOut(exit)
      assert.strictEqual(held, 0)
      assert.strictEqual(took, 80)
    }))

  virtual("ends with an error that a retry takes for curable", () =>
    Effect.gen(function*() {
      const { exit } = yield* timed(Timeout.make(5)(Effect.never))
      assert.strictEqual(Failure.classify(exit).class, "Retryable")
      let calls = 0
      const answer = yield* compose(Retry.make({ maxRetries: 1 }), Timeout.make(5))(
        Effect.suspend(() => ++calls === 1 ? Effect.never : Effect.succeed("answer"))
      )
      assert.strictEqual(answer, "answer")
    }))

  virtual("changes neither a value, nor a failure, nor a defect that comes in time", () =>
    Effect.gen(function*() {
      const limit = Timeout.make("1 second")
      assert.strictEqual(yield* limit(Effect.delay(Effect.succeed(null), 10)), null)
      assert.strictEqual(failureOf(yield* Effect.exit(limit(Effect.fail("typed")))), "typed")
      const defect = yield* Effect.exit(limit(Effect.die("defect")))
      assert.deepStrictEqual(Exit.isFailure(defect) && Array.from(Cause.defects(defect.cause)), ["defect"])
    }))

  virtual(
    "D01: waits for an effect that cannot be interrupted; for such a caller it tells that the answer was late",
    (seen) =>
      Effect.gen(function*() {
        const { exit, took } = yield* timed(Timeout.make(20)(Effect.uninterruptible(Effect.sleep(300))))
        timedOut(exit)
        assert.strictEqual(took, 300)
        const second = yield* timed(Effect.uninterruptible(Timeout.make(20)(Effect.sleep(300))))
        timedOut(second.exit)
        assert.strictEqual(second.took, 300)
        assert.deepStrictEqual(seen.of("TimeoutFired").map((event) => event.late), [true, true])
      })
  )

  const lateOf: ReadonlyArray<readonly [string, boolean, Effect.Effect<unknown, unknown>]> = [
    ["an uninterruptible effect that succeeds", true, Effect.uninterruptible(Effect.sleep(50))],
    [
      "a last part that succeeds",
      true,
      Effect.zipRight(Effect.void, Effect.uninterruptible(Effect.sleep(50)))
    ],
    [
      "a part that succeeds before others would begin",
      true,
      Effect.zipRight(Effect.uninterruptible(Effect.sleep(50)), Effect.never)
    ],
    ["a mask that restores nothing", true, Effect.uninterruptibleMask(() => Effect.sleep(50))],
    ["one within a policy within the effect", true, Timeout.make("1 second")(Effect.uninterruptible(Effect.sleep(50)))],
    ["a finalizer after a success", true, Effect.ensuring(Effect.succeed("done"), Effect.sleep(50))],
    ["a finalizer after a failure", false, Effect.ensuring(Effect.fail("failed"), Effect.sleep(50))],
    ["a finalizer after the alarm", false, Effect.ensuring(Effect.never, Effect.sleep(50))],
    ["one that fails", false, Effect.uninterruptible(Effect.zipRight(Effect.sleep(50), Effect.fail("failed")))],
    ["one that dies", false, Effect.uninterruptible(Effect.zipRight(Effect.sleep(50), Effect.die("died")))],
    ["one that can be interrupted", false, Effect.sleep(50)],
    [
      "one that has its uninterruptible part behind it",
      false,
      Effect.zipRight(Effect.uninterruptible(Effect.void), Effect.sleep(50))
    ]
  ]

  for (const [name, late, body] of lateOf) {
    for (const way of ["the caller's own fiber", "a child"]) {
      virtual(`the event says ${late ? "" : "not "}that the call succeeded late: ${name}, in ${way}`, (seen) => {
        const limits = Step.policy<Timeout.TimedOut>([
          ...Step.partsOf(Timeout.make(400, { scope: "total" })),
          ...Step.partsOf(Timeout.make(20))
        ])
        const call = Effect.exit(limits(body))
        return Effect.gen(function*() {
          timedOut(
            yield* (way === "a child"
              // A fiber that has a child of its own is not interrupted by a limit.
              ? Effect.scoped(Effect.zipRight(Effect.fork(Effect.never), call))
              : call)
          )
          assert.deepStrictEqual(seen.of("TimeoutFired").map((event) => event.late), [late])
        })
      })
    }
  }

  virtual("of two limits that end at one instant the outer one tells, once", (seen) =>
    Effect.gen(function*() {
      const limits = compose(Timeout.make(50, { scope: "total" }), Retry.make({ maxRetries: 2 }), Timeout.make(50))
      const error = timedOut(yield* Effect.exit(limits(Effect.never)))
      assert.strictEqual(error.scope, "total")
      assert.deepStrictEqual(seen.of("TimeoutFired").map(({ scope }) => scope), ["total"])
    }))

  virtual(
    "D01: does not wait for it when it is to be disconnected, not even for an uninterruptible caller",
    () =>
      Effect.gen(function*() {
        const limit = Timeout.make(20, { disconnect: true })
        let ended = false
        const slow = Effect.uninterruptible(Effect.zipRight(Effect.sleep(300), Effect.sync(() => (ended = true))))
        const first = yield* timed(limit(slow))
        timedOut(first.exit)
        assert.strictEqual(first.took, 20)
        assert.isFalse(ended)
        const second = yield* timed(Effect.uninterruptible(limit(slow)))
        timedOut(second.exit)
        assert.strictEqual(second.took, 20)
        yield* Effect.sleep(500)
        assert.isTrue(ended)
      })
  )

  virtual(
    "D03: an answer in the tick of the alarm has one winner, whichever came first by the clock",
    () =>
      Effect.gen(function*() {
        const limit = Timeout.make(50)
        assert.strictEqual(yield* limit(Effect.delay(Effect.succeed("won"), 49)), "won")
        timedOut(yield* Effect.exit(limit(Effect.delay(Effect.succeed("lost"), 51))))
        const ties = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.exit(limit(Effect.delay(Effect.fail("user's"), 50)))
        )
        const first = JSON.stringify(ties[0])
        assert.isTrue(ties.every((tie) => JSON.stringify(tie) === first))
      })
  )

  virtual(
    "D04, D05: what the stopped effect comes to afterwards changes nothing and is no unhandled failure",
    (seen) =>
      Effect.gen(function*() {
        const limit = Timeout.make(10, { disconnect: true })
        for (const late of [Effect.succeed("late"), Effect.fail("late"), Effect.die("late")]) {
          timedOut(yield* Effect.exit(limit(Effect.uninterruptible(Effect.delay(late, 100)))))
        }
        yield* Effect.sleep("1 second")
        assert.strictEqual(seen.of("TimeoutFired").length, 3)
        assert.strictEqual(seen.of("CallEnded").length, 3)
      })
  )

  virtual("D06: one call times out while others of the same policy run", () =>
    Effect.gen(function*() {
      const limit = Timeout.make(100)
      const exits = yield* Effect.forEach([50, 150, 99, 1000], (millis) => Effect.exit(limit(Effect.sleep(millis))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, false])
    }))

  virtual(
    "D09: a total limit of 1 s around attempts of 400 ms fires at 1 s, and no further attempt is made",
    () =>
      Effect.gen(function*() {
        let calls = 0
        let interrupted = 0
        const body = Effect.onInterrupt(
          Effect.suspend(() => {
            calls++
            return Effect.never
          }),
          () => Effect.sync(() => interrupted++)
        )
        const policy = compose(
          Timeout.make("1 second", { scope: "total" }),
          Retry.make({ maxRetries: 10, schedule: Backoff.none }),
          Timeout.make(400)
        )
        const { exit, took } = yield* timed(policy(body))
        assert.strictEqual(timedOut(exit).scope, "total")
        assert.strictEqual(timedOut(exit).attempt, 3)
        assert.strictEqual(took, 1000)
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual([calls, interrupted], [3, 3])
      })
  )

  virtual(
    "a defect of a finalizer of a stopped effect is told and logged, never silent",
    (seen) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Timeout.make(5)(Effect.ensuring(Effect.never, Effect.die("in the finalizer"))))
        timedOut(exit)
        assert.strictEqual(seen.of("FinalizerDied").length, 1)
        assert.strictEqual(seen.logs.filter((line) => line.includes("released its resources")).length, 1)
      })
  )

  virtual("ends a call at a nearer deadline of the caller, and says so", (seen) =>
    Effect.gen(function*() {
      const { exit, took } = yield* timed(Deadline.within(Timeout.make("1 second")(Effect.never), "30 millis"))
      timedOut(exit)
      assert.strictEqual(took, 30)
      assert.deepStrictEqual(seen.of("TimeoutFired").map((event) => event.inherited), [true])
    }))

  virtual(
    "refuses at once with scope queue when the deadline has passed: nothing is sent",
    () =>
      Effect.gen(function*() {
        let calls = 0
        const late = Effect.zipRight(
          Effect.sleep(50),
          Effect.exit(Timeout.make("1 second")(Effect.sync(() => calls++)))
        )
        const exit = yield* Deadline.within(late, 10)
        assert.strictEqual(timedOut(exit).scope, "queue")
        assert.strictEqual(Failure.classify(exit).class, "Rejected")
        assert.strictEqual(calls, 0)
      })
  )

  /** A gate at which calls wait until the test wakes them. */
  const waitingRoom = () => {
    const waiting: Array<{ wake: (end: () => Exit.Exit<unknown, unknown>) => void }> = []
    const left = { count: 0 }
    const gate: Gate = {
      _tag: "Gate",
      step: { kind: "WaitingRoom", policy: "waitingRoom", dependency: undefined, settings: {} },
      enter: (frame) => {
        waiting.push(frame)
        return mustWait
      },
      leave: () => {
        left.count++
      }
    }
    return { policy: Step.policy([gate]), waiting, left }
  }

  virtual(
    "a limit that rings while the call waits its turn ends it with scope queue, and no breaker records it",
    () =>
      Effect.gen(function*() {
        const { left, policy } = waitingRoom()
        const breaker = yield* CircuitBreaker.make({ name: "b", tripPolicy: CircuitBreaker.consecutive(1) })
        const total = Timeout.make(50, { scope: "total" })
        let calls = 0
        const body = Effect.sync(() => calls++)
        for (
          const stack of [
            compose(total, policy, breaker),
            compose(total, breaker, policy),
            compose(breaker, total, policy)
          ]
        ) {
          for (const caller of [stack(body), Effect.uninterruptible(stack(body))]) {
            const { exit, took } = yield* timed(caller)
            assert.strictEqual(timedOut(exit).scope, "queue")
            assert.strictEqual(took, 50)
          }
        }
        assert.deepStrictEqual([calls, left.count], [0, 6])
        const { calls: recorded, state } = yield* breaker.snapshot
        assert.deepStrictEqual([recorded, state._tag], [0, "Closed"])
      })
  )

  virtual(
    "a limit that rings wakes all the copies of a call that wait, whatever their caller",
    () =>
      Effect.gen(function*() {
        const copies = Step.fromFunction(
          "copies",
          (effect) => Effect.map(Effect.all([effect, effect, effect], { concurrency: "unbounded" }), ([first]) => first)
        )
        const { left, policy } = waitingRoom()
        for (const waiting of [policy, Retry.make({ maxRetries: 1, schedule: Backoff.constant("1 hour") })]) {
          const call = compose(Timeout.make(50), copies, waiting)(Effect.fail(new Busy()))
          for (const caller of [call, Effect.uninterruptible(call)]) {
            const { exit, took } = yield* timed(caller)
            assert.strictEqual(timedOut(exit)._tag, "TimedOut")
            assert.strictEqual(took, 50)
          }
        }
        assert.strictEqual(left.count, 6)
      })
  )

  virtual("a turn that comes in the tick of the alarm sends nothing, and is given back", () =>
    Effect.gen(function*() {
      const { left, policy, waiting } = waitingRoom()
      const clock = yield* Effect.clock
      let calls = 0
      const caller = yield* Effect.fork(compose(Timeout.make(50), policy)(Effect.sync(() => calls++)))
      yield* Effect.sleep(10)
      // First the turn, then the alarm, before the caller's fiber has run.
      yield* Effect.sync(() => {
        waiting[0]!.wake(() => Exit.void)
        const entry = (Alarm.of(clock) as unknown as { readonly heap: ReadonlyArray<Alarm.Entry> }).heap[0]!
        Alarm.of(clock).cancel(entry)
        entry.ring(0)
      })
      const exit = yield* Fiber.await(caller)
      assert.strictEqual(timedOut(exit).scope, "queue")
      assert.deepStrictEqual([calls, left.count], [0, 1])
    }))

  virtual(
    "tells a total limit to the effect as its deadline, for as long as it runs, and forks inherit it",
    () =>
      Effect.gen(function*() {
        const left = Effect.map(Deadline.remaining, Option.map(Duration.toMillis))
        const total = Timeout.make(500, { scope: "total" })
        assert.deepStrictEqual(yield* total(left), Option.some(500))
        assert.deepStrictEqual(yield* total(Effect.flatMap(Effect.fork(left), Fiber.join)), Option.some(500))
        assert.deepStrictEqual(yield* total(Deadline.detached(left)), Option.none())
        assert.deepStrictEqual(yield* Timeout.make(500)(left), Option.none())
        assert.deepStrictEqual(
          yield* Deadline.within(Timeout.make(900, { scope: "total" })(left), 100),
          Option.some(100)
        )
        assert.deepStrictEqual(yield* left, Option.none())
      })
  )

  virtual(
    "an outside interruption that comes while a stopped effect's scope is closed is not lost",
    () =>
      Effect.gen(function*() {
        let went = false
        const scoped = Effect.scoped(
          Effect.zipRight(Effect.acquireRelease(Effect.void, () => Effect.sleep(50)), Effect.never)
        )
        const caller = yield* Effect.fork(
          Effect.zipRight(Effect.exit(Timeout.make(100)(scoped)), Effect.sync(() => (went = true)))
        )
        yield* Effect.zipRight(Effect.sleep(120), Fiber.interruptFork(caller))
        const exit = yield* Fiber.await(caller)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.isFalse(went)
      })
  )

  virtual(
    "a limit that rings while a scope is closed after an inner limit rang still stops what follows",
    () =>
      Effect.gen(function*() {
        let went = false
        const scoped = Effect.scoped(Effect.zipRight(
          Effect.acquireRelease(Effect.void, () => Effect.sleep(50)),
          Effect.exit(Timeout.make(100)(Effect.never))
        ))
        const body = Effect.zipRight(scoped, Effect.zipRight(Effect.sleep(500), Effect.sync(() => (went = true))))
        const { exit, took } = yield* timed(Timeout.make(120, { name: "outer" })(body))
        assert.strictEqual(timedOut(exit).policy, "outer")
        assert.strictEqual(took, 150)
        assert.isFalse(went)
      })
  )

  virtual(
    "an alarm after an outside interruption says nothing: the caller left first",
    (seen) =>
      Effect.gen(function*() {
        const slow = Effect.onInterrupt(Effect.never, () => Effect.sleep(100))
        const caller = yield* Effect.fork(Timeout.make(50)(slow))
        yield* Effect.zipRight(Effect.sleep(20), Fiber.interrupt(caller))
        assert.strictEqual(seen.of("TimeoutFired").length, 0)
        assert.deepStrictEqual(seen.of("CallEnded").map((event) => event.outcome.class), ["Interrupted"])
      })
  )

  virtual("children of a stopped effect have ended when the caller goes on", () =>
    Effect.gen(function*() {
      let ended = 0
      const child = Effect.ensuring(Effect.never, Effect.sync(() => ended++))
      timedOut(
        yield* Effect.exit(
          Timeout.make(20)(Effect.zipRight(Effect.all([Effect.fork(child), Effect.fork(child)]), Effect.never))
        )
      )
      assert.strictEqual(ended, 2)
    }))

  virtual(
    "children of a stopped effect have ended when the caller goes on, within a concurrent Effect.all too",
    () =>
      Effect.gen(function*() {
        const run = (concurrency: number | "unbounded") =>
          Effect.forEach([1, 2], () =>
            Effect.suspend(() => {
              let ended = 0
              const child = Effect.ensuring(Effect.never, Effect.sync(() => ended++))
              return Effect.map(
                Effect.exit(Timeout.make(20)(Effect.zipRight(Effect.fork(child), Effect.never))),
                () => ended
              )
            }), { concurrency })
        assert.deepStrictEqual(yield* run(1), [1, 1])
        assert.deepStrictEqual(yield* run(2), [1, 1])
        assert.deepStrictEqual(yield* run("unbounded"), [1, 1])
      })
  )

  virtual("does not touch what the caller's children do", () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<string>()
      const child = yield* Effect.fork(Effect.zipRight(Effect.sleep(100), Deferred.succeed(done, "still here")))
      timedOut(yield* Effect.exit(Timeout.make(20)(Effect.never)))
      assert.strictEqual(yield* Deferred.await(done), "still here")
      yield* Fiber.join(child)
    }))

  virtual("leaves no interruption pending and no deadline behind, a thousand times over", () =>
    Effect.gen(function*() {
      const policy = Timeout.make(1, { scope: "total" })
      for (let time = 0; time < 1000; time++) {
        timedOut(yield* Effect.exit(policy(Effect.never)))
      }
      assert.isTrue(Cause.isEmpty(yield* FiberRef.get(FiberRef.interruptedCause)))
      assert.isUndefined(yield* FiberRef.get(Deadline.current))
    }))

  it("wrong options are a defect that names field, value and what is allowed", () => {
    for (
      const make of [
        () => Timeout.make(0),
        () => Timeout.make(-5),
        () => Timeout.make(Infinity),
        () => Timeout.make("1 second", { scope: "all" as never }),
        () => Timeout.make("1 second", { nme: "x" } as never),
        () => Timeout.fromLatency({ p99: "Infinity" as never })
      ]
    ) {
      assert.throws(make, /allowed is|unknown field/)
    }
  })

  it("a limit from a measured latency is twice the 99th percentile", () => {
    assert.strictEqual(Duration.toMillis(Timeout.fromLatency({ p99: "500 millis" })), 1000)
  })

  it("the presets are the ranges that are recommended, from tight to generous", () => {
    const ranges = Object.fromEntries(
      Object.entries(Timeout.presets).map((
        [kind, { generous, tight }]
      ) => [kind, [tight, generous].map(Duration.toMillis)])
    )
    assert.deepStrictEqual(ranges, {
      databaseQuery: [200, 500],
      databaseReport: [2_000, 5_000],
      cache: [50, 200],
      internalService: [500, 2_000],
      paymentGateway: [5_000, 10_000],
      email: [5_000, 5_000],
      inference: [10_000, 30_000],
      fileUpload: [30_000, 60_000],
      connect: [1_000, 5_000]
    })
  })

  it("its messages read as sentences", () => {
    const fields = {
      limit: Duration.millis(5),
      policy: "p",
      dependency: "payments",
      attempt: 2,
      maxAttempts: 3
    } as const
    const message = (scope: "attempt" | "total" | "queue") => new Timeout.TimedOut({ ...fields, scope }).message
    assert.strictEqual(message("attempt"), "The call to payments timed out after 5 ms (attempt 2 of 3)")
    assert.strictEqual(message("total"), "The call to payments timed out after 5 ms in all (attempt 2 of 3)")
    assert.strictEqual(message("queue"), "The call to payments ran out of its 5 ms before it was sent")
  })
})
