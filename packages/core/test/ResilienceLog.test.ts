import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as Chaos from "@holdfast/core/Chaos"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as ResilienceLog from "@holdfast/core/ResilienceLog"
import * as Retry from "@holdfast/core/Retry"
import * as RetryBudget from "@holdfast/core/RetryBudget"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { assertGolden, chapters } from "./support/golden.js"
import { loggedInto } from "./support/logged.js"

class ConnectionLost extends Failure.Retryable("ConnectionLost")<{ readonly message: string }> {}

const lost = Effect.fail(new ConnectionLost({ message: "Connection timed out" }))

type Body = Effect.Effect<unknown, unknown>

/** The lines of a body in virtual time, under a layer with these options. */
const linesOf = (body: Body, options: ResilienceLog.Options = {}, level = LogLevel.Info) => {
  const lines: Array<string> = []
  return VirtualClock.run(
    Effect.exit(body).pipe(
      Effect.provide(ResilienceLog.layer(options)),
      Logger.withMinimumLogLevel(level),
      loggedInto(lines),
      Effect.map((exit) => {
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        return lines
      })
    )
  )
}

const times = (count: number, effect: Effect.Effect<unknown, unknown>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.exit(effect), { discard: true })

const attempts = (maxRetries: number) =>
  Retry.make({ maxRetries, schedule: Backoff.constant("1 second", { jitter: "none" }) })

const policy = (name: string, extra: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name, openJitter: 0, ...extra })

// -- the lines ---------------------------------------------------------------

const timeouts: Body = Effect.gen(function*() {
  const charge = Policy.compose(attempts(2), Timeout.make("2 seconds", { dependency: "payment-api.com" }))
    .with({ operation: "/charge", requestId: "abc-123" })
  yield* Effect.exit(charge(Effect.never))
  const total = Timeout.make("3 seconds", { scope: "total", dependency: "search" })
  yield* Effect.exit(total(Effect.never))
  const full = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 1 })
  const queued = Policy.compose(Timeout.make("1500 millis", { dependency: "mail" }), full)
  const holder = yield* Effect.fork(full(Effect.never))
  yield* Effect.yieldNow()
  yield* Effect.exit(queued(Effect.void))
  yield* Fiber.interrupt(holder)
  yield* Effect.exit(Deadline.within(total(Effect.never), "1 second"))
  // It may not be interrupted, and succeeds after the alarm: the answer is lost, the call was made.
  yield* Effect.exit(Effect.uninterruptible(total(Effect.sleep("4 seconds"))))
})

const circuits: Body = Effect.gen(function*() {
  const breaker = yield* policy("payment-service", {
    tripPolicy: CircuitBreaker.failures(5, { within: "1 minute" }),
    openDuration: "30 seconds"
  })
  yield* times(5, breaker.with({ requestId: "abc-123" })(lost))
  yield* Effect.sleep("30 seconds")
  yield* times(1, breaker(lost))
  yield* Effect.sleep("30 seconds")
  yield* breaker(Effect.void)
  const half = { threshold: 0.5, minimumCalls: 4 }
  const kinds = {
    consecutive: CircuitBreaker.consecutive(3),
    rate: CircuitBreaker.failureRate({ ...half, window: "30 seconds" }),
    calls: CircuitBreaker.failureRate({ ...half, window: { calls: 10 } }),
    slow: CircuitBreaker.slowCallRate({ ...half, slowerThan: "2 seconds", window: "1 minute" })
  }
  for (const [name, tripPolicy] of Object.entries(kinds)) {
    const one = yield* policy(name, { tripPolicy })
    yield* times(4, one(name === "slow" ? Effect.sleep("3 seconds") : lost))
  }
})

const byHand: Body = Effect.gen(function*() {
  const breaker = yield* policy("search")
  yield* breaker.isolate
  yield* breaker.reset
  yield* breaker.disable
})

const bulkheads: Body = Effect.gen(function*() {
  const pool = yield* Bulkhead.make({ name: "payment.bulkhead", dependency: "payment", maxConcurrent: 10 })
  const charge = pool.with({ operation: "POST /charges", requestId: "abc-123" })
  const running = yield* Effect.forkAll(Array.from({ length: 10 }, () => charge(Effect.never)))
  yield* Effect.yieldNow()
  yield* Effect.exit(charge(Effect.void))
  yield* Fiber.interrupt(running)
  const queue = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 5, maxWait: "1 second" })
  const holder = yield* Effect.fork(queue(Effect.never))
  yield* Effect.yieldNow()
  yield* Effect.exit(queue(Effect.void))
  yield* Fiber.interrupt(holder)
})

const fallbacks: Body = Effect.gen(function*() {
  const remembered = yield* Fallback.cached({ key: (user: string) => user, capacity: 10, serveFor: "2 hours" })
  const recommendations = Fallback.make({
    name: "recommendations",
    dependency: "recommendations",
    tiers: [remembered.tier, Fallback.value(["popular"], { name: "popular" })]
  })
  const breaker = yield* policy("recommendations", {
    tripPolicy: CircuitBreaker.consecutive(1),
    openDuration: "3 hours",
    maxOpenDuration: "3 hours"
  })
  yield* breaker(Effect.succeed(["lamp"])).pipe(recommendations.with("usr-456"))
  yield* Effect.exit(breaker(lost))
  yield* Effect.sleep("1 hour")
  yield* breaker(Effect.succeed([""])).pipe(recommendations.with("usr-456"), Effect.annotateLogs("user_id", "usr-456"))
  yield* lost.pipe(recommendations.with("usr-789"), Effect.annotateLogs({ user_id: "usr-789", request_id: "abc-123" }))
  const pool = yield* Bulkhead.make({ name: "recommendations", maxConcurrent: 1 })
  yield* pool(pool(Effect.succeed([""]))).pipe(recommendations.with("usr-789"))
  const kinds = (["degrade", "defer", "disable"] as const).map((kind) =>
    Fallback.tier({
      name: kind,
      kind,
      run: () => kind === "degrade" ? Effect.die(new Error("moved away")) : Effect.void
    })
  )
  for (const tiers of [kinds, [kinds[2]!]]) {
    yield* lost.pipe(Fallback.make({ name: "prices", tiers }))
  }
  yield* Effect.exit(Fallback.rehearse([Fallback.make({ name: "prices", tiers: kinds })]))
  yield* Fallback.rehearse([Fallback.orElse(0)])
})

const limits: Body = Effect.gen(function*() {
  const limiter = yield* RateLimiter.make({ name: "api", rate: 1, per: "10 seconds", maximumKeys: 10 })
  const order = limiter.with({ operation: "POST /orders", key: "tenant-7", requestId: "abc-123" })
  yield* times(2, order(Effect.void))
  const trial = yield* RateLimiter.make({ name: "trial", rate: 1, dryRun: true })
  yield* times(2, trial(Effect.void))
})

/** The layer says by itself what it is about to do, and what it did. */
const chaos: Body = Effect.gen(function*() {
  const place = Chaos.make({ name: "payment.chaos", dependency: "payment", answer: () => "nonsense" })
  const charge = Policy.compose(Timeout.make("2 seconds", { dependency: "payment" }), place)
    .with({ operation: "POST /charges", requestId: "abc-123" })
  const faults = [Fault.failure(), Fault.latency("120 millis"), Fault.hang(), Fault.defect(), Fault.answer()]
  for (const fault of faults) {
    yield* Effect.exit(charge(Effect.void)).pipe(Effect.provide(Chaos.layer({ seed: 1, faults: fault })))
  }
})

/** What is only of interest to somebody who looks for something. */
const details: Body = Effect.gen(function*() {
  yield* times(1, attempts(1).with({ operation: "GET /prices" })(lost))
  yield* times(1, attempts(1).with({ operation: "POST /orders", repeatable: false })(lost))
  const pool = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 1 })
  const holder = yield* Effect.fork(pool(Effect.sleep("1 second")))
  yield* Effect.yieldNow()
  yield* pool(Effect.void)
  yield* Fiber.join(holder)
  const breaker = yield* policy("search")
  const late = yield* Effect.fork(breaker(Effect.sleep("1 second")))
  yield* Effect.yieldNow()
  yield* breaker.isolate
  yield* Fiber.join(late)
  const remembered = yield* Fallback.cached({ key: (user: string) => user, capacity: 10, serveFor: "2 hours" })
  yield* lost.pipe(Fallback.tiers(remembered.tier, Fallback.value("")).with("usr-1"))
})

/** The second budget is a throttle that a failure uses up. */
const budget: Body = Effect.gen(function*() {
  const none = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0 })
  const retry = Retry.make({ maxRetries: 1, budget: none, dependency: "payment" })
  yield* times(1, retry(lost))
})

/** Core says these whether anybody listens or not. */
const byCore: Body = Effect.gen(function*() {
  const breaker = yield* policy("payment")
  const charge = breaker.with({ operation: "POST /charges", requestId: "abc-123" })
  yield* times(2, charge(Effect.fail({ _tag: "SqlBusy" })))
  const throwing = yield* policy("search", {
    classify: () => {
      throw new Error("a bug in classify")
    }
  })
  yield* times(1, throwing(lost))
  const died = Timeout.make("1 second", { dependency: "mail" })
  yield* Effect.exit(died(Effect.never.pipe(Effect.ensuring(Effect.die(new Error("a bug in a finalizer"))))))
  const deaf = ResilienceEvent.listen(() => {
    throw new Error("a bug in a listener")
  })
  yield* times(1, died(Effect.void).pipe(deaf))
  const unsure = Fallback.tiers(Fallback.value(0, {
    when: () => {
      throw new Error("a bug in when")
    }
  }))
  yield* times(1, lost.pipe(unsure))
  yield* lost.pipe(Fallback.orElse(0), deaf)
  yield* breaker.isolate.pipe(deaf)
})

describe("ResilienceLog: the lines", () => {
  it.live("are those of the golden file, with their levels and all their fields", () =>
    Effect.gen(function*() {
      const parts: ReadonlyArray<readonly [string, Body, LogLevel.LogLevel?]> = [
        ["Timeouts", timeouts],
        ["Circuit breakers", circuits],
        ["Circuit breakers by hand", byHand],
        ["Bulkheads", bulkheads],
        ["Fallbacks", fallbacks],
        ["Rate limits", limits],
        ["Chaos", chaos],
        ["Retry budgets", budget],
        ["At the level debug", details, LogLevel.Debug],
        ["What core says by itself, once", byCore]
      ]
      const texts = yield* Effect.forEach(parts, ([title, body, level]) =>
        Effect.map(linesOf(body, {}, level), (lines) =>
          [title, `${lines.join("\n")}\n`] as const))
      assertGolden("log-lines", chapters(texts))
    }))
})

describe("ResilienceLog: whose line it is", () => {
  it.live("a line carries the annotations and spans of its call, and the id given with the call goes first", () =>
    Effect.gen(function*() {
      const charge = Timeout.make("1 second", { dependency: "payment" })
      const program = Effect.gen(function*() {
        yield* Effect.exit(charge(Effect.never))
        yield* Effect.exit(charge.with({ requestId: "of-the-call" })(Effect.never))
      })
      const lines = yield* linesOf(program.pipe(
        Effect.withLogSpan("checkout"),
        Effect.annotateLogs({ request_id: "of-the-fiber", user_id: "usr-456" })
      ))
      assert.deepStrictEqual(lines.map((line) => line.replace(/^.*endpoint=payment /, "")), [
        "request_id=of-the-fiber scope=attempt user_id=usr-456 span:checkout",
        "request_id=of-the-call scope=attempt user_id=usr-456 span:checkout"
      ])
    }))

  it.live("an alarm ends a wait in nobody's fiber: the line is that of the call that waited", () =>
    Effect.gen(function*() {
      const pool = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 2, maxWait: "1 second" })
      const lines: Array<string> = []
      yield* Effect.gen(function*() {
        const holder = yield* Effect.fork(pool(Effect.never))
        yield* Effect.yieldNow()
        const send = (user: string) => Effect.fork(Effect.annotateLogs(Effect.exit(pool(Effect.void)), "user_id", user))
        const waiting = yield* Effect.forEach(["usr-1", "usr-2"], send)
        yield* Fiber.join(Fiber.all(waiting))
        yield* Fiber.interrupt(holder)
      }).pipe(Effect.provide(ResilienceLog.layer()), loggedInto(lines))
      assert.deepStrictEqual(lines.map((line) => /reason=waited .*user_id=(.*)$/.exec(line)?.[1]), ["usr-1", "usr-2"])
    }))

  it.live("an event without a fiber is written with what the layer was built with", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const listener = yield* ResilienceLog.make().pipe(Effect.annotateLogs("service", "orders"), loggedInto(lines))
      yield* Effect.sync(() =>
        listener({ _tag: "FallbackRehearsed", at: 0, call: undefined, fallback: "prices", tiers: 1, problems: 0 })
      )
      assert.deepStrictEqual(lines, [
        "INFO Fallback prices rehearsed, every tier answers fallback=prices problems=0 service=orders tiers=1"
      ])
    }).pipe(Effect.scoped))

  it.live("the minimum level of the call decides, and what nobody would see is not counted either", () =>
    Effect.gen(function*() {
      const charge = Timeout.make("1 second", { dependency: "payment" })
      const lines = yield* linesOf(Effect.gen(function*() {
        yield* times(7, charge(Effect.never)).pipe(Logger.withMinimumLogLevel(LogLevel.Error))
        yield* times(1, charge(Effect.never))
      }))
      assert.lengthOf(lines, 1)
    }))

  it.live("levels can be changed by event, None leaves out", () =>
    Effect.gen(function*() {
      const levels = { TimeoutFired: LogLevel.Fatal, CircuitOpened: LogLevel.None, RetryScheduled: LogLevel.Info }
      const lines = yield* linesOf(
        Effect.gen(function*() {
          const breaker = yield* policy("payment", { tripPolicy: CircuitBreaker.consecutive(1) })
          yield* times(1, Policy.compose(breaker, attempts(1), Timeout.make("1 second"))(Effect.never))
        }),
        { levels }
      )
      assert.deepStrictEqual(lines.map((line) => line.split(" ", 3).join(" ")), [
        "FATAL Request to",
        "INFO Retrying payment",
        "FATAL Request to"
      ])
    }))

  it("has no options but these", () => {
    const refused = (options: any): string => {
      const exit = Effect.runSyncExit(Effect.scoped(ResilienceLog.make(options)))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, InvalidOptions)
      return (defect as InvalidOptions).message
    }
    assert.strictEqual(
      refused({ burst: -1, every: 0, levels: { TimeoutFired: "loud" } }),
      "ResilienceLog: burst is -1, allowed is a whole number from 0 to 1000000; every is 0, allowed is a finite duration of " +
        "1ms or more, such as \"2 seconds\"; levels.TimeoutFired is \"loud\", allowed is a LogLevel"
    )
    assert.match(
      refused({ levels: { CallEnded: LogLevel.Info } }),
      /levels.CallEnded is .*unknown field; the fields are Time/
    )
    assert.match(refused({ brst: 1 }), /brst is 1: unknown field/)
    assert.match(refused(null), /options is null/)
  })
})

describe("ResilienceLog: floods", () => {
  const shortened = (lines: ReadonlyArray<string>) => lines.map((line) => line.replace(/ (breaker|attempt)=.*$/, ""))

  it.live("a circuit that refuses thousands of calls makes one line in each period", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(Effect.gen(function*() {
        const breaker = yield* policy("payment", {
          tripPolicy: CircuitBreaker.consecutive(3),
          openDuration: "25 seconds"
        })
        yield* times(3, breaker(lost))
        for (let second = 0; second < 25; second++) {
          yield* times(100, breaker(lost))
          yield* Effect.sleep("1 second")
        }
        yield* breaker(Effect.void)
      }))
      assert.deepStrictEqual(shortened(lines), [
        "ERROR Circuit OPENED for payment",
        "INFO Circuit of payment fails calls fast (1000 in 10s)",
        "INFO Circuit of payment fails calls fast (1000 in 10s)",
        "INFO Circuit HALF-OPEN for payment, testing",
        "INFO Circuit CLOSED for payment (recovered)",
        "INFO Circuit of payment fails calls fast (500 in 10s)"
      ])
    }))

  it.live("of other lines some are written in full; a line says how many more there were, and belongs to no request", () =>
    Effect.gen(function*() {
      const charge = Timeout.make("10 millis", { dependency: "payment" }).with({ operation: "POST /charges" })
      const search = Timeout.make("10 millis", { dependency: "search" })
      const lines = yield* linesOf(
        Effect.gen(function*() {
          yield* times(5, charge(Effect.never))
          yield* times(3, search(Effect.never))
          yield* Effect.sleep("10 seconds")
          yield* times(3, charge(Effect.never))
        }).pipe(Effect.annotateLogs("request_id", "abc-123")),
        { burst: 2 }
      )
      const named = (whom: string, endpoint: string) => whom === endpoint ? whom : `${whom} (${endpoint})`
      const full = (whom: string, endpoint = whom) =>
        `WARN Request to ${named(whom, endpoint)} timed out after 10ms attempt=1/1 dependency=${whom} endpoint=${
          show(endpoint)
        } ` +
        "request_id=abc-123 scope=attempt"
      const summed = (whom: string, more: number, endpoint = whom) =>
        `WARN Request to ${
          named(whom, endpoint)
        } timed out after 10ms (${more} more in 10s) count=${more} dependency=${whom} ` +
        `endpoint=${show(endpoint)} scope=attempt`
      const show = (text: string) => text.includes(" ") ? JSON.stringify(text) : text
      assert.deepStrictEqual(lines, [
        full("payment", "POST /charges"),
        full("payment", "POST /charges"),
        full("search"),
        full("search"),
        summed("payment", 3, "POST /charges"),
        summed("search", 1),
        full("payment", "POST /charges"),
        full("payment", "POST /charges"),
        summed("payment", 1, "POST /charges")
      ])
    }))

  it.live("what reads otherwise is counted apart: by level, by what a limit bounds, by why nothing was tried or admitted", () =>
    Effect.gen(function*() {
      const failing = Effect.gen(function*() {
        const breaker = yield* policy("recommendations", { tripPolicy: CircuitBreaker.consecutive(5) })
        yield* times(105, breaker(lost).pipe(Fallback.orElse("popular")))
      })
      const slow = Effect.gen(function*() {
        yield* times(3, Timeout.make("5 millis", { dependency: "payment" })(Effect.never))
        const total = Timeout.make("10 millis", { dependency: "payment", scope: "total" })
        yield* times(2, total(Effect.never))
        yield* times(2, Deadline.within(total(Effect.never), "3 millis"))
      })
      const givingUp = Effect.gen(function*() {
        const none = yield* RetryBudget.make({ percent: 0, minimumPerSecond: 0 })
        yield* times(2, Retry.make({ maxRetries: 1, dependency: "stock" }).with({ repeatable: false })(lost))
        yield* times(3, Retry.make({ maxRetries: 1, budget: none, dependency: "stock" })(lost))
      })
      const full = Effect.gen(function*() {
        const pool = yield* Bulkhead.make({ name: "mail", maxConcurrent: 1, maxQueue: 1, maxWait: "1 second" })
        const holder = yield* Effect.fork(pool(Effect.never))
        yield* Effect.yieldNow()
        const waiting = yield* Effect.fork(Effect.exit(pool(Effect.void)))
        yield* Effect.yieldNow()
        yield* times(2, pool(Effect.void))
        yield* Fiber.join(waiting)
        yield* Fiber.interrupt(holder)
      })
      const sums = (body: Body, burst: number, level?: LogLevel.LogLevel) =>
        Effect.map(
          linesOf(body, { burst }, level),
          (lines) =>
            lines.filter((line) => line.includes(" in 10s)")).map((line) =>
              line.replace(/ (?:bulkhead|breaker|count)=.*?(?= reason|$)/, "")
            )
        )
      assert.deepStrictEqual(yield* sums(failing, 2), [
        "WARN All attempts to orElse failed, using fallback (3 more in 10s)",
        "INFO Circuit of recommendations fails calls fast (100 in 10s) reason=open",
        "INFO Serving a substitute of recommendations (fallback) (98 more in 10s)"
      ])
      assert.deepStrictEqual(yield* sums(slow, 1), [
        "WARN Request to payment timed out after 5ms (2 more in 10s)",
        "WARN Request to payment timed out after 10ms in all (1 more in 10s)",
        "WARN Request to payment was ended by the deadline of its caller (1 more in 10s)"
      ])
      assert.deepStrictEqual(yield* sums(givingUp, 0, LogLevel.Debug), [
        "DEBUG Not retrying stock: it must not be made twice (2 in 10s) reason=not_repeatable",
        "WARN Not retrying stock: the retry budget is used up (3 in 10s) reason=budget"
      ])
      assert.deepStrictEqual(yield* sums(full, 0), [
        "WARN Pool of mail exhausted, rejecting request (2 in 10s) reason=full",
        "WARN Pool of mail exhausted, rejecting request (1 in 10s) reason=waited"
      ])
    }))

  it.live("nothing grows with names: beyond a thousand pieces in a period the others are counted together", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "api", rate: 1, per: "1 day", maximumKeys: 10_000 })
      const lines = yield* linesOf(
        Effect.gen(function*() {
          for (let key = 0; key < 1500; key++) {
            yield* times(2, limiter.with({ key: `tenant-${key}` })(Effect.void))
          }
        }),
        { burst: 1 }
      )
      // A thousand keys, and one line of all others.
      assert.lengthOf(lines, 1002)
      assert.strictEqual(lines.at(-1), "WARN RateLimitExceeded of others (499 more in 10s) count=499")
    }))

  it.live("a clock that is set back begins a period, and loses no count", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const listener = yield* ResilienceLog.make({ burst: 0 }).pipe(loggedInto(lines))
      const tell = (at: number) =>
        listener({ _tag: "FallbackRehearsed", at, call: undefined, fallback: "prices", tiers: 1, problems: 0 })
      yield* Effect.sync(() => [5000, 6000, 1000, 2000, 11_000].forEach(tell))
      assert.deepStrictEqual(lines.map((line) => /\((.*)\)/.exec(line)?.[1]), ["2 in 10s", "2 in 10s"])
    }).pipe(Effect.scoped))
})
