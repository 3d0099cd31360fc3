import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Deadline from "@holdfast/core/Deadline"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Outcome from "@holdfast/core/Outcome"
import * as Policy from "@holdfast/core/Policy"
import * as RateLimiter from "@holdfast/core/RateLimiter"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as Timeout from "@holdfast/core/Timeout"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { loggedInto } from "./support/logged.js"

class Busy extends Failure.Retryable("Busy")<{}> {}
class Slower extends Failure.Overloaded("Slower")<{}> {}
class CardDeclined extends Failure.Permanent("CardDeclined")<{}> {}
class TierDown extends Failure.Retryable("TierDown")<{ readonly tier: string }> {}

const open = new CircuitBreaker.CircuitOpen({
  policy: "payments.circuitBreaker",
  dependency: "payments",
  reason: "open",
  retryAfter: Duration.seconds(3)
})

/** Runs an effect with a recorder of its events. */
const recording = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const events: Array<ResilienceEvent.ResilienceEvent> = []
  return Effect.map(Effect.exit(ResilienceEvent.listen((event) => events.push(event))(effect)), (exit) => ({
    exit,
    events
  }))
}

const failureOf = <A, E>(exit: Exit.Exit<A, E>): Cause.Cause<E> => {
  if (exit._tag === "Success") {
    throw new Error("it succeeded")
  }
  return exit.cause
}

const failing = (name: string) =>
  Fallback.tier({
    name,
    kind: "degrade",
    run: (): Effect.Effect<number, TierDown> => Effect.fail(new TierDown({ tier: name }))
  })

/** A clock of its own, moved by hand between synchronous runs. */
const timeByHand = () => {
  const world = {
    now: 0,
    run: <A, E>(effect: Effect.Effect<A, E>): A => Effect.runSync(Effect.withClock(effect, clock))
  }
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => world.now,
    unsafeCurrentTimeNanos: () => BigInt(world.now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => world.now),
    currentTimeNanos: Effect.sync(() => BigInt(world.now) * 1_000_000n),
    sleep: () => Effect.never
  }
  return world
}

const invalid = (thunk: () => unknown): string => {
  try {
    thunk()
  } catch (thrown: any) {
    assert.strictEqual(thrown._tag, "InvalidOptions")
    return thrown.message
  }
  throw new Error("nothing was thrown")
}

describe("Fallback", () => {
  describe("the outcome table", () => {
    const ends: Readonly<Record<Outcome.Class, Exit.Exit<number, unknown>>> = {
      Success: Exit.succeed(1),
      Retryable: Exit.fail(new Busy()),
      Overloaded: Exit.fail(new Slower()),
      Permanent: Exit.fail(new CardDeclined()),
      Unclassified: Exit.fail("who knows"),
      Rejected: Exit.fail(open),
      Interrupted: Exit.interrupt(FiberId.none)
    }
    for (const outcome of Outcome.classes) {
      const acts = Outcome.table[outcome].fallback
      it.effect(`${outcome}: a tier ${acts ? "answers" : "stays out of it"}`, () =>
        Effect.gen(function*() {
          const end = ends[outcome]
          const exit = yield* Effect.exit(Fallback.tiers(Fallback.value(0))(end))
          assert.deepStrictEqual(exit, acts ? Exit.succeed(0) : end)
        }))

      it.effect(`${outcome}: \`when\` by this class alone acts on it alone`, () =>
        Effect.gen(function*() {
          const fallback = Fallback.tiers(Fallback.value(0, { when: [outcome] }))
          for (const other of Outcome.classes) {
            const exit = yield* Effect.exit(fallback(ends[other]))
            assert.deepStrictEqual(exit, other === outcome && outcome !== "Success" ? Exit.succeed(0) : ends[other])
          }
        }))
    }

    it.effect("a defect is of no tier's business, with or without a typed failure beside it, whatever a list says", () =>
      Effect.gen(function*() {
        const every = Fallback.tiers(Fallback.value(0, { when: ["Busy", ...Outcome.classes] }))
        for (
          const cause of [
            Cause.die("bug"),
            Cause.sequential(Cause.fail(new Busy()), Cause.die("bug")),
            Cause.parallel(Cause.die("bug"), Cause.fail(new Busy()))
          ]
        ) {
          assert.deepStrictEqual(failureOf(yield* Effect.exit(every(Effect.failCause(cause)))), cause)
          assert.deepStrictEqual(failureOf(yield* Effect.exit(Fallback.orElse(0)(Effect.failCause(cause)))), cause)
        }
      }))

    it.effect("a predicate may take in a defect, because it sees it and says so", () =>
      Effect.gen(function*() {
        const fallback = Fallback.tiers(
          Fallback.value(0, { when: (_, exit) => exit._tag === "Failure" && Cause.isDie(exit.cause) })
        )
        assert.strictEqual(yield* fallback(Effect.die("bug")), 0)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(fallback(Effect.fail("typed")))))
      }))

    it.effect("a tag in `when` widens: a declined card can be answered if somebody asks for it", () =>
      Effect.gen(function*() {
        const fallback = Fallback.tiers(Fallback.value("pay cash", { when: ["CardDeclined"] }))
        assert.strictEqual(yield* fallback(Effect.fail(new CardDeclined())), "pay cash")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(fallback(Effect.fail(new Busy())))))
      }))

    it.effect("the classifier of the fallback decides, and sees values that are failures", () =>
      Effect.gen(function*() {
        const fallback = Fallback.make({
          classify: (exit) =>
            exit._tag === "Success"
              ? (exit.value === 503 ? Outcome.retryable : Outcome.success)
              : Failure.byTag({ Busy: "Permanent" })(exit),
          tiers: [Fallback.value(200)]
        })
        assert.strictEqual(yield* fallback(Effect.succeed(503)), 200)
        assert.strictEqual(yield* fallback(Effect.succeed(404)), 404)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(fallback(Effect.fail(new Busy())))))
      }))

    it.effect("a value that is a failure and that no tier covers is returned as it came", () =>
      Effect.gen(function*() {
        const fallback = Fallback.make({ classify: () => Outcome.retryable, tiers: [failing("only")] })
        assert.strictEqual(yield* fallback(Effect.succeed(503)), 503)
        const answer = yield* Fallback.withSource(fallback)(Effect.succeed(503))
        assert.deepStrictEqual([answer.value, answer.source], [503, "primary"])
      }))
  })

  describe("the hierarchy", () => {
    it.effect("the first tier that answers wins, and the later ones are not run", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const tier = (name: string, end: Effect.Effect<string, string>) =>
          Fallback.tier({ name, kind: "degrade", run: () => Effect.suspend(() => (ran.push(name), end)) })
        const fallback = Fallback.tiers(
          tier("cache", Effect.fail("miss")),
          tier("popular", Effect.succeed("lamp")),
          tier("empty", Effect.succeed("none"))
        )
        assert.strictEqual(yield* fallback(Effect.fail("down")), "lamp")
        assert.deepStrictEqual(ran, ["cache", "popular"])
      }))

    it.effect("a tier that does not act on the failure is passed over", () =>
      Effect.gen(function*() {
        const fallback = Fallback.tiers(
          Fallback.value("closed", { name: "first", when: ["CircuitOpen"] }),
          Fallback.value("slow", { name: "second", when: ["TimedOut"] }),
          Fallback.value("other")
        )
        assert.strictEqual(yield* fallback(Effect.fail(open)), "closed")
        assert.strictEqual(yield* Effect.fail(new Busy()).pipe(fallback), "other")
      }))

    it.effect("H01: a fallback that fails itself leaves the primary error, with its own failures as the sequential cause", () =>
      Effect.gen(function*() {
        const primary = new Busy()
        const exit = yield* Effect.exit(Fallback.tiers(failing("first"), failing("second"))(Effect.fail(primary)))
        const cause = failureOf(exit)
        assert.deepStrictEqual(
          cause,
          Cause.sequential<unknown, unknown>(
            Cause.fail(primary),
            Cause.sequential(
              Cause.fail(new TierDown({ tier: "first" })),
              Cause.fail(new TierDown({ tier: "second" }))
            )
          ) as any
        )
        assert.strictEqual(Option.getOrThrow(Cause.failureOption(cause)), primary)
      }))

    it.effect("H01: a tier that throws or dies is a failed tier: the next one answers, and at the end both are kept", () =>
      Effect.gen(function*() {
        const throws = Fallback.tier({
          name: "throws",
          kind: "degrade",
          run: (): Effect.Effect<number> => {
            throw new Error("refactored away")
          }
        })
        assert.strictEqual(yield* Fallback.tiers(throws, Fallback.value(0))(Effect.fail(open)), 0)
        const cause = failureOf(yield* Effect.exit(Fallback.tiers(throws)(Effect.fail(open))))
        assert.strictEqual(Option.getOrThrow(Cause.failureOption(cause)), open)
        assert.lengthOf([...Cause.defects(cause)], 1)
      }))

    it.effect("H02: the primary and each tier run once for one call, and the primary's failure is seen by its breaker", () =>
      Effect.gen(function*() {
        let primaries = 0
        let tiers = 0
        const breaker = yield* CircuitBreaker.make({ name: "payments" })
        const fallback = Fallback.tiers(
          Fallback.tier({ name: "count", kind: "degrade", run: () => Effect.sync(() => ++tiers) })
        )
        const call = fallback(breaker(Effect.suspend(() => (primaries++, Effect.fail(new Busy())))))
        for (let calls = 1; calls <= 5; calls++) {
          assert.strictEqual(yield* call, calls)
          assert.deepStrictEqual([primaries, tiers], [calls, calls])
        }
        assert.strictEqual((yield* breaker.snapshot).failures, 5)
      }))

    it.effect("H03: null and undefined are values, of the primary and of a tier", () =>
      Effect.gen(function*() {
        for (const nothing of [null, undefined]) {
          const fallback = Fallback.tiers(Fallback.value(nothing))
          assert.strictEqual(yield* fallback(Effect.fail("down")), nothing)
          assert.strictEqual(yield* Fallback.tiers(Fallback.value(1))(Effect.succeed(nothing)), nothing)
          assert.strictEqual(yield* Effect.fail("down").pipe(Fallback.orElse(nothing)), nothing)
          const tier = Fallback.tier({ name: "nothing", kind: "degrade", run: () => Effect.sync(() => nothing) })
          assert.strictEqual(yield* Fallback.tiers(tier)(Effect.fail("down")), nothing)
        }
      }))

    it.effect("H04: a predicate on the result is not matched by an error: it sees the exit, never a missing value", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const fallback = Fallback.tiers(Fallback.value("default", {
          when: (_, exit) => {
            seen.push(exit._tag)
            return exit._tag === "Success" && exit.value === null
          }
        }))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(fallback(Effect.fail("down")))))
        assert.strictEqual(yield* fallback(Effect.succeed(null)), null)
        assert.deepStrictEqual(seen, ["Failure"])
      }))

    it.effect("a tier is given up after 100 ms, or after its own limit, and the next one answers", () =>
      Effect.gen(function*() {
        const slow = Fallback.tier({ name: "slow", kind: "degrade", run: () => Effect.sleep("99 millis") })
        const slower = Fallback.tier({ name: "slower", kind: "degrade", run: () => Effect.sleep("101 millis") })
        const patient = Fallback.tier({
          name: "patient",
          kind: "degrade",
          within: "1 second",
          run: () => Effect.as(Effect.sleep("900 millis"), "patient")
        })
        const first = yield* Effect.fork(Fallback.withSource(Fallback.tiers(slow))(Effect.fail("down")))
        const second = yield* Effect.fork(Fallback.withSource(Fallback.tiers(slower, patient))(Effect.fail("down")))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* first).source, "slow")
        assert.strictEqual((yield* second).source, "patient")
      }))

    it.effect("a tier runs after the deadline of the call too", () =>
      Effect.gen(function*() {
        const tier = Fallback.tier({
          name: "local",
          kind: "degrade",
          run: () => Effect.zipRight(Effect.sleep("50 millis"), Deadline.remaining)
        })
        const call = Effect.never.pipe(Timeout.make("1 second"), Fallback.tiers(tier), Deadline.within("1 second"))
        const fiber = yield* Effect.fork(call)
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("50 millis")
        assert.deepStrictEqual(yield* fiber, Option.none())
      }))

    it.effect("interruption of the caller goes through, and no later tier is started", () =>
      Effect.gen(function*() {
        let later = 0
        const waits = Fallback.tier({ name: "waits", kind: "degrade", run: () => Effect.never })
        const counts = Fallback.tier({ name: "counts", kind: "degrade", run: () => Effect.sync(() => ++later) })
        const fiber = yield* Effect.fork(Fallback.tiers(waits, counts)(Effect.fail("down")))
        yield* Effect.yieldNow()
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.strictEqual(later, 0)
      }))

    it.effect("one fallback serves many calls at once, each with its own failure", () =>
      Effect.gen(function*() {
        const fallback = Fallback.tiers(
          Fallback.tier({ name: "echo", kind: "degrade", run: ({ error }) => Effect.as(Effect.yieldNow(), error) })
        )
        const numbers = Array.from({ length: 200 }, (_, index) => index)
        const fibers = yield* Effect.forEach(numbers, (one) => Effect.fork(fallback(Effect.fail(one))))
        assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), numbers)
      }))

    it.effect("the same protected effect can be run again and again", () =>
      Effect.gen(function*() {
        let calls = 0
        const call = Fallback.tiers(Fallback.value("default"))(
          Effect.suspend(() => ++calls % 2 === 1 ? Effect.fail("down") : Effect.succeed("up"))
        )
        assert.deepStrictEqual([yield* call, yield* call, yield* call], ["default", "up", "default"])
      }))
  })

  describe("catchTags", () => {
    it.effect("handles the error by its tag and lets the others pass", () =>
      Effect.gen(function*() {
        const fallback = Fallback.catchTags({
          CircuitOpen: (error: CircuitBreaker.CircuitOpen) => Effect.succeed(Duration.toMillis(error.retryAfter!)),
          CardDeclined: (_: CardDeclined) => Effect.succeed(-1)
        }, { name: "payments" })
        assert.strictEqual(yield* fallback(Effect.fail(open)), 3000)
        assert.strictEqual(yield* fallback(Effect.fail(new CardDeclined())), -1)
        assert.deepStrictEqual(yield* Effect.exit(fallback(Effect.fail("other"))), Exit.fail("other"))
        assert.strictEqual(fallback.name, "payments")
      }))

    it.effect("H01: a handler that fails leaves the primary error, with its failure as the sequential cause", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(
          Effect.fail(open).pipe(
            Fallback.catchTags({ CircuitOpen: () => Effect.fail(new TierDown({ tier: "redis" })) })
          )
        )
        assert.deepStrictEqual(
          failureOf(exit),
          Cause.sequential<unknown, unknown>(Cause.fail(open), Cause.fail(new TierDown({ tier: "redis" }))) as any
        )
      }))

    it.effect("has no time limit unless it is given one", () =>
      Effect.gen(function*() {
        const slow = { Busy: (_: Busy) => Effect.as(Effect.sleep("1 second"), "late") }
        const patient = yield* Effect.fork(Fallback.catchTags(slow, { name: "slow" })(Effect.fail(new Busy())))
        const strict = yield* Effect.fork(
          Effect.exit(Fallback.catchTags(slow, { name: "slow", within: "999 millis" })(Effect.fail(new Busy())))
        )
        yield* TestClock.adjust("999 millis")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* patient, "late")
        assert.isTrue(Exit.isFailure(yield* strict))
      }))

    it.effect("a tag of the name of a class is a tag", () =>
      Effect.gen(function*() {
        const fallback = Fallback.catchTags({ Retryable: (_: { _tag: "Retryable" }) => Effect.succeed(0) }, {
          name: "odd"
        })
        assert.strictEqual(yield* fallback(Effect.fail({ _tag: "Retryable" as const })), 0)
        assert.deepStrictEqual(yield* Effect.exit(fallback(Effect.fail(new Busy()))), Exit.fail(new Busy()))
      }))
  })

  describe("withSource", () => {
    it.effect("tells the primary's answer from a tier's", () =>
      Effect.gen(function*() {
        const fallback = Fallback.withSource(
          Fallback.tiers(Fallback.value("lamp", { notice: "Showing popular products" }))
        )
        assert.deepStrictEqual(yield* fallback(Effect.succeed("chair")), {
          value: "chair",
          source: "primary",
          age: undefined,
          degraded: false,
          notice: undefined
        })
        assert.deepStrictEqual(yield* fallback(Effect.fail("down")), {
          value: "lamp",
          source: "default",
          age: undefined,
          degraded: true,
          notice: "Showing popular products"
        })
      }))
  })

  describe("cached", () => {
    const make = (options?: Partial<Fallback.CachedOptions<string>>) =>
      Fallback.cached({
        key: (user: string) => user,
        capacity: 10,
        serveFor: "1 hour",
        notice: "From before",
        ...options
      })

    it.effect("serves what the primary answered before, with its age", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const call = Fallback.withSource(Fallback.tiers(cache.tier))
        assert.strictEqual((yield* call.with("u-1")(Effect.succeed("lamp"))).source, "primary")
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* call.with("u-1")(Effect.fail("down")), {
          value: "lamp",
          source: "cached",
          age: Duration.minutes(10),
          degraded: true,
          notice: "From before"
        } as any)
      }))

    it.effect("two users never see each other's answers, however their calls interleave", () =>
      Effect.gen(function*() {
        const cache = yield* make({ capacity: 1000 })
        const fallback = Fallback.tiers(cache.tier)
        const users = Array.from({ length: 50 }, (_, index) => `u-${index}`)
        for (let round = 0; round < 4; round++) {
          const fibers = yield* Effect.forEach(users, (user, index) =>
            Effect.fork(Effect.exit(
              fallback.with(user)(
                Effect.yieldNow().pipe(
                  Effect.zipRight((index + round) % 2 === 0 ? Effect.succeed(user) : Effect.fail("down"))
                )
              )
            )))
          const exits = yield* Effect.forEach(fibers, Fiber.join)
          exits.forEach((exit, index) => {
            if (exit._tag === "Success") assert.strictEqual(exit.value, users[index])
            else assert.strictEqual(round, 0)
          })
        }
      }))

    it.effect("an answer is served up to serveFor and never after", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.tiers(cache.tier)
        yield* fallback.with("u-1")(Effect.succeed("lamp"))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), "lamp")
        yield* TestClock.adjust("1 millis")
        const cause = failureOf(yield* Effect.exit(fallback.with("u-1")(Effect.fail("down"))))
        const [primary, miss] = [...Cause.failures(cause)] as Array<any>
        assert.strictEqual(primary, "down")
        assert.deepStrictEqual([miss._tag, miss.reason], ["CacheMiss", "expired"])
        assert.strictEqual(yield* cache.size, 0)
      }))

    it.effect("serving an answer does not make it younger", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.tiers(cache.tier, Fallback.value("too old"))
        yield* fallback.with("u-1")(Effect.succeed("lamp"))
        for (const expected of ["lamp", "lamp", "too old"]) {
          yield* TestClock.adjust("25 minutes")
          assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), expected)
        }
      }))

    it.effect("within freshFor the answer is not degraded, and the primary is asked all the same", () =>
      Effect.gen(function*() {
        const cache = yield* make({ freshFor: "1 minute" })
        const fallback = Fallback.withSource(Fallback.tiers(cache.tier))
        let asked = 0
        const down = Effect.suspend(() => (asked++, Effect.fail("down")))
        yield* fallback.with("u-1")(Effect.succeed("lamp"))
        yield* TestClock.adjust("1 minute")
        const fresh = yield* fallback.with("u-1")(down)
        assert.deepStrictEqual([fresh.degraded, fresh.notice], [false, undefined])
        yield* TestClock.adjust("1 millis")
        const stale = yield* fallback.with("u-1")(down)
        assert.deepStrictEqual([stale.degraded, stale.notice], [true, "From before"])
        assert.strictEqual(asked, 2)
      }))

    it.effect("keeps no more than its capacity; the least recently used goes first", () =>
      Effect.gen(function*() {
        const cache = yield* make({ capacity: 2 })
        const fallback = Fallback.tiers(cache.tier, Fallback.value("nothing"))
        const down = (user: string) => fallback.with(user)(Effect.fail("down"))
        yield* fallback.with("a")(Effect.succeed("A"))
        yield* fallback.with("b")(Effect.succeed("B"))
        assert.strictEqual(yield* down("a"), "A")
        yield* fallback.with("c")(Effect.succeed("C"))
        assert.deepStrictEqual([yield* down("a"), yield* down("b"), yield* down("c")], ["A", "nothing", "C"])
        for (let index = 0; index < 1000; index++) {
          yield* fallback.with(`u-${index}`)(Effect.succeed("x"))
        }
        assert.strictEqual(yield* cache.size, 2)
      }))

    it.effect("H03: null and undefined are remembered as values", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.tiers(cache.tier, Fallback.value("default"))
        for (const nothing of [null, undefined]) {
          yield* fallback.with("u-1")(Effect.succeed(nothing))
          assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), nothing)
        }
      }))

    it.effect("remembers neither failures, nor answers of tiers, nor values that the classifier calls failures", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.make({
          classify: (exit) =>
            exit._tag === "Success" && exit.value === 503 ? Outcome.retryable : Failure.classify(exit),
          tiers: [cache.tier, Fallback.value(0)]
        })
        assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), 0)
        assert.strictEqual(yield* fallback.with("u-1")(Effect.succeed(503)), 0)
        assert.strictEqual(yield* cache.size, 0)
      }))

    it.effect("of two calls that overlap, the one begun later is remembered", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.tiers(cache.tier)
        const gate = yield* Deferred.make<string>()
        const early = yield* Effect.fork(fallback.with("u-1")(Deferred.await(gate)))
        yield* Effect.yieldNow()
        yield* fallback.with("u-1")(Effect.succeed("new"))
        yield* Deferred.succeed(gate, "old")
        assert.strictEqual(yield* early, "old")
        assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), "new")
      }))

    it.effect("what is forgotten does not come back with a call that was under way", () =>
      Effect.gen(function*() {
        const cache = yield* make()
        const fallback = Fallback.tiers(cache.tier, Fallback.value("nothing"))
        const gate = yield* Deferred.make<string>()
        yield* fallback.with("u-1")(Effect.succeed("first"))
        const early = yield* Effect.fork(fallback.with("u-1")(Deferred.await(gate)))
        yield* Effect.yieldNow()
        yield* cache.forget("u-1")
        yield* Deferred.succeed(gate, "old")
        yield* early
        assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), "nothing")
        yield* cache.remember("u-1")(Effect.succeed("warm"))
        assert.strictEqual(yield* fallback.with("u-1")(Effect.fail("down")), "warm")
        yield* cache.clear
        assert.strictEqual(yield* cache.size, 0)
      }))

    it.effect("a key that throws or is missing is a PolicyFault: the call goes on, nothing is shared", () =>
      Effect.gen(function*() {
        const keys: Array<(user: any) => any> = [
          () => {
            throw new Error("no user")
          },
          () => undefined,
          () => null,
          () => "",
          () => NaN,
          () => ({})
        ]
        for (const key of keys) {
          const cache = yield* make({ key })
          const fallback = Fallback.tiers(cache.tier)
          const { events, exit } = yield* recording(fallback.with("u-1")(Effect.succeed("secret")))
          assert.deepStrictEqual(exit, Exit.succeed("secret"))
          assert.deepStrictEqual(events.map((event) => event._tag), ["PolicyFault"])
          const failed = yield* recording(fallback.with("u-2")(Effect.fail("down")))
          const [, miss] = [...Cause.failures(failureOf(failed.exit) as Cause.Cause<any>)]
          assert.deepStrictEqual([miss._tag, miss.reason], ["CacheMiss", "key"])
        }
      }))

    it.effect("keys of different types are different keys", () =>
      Effect.gen(function*() {
        const cache = yield* Fallback.cached({ key: (id: string | number) => id, capacity: 10, serveFor: "1 hour" })
        const fallback = Fallback.tiers(cache.tier, Fallback.value("nothing"))
        yield* fallback.with(1)(Effect.succeed("number"))
        assert.strictEqual(yield* fallback.with("1")(Effect.fail("down")), "nothing")
      }))
  })

  describe("the cache agrees with its model", () => {
    it("over random histories that took every edge", () => {
      const edges = { served: 0, unknown: 0, expired: 0, evicted: 0, replaced: 0, forgotten: 0 }
      const users = ["a", "b", "c", "d"]
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ act: fc.constant("good" as const), user: fc.constantFrom(...users) }) },
        { weight: 4, arbitrary: fc.record({ act: fc.constant("down" as const), user: fc.constantFrom(...users) }) },
        {
          weight: 2,
          arbitrary: fc.record({ act: fc.constant("wait" as const), millis: fc.integer({ min: 1, max: 90 }) })
        },
        { weight: 1, arbitrary: fc.record({ act: fc.constant("forget" as const), user: fc.constantFrom(...users) }) }
      )
      fc.assert(
        fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (history) => {
          const world = timeByHand()
          // The model: an ordered list, least recently used first.
          let model: Array<{ user: string; value: number; at: number }> = []
          const cache = Effect.runSync(Fallback.cached({ key: (user: string) => user, capacity: 3, serveFor: 100 }))
          const fallback = Fallback.tiers(cache.tier)
          let made = 0
          for (const one of history) {
            if (one.act === "wait") {
              world.now += one.millis
            } else if (one.act === "good") {
              const value = made++
              world.run(fallback.with(one.user)(Effect.succeed(value)))
              if (model.some((entry) => entry.user === one.user)) edges.replaced++
              model = [...model.filter((entry) => entry.user !== one.user), { user: one.user, value, at: world.now }]
              if (model.length > 3) {
                model.shift()
                edges.evicted++
              }
            } else if (one.act === "forget") {
              if (model.some((entry) => entry.user === one.user)) edges.forgotten++
              world.run(cache.forget(one.user))
              model = model.filter((entry) => entry.user !== one.user)
            } else {
              const exit = world.run(Effect.exit(fallback.with(one.user)<number, string, never>(Effect.fail("down"))))
              const entry = model.find((known) => known.user === one.user)
              model = model.filter((known) => known.user !== one.user)
              if (entry !== undefined && world.now - entry.at <= 100) {
                edges.served++
                model.push(entry)
                assert.deepStrictEqual(exit, Exit.succeed(entry.value))
              } else {
                edges[entry === undefined ? "unknown" : "expired"]++
                assert.isTrue(Exit.isFailure(exit))
              }
            }
          }
          assert.strictEqual(world.run(cache.size), model.length)
        }),
        { seed: 20_260, numRuns: 300 }
      )
      for (const [edge, taken] of Object.entries(edges)) {
        assert.isAtLeast(taken, 50, edge)
      }
    })
  })

  describe("events", () => {
    it.effect("tell which tier answered, why, and how old the answer is", () =>
      Effect.gen(function*() {
        const cache = yield* Fallback.cached({
          key: (user: string) => user,
          capacity: 10,
          serveFor: "1 hour",
          name: "lastGood"
        })
        const fallback = Fallback.make({ name: "recommendations", tiers: [failing("popular"), cache.tier] })
        yield* fallback.with("u-1")(Effect.succeed(1))
        yield* TestClock.adjust("30 minutes")
        const { events } = yield* recording(fallback.with("u-1")(Effect.fail(open)))
        assert.deepStrictEqual(events.map((event) => event._tag), ["FallbackFailed", "FallbackServed"])
        const [failed, served] = events as [ResilienceEvent.FallbackFailed, ResilienceEvent.FallbackServed]
        assert.deepStrictEqual([failed.fallback, failed.tier, failed.kind], ["recommendations", "popular", "degrade"])
        assert.deepStrictEqual(
          [served.fallback, served.tier, served.kind, served.reason, served.call?.dependency],
          ["recommendations", "lastGood", "cache", "CircuitOpen", "payments"]
        )
        assert.deepStrictEqual(served.age, Duration.minutes(30) as any)
        assert.isUndefined((served as any).inside)
      }))

    it.effect("the limit around a tier is no call of its own, but what a tier calls is heard", () =>
      Effect.gen(function*() {
        const quiet = Fallback.tier({ name: "quiet", kind: "degrade", run: () => Effect.as(Effect.yieldNow(), 0) })
        assert.deepStrictEqual(
          (yield* recording(Fallback.tiers(quiet)(Effect.fail("down")))).events.map((event) => event._tag),
          ["FallbackServed"]
        )
        const redis = yield* CircuitBreaker.make({ name: "redis" })
        const calls = Fallback.tier({ name: "calls", kind: "cache", run: () => redis(Effect.succeed(0)) })
        assert.includeMembers(
          (yield* recording(Fallback.tiers(calls)(Effect.fail("down")))).events.map((event) => event._tag),
          ["CallEnded", "FallbackServed"]
        )
      }))

    it.effect("the reason of an error without a tag is the class of the outcome", () =>
      Effect.gen(function*() {
        const { events } = yield* recording(Fallback.tiers(Fallback.value(0))(Effect.fail("down")))
        assert.strictEqual((events[0] as ResilienceEvent.FallbackServed).reason, "Unclassified")
      }))

    it.effect("a success, and a failure that no tier acts on, are no events", () =>
      Effect.gen(function*() {
        const fallback = Fallback.tiers(Fallback.value(0))
        assert.deepStrictEqual((yield* recording(fallback(Effect.succeed(1)))).events, [])
        assert.deepStrictEqual((yield* recording(fallback(Effect.fail(new CardDeclined())))).events, [])
      }))

    it.effect("a listener that throws, a predicate that throws and a classifier that throws stop no answer", () =>
      Effect.gen(function*() {
        const boom = () => {
          throw new Error("boom")
        }
        const fallback = Fallback.tiers(Fallback.value(1, { name: "broken", when: boom }), Fallback.value(2))
        assert.strictEqual(yield* ResilienceEvent.listen(boom)(fallback(Effect.fail("down"))), 2)
        const classify = Fallback.make({ classify: boom, tiers: [Fallback.value(3)] })
        const { events, exit } = yield* recording(classify(Effect.fail("down")))
        assert.deepStrictEqual(exit, Exit.succeed(3))
        assert.strictEqual(events[0]?._tag, "PolicyFault")
        assert.strictEqual(yield* classify(Effect.succeed(9)), 9)
      }))

    it.effect("an answer inside a policy says so in its event, and warns once per fallback", () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const logged = loggedInto(warnings)
        const fallback = Fallback.tiers(Fallback.value("default"))
        const breaker = yield* CircuitBreaker.make({ name: "payments" })
        const inside = breaker(fallback(Effect.fail("down")))
        const { events } = yield* recording(logged(Effect.zipRight(inside, inside)))
        const served = events.filter((event) => event._tag === "FallbackServed") as ReadonlyArray<any>
        assert.deepStrictEqual(served.map((event) => event.inside), ["payments", "payments"])
        assert.lengthOf(warnings, 1)
        assert.match(warnings[0]!, /answers inside the policy/)
      }))

    it.effect("a fallback inside a policy that counts no successes is in its place: it says nothing and warns of nothing", () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const logged = loggedInto(warnings)
        const fallback = Fallback.tiers(Fallback.value("default"))
        const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
        const limiter = yield* RateLimiter.make({ name: "l", rate: 100 })
        const breaker = yield* CircuitBreaker.make({ name: "payments" })
        const total = Timeout.make("1 second", { scope: "total" })
        const places: ReadonlyArray<readonly [Policy.Policy<any>, inside: string | undefined]> = [
          [total, undefined],
          [Timeout.make("1 second"), undefined],
          [bulkhead, undefined],
          [limiter, undefined],
          [Retry.make({ maxRetries: 0 }), undefined],
          [Policy.make("traced", (effect) => effect), undefined],
          [Policy.compose(total, limiter, bulkhead), undefined],
          [Retry.make({ maxRetries: 1, name: "again" }), "again"],
          [Policy.compose(total, limiter, breaker, bulkhead), "payments"],
          [Policy.compose(total, Policy.make("traced", (effect) => effect), breaker), "payments"],
          [Policy.compose(total, Retry.make({ maxRetries: 1, name: "again" }), Timeout.make("1 second")), "again"]
        ]
        for (const [policy, inside] of places) {
          const answered = Deadline.within(policy(fallback(Effect.fail("down"))), "1 minute")
          const { events } = yield* recording(logged(answered))
          const served = events.filter((event) => event._tag === "FallbackServed") as ReadonlyArray<any>
          assert.deepStrictEqual(served.map((event) => event.inside), [inside])
        }
        assert.lengthOf(warnings, 1)
        // What a wrapper does around the rest of its policy stands outside of that rest.
        const covered = Policy.compose(total, Policy.make("covered", fallback as (effect: any) => any), breaker)
        const { events } = yield* recording(covered(Effect.fail("down")))
        const served = events.filter((event) => event._tag === "FallbackServed") as ReadonlyArray<any>
        assert.deepStrictEqual(served.map((event) => event.inside), [undefined])
      }))

    it.effect("a fallback outside the policy, or inside a tier of another fallback, is no such case", () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const logged = loggedInto(warnings)
        const inner = Fallback.tiers(Fallback.value("inner"))
        const outer = Fallback.tiers(
          Fallback.tier({ name: "other", kind: "degrade", run: () => Effect.fail("redis").pipe(inner) })
        )
        assert.strictEqual(
          yield* outer(Timeout.make("1 second")(Effect.fail("down"))).pipe(logged),
          "inner"
        )
        assert.deepStrictEqual(warnings, [])
      }))
  })

  describe("defer", () => {
    const quick = Backoff.constant("1 second", { jitter: "none" })

    it.effect("answers pending, and settles the job later", () =>
      Effect.scoped(Effect.gen(function*() {
        const charged: Array<string> = []
        const queue = yield* Fallback.DeferralQueue.make({
          name: "payments",
          capacity: 10,
          settle: (order: string) => Effect.zipRight(Effect.sleep("1 second"), Effect.sync(() => charged.push(order))),
          message: (order) => `Payment of ${order} pending`
        })
        const fallback = Fallback.tiers(Fallback.defer(queue))
        const settlements = yield* Effect.fork(Stream.runCollect(Stream.take(queue.settlements, 2)))
        yield* Effect.yieldNow()
        const first = yield* fallback.with("o-1")(Effect.fail(open))
        const second = yield* fallback.with("o-2")(Effect.fail(open))
        assert.deepStrictEqual([first, second] as Array<unknown>, [
          new Fallback.Pending({ queue: "payments", id: "payments-1", message: "Payment of o-1 pending" }),
          new Fallback.Pending({ queue: "payments", id: "payments-2", message: "Payment of o-2 pending" })
        ])
        assert.strictEqual(yield* queue.pending, 2)
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(charged, ["o-1", "o-2"])
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 2])
        const ends = [...(yield* settlements)].map(({ attempts, exit, id, job }) => [id, job, attempts, exit._tag])
        assert.deepStrictEqual(ends, [["payments-1", "o-1", 1, "Success"], ["payments-2", "o-2", 1, "Success"]])
      })))

    it.effect("QueueFull: a full queue fails its tier, the next one answers, and a place is free once a job has ended", () =>
      Effect.scoped(Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const queue = yield* Fallback.DeferralQueue.make({ capacity: 2, settle: (_: number) => Deferred.await(gate) })
        const fallback = Fallback.tiers(Fallback.defer(queue))
        yield* fallback.with(1)(Effect.fail(open))
        yield* fallback.with(2)(Effect.fail(open))
        yield* Effect.yieldNow()
        const cause = failureOf(yield* Effect.exit(fallback.with(3)(Effect.fail(open))))
        const [primary, full] = [...Cause.failures(cause)] as Array<any>
        assert.strictEqual(primary, open)
        assert.deepStrictEqual([full._tag, full.reason, full.capacity, full.pending], ["QueueFull", "full", 2, 2])
        assert.strictEqual(full.message, "deferred is full: 2 of 2 jobs are pending")
        const both = Fallback.tiers(Fallback.defer(queue), Fallback.disabled("try again later"))
        assert.strictEqual(yield* both.with(3)(Effect.fail(open)), "try again later")
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* queue.offer(3))._tag, "Pending")
      })))

    it.effect("a job that fails is tried again after its delay, behind the others; a permanent failure is its end", () =>
      Effect.scoped(Effect.gen(function*() {
        const tried: Array<string> = []
        let fails = 2
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 10,
          schedule: quick,
          settle: (job: string): Effect.Effect<void, Busy | CardDeclined> =>
            Effect.suspend((): Effect.Effect<void, Busy | CardDeclined> => {
              tried.push(job)
              return job === "declined"
                ? Effect.fail(new CardDeclined())
                : job === "flaky" && fails-- > 0
                ? Effect.fail(new Busy())
                : Effect.void
            })
        })
        for (const job of ["flaky", "declined", "fine"]) {
          yield* queue.offer(job)
        }
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(tried, ["flaky", "declined", "fine"])
        assert.deepStrictEqual((yield* queue.unsettled).map((one) => [one.job, one.attempts]), [["flaky", 1]])
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(tried.slice(3), ["flaky", "flaky"])
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 3])
      })).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.effect("a job waits no shorter than the answer asks for, and ends after maxRetries", () =>
      Effect.scoped(Effect.gen(function*() {
        let tries = 0
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 1,
          maxRetries: 1,
          schedule: quick,
          settle: (_: number) => Effect.suspend(() => (tries++, Effect.fail(open)))
        })
        yield* queue.offer(1)
        yield* TestClock.adjust("2999 millis")
        assert.strictEqual(tries, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(tries, 2)
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 1])
      })).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.effect("with an id the same job is accepted once while it is pending", () =>
      Effect.scoped(Effect.gen(function*() {
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 1,
          id: (order: { id: string }) => order.id,
          drainFor: 0,
          settle: () => Effect.never
        })
        const first = yield* queue.offer({ id: "o-1" })
        assert.strictEqual(yield* queue.offer({ id: "o-1" }), first)
        assert.strictEqual(yield* queue.pending, 1)
        assert.strictEqual((yield* Effect.flip(queue.offer({ id: "o-2" })))._tag, "QueueFull")
      })))

    it.effect("several workers settle several jobs at once, each job once", () =>
      Effect.scoped(Effect.gen(function*() {
        let active = 0
        let most = 0
        const done: Array<number> = []
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 100,
          concurrency: 4,
          settle: (job: number) =>
            Effect.gen(function*() {
              most = Math.max(most, ++active)
              yield* Effect.sleep("1 second")
              active--
              done.push(job)
            })
        })
        const jobs = Array.from({ length: 40 }, (_, index) => index)
        yield* Effect.forEach(jobs, queue.offer)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(most, 4)
        assert.deepStrictEqual([...done].sort((a, b) => a - b), jobs)
      })))

    it.effect("closing the scope tries each job once more, then puts back what is not done, and takes no more", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const tried: Array<string> = []
        const queue = yield* Scope.extend(
          Fallback.DeferralQueue.make({
            capacity: 10,
            drainFor: "5 seconds",
            settle: (job: string): Effect.Effect<void, Busy> =>
              Effect.suspend(() => {
                tried.push(job)
                return job === "hangs" ? Effect.never : job === "busy" ? Effect.fail(new Busy()) : Effect.void
              })
          }),
          scope
        )
        yield* queue.offer("busy")
        yield* TestClock.adjust("1 millis")
        yield* queue.offer("hangs")
        yield* queue.offer("fine")
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("4 seconds")
        assert.isNull(closing.unsafePoll())
        assert.deepStrictEqual((yield* Effect.flip(queue.offer("late"))).reason, "closed")
        yield* TestClock.adjust("1 seconds")
        yield* closing
        const left = (yield* queue.unsettled).map((one) => one.job)
        assert.includeMembers(left, ["hangs"])
        assert.strictEqual((yield* queue.settled) + left.length, 3)
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.effect("closing a queue whose jobs get done waits no longer than they take", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const queue = yield* Scope.extend(
          Fallback.DeferralQueue.make({ capacity: 10, settle: (_: number) => Effect.sleep("100 millis") }),
          scope
        )
        yield* queue.offer(1)
        yield* queue.offer(2)
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("100 millis")
        yield* TestClock.adjust("100 millis")
        yield* closing
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled], [0, 2])
      }))

    it.effect("a job that dies is logged and tried again; one that interrupts itself goes back", () =>
      Effect.scoped(Effect.gen(function*() {
        let tries = 0
        const queue = yield* Fallback.DeferralQueue.make({
          capacity: 1,
          schedule: quick,
          settle: (_: number) =>
            Effect.suspend(() => ++tries === 1 ? Effect.die("bug") : tries === 2 ? Effect.interrupt : Effect.void)
        })
        yield* queue.offer(1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* queue.pending, 1)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* queue.pending, yield* queue.settled, tries], [0, 1, 3])
      })).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  })

  describe("all", () => {
    it.effect("each branch degrades for itself: notice for an important one, silence for an optional one", () =>
      Effect.gen(function*() {
        const { events, exit } = yield* recording(Fallback.all({
          product: Fallback.branch(Effect.succeed("lamp"), { criticality: "critical" }),
          price: Fallback.branch(Effect.succeed(99), { criticality: "important" }),
          stock: Fallback.branch(Effect.fail(open), { criticality: "important", notice: "Likely available" }),
          reviews: Fallback.branch(Effect.fail("down"), { criticality: "optional" }),
          related: Fallback.branch(Fallback.orElse(["chair"])(Effect.fail("down")), { criticality: "optional" })
        }))
        assert.deepStrictEqual(
          exit,
          Exit.succeed({
            product: "lamp",
            price: { value: Option.some(99), source: "primary", age: undefined, degraded: false, notice: undefined },
            stock: {
              value: Option.none(),
              source: "absent",
              age: undefined,
              degraded: true,
              notice: "Likely available"
            },
            reviews: Option.none(),
            related: Option.some(["chair"])
          }) as any
        )
        const served = events as ReadonlyArray<ResilienceEvent.FallbackServed>
        assert.deepStrictEqual(served.map((event) => [event.fallback, event.reason]), [
          ["orElse", "Unclassified"],
          ["stock", "CircuitOpen"],
          ["reviews", "Unclassified"]
        ])
      }))

    it.effect("waits for every branch, then fails with the first critical failure in order", () =>
      Effect.gen(function*() {
        let ended = false
        const page = Fallback.all({
          slow: Fallback.branch(
            Effect.zipRight(
              Effect.sleep("5 seconds"),
              Effect.sync(() => {
                ended = true
              })
            ),
            { criticality: "optional" }
          ),
          product: Fallback.branch(Effect.zipRight(Effect.sleep("2 seconds"), Effect.fail("first")), {
            criticality: "critical"
          }),
          price: Fallback.branch(Effect.fail("second"), { criticality: "critical" })
        })
        const fiber = yield* Effect.fork(Effect.exit(page))
        yield* TestClock.adjust("4 seconds")
        assert.isNull(fiber.unsafePoll())
        yield* TestClock.adjust("1 seconds")
        const cause = failureOf(yield* fiber)
        assert.deepStrictEqual([...Cause.failures(cause)], ["first", "second"])
        assert.isTrue(ended)
      }))

    it.effect("a branch that dies takes no other with it", () =>
      Effect.gen(function*() {
        const page = yield* Fallback.all({
          product: Fallback.branch(Effect.as(Effect.sleep("1 second"), "lamp"), { criticality: "critical" }),
          reviews: Fallback.branch(Effect.die("bug"), { criticality: "optional" }),
          related: Fallback.branch(Effect.interrupt, { criticality: "important" })
        }).pipe(Effect.fork, Effect.tap(() => TestClock.adjust("1 second")), Effect.flatMap(Fiber.join))
        assert.strictEqual(page.product, "lamp")
        assert.isTrue(Option.isNone(page.reviews))
        assert.strictEqual(page.related.notice, "related is not available at the moment")
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    it.effect("interruption of the caller interrupts every branch and waits for their finalizers", () =>
      Effect.gen(function*() {
        let released = 0
        const held = Effect.onInterrupt(
          Effect.never,
          () => Effect.zipRight(Effect.sleep("1 second"), Effect.sync(() => released++))
        )
        const fiber = yield* Effect.fork(Fallback.all({
          a: Fallback.branch(held, { criticality: "critical" }),
          b: Fallback.branch(held, { criticality: "optional" })
        }))
        yield* Effect.yieldNow()
        const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("999 millis")
        assert.isNull(fiber.unsafePoll())
        yield* TestClock.adjust("1 millis")
        assert.isTrue(Exit.isInterrupted(yield* interrupting))
        assert.strictEqual(released, 2)
      }))
  })

  describe("rehearse", () => {
    it.effect("finds the tiers that threw, failed, were too slow or were not reached", () =>
      Effect.gen(function*() {
        const fallback = Fallback.make({
          name: "recommendations",
          tiers: [
            Fallback.tier({
              name: "throws",
              kind: "degrade",
              run: (): Effect.Effect<never> => {
                throw new Error("refactored away")
              }
            }),
            failing("fails"),
            Fallback.tier({ name: "slow", kind: "degrade", run: () => Effect.sleep("1 second") }),
            Fallback.value("fine"),
            Fallback.value("behind", { name: "behind" }),
            Fallback.value("never", { name: "never", when: () => false })
          ]
        })
        const fiber = yield* Effect.fork(Effect.flip(Fallback.rehearse([fallback], { failures: [new Busy()] })))
        yield* TestClock.adjust("1 second")
        const failed = yield* fiber
        assert.strictEqual(failed._tag, "RehearsalFailed")
        assert.deepStrictEqual(failed.findings.map(({ failure, problem, tier }) => [tier, problem, failure]), [
          ["throws", "threw", "Busy"],
          ["fails", "failed", "Busy"],
          ["slow", "tooSlow", "Busy"],
          ["behind", "notReached", undefined],
          ["never", "notReached", undefined]
        ])
        assert.match(failed.message, /recommendations: the tier throws threw after Busy; /)
      }))

    it.effect("is content with tiers that answer, makes up what they act on, and tells of the rehearsal alone", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const fallbacks = [
          Fallback.tiers(
            Fallback.value("tag", { name: "tag", when: ["CardDeclined", "Permanent"] }),
            Fallback.tier({
              name: "sees",
              kind: "degrade",
              run: ({ reason, rehearsal }) => Effect.sync(() => seen.push(`${reason} ${rehearsal}`))
            })
          ),
          Fallback.catchTags({ TimedOut: (_: Timeout.TimedOut) => Effect.succeed(0) }, { name: "slow" }),
          Fallback.orElse(0)
        ]
        const { events, exit } = yield* recording(Fallback.rehearse(fallbacks))
        assert.deepStrictEqual(
          events.map((event) => event._tag === "FallbackRehearsed" && [event.fallback, event.tiers, event.problems]),
          [["tag > sees", 2, 0], ["slow", 1, 0], ["orElse", 1, 0]]
        )
        assert.isTrue(Exit.isSuccess(exit))
        assert.deepStrictEqual(seen, [
          "MadeUpRetryable true",
          "MadeUpOverloaded true",
          "MadeUpFailure true",
          "MadeUpRejected true"
        ])
      }))

    it.effect("an empty cache is no fault, a key that throws is; a queue gets no job", () =>
      Effect.scoped(Effect.gen(function*() {
        const cache = yield* Fallback.cached({ key: (user: { id: string }) => user.id, capacity: 1, serveFor: 1000 })
        const queue = yield* Fallback.DeferralQueue.make({ capacity: 1, settle: (_: { id: string }) => Effect.void })
        const fallback = Fallback.tiers(cache.tier, Fallback.defer(queue))
        yield* Fallback.rehearse([fallback], { input: { id: "u-1" } })
        assert.strictEqual(yield* queue.pending, 0)
        assert.strictEqual(yield* queue.settled, 0)
        const failed = yield* Effect.flip(Fallback.rehearse([fallback]))
        assert.deepStrictEqual([...new Set(failed.findings.map((one) => `${one.tier} ${one.problem}`))], [
          "cached failed"
        ])
      })))
  })

  it.effect("an Option and an Either are values, though they are effects too", () =>
    Effect.gen(function*() {
      for (const value of [Option.none(), Either.right(1)]) {
        assert.strictEqual(
          yield* Effect.fail("down").pipe(Fallback.tiers(Fallback.value<unknown, undefined>(value))),
          value
        )
      }
    }))

  describe("options", () => {
    it("are refused with the field, the value and what is allowed", () => {
      assert.match(invalid(() => Fallback.tiers()), /tiers/)
      assert.match(invalid(() => Fallback.tiers({} as any)), /tiers/)
      assert.match(invalid(() => Fallback.tiers(Fallback.value(1), Fallback.value(2))), /a name for each tier/)
      assert.match(invalid(() => Fallback.make({ tiers: [Fallback.value(1)], nmae: "x" } as any)), /nmae/)
      assert.match(invalid(() => Fallback.tier({} as any)), /name.*kind.*run/)
      assert.match(
        invalid(() => Fallback.tier({ name: "primary", kind: "degrade", run: () => Effect.void })),
        /a name other than/
      )
      assert.match(
        invalid(() => Fallback.tier({ name: "x", kind: "degrade", within: 0, run: () => Effect.void })),
        /within/
      )
      assert.match(
        invalid(() => Fallback.tier({ name: "x", kind: "degrade", wthin: 1, run: () => Effect.void } as any)),
        /wthin/
      )
      assert.match(invalid(() => Fallback.value(1, { when: [] })), /when/)
      assert.match(invalid(() => Fallback.value(Effect.succeed(1))), /value .*an effect.*Fallback\.tier\(/)
      assert.match(invalid(() => Fallback.disabled(() => 1)), /value is a function.*Fallback\.tier\(/)
      assert.match(
        invalid(() => Fallback.orElse((() => Effect.succeed(1)) as any)),
        /a function.*Fallback\.orElse\(effect\)/
      )
      assert.match(invalid(() => Fallback.catchTags({}, { name: "x" })), /cases/)
      assert.match(invalid(() => Fallback.catchTags({ Busy: 1 } as any, { name: "x" })), /cases.Busy/)
      assert.match(invalid(() => Fallback.defer({} as any)), /queue/)
      assert.match(invalid(() => Fallback.withSource({} as any)), /fallback/)
      assert.match(invalid(() => Fallback.branch(Effect.void, { criticality: "vital" as any })), /criticality/)
      assert.match(invalid(() => Fallback.all({ product: Effect.void as any })), /product/)
      assert.match(invalid(() => Fallback.rehearse([Fallback.orElse(1)], { failures: [] })), /failures/)
      assert.match(
        invalid(() => Fallback.rehearse(Fallback.orElse(1) as any)),
        /fallbacks is a function, allowed is a list/
      )
    })

    it.effect("of stateful pieces are a defect when they are made", () =>
      Effect.gen(function*() {
        const cached = failureOf(yield* Effect.exit(Fallback.cached({ serveFor: "1 hour" } as any)))
        assert.match(Cause.pretty(cached), /key.*capacity/)
        const queue = failureOf(
          yield* Effect.exit(
            Effect.scoped(Fallback.DeferralQueue.make({ size: 1 } as any) as Effect.Effect<unknown, never, Scope.Scope>)
          )
        )
        assert.match(Cause.pretty(queue), /size.*capacity.*settle/)
        const backwards = failureOf(
          yield* Effect.exit(Fallback.cached({ key: String, capacity: 1, serveFor: 1, freshFor: 2 }))
        )
        assert.match(Cause.pretty(backwards), /freshFor/)
      }))

    it("a fallback describes itself", () => {
      const fallback = Fallback.make({
        name: "search",
        tiers: [Fallback.disabled([], { notice: "Search is limited" })]
      })
      assert.strictEqual(fallback.name, "search")
      assert.deepStrictEqual(fallback.tiers, [{
        name: "disable",
        kind: "disable",
        when: ["Retryable", "Overloaded", "Unclassified", "Rejected"],
        withinMillis: undefined,
        notice: "Search is limited"
      }])
    })
  })
})
