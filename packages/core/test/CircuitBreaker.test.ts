import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Backoff from "../src/Backoff.js"
import * as CircuitBreaker from "../src/CircuitBreaker.js"
import * as Deadline from "../src/Deadline.js"
import * as Failure from "../src/Failure.js"
import * as Outcome from "../src/Outcome.js"
import * as ResilienceEvent from "../src/ResilienceEvent.js"
import * as Retry from "../src/Retry.js"
import * as Timeout from "../src/Timeout.js"
import * as Window from "../src/Window.js"
import { Busy, compose, Declined, Refused, type Seen, SlowDown, timed, virtual } from "./support/virtual.js"

const failureOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const make = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({
    name: "payments",
    tripPolicy: CircuitBreaker.consecutive(3),
    openDuration: "1 second",
    openJitter: 0,
    ...options
  })

const busy = Effect.fail(new Busy({}))

const fail = (breaker: CircuitBreaker.CircuitBreaker, times = 3) =>
  Effect.forEach(Array.from({ length: times }), () => Effect.exit(breaker(busy)), { discard: true })

const stateOf = (breaker: CircuitBreaker.CircuitBreaker) => Effect.map(breaker.state.get, (state) => state._tag)

/** An end of each class. */
const ends: Readonly<Record<Outcome.Class, Effect.Effect<unknown, unknown>>> = {
  Success: Effect.succeed("answer"),
  Retryable: busy,
  Overloaded: Effect.fail(new SlowDown({})),
  Permanent: Effect.fail(new Declined()),
  Unclassified: Effect.fail({ _tag: "Unknown" }),
  Rejected: Effect.fail(new Refused()),
  Interrupted: Effect.interrupt
}

const changes = (seen: Seen) =>
  seen.events.filter((event) => /^Circuit(Opened|HalfOpened|Closed|Isolated|Disabled)$/.test(event._tag))
    .map((event) => event._tag)

describe("a circuit breaker", () => {
  virtual("opens after exactly N failures, and then fails fast without a call", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker, 2)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* fail(breaker, 1)
      assert.strictEqual(yield* stateOf(breaker), "Open")
      let calls = 0
      const { exit, took } = yield* timed(breaker(Effect.sync(() => calls++)))
      const error = failureOf(exit) as CircuitBreaker.CircuitOpen
      assert.instanceOf(error, CircuitBreaker.CircuitOpen)
      assert.deepStrictEqual([error.reason, Duration.toMillis(error.retryAfter!), error.policy], [
        "open",
        1000,
        "payments"
      ])
      assert.strictEqual(error.message, "The circuit of payments is open; try again in 1s")
      assert.deepStrictEqual([calls, took], [0, 0])
      assert.deepStrictEqual(changes(seen), ["CircuitOpened"])
    }))

  virtual(
    "is half-open after the open duration, and closes with a probe that succeeds",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make()
        yield* fail(breaker)
        yield* Effect.sleep(999)
        assert.strictEqual(failureOf(yield* Effect.exit(breaker(Effect.void)))._tag, "CircuitOpen")
        yield* Effect.sleep(1)
        assert.strictEqual(yield* stateOf(breaker), "Open")
        assert.strictEqual(yield* breaker(Effect.succeed("answer")), "answer")
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        assert.deepStrictEqual(changes(seen), ["CircuitOpened", "CircuitHalfOpened", "CircuitClosed"])
      })
  )

  virtual("opens again with a probe that fails, and the next period starts anew", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker)
      yield* Effect.sleep(1000)
      yield* fail(breaker, 1)
      assert.strictEqual(yield* stateOf(breaker), "Open")
      yield* Effect.sleep(999)
      assert.strictEqual(failureOf(yield* Effect.exit(breaker(Effect.void)))._tag, "CircuitOpen")
      assert.deepStrictEqual(changes(seen), ["CircuitOpened", "CircuitHalfOpened", "CircuitOpened"])
    }))

  for (const outcome of Outcome.classes) {
    const expected = Outcome.table[outcome].circuitBreaker
    for (const scope of ["call", "attempt"] as const) {
      virtual(`takes an end of class ${outcome} for ${expected} in ${scope} scope`, () =>
        Effect.gen(function*() {
          const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(100) })
          yield* fail(breaker, 1)
          const retry = Retry.make({ maxRetries: 2, schedule: Backoff.none })
          const policy = scope === "call" ? compose(breaker, retry) : compose(retry, breaker)
          yield* Effect.exit(Effect.flatMap(Effect.fork(policy(ends[outcome])), Fiber.join))
          const { calls, consecutiveFailures } = yield* breaker.snapshot
          const samples = expected === "ignored" ? 0 : scope === "attempt" && Outcome.table[outcome].retry ? 3 : 1
          assert.strictEqual(calls, 1 + samples)
          assert.strictEqual(consecutiveFailures, expected === "failure" ? 1 + samples : expected === "ignored" ? 1 : 0)
        }))
    }

    virtual(`gives the slot of a probe back that ends as ${outcome}`, () =>
      Effect.gen(function*() {
        const breaker = yield* make({ probeTimeout: "1 hour" })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        yield* Effect.exit(Effect.flatMap(Effect.fork(breaker(ends[outcome])), Fiber.join))
        const { probesInFlight, state } = yield* breaker.snapshot
        assert.strictEqual(probesInFlight, 0)
        assert.strictEqual(state._tag, { success: "Closed", failure: "Open", ignored: "HalfOpen" }[expected])
        if (expected === "ignored") {
          assert.strictEqual(yield* breaker(Effect.succeed("the next probe")), "the next probe")
          assert.strictEqual(yield* stateOf(breaker), "Closed")
        }
      }))
  }

  virtual("Retry stops at CircuitOpen in attempt scope", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      let calls = 0
      const policy = compose(Retry.make({ maxRetries: 9, schedule: Backoff.none }), breaker)
      const exit = yield* Effect.exit(policy(Effect.suspend(() => {
        calls++
        return busy
      })))
      assert.strictEqual(failureOf(exit)._tag, "CircuitOpen")
      assert.strictEqual(calls, 3)
    }))

  // -- a dependency that hangs -------------------------------------------------

  const hanging = (
    scope: "call" | "attempt",
    options: { readonly callerGivesUp?: boolean; readonly deadline?: boolean } = {}
  ) =>
    Effect.gen(function*() {
      const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(5), openDuration: "1 hour" })
      const total = Timeout.make(100, { scope: "total" })
      const retry = Retry.make({ maxRetries: 2, schedule: Backoff.none })
      const attempt = Timeout.make(40)
      const policy = scope === "call"
        ? compose(total, breaker, retry, attempt)
        : compose(total, retry, breaker, attempt)
      let opened: number | undefined
      for (let call = 1; call <= 12; call++) {
        const one = policy(Effect.never)
        if (options.callerGivesUp === true) {
          const fiber = yield* Effect.fork(one)
          yield* Effect.zipRight(Effect.sleep(30), Fiber.interrupt(fiber))
        } else {
          yield* Effect.exit(options.deadline === true ? Deadline.within(one, 30) : one)
        }
        opened ??= (yield* stateOf(breaker)) === "Open" ? call : undefined
      }
      return opened
    })

  virtual(
    "a dependency that hangs opens it after the fifth call in call scope",
    () => Effect.map(hanging("call"), (opened) => assert.strictEqual(opened, 5))
  )

  virtual(
    "a dependency that hangs opens it during the third call in attempt scope",
    () => Effect.map(hanging("attempt"), (opened) => assert.strictEqual(opened, 3))
  )

  virtual("A09: callers that give up first leave it closed, in both scopes", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* hanging("call", { callerGivesUp: true }))
      assert.isUndefined(yield* hanging("attempt", { callerGivesUp: true }))
    }))

  virtual(
    "a deadline of the caller that rings before the policy's own limits is neutral, in both scopes",
    () =>
      Effect.gen(function*() {
        assert.isUndefined(yield* hanging("call", { deadline: true }))
        assert.isUndefined(yield* hanging("attempt", { deadline: true }))
      })
  )

  virtual("a total limit alone, around a dependency that hangs, opens it", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const policy = compose(Timeout.make(50, { scope: "total" }), breaker)
      yield* Effect.forEach([1, 2, 3], () => Effect.exit(policy(Effect.never)))
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  virtual(
    "a call whose finished attempt was answered, and whose total limit rings later, counts as that attempt",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
        const policy = compose(
          Timeout.make(50, { scope: "total" }),
          breaker,
          Retry.make({ maxRetries: 3, schedule: Backoff.none, when: ["Permanent"] })
        )
        let calls = 0
        const body = Effect.suspend(() => ++calls === 1 ? Effect.fail(new Declined()) : Effect.never)
        assert.strictEqual(failureOf(yield* Effect.exit(policy(body)))._tag, "TimedOut")
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        assert.strictEqual((yield* breaker.snapshot).calls, 1)
      })
  )

  virtual("A10: a timeout of the call's own, further in, is a failure of the dependency", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
      yield* Effect.exit(breaker(Timeout.make(10)(Effect.never)))
      assert.strictEqual(yield* stateOf(breaker), "Open")
      const other = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
      yield* Effect.exit(other(Effect.timeout(Effect.never, 10)))
      assert.strictEqual(yield* stateOf(other), "Open")
    }))

  virtual("a timeout that the policy does not own, around it, is neutral", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
      yield* Effect.exit(Effect.timeout(breaker(Effect.never), 10))
      yield* Effect.exit(Timeout.make(10)(breaker(Effect.never)))
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.strictEqual((yield* breaker.snapshot).calls, 0)
    }))

  // -- probes ------------------------------------------------------------------

  virtual(
    "A01: of a thousand calls at the end of the open period exactly the probes run",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({ probes: 3 })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        let calls = 0
        const body = Effect.zipRight(Effect.sync(() => calls++), Effect.sleep(10))
        const exits = yield* Effect.forEach(Array.from({ length: 1000 }), () => Effect.exit(breaker(body)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(calls, 3)
        const rejections = exits.filter(Exit.isFailure).map(failureOf)
        assert.strictEqual(rejections.length, 997)
        assert.isTrue(rejections.every((error) => error.reason === "probing"))
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      })
  )

  virtual(
    "A02: a probe that hangs longer than its timeout gives its slot to another call, and its end is late",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make({ probeTimeout: 500 })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        const hung = yield* Effect.fork(breaker(Effect.delay(busy, 2000)))
        yield* Effect.sleep(499)
        const rejected = failureOf(yield* Effect.exit(breaker(Effect.void)))
        assert.deepStrictEqual([rejected.reason, Duration.toMillis(rejected.retryAfter)], ["probing", 1])
        yield* Effect.sleep(1)
        yield* breaker(Effect.void)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* Fiber.await(hung)
        const { late, reclaimed, state } = yield* breaker.snapshot
        assert.deepStrictEqual([late, reclaimed, state._tag], [1, 1, "Closed"])
        assert.strictEqual(seen.of("LateResult").length, 1)
      })
  )

  virtual(
    "A03: an interrupted probe decides nothing, and the next call may probe at once",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({ probeTimeout: "1 hour" })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        const probe = yield* Effect.fork(breaker(Effect.never))
        yield* Effect.zipRight(Effect.sleep(10), Fiber.interrupt(probe))
        assert.strictEqual(yield* stateOf(breaker), "HalfOpen")
        yield* breaker(Effect.void)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
      })
  )

  virtual("A05: a probe that dies is a failure, and its slot comes back", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker)
      yield* Effect.sleep(1000)
      yield* Effect.exit(breaker(Effect.die("bug")))
      const { probesInFlight, state } = yield* breaker.snapshot
      assert.deepStrictEqual([state._tag, probesInFlight], ["Open", 0])
    }))

  virtual(
    "A06, A08: a call admitted while closed that fails after the circuit closed again changes nothing, and is told",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
        const old = yield* Effect.fork(breaker(Effect.delay(busy, 1500)))
        yield* Effect.yieldNow()
        yield* fail(breaker, 1)
        yield* Effect.sleep(1000)
        yield* breaker(Effect.void)
        yield* Fiber.await(old)
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        assert.deepStrictEqual(seen.of("LateResult").map((event) => event.outcome.class), ["Retryable"])
        assert.strictEqual((yield* breaker.snapshot).late, 1)
      })
  )

  virtual("A07: a probe of an earlier half-open period frees no slot of a later one", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ probes: 2, probeTimeout: "1 hour" })
      yield* fail(breaker)
      yield* Effect.sleep(1000)
      const old = yield* Effect.fork(breaker(Effect.sleep(3000)))
      yield* Effect.yieldNow()
      yield* fail(breaker, 1)
      yield* Effect.sleep(1000)
      const first = yield* Effect.fork(breaker(Effect.never))
      const second = yield* Effect.fork(breaker(Effect.never))
      yield* Fiber.await(old)
      assert.strictEqual((yield* breaker.snapshot).probesInFlight, 2)
      assert.strictEqual(failureOf(yield* Effect.exit(breaker(Effect.void))).reason, "probing")
      yield* Fiber.interruptAll([first, second])
    }))

  virtual(
    "A11, A12: failures of calls in flight when it opens neither open it again nor extend the period",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(2) })
        yield* Effect.forEach([10, 20, 30, 40, 50], (millis) => Effect.exit(breaker(Effect.delay(busy, millis))), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(changes(seen), ["CircuitOpened"])
        const state = yield* breaker.state.get
        assert.strictEqual(state._tag === "Open" ? state.until - state.since : 0, 1000)
        assert.strictEqual(state.since, 20)
      })
  )

  virtual("A13: the first call that ever fails opens nothing with a 50 % threshold", () =>
    Effect.gen(function*() {
      const breaker = yield* make({
        tripPolicy: CircuitBreaker.failureRate({ threshold: 0.5, window: { calls: 10 }, minimumCalls: 4 })
      })
      yield* fail(breaker, 1)
      yield* breaker(Effect.void)
      yield* breaker(Effect.void)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      // A14: exactly the threshold trips.
      yield* fail(breaker, 1)
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  virtual("A15: idle time empties a time window", () =>
    Effect.gen(function*() {
      const breaker = yield* make({
        tripPolicy: CircuitBreaker.failureRate({ threshold: 0.5, window: "10 seconds", minimumCalls: 3 })
      })
      yield* fail(breaker, 2)
      yield* Effect.sleep("100 seconds")
      yield* fail(breaker, 1)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.strictEqual((yield* breaker.snapshot).calls, 1)
    }))

  virtual("A17: it closes with clean counts", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker)
      yield* Effect.sleep(1000)
      yield* breaker(Effect.void)
      yield* fail(breaker, 2)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
    }))

  // -- by hand -----------------------------------------------------------------

  virtual(
    "A18: isolated by hand it stays so until it is reset, whatever time passes",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make()
        yield* fail(breaker)
        yield* breaker.isolate
        yield* Effect.sleep("1 hour")
        const error = failureOf(yield* Effect.exit(breaker(Effect.void)))
        assert.deepStrictEqual([error.reason, error.retryAfter], ["isolated", undefined])
        yield* breaker.isolate
        yield* breaker.reset
        yield* breaker(Effect.void)
        assert.deepStrictEqual(changes(seen), ["CircuitOpened", "CircuitIsolated", "CircuitClosed"])
      })
  )

  virtual("isolated by hand it rejects in a dry run too, and says that it did", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make({ dryRun: true })
      yield* breaker.isolate
      const error = failureOf(yield* Effect.exit(breaker(Effect.void)))
      assert.strictEqual(error.reason, "isolated")
      assert.deepStrictEqual(seen.of("CircuitRejected").map(({ dryRun }) => dryRun), [false])
      assert.strictEqual((yield* breaker.snapshot).wouldHaveRejected, 0)
    }))

  virtual("disabled by hand it lets every call through and counts nothing", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* breaker.disable
      yield* fail(breaker, 10)
      assert.strictEqual(yield* stateOf(breaker), "Disabled")
      yield* breaker.reset
      yield* fail(breaker, 2)
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      assert.deepStrictEqual(changes(seen), ["CircuitDisabled", "CircuitClosed"])
    }))

  virtual("in a dry run it tells what it would have rejected, and rejects nothing", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make({ dryRun: true })
      yield* fail(breaker)
      assert.strictEqual(yield* breaker(Effect.succeed("through")), "through")
      assert.strictEqual(yield* stateOf(breaker), "Open")
      assert.deepStrictEqual(seen.of("CircuitRejected").map((event) => [event.reason, event.dryRun]), [["open", true]])
      assert.strictEqual((yield* breaker.snapshot).wouldHaveRejected, 1)
    }))

  // -- what is told ------------------------------------------------------------

  virtual(
    "its transitions are a stream, and its state can be subscribed to: the present one, then each that follows",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make()
        const transitions = yield* Effect.fork(Stream.runCollect(Stream.take(breaker.transitions, 3)))
        const states = yield* Effect.fork(Stream.runCollect(Stream.take(breaker.state.changes, 4)))
        yield* Effect.sleep(1)
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        yield* breaker(Effect.void)
        const moved = Chunk.toReadonlyArray(yield* Fiber.join(transitions))
        assert.deepStrictEqual(moved.map(({ from, to }) => `${from._tag} to ${to._tag}`), [
          "Closed to Open",
          "Open to HalfOpen",
          "HalfOpen to Closed"
        ])
        const read = Chunk.toReadonlyArray(yield* Fiber.join(states))
        assert.deepStrictEqual(read.map((state) => state._tag), ["Closed", "Open", "HalfOpen", "Closed"])
        assert.deepStrictEqual(read.map((state) => state.generation), [1, 2, 3, 4])
      })
  )

  virtual("there is one event for each transition, and it says what tripped", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker, 20)
      const [opened, ...more] = seen.of("CircuitOpened" as never) as ReadonlyArray<ResilienceEvent.CircuitChanged>
      assert.strictEqual(more.length, 0)
      assert.deepStrictEqual(
        [opened?.breaker, opened?.failures, opened?.generation, Duration.toMillis(opened!.openDuration!)],
        ["payments", 3, 2, 1000]
      )
      assert.strictEqual((Option.getOrUndefined(Cause.failureOption(opened!.lastCause!)) as Busy)._tag, "Busy")
      assert.deepStrictEqual<unknown>(opened!.trip, {
        policy: CircuitBreaker.consecutive(3),
        counted: 3,
        calls: undefined
      })
      assert.strictEqual(seen.of("CircuitRejected").length, 17)
    }))

  virtual("an event of a failed probe says how many failed, and names no threshold", (seen) =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fail(breaker, 3)
      for (let probe = 0; probe < 2; probe++) {
        yield* Effect.sleep(1000)
        yield* fail(breaker, 1)
      }
      yield* Effect.sleep(1000)
      yield* breaker(Effect.void)
      const changed = seen.events.filter((event): event is ResilienceEvent.CircuitChanged => "failedProbes" in event)
      assert.deepStrictEqual(changed.map(({ _tag, failedProbes, trip }) => [_tag, failedProbes, trip?.counted]), [
        ["CircuitOpened", 0, 3],
        ["CircuitHalfOpened", 0, undefined],
        ["CircuitOpened", 1, undefined],
        ["CircuitHalfOpened", 1, undefined],
        ["CircuitOpened", 2, undefined],
        ["CircuitHalfOpened", 2, undefined],
        ["CircuitClosed", 0, undefined]
      ])
    }))

  virtual(
    "warns once for each tag that nobody classified, and for defects, and names the remedy",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(100) })
        for (let time = 0; time < 3; time++) {
          yield* Effect.exit(breaker(Effect.fail({ _tag: "DbBusy" })))
          yield* Effect.exit(breaker(Effect.fail({ _tag: "CardDeclined" })))
          yield* Effect.exit(breaker(Effect.die("bug")))
          yield* Effect.exit(breaker(Effect.fail({ _tag: "@app/DbError" })))
          yield* Effect.exit(breaker(Effect.fail(new Error("plain"))))
          yield* Effect.exit(breaker(busy))
        }
        assert.deepStrictEqual(seen.of("UnclassifiedFailure").map((event) => event.tag), [
          "DbBusy",
          "CardDeclined",
          "a defect",
          "@app/DbError",
          "an error without a tag"
        ])
        assert.strictEqual(seen.logs.length, 5)
        assert.include(seen.logs[3], "Failure.byTag({ \"@app/DbError\": ")
        assert.include(seen.logs[4], "the option classify")
        assert.notInclude(seen.logs[4], "byTag")
        assert.isTrue(seen.logs[0]!.includes("DbBusy") && seen.logs[0]!.includes("Failure.byTag"))
      })
  )

  virtual(
    "A21: a listener that throws changes no result and no state, and the other listeners hear it",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make()
        const throwing = ResilienceEvent.listen(() => {
          throw new Error("listener's bug")
        })
        const exit = yield* Effect.exit(throwing(breaker(Effect.succeed("answer"))))
        assert.deepStrictEqual(exit, Exit.succeed("answer"))
        yield* throwing(fail(breaker))
        assert.strictEqual(yield* stateOf(breaker), "Open")
        assert.deepStrictEqual(changes(seen), ["CircuitOpened"])
        assert.isAtLeast(seen.of("PolicyFault").length, 1)
        assert.isTrue(seen.of("PolicyFault").every((event) => event.part === "listener"))
      })
  )

  virtual(
    "a classifier that throws is reported once and counts as unclassified; the caller's end is as it was",
    (seen) =>
      Effect.gen(function*() {
        const breaker = yield* make({
          classify: () => {
            throw new Error("classifier's bug")
          }
        })
        assert.strictEqual(failureOf(yield* Effect.exit(breaker(busy)))._tag, "Busy")
        assert.strictEqual(seen.of("PolicyFault").length, 1)
        yield* fail(breaker, 2)
        assert.strictEqual(yield* stateOf(breaker), "Open")
      })
  )

  virtual(
    "a classifier that answers no outcome is taken for one that throws, and the slot of the probe comes back",
    (seen) =>
      Effect.gen(function*() {
        let answer: unknown = Outcome.retryable
        const breaker = yield* make({ probeTimeout: "1 hour", classify: () => answer as Outcome.Outcome })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        for (const wrong of [undefined, null, "Retryable", { class: "Retriable" }]) {
          answer = wrong
          assert.strictEqual(failureOf(yield* Effect.exit(breaker(busy)))._tag, "Busy")
          assert.strictEqual((yield* breaker.snapshot).probesInFlight, 0)
          yield* Effect.sleep(1000)
        }
        const faults = seen.of("PolicyFault")
        assert.deepStrictEqual(faults.map(({ part }) => part), Array(4).fill("classify"))
        assert.include(String(faults[3]?.defect), "{\"class\":\"Retriable\"}")
      })
  )

  virtual(
    "a predicate that throws is reported once, and the slot of the probe comes back",
    (seen) =>
      Effect.gen(function*() {
        let throws = false
        const breaker = yield* make({
          probeTimeout: "1 hour",
          when: (outcome) => {
            if (throws) {
              throw new Error("predicate's bug")
            }
            return outcome.class === "Retryable"
          }
        })
        yield* fail(breaker)
        yield* Effect.sleep(1000)
        throws = true
        yield* Effect.exit(breaker(ends.Overloaded))
        assert.strictEqual(seen.of("PolicyFault").length, 1)
        assert.strictEqual((yield* breaker.snapshot).probesInFlight, 0)
      })
  )

  virtual("`when` narrows and widens what counts as a failure", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1), when: ["Overloaded"] })
      yield* Effect.exit(breaker(busy))
      assert.strictEqual(yield* stateOf(breaker), "Closed")
      yield* Effect.exit(breaker(ends.Overloaded))
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  virtual(
    "a `when` that is too wide takes neither a success nor an interruption for a failure",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1), when: () => true })
        yield* breaker(Effect.void)
        yield* Effect.fork(breaker(Effect.never)).pipe(Effect.tap(Effect.sleep(1)), Effect.flatMap(Fiber.interrupt))
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        yield* Effect.exit(breaker(ends.Permanent))
        assert.strictEqual(yield* stateOf(breaker), "Open")
      })
  )

  virtual(
    "A09: callers who leave are neutral, even to a classifier that takes every failure for the dependency's",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({
          tripPolicy: CircuitBreaker.consecutive(1),
          classify: (exit) => Exit.isSuccess(exit) ? Outcome.success : Outcome.retryable
        })
        for (
          const call of [breaker, compose(breaker, Timeout.make("1 hour")), compose(Timeout.make("1 hour"), breaker)]
        ) {
          yield* Effect.fork(call(Effect.never)).pipe(Effect.tap(Effect.sleep(1)), Effect.flatMap(Fiber.interrupt))
        }
        assert.strictEqual(yield* stateOf(breaker), "Closed")
        // An interruption from inside is the classifier's to judge.
        yield* Effect.exit(breaker(Effect.interrupt))
        assert.strictEqual(yield* stateOf(breaker), "Open")
      })
  )

  virtual(
    "who reads its state as a stream misses no state, however slowly it reads, and hears none twice",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1) })
        const reader = yield* Effect.fork(
          breaker.state.changes.pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.sleep(10)),
            Stream.map((state) => state._tag),
            Stream.take(3),
            Stream.runCollect
          )
        )
        yield* Effect.sleep(5)
        yield* fail(breaker, 1)
        yield* Effect.sleep(1000)
        yield* breaker(Effect.void)
        assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(reader)), ["Closed", "Open", "HalfOpen"])
      })
  )

  virtual("a dry run takes no retries from the call that would be the probe", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1), dryRun: true })
      yield* fail(breaker, 1)
      yield* Effect.sleep(1000)
      let attempts = 0
      const call = Effect.zipRight(Effect.sync(() => attempts++), busy)
      yield* Effect.exit(compose(breaker, Retry.make({ maxRetries: 2, schedule: Backoff.none }))(call))
      assert.strictEqual(attempts, 3)
    }))

  virtual("a value can be a failure by a custom classifier", () =>
    Effect.gen(function*() {
      const breaker = yield* make({
        tripPolicy: CircuitBreaker.consecutive(1),
        classify: (exit) => Exit.isSuccess(exit) && exit.value === 503 ? Outcome.retryable : Failure.classify(exit)
      })
      assert.strictEqual(yield* breaker(Effect.succeed(200)), 200)
      assert.strictEqual(yield* breaker(Effect.succeed(503)), 503)
      assert.strictEqual(yield* stateOf(breaker), "Open")
    }))

  virtual("two listener layers both hear, merged in every order", () =>
    Effect.gen(function*() {
      for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
        const heard = [0, 0, 0]
        const layers = heard.map((_, index) => ResilienceEvent.layer(() => heard[index]!++))
        const [a, b, c] = order.map((index) => layers[index]!)
        const breaker = yield* make()
        yield* Effect.provide(breaker(Effect.void), Layer.mergeAll(a!, b!, c!))
        assert.deepStrictEqual(heard, [heard[0]!, heard[0]!, heard[0]!])
        assert.isAbove(heard[0]!, 0)
      }
    }))

  // -- the open period ---------------------------------------------------------

  virtual(
    "an open duration by a schedule grows with failed probes, is capped, and starts anew when it closed",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({
          tripPolicy: CircuitBreaker.consecutive(1),
          openDuration: Schedule.exponential("1 second"),
          maxOpenDuration: "3 seconds"
        })
        const periods: Array<number> = []
        const note = Effect.map(breaker.state.get, (state) => state._tag === "Open" && periods.push(state.openMillis))
        for (let time = 0; time < 4; time++) {
          yield* Effect.zipRight(Effect.zipRight(fail(breaker, 1), note), Effect.sleep("3 seconds"))
        }
        yield* breaker(Effect.void)
        yield* Effect.zipRight(fail(breaker, 1), note)
        assert.deepStrictEqual(periods, [1000, 2000, 3000, 3000, 1000])
      })
  )

  virtual(
    "an open duration by a schedule that ends stays at its last delay, and never falls to zero",
    () =>
      Effect.gen(function*() {
        const breaker = yield* make({
          tripPolicy: CircuitBreaker.consecutive(1),
          openDuration: Schedule.intersect(Schedule.exponential("1 second"), Schedule.recurs(2))
        })
        const periods: Array<number> = []
        for (let time = 0; time < 4; time++) {
          yield* fail(breaker, 1)
          const state = yield* breaker.state.get
          periods.push(state._tag === "Open" ? state.openMillis : NaN)
          yield* Effect.sleep("2 seconds")
        }
        assert.deepStrictEqual(periods, [1000, 2000, 2000, 2000])
      })
  )

  it.effect("a schedule that ends at once, or has no delays, is refused as an open duration", () =>
    Effect.gen(function*() {
      for (const openDuration of [Schedule.stop, Schedule.recurs(0), Schedule.recurs(3), Schedule.forever]) {
        const exit = yield* Effect.exit(make({ openDuration }))
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "openDuration is")
      }
    }))

  virtual(
    "retryAfter of the answer that opens it lengthens the period, up to the longest",
    () =>
      Effect.gen(function*() {
        const opened = (seconds: number) =>
          Effect.gen(function*() {
            const breaker = yield* make({ tripPolicy: CircuitBreaker.consecutive(1), maxOpenDuration: "1 minute" })
            yield* Effect.exit(breaker(Effect.fail(new Busy({ retryAfter: Duration.seconds(seconds) }))))
            const state = yield* breaker.state.get
            return state._tag === "Open" ? state.openMillis : undefined
          })
        assert.strictEqual(yield* opened(0.1), 1000)
        assert.strictEqual(yield* opened(20), 20_000)
        assert.strictEqual(yield* opened(1000), 60_000)
      })
  )

  it.effect("wrong options are a defect that names field, value and what is allowed, all at once", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(CircuitBreaker.make({
        name: "",
        openDuration: -1,
        probes: 0,
        openJitter: 2,
        tripPolicy: "sometimes" as never
      }))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      for (const field of ["name", "openDuration", "probes", "openJitter", "tripPolicy"]) {
        assert.include(text, `${field} is`)
      }
    }))

  it("without numbers it opens at half of 20 calls in 30 seconds or 10 in a row; presets are 5 in a row and half of ten", () => {
    const rate = { _tag: "FailureRate", threshold: 0.5 }
    assert.deepStrictEqual<unknown>(CircuitBreaker.defaultTripPolicy, {
      _tag: "Any",
      policies: [
        { ...rate, window: Window.time(30_000), minimumCalls: 20 },
        { _tag: "Consecutive", failures: 10 }
      ]
    })
    assert.deepStrictEqual<unknown>(CircuitBreaker.lowTraffic, { _tag: "Consecutive", failures: 5 })
    assert.deepStrictEqual<unknown>(CircuitBreaker.lastTen, { ...rate, window: Window.calls(10), minimumCalls: 10 })
  })
})
