import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Fault from "@holdfast/core/Fault"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { Busy, Declined, Refused, SlowDown, timed, virtual } from "./support/virtual.js"

const place = Chaos.make({ dependency: "payments" })

/** A dependency that counts how often it is called. */
const counted = () => {
  const self = { calls: 0, call: Effect.void as Effect.Effect<string> }
  self.call = Effect.sync(() => {
    self.calls++
    return "answer"
  })
  return self
}

const on = (faults: Chaos.LayerOptions["faults"], options: Omit<Chaos.LayerOptions, "faults"> = {}) =>
  Effect.provide(Chaos.layer({ seed: 1, ...options, faults }))

/** For tests that do not look at the log. */
const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

const failureOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

describe("A place for faults", () => {
  virtual("lets every call through while no layer is provided, and tells nobody", (seen) =>
    Effect.gen(function*() {
      const payments = counted()
      assert.strictEqual(yield* place(payments.call), "answer")
      assert.strictEqual(payments.calls, 1)
      assert.lengthOf(seen.of("ChaosInjected"), 0)
      assert.deepStrictEqual(seen.logs, [])
    }))

  virtual(
    "lets every call through while the layer has no faults, or none for this dependency",
    (seen) =>
      Effect.gen(function*() {
        const payments = counted()
        yield* place(payments.call).pipe(on([]))
        yield* place(payments.call).pipe(on(Fault.failure({ dependency: ["search", "mail"] })))
        yield* place(payments.call).pipe(on(Fault.failure({ probability: 0 })))
        assert.strictEqual(payments.calls, 3)
        assert.lengthOf(seen.of("ChaosInjected"), 0)
      })
  )

  virtual("fails in place of the dependency, and tells every listener", (seen) =>
    Effect.gen(function*() {
      const payments = counted()
      const exit = yield* payments.call.pipe(
        place.with({ operation: "charge", requestId: "r-1" }),
        Effect.exit,
        on(Fault.failure())
      )
      assert.strictEqual(payments.calls, 0)
      const error = failureOf(exit)
      assert.instanceOf(error, Chaos.InjectedFailure)
      assert.strictEqual(error.message, "A failure was injected into attempt 1 at payments")
      assert.strictEqual(error.operation, "charge")
      const [event, ...others] = seen.of("ChaosInjected")
      assert.lengthOf(others, 0)
      assert.deepInclude(event, { chaos: "chaos", fault: "failure", delay: undefined })
      assert.deepInclude(event?.call, { operation: "charge", requestId: "r-1", attempt: 1 })
    }))

  virtual("fails with the error that it declares, made of the call", () =>
    Effect.gen(function*() {
      const own = Chaos.make({ dependency: "payments", failure: () => new Declined(), name: "own" })
      assert.instanceOf(failureOf(yield* own(Effect.void).pipe(Effect.exit, on(Fault.failure()))), Declined)
    }))

  virtual("dies, hangs, comes late and answers wrong", (seen) =>
    Effect.gen(function*() {
      const prices = counted()
      const wrong = Chaos.make({ dependency: "prices", answer: (call) => `wrong ${call.operation}` })
      const died = yield* wrong(prices.call).pipe(Effect.exit, on(Fault.defect()))
      assert.isTrue(Exit.isFailure(died) && Cause.isDie(died.cause))
      assert.instanceOf(Cause.squash((died as Exit.Failure<never, never>).cause), Chaos.InjectedDefect)
      assert.strictEqual(yield* prices.call.pipe(wrong.with({ operation: "quote" }), on(Fault.answer())), "wrong quote")
      const hung = yield* timed(wrong(prices.call).pipe(Effect.timeoutOption("1 hour"), on(Fault.hang())))
      assert.deepStrictEqual(hung, { exit: Exit.succeed(Option.none()), took: 3_600_000 })
      assert.strictEqual(prices.calls, 0)
      const late = yield* timed(wrong(prices.call).pipe(on(Fault.latency("2 seconds"))))
      assert.deepStrictEqual(late, { exit: Exit.succeed("answer"), took: 2000 })
      assert.strictEqual(prices.calls, 1)
      assert.deepStrictEqual(
        seen.of("ChaosInjected").map(({ delay, fault }) => [fault, delay && Duration.toMillis(delay)]),
        [["defect", undefined], ["answer", undefined], ["hang", undefined], ["latency", 2000]]
      )
    }))

  virtual(
    "without a wrong answer of its own is left alone by one, and the report says so",
    () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* place(counted().call), "answer")
        const report = yield* Chaos.report
        assert.deepInclude(report.dependencies["payments"], { attempts: 1, disturbed: 0, withoutAnswer: 1 })
        assert.include(Chaos.format(report), "1 wrong answer not given: its place declares none")
      }).pipe(on(Fault.answer()))
  )

  virtual("latencies add up, and the first fault that ends the call ends the trying", (seen) =>
    Effect.gen(function*() {
      const { exit, took } = yield* timed(
        place(counted().call).pipe(
          on([Fault.latency("1 second"), Fault.latency("2 seconds"), Fault.failure(), Fault.latency("1 hour")])
        )
      )
      assert.strictEqual(took, 3000)
      assert.instanceOf(failureOf(exit), Chaos.InjectedFailure)
      assert.deepStrictEqual(seen.of("ChaosInjected").map(({ fault }) => fault), ["latency", "latency", "failure"])
    }))

  virtual(
    "that is not innermost hides its faults from what is inside, and the linter says so",
    (seen) =>
      Effect.gen(function*() {
        const payments = counted()
        const inner = yield* CircuitBreaker.make({ name: "inner", tripPolicy: CircuitBreaker.consecutive(1) })
        const outer = yield* CircuitBreaker.make({ name: "outer", tripPolicy: CircuitBreaker.consecutive(1) })
        const policy = Policy.compose(outer, place, Timeout.make("1 second"), inner)
        assert.deepInclude(Policy.lint(policy).filter(({ rule }) => rule === "chaos-not-innermost"), {
          rule: "chaos-not-innermost",
          severity: "error",
          at: "chaos",
          because: "timeout, inner stand inside it and never see a fault",
          instead: "chaos last in Policy.compose, next to the call"
        })
        yield* policy(payments.call).pipe(Effect.exit, on(Fault.failure()))
        assert.strictEqual((yield* inner.state.get)._tag, "Closed")
        assert.strictEqual((yield* outer.state.get)._tag, "Open")
        assert.strictEqual(payments.calls, 0)
        assert.lengthOf(seen.of("ChaosInjected"), 1)
      })
  )

  virtual(
    "is explained: it changes no figure, since a dependency may do all that it does",
    () =>
      Effect.gen(function*() {
        const with_ = yield* Policy.standard("with", { chaos: true })
        const without = yield* Policy.standard("without")
        const [one, other] = [Policy.explain(with_), Policy.explain(without)]
        assert.deepStrictEqual(one.worstCase.latencyMillis, other.worstCase.latencyMillis)
        assert.deepStrictEqual(one.worstCase.attempts, other.worstCase.attempts)
        assert.deepStrictEqual(one.plan[one.plan.length - 1], {
          kind: "Chaos",
          policy: "with.chaos",
          numbers: "a place for injected faults, off unless Chaos.layer is provided",
          because: "innermost, so that all else takes its faults for the dependency's",
          answers: "the injected fault"
        })
        const rules = (policy: Policy.Policy.Any) => Policy.lint(policy).map(({ rule }) => rule)
        assert.deepStrictEqual(rules(with_), rules(without))
      })
  )
})

describe("An injected fault is to the other policies what the dependency would be", () => {
  const exits: Record<Outcome.Class, Exit.Exit<string, unknown>> = {
    Success: Exit.succeed("answer"),
    Retryable: Exit.fail(new Busy({})),
    Overloaded: Exit.fail(new SlowDown({})),
    Permanent: Exit.fail(new Declined()),
    Unclassified: Exit.fail("who knows"),
    Rejected: Exit.fail(new Refused()),
    Interrupted: Exit.interrupt(1 as never)
  }

  for (const outcome of Outcome.classes) {
    virtual(
      `row ${outcome}: an end of the dependency's comes through unchanged, chaos on or off`,
      () =>
        Effect.gen(function*() {
          const retried = Policy.compose(Retry.make({ schedule: Backoff.constant(0) }), place)
          for (const faults of [[], [Fault.latency(5)], [Fault.failure({ probability: 0 })]]) {
            let attempts = 0
            const call = Effect.suspend(() => {
              attempts++
              return outcome === "Interrupted" ? Effect.interrupt : exits[outcome]
            })
            const exit = yield* retried(call).pipe(Effect.exit, on(faults))
            assert.strictEqual(exit._tag, exits[outcome]._tag)
            assert.strictEqual(failureOf(exit), failureOf(exits[outcome]))
            assert.strictEqual(attempts, Outcome.table[outcome].retry ? 3 : 1)
          }
        })
    )
  }

  for (const outcome of ["Retryable", "Overloaded", "Permanent", "Rejected"] as const) {
    virtual(
      `row ${outcome}: an injected failure of this class is treated as the table says`,
      () =>
        Effect.gen(function*() {
          const breaker = yield* CircuitBreaker.make({ name: "b", tripPolicy: CircuitBreaker.consecutive(1) })
          const failure = () => failureOf(exits[outcome]) as Busy | SlowDown | Declined | Refused
          const policy = Policy.compose(breaker, Retry.make({ schedule: Backoff.constant(0) }), Chaos.make({ failure }))
          const payments = counted()
          yield* policy(payments.call).pipe(Effect.exit)
          assert.strictEqual(payments.calls, 0)
          const { attempts } = (yield* Chaos.report).dependencies["b"]!
          assert.strictEqual(attempts, Outcome.table[outcome].retry ? 3 : 1)
          const { calls, failures } = yield* breaker.snapshot
          assert.deepStrictEqual(
            [calls, failures],
            ({ failure: [1, 1], success: [1, 0], ignored: [0, 0] } as const)[Outcome.table[outcome].circuitBreaker]
              .slice()
          )
        }).pipe(on(Fault.failure()))
    )
  }

  it("the default failure is retryable, never proves that nothing was sent, and captures no stack", () => {
    const error = failureOf(Effect.runSync(place(Effect.void).pipe(Effect.exit, on(Fault.failure()), quiet)))
    assert.deepStrictEqual(Failure.classifyError(error), Outcome.retryable)
    assert.isFalse(Failure.neverSent(error))
    assert.isFalse(Object.hasOwn(error, "stack"))
    assert.strictEqual(error._tag, "InjectedFailure")
    assert.instanceOf(error, Error)
  })

  virtual(
    "a call that must not be repeated is not tried again after an injected failure",
    (seen) =>
      Effect.gen(function*() {
        const policy = Policy.compose(Retry.make(), place)
        yield* policy.with({ repeatable: false })(Effect.void).pipe(Effect.exit, on(Fault.failure()))
        assert.lengthOf(seen.of("ChaosInjected"), 1)
        assert.deepStrictEqual(seen.of("RetryGivenUp").map(({ reason }) => reason), ["notRepeatable"])
      })
  )

  virtual("attempts and calls are told as if they had been made", (seen) =>
    Effect.gen(function*() {
      const policy = yield* Policy.standard("told", { chaos: true })
      yield* policy(Effect.void).pipe(Effect.exit, on(Fault.failure()))
      assert.deepStrictEqual(seen.of("AttemptEnded").map(({ call, outcome }) => [call.attempt, outcome.class]), [
        [1, "Retryable"],
        [2, "Retryable"],
        [3, "Retryable"]
      ])
      assert.deepStrictEqual(seen.of("CallEnded").map(({ attempts, outcome }) => [attempts, outcome.class]), [[
        3,
        "Retryable"
      ]])
      assert.deepStrictEqual(seen.of("ChaosInjected").map(({ call }) => [call.attempt, call.dependency]), [
        [1, "told"],
        [2, "told"],
        [3, "told"]
      ])
    }))

  virtual("a disturbed attempt has paid the rate limiter", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "l", rate: 1e-6, capacity: 5 })
      for (const fault of [Fault.failure(), Fault.hang()]) {
        yield* Policy.compose(limiter, Timeout.make("1 second"), place)(Effect.void).pipe(Effect.exit, on(fault))
      }
      assert.approximately((yield* limiter.level()).remaining, 3, 0.01)
    }))

  virtual(
    "a hang that the total timeout ends opens a breaker, as a dependency that hangs does",
    () =>
      Effect.gen(function*() {
        const policy = yield* Policy.standard("hangs", {
          circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) },
          attemptTimeout: false,
          retry: false,
          chaos: true
        })
        const { exit, took } = yield* timed(policy(Effect.void).pipe(on(Fault.hang())))
        assert.strictEqual(took, 10_000)
        assert.deepInclude(failureOf(exit), { _tag: "TimedOut", scope: "total" })
        assert.strictEqual((yield* policy.circuitBreaker!.state.get)._tag, "Open")
      })
  )

  virtual("a latency is cut by the attempt timeout, a deadline and interruption", (seen) =>
    Effect.gen(function*() {
      const payments = counted()
      const limited = Policy.compose(Timeout.make("1 second"), place)
      const slow = on(Fault.latency("1 minute"))
      const cut = yield* timed(limited(payments.call).pipe(slow))
      assert.strictEqual(cut.took, 1000)
      assert.deepInclude(failureOf(cut.exit), { _tag: "TimedOut", scope: "attempt" })
      const late = yield* timed(limited(payments.call).pipe(Deadline.within("300 millis"), slow))
      assert.strictEqual(late.took, 300)
      const interrupted = yield* timed(
        Effect.zipRight(
          Effect.sleep("5 seconds"),
          Effect.void
        ).pipe(Effect.raceFirst(place(payments.call)), slow)
      )
      assert.strictEqual(interrupted.took, 5000)
      assert.strictEqual(payments.calls, 0)
      assert.lengthOf(seen.of("ChaosInjected"), 3)
    }))

  it.effect("waits by the test clock", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(place(counted().call).pipe(on(Fault.latency("1 minute"))))
      yield* TestClock.adjust("59 seconds")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "answer")
    }).pipe(quiet))

  it.live("waits by the live clock, and ends when it is interrupted", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* place(counted().call).pipe(on(Fault.latency(5))), "answer")
      const hung = yield* place(counted().call).pipe(on(Fault.hang()), Effect.timeoutOption(10))
      assert.deepStrictEqual(hung, Option.none())
    }).pipe(quiet))
})

describe("What a fault is aimed at", () => {
  virtual("one dependency, several, or all", () =>
    Effect.gen(function*() {
      const hits = (aim: Fault.Aim) =>
        Effect.gen(function*() {
          const hit: Array<string> = []
          for (const dependency of ["payments", "search", "mail"]) {
            const exit = yield* Effect.exit(Chaos.make({ dependency })(Effect.void))
            if (Exit.isFailure(exit)) hit.push(dependency)
          }
          return hit
        }).pipe(on(Fault.failure(aim)))
      assert.deepStrictEqual(yield* hits({ dependency: "search" }), ["search"])
      assert.deepStrictEqual(yield* hits({ dependency: ["search", "mail"] }), ["search", "mail"])
      assert.deepStrictEqual(yield* hits({}), ["payments", "search", "mail"])
    }))

  virtual("the dependency of the policy around it, where the place has none of its own", () =>
    Effect.gen(function*() {
      const around = Policy.compose(Timeout.make("1 second", { dependency: "search" }), Chaos.make())
      assert.isTrue(
        Exit.isFailure(yield* around(Effect.void).pipe(Effect.exit, on(Fault.failure({ dependency: "search" }))))
      )
      const none = Chaos.make({ name: "lonely" })
      assert.isTrue(
        Exit.isFailure(yield* none(Effect.void).pipe(Effect.exit, on(Fault.failure({ dependency: "lonely" }))))
      )
    }))

  virtual("calls of which a condition is true, as they are in every attempt", (seen) =>
    Effect.gen(function*() {
      const policy = Policy.compose(Retry.make({ schedule: Backoff.constant(0) }), place)
      const first = on(Fault.failure({ when: (call) => call.operation === "charge" && call.attempt === 1 }))
      assert.strictEqual(yield* policy.with({ operation: "charge" })(counted().call).pipe(first), "answer")
      assert.lengthOf(seen.of("ChaosInjected"), 1)
      yield* policy.with({ operation: "refund" })(counted().call).pipe(first)
      assert.lengthOf(seen.of("ChaosInjected"), 1)
    }))

  virtual("a time, counted from when the fault was put in", () =>
    Effect.gen(function*() {
      yield* Effect.sleep("7 seconds")
      const seconds: Array<number> = []
      yield* Effect.gen(function*() {
        for (let second = 0; second < 6; second++) {
          if (Exit.isFailure(yield* Effect.exit(place(Effect.void)))) seconds.push(second)
          yield* Effect.sleep("1 second")
        }
      }).pipe(on(Fault.failure({ during: { from: "2 seconds", to: "4 seconds" } })))
      assert.deepStrictEqual(seconds, [2, 3])
    }))

  virtual("a condition that throws is reported, hits nothing, and the call goes on", (seen) =>
    Effect.gen(function*() {
      const faults = [
        Fault.failure({
          when: () => {
            throw new Error("condition")
          }
        }),
        Fault.latency("1 second")
      ]
      const { exit, took } = yield* timed(place(counted().call).pipe(on(faults)))
      assert.deepStrictEqual([exit, took], [Exit.succeed("answer"), 1000])
      assert.deepStrictEqual(seen.of("PolicyFault").map(({ part }) => part), ["chaos"])
      assert.isTrue(seen.logs.some((line) => line.includes("chaos threw; the call went on without it")))
    }))

  virtual("a failure that cannot be made is reported, and the call goes on", (seen) =>
    Effect.gen(function*() {
      const broken = Chaos.make({
        failure: (): Busy => {
          throw new Error("cannot be made")
        }
      })
      assert.strictEqual(yield* broken(counted().call).pipe(on(Fault.failure())), "answer")
      assert.lengthOf(seen.of("PolicyFault"), 1)
      assert.lengthOf(seen.of("ChaosInjected"), 0)
      assert.deepStrictEqual(seen.of("CallEnded").map(({ attempts, outcome }) => [attempts, outcome.class]), [[
        1,
        "Success"
      ]])
    }))
})

describe("Layers of chaos", () => {
  virtual("add to each other, side by side and one in the other", (seen) =>
    Effect.gen(function*() {
      const slow = Chaos.layer({ seed: 1, faults: Fault.latency("1 second") })
      const slower = Chaos.layer({ seed: 2, faults: Fault.latency("2 seconds") })
      const beside = yield* timed(place(Effect.void).pipe(Effect.provide(Layer.merge(slow, slower))))
      assert.strictEqual(beside.took, 3000)
      const within = yield* timed(place(Effect.void).pipe(Effect.provide(slow), Effect.provide(slower)))
      assert.strictEqual(within.took, 3000)
      assert.lengthOf(seen.of("ChaosInjected"), 4)
      // On this line of Effect a fiber keeps what merged layers set in it: it must not matter.
      const afterwards = yield* timed(place(Effect.void))
      assert.strictEqual(afterwards.took, 0)
    }))

  virtual("inject nothing any more when they are gone", () =>
    Effect.gen(function*() {
      const chaos = yield* Chaos.Chaos.pipe(on([]))
      const exit = yield* Effect.scoped(chaos.inject(Fault.failure())).pipe(Effect.exit)
      assert.instanceOf(failureOf(exit), Chaos.ChaosOff)
    }))

  virtual(
    "say in the log that they are on, with what and with which seed, and at the end what they did",
    (seen) =>
      Effect.gen(function*() {
        yield* place(Effect.void).pipe(Effect.exit, on(Fault.failure({ dependency: "payments" }), { seed: "monday" }))
        assert.deepStrictEqual(seen.logs, [
          "CHAOS: on, with seed monday: failure in every attempt at payments",
          "CHAOS: off. Chaos with seed monday\n  payments: 1 of 1 attempt disturbed (1 x failure)"
        ])
      })
  )

  virtual("take faults in and out while calls are made, however the scope ends", (seen) =>
    Effect.gen(function*() {
      const fails = Effect.map(Effect.exit(place(Effect.void)), Exit.isFailure)
      assert.isFalse(yield* fails)
      const injection = yield* Effect.scoped(Effect.gen(function*() {
        const injection = yield* Chaos.inject(Fault.failure())
        assert.isTrue(yield* fails)
        assert.isTrue(yield* fails)
        return injection
      }))
      assert.isFalse(yield* fails)
      assert.strictEqual(yield* injection.hits, 2)
      const fiber = yield* Effect.fork(
        Effect.scoped(Effect.zipRight(Chaos.inject([Fault.failure()]), Effect.sleep("1 hour")))
      )
      yield* Effect.sleep("1 second")
      assert.isTrue(yield* fails)
      yield* Fiber.interrupt(fiber)
      assert.isFalse(yield* fails)
      assert.include(seen.logs, "CHAOS: injecting failure in every attempt at every dependency")
    }).pipe(on([])))

  virtual("reach calls in fibers that run already, when faults are put in", () =>
    Effect.gen(function*() {
      const failed: Array<number> = []
      const fiber = yield* Effect.fork(Effect.gen(function*() {
        for (let second = 0; second < 6; second++) {
          yield* Effect.sleep("1 second")
          if (Exit.isFailure(yield* Effect.exit(place(Effect.void)))) failed.push(second)
        }
      }))
      yield* Effect.sleep("2500 millis")
      yield* Effect.scoped(Effect.zipRight(Chaos.inject(Fault.failure()), Effect.sleep("2 seconds")))
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(failed, [2, 3])
    }).pipe(on([])))
})
