import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Health from "@holdfast/core/Health"
import type { DependencyState } from "@holdfast/core/LiveDependency"
import { InvalidOptions } from "@holdfast/core/Options"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Retry from "@holdfast/core/Retry"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import { HealthReader } from "../src/internal/dependencyHealth.js"
import { CircuitRecord, HealthRecord } from "../src/internal/healthRecord.js"
import { assertGolden } from "./support/golden.js"

class Lost extends Failure.Retryable("Lost")<{ readonly message: string }> {}

const lost = Effect.fail(new Lost({ message: "Connection timed out" }))

const start = Date.UTC(2026, 10, 23)

/** A test in virtual time, whose policies are listened to. */
const watching = (
  name: string,
  body: (report: Effect.Effect<Health.Report>) => Effect.Effect<unknown, unknown>,
  options?: Health.Options
) =>
  it.live(name, () =>
    VirtualClock.run(
      Effect.gen(function*() {
        const { listener, report } = yield* Health.make(options)
        yield* body(report).pipe(ResilienceEvent.listen(listener))
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.provide(DependencyRegistry.layer)),
      { start }
    ))

const times = <R>(count: number, effect: Effect.Effect<unknown, unknown, R>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.exit(effect), { discard: true })

const breaker = (name: string, options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({
    name,
    openJitter: 0,
    openDuration: "30 seconds",
    tripPolicy: CircuitBreaker.consecutive(3),
    ...options
  })

const of = ({ dependencies }: Health.Report, name: string): Health.DependencyHealth =>
  dependencies.find(({ dependency }) => dependency === name) ?? assert.fail(`no health of ${name}`)

const seconds = (duration: Duration.Duration | undefined) =>
  duration === undefined ? undefined : Duration.toSeconds(duration)

const problems = (report: Health.Report) => report.problems.map(({ at, problem }) => `${problem} ${at}`)

describe("Health: circuits", () => {
  watching(
    "an open circuit is down: since when, until when, why, how often, how much it matters",
    (read) =>
      Effect.gen(function*() {
        const payment = yield* breaker("payment")
        const charge = payment.with({ criticality: "critical" })
        yield* charge(Effect.void)
        const before = of(yield* read, "payment")
        assert.deepStrictEqual([before.status, before.since, before.says], [
          "healthy",
          undefined,
          "payment is healthy."
        ])
        yield* Effect.sleep("1 minute")
        yield* times(3, charge(lost))
        yield* Effect.sleep("10 seconds")
        const report = yield* read
        assert.strictEqual(report.status, "down")
        const { circuits: [circuit], criticality, retryAfter, since, status } = of(report, "payment")
        assert.deepStrictEqual([status, criticality, since, seconds(retryAfter)], [
          "down",
          "critical",
          start + 60_000,
          20
        ])
        assert.deepStrictEqual({ ...circuit, retryAfter: seconds(circuit!.retryAfter) }, {
          breaker: "payment",
          operation: undefined,
          state: "open",
          since: start + 60_000,
          troubledSince: start + 60_000,
          retryAfter: 20,
          trips: { lastHour: 1, lastDay: 1 },
          because: "3 failures in a row, the last: Connection timed out"
        })
        yield* Effect.sleep("1 minute")
        assert.strictEqual(seconds(of(yield* read, "payment").retryAfter), 0)
      })
  )

  watching(
    "a failed probe begins no new trouble, a successful one ends it; trips are counted once",
    (read) =>
      Effect.gen(function*() {
        const payment = yield* breaker("payment")
        yield* times(3, payment(lost))
        yield* Effect.sleep("30 seconds")
        yield* times(1, payment(lost))
        yield* Effect.sleep("30 seconds")
        const probing = yield* Effect.fork(payment(Effect.sleep("1 second")))
        yield* Effect.yieldNow()
        const half = of(yield* read, "payment")
        assert.deepStrictEqual(
          [half.status, half.circuits[0]!.state, half.since, half.circuits[0]!.since, half.circuits[0]!.trips.lastHour],
          ["degraded", "half_open", start, start + 60_000, 1]
        )
        yield* Fiber.join(probing)
        assert.deepStrictEqual([of(yield* read, "payment").status, (yield* read).status], ["healthy", "healthy"])
      })
  )

  watching("of several breakers with one name the worst is told of", (read) =>
    Effect.gen(function*() {
      const one = yield* breaker("hosts", { openDuration: "1 hour" })
      const two = yield* breaker("hosts", { openDuration: "1 hour" })
      const now = Effect.map(read, (report) => {
        const { circuits, status } = of(report, "hosts")
        return [status, ...circuits.map(({ since, state, troubledSince }) => [state, since, troubledSince])]
      })
      yield* times(3, one(lost))
      yield* Effect.sleep("1 minute")
      yield* times(3, two(lost))
      yield* two.reset
      assert.deepStrictEqual((yield* now).slice(0, 1), ["down"])
      yield* two(Effect.void)
      assert.deepStrictEqual((yield* now).slice(0, 1), ["down"])
      yield* one.reset
      assert.deepStrictEqual(yield* now, ["healthy", ["closed", start + 60_000, undefined]])
      yield* one.isolate
      yield* times(3, two(lost))
      yield* one.reset
      assert.deepStrictEqual(yield* now, ["down", ["open", start + 60_000, start + 60_000]])
      yield* two.reset
      assert.strictEqual((yield* now)[0], "healthy")
    }))

  watching(
    "one that is gone while it was open is forgotten once its time is up and another of its name is called",
    (read) =>
      Effect.gen(function*() {
        yield* times(3, (yield* breaker("remade"))(lost))
        yield* Effect.sleep("1 minute")
        const anew = yield* breaker("remade")
        yield* times(3, anew(lost))
        yield* anew.reset
        assert.strictEqual(of(yield* read, "remade").status, "healthy")
      })
  )

  watching("one that is down takes the whole down only if it is critical", (read) =>
    Effect.gen(function*() {
      for (const criticality of ["optional", "important", "critical"] as const) {
        const one = yield* breaker(criticality)
        yield* times(3, one.with({ criticality })(lost))
        assert.strictEqual((yield* read).status, criticality === "critical" ? "down" : "degraded")
      }
    }))

  watching("what was moved by hand is named until it is moved back", (read) =>
    Effect.gen(function*() {
      const [mail, push] = [yield* breaker("mail"), yield* breaker("push")]
      yield* mail.isolate
      yield* push.disable
      yield* Effect.sleep("3 hours")
      const report = yield* read
      assert.deepStrictEqual([of(report, "mail").status, of(report, "push").status], ["down", "healthy"])
      assert.deepStrictEqual(problems(report), ["isolated mail", "disabled push"])
      yield* mail.reset
      yield* push.reset
      assert.deepStrictEqual(problems(yield* read), [])
    }))

  watching(
    "a breaker that opens five times in a day flaps, one long outage does not",
    (read) =>
      Effect.gen(function*() {
        const [flapping, dead] = [yield* breaker("flapping"), yield* breaker("dead")]
        yield* times(3, dead(lost))
        for (let time = 0; time < 5; time++) {
          assert.deepStrictEqual(problems(yield* read), [])
          yield* times(3, flapping(lost))
          yield* Effect.sleep("30 seconds")
          yield* flapping(Effect.void)
          yield* times(1, dead(lost))
          yield* Effect.sleep("2 hours")
          yield* times(1, dead(lost))
        }
        const report = yield* read
        assert.deepStrictEqual(problems(report), ["flapping-circuit flapping"])
        assert.deepStrictEqual(of(report, "flapping").circuits[0]!.trips, { lastHour: 0, lastDay: 5 })
        assert.deepStrictEqual(of(report, "dead").circuits[0]!.trips, { lastHour: 0, lastDay: 1 })
        yield* Effect.sleep("1 day")
        assert.deepStrictEqual(problems(yield* read), [])
      })
  )

  watching(
    "without a breaker ten failures in a row are down, and one success ends it",
    (read) =>
      Effect.gen(function*() {
        const search = Retry.make({ maxRetries: 0, dependency: "search" })
        yield* times(9, search(lost))
        assert.strictEqual(of(yield* read, "search").status, "healthy")
        yield* times(1, search(lost))
        yield* Effect.sleep("1 minute")
        assert.deepStrictEqual([of(yield* read, "search").status, of(yield* read, "search").since], ["down", start])
        yield* search(Effect.void)
        assert.strictEqual(of(yield* read, "search").status, "healthy")
        // The service itself is no dependency.
        yield* times(10, Retry.make({ maxRetries: 0, dependency: "http.server" })(lost))
        assert.deepStrictEqual((yield* read).dependencies.map(({ dependency }) => dependency), ["search"])
      })
  )
})

describe("Health: fallbacks", () => {
  const prices = Fallback.make({ name: "prices", dependency: "pricing", tiers: [Fallback.value(0, { name: "list" })] })
  const guarded = Retry.make({ maxRetries: 0, dependency: "pricing" })

  watching(
    "one that answers degrades its dependency; after five minutes it is stuck",
    (read) =>
      Effect.gen(function*() {
        yield* guarded(lost).pipe(prices)
        const first = yield* read
        assert.deepStrictEqual([first.status, of(first, "pricing").status], ["degraded", "degraded"])
        for (let minute = 0; minute < 4; minute++) {
          yield* Effect.sleep("1 minute")
          yield* guarded(lost).pipe(prices)
        }
        assert.deepStrictEqual(problems(yield* read), [])
        yield* Effect.sleep("1 minute")
        yield* guarded(lost).pipe(prices)
        const stuck = yield* read
        assert.deepStrictEqual(problems(stuck), ["stuck-fallback prices"])
        const { active, activeFor, lastServed } = of(stuck, "pricing").fallbacks[0]!
        assert.deepStrictEqual([active, seconds(activeFor), lastServed], [true, 300, start + 300_000])
        yield* guarded(Effect.succeed(1)).pipe(prices)
        yield* Effect.sleep("1 minute")
        const well = yield* read
        assert.deepStrictEqual([problems(well), of(well, "pricing").status], [[], "healthy"])
      })
  )

  watching(
    "a fallback that has stopped is told of in the past, from the first good answer of its dependency on",
    (read) =>
      Effect.gen(function*() {
        yield* guarded(lost).pipe(prices)
        yield* Effect.sleep("8 seconds")
        yield* guarded(lost).pipe(prices)
        yield* Effect.sleep("2 seconds")
        assert.include(of(yield* read, "pricing").says, "the fallback prices answers in its place, for 8 s now")
        yield* guarded(Effect.succeed(1)).pipe(prices)
        yield* Effect.sleep("5 seconds")
        const { says, status } = of(yield* read, "pricing")
        assert.strictEqual(status, "degraded")
        assert.include(says, "the fallback prices answered in its place for 8 s, the last time 7 s ago")
        yield* guarded(lost).pipe(prices)
        assert.include(of(yield* read, "pricing").says, "the fallback prices answers in its place, for 15 s now")
      })
  )

  watching("little traffic is no break: it is active until its dependency answers", (read) =>
    Effect.gen(function*() {
      yield* guarded(lost).pipe(prices)
      yield* Effect.sleep("20 minutes")
      yield* guarded(lost).pipe(prices)
      assert.deepStrictEqual(problems(yield* read), ["stuck-fallback prices"])
      yield* guarded(Effect.succeed(1)).pipe(prices)
      yield* Effect.sleep("20 minutes")
      yield* guarded(lost).pipe(prices)
      assert.deepStrictEqual(problems(yield* read), [])
    }))

  watching(
    "one that only now and then answers is not stuck, one that does so all the time is",
    (read) =>
      Effect.gen(function*() {
        for (let second = 0; second < 600; second += 10) {
          // One call in three fails.
          yield* guarded(second % 30 === 0 ? lost : Effect.succeed(1)).pipe(prices)
          yield* Effect.sleep("10 seconds")
        }
        assert.deepStrictEqual(problems(yield* read), ["stuck-fallback prices"])
        yield* Effect.sleep("10 minutes")
        for (let minute = 0; minute < 30; minute++) {
          yield* guarded(minute % 3 === 0 ? lost : Effect.succeed(1)).pipe(prices)
          yield* Effect.sleep("1 minute")
        }
        assert.deepStrictEqual(problems(yield* read), [])
      })
  )

  watching(
    "one that was neither needed nor rehearsed for thirty days is unproven",
    (read) =>
      Effect.gen(function*() {
        yield* Effect.sleep("29 days")
        assert.deepStrictEqual(problems(yield* read), ["unproven-fallback old"])
        yield* Effect.sleep("1 day")
        assert.deepStrictEqual(problems(yield* read), [
          "unproven-fallback prices",
          "unproven-fallback stock",
          "unproven-fallback old"
        ])
        yield* lost.pipe(Fallback.make({ name: "stock", tiers: [Fallback.value(0)] }))
        yield* Fallback.rehearse([prices])
        yield* Fallback.rehearse([Fallback.make({ name: "old", tiers: [Fallback.value(0)] })])
        const report = yield* read
        assert.deepStrictEqual(problems(report), [])
        assert.deepStrictEqual(
          report.fallbacks.map(({ fallback, lastRehearsed, lastServed }) => [fallback, lastServed, lastRehearsed]),
          [
            ["prices", undefined, report.at],
            ["stock", report.at, undefined],
            ["old", undefined, report.at]
          ]
        )
        yield* Effect.sleep("30 days")
        assert.lengthOf(problems(yield* read), 3)
      }),
    {
      fallbacks: [prices, { name: "stock" }, { name: "old" }],
      rehearsed: { old: start - 5 * 86_400_000 }
    }
  )

  watching("a rehearsal that found something is no proof", (read) =>
    Effect.gen(function*() {
      const broken = Fallback.make({
        name: "broken",
        tiers: [Fallback.tier({ name: "x", kind: "degrade", run: () => Effect.fail("moved") })]
      })
      yield* Effect.exit(Fallback.rehearse([broken]))
      yield* times(1, lost.pipe(broken))
      assert.deepStrictEqual(problems(yield* read), ["failing-fallback broken"])
      yield* Effect.sleep("30 days")
      yield* Effect.exit(Fallback.rehearse([broken]))
      assert.deepStrictEqual(problems(yield* read), ["unproven-fallback broken"])
    }))
})

describe("Health of a program", () => {
  class Payments extends Dependency.Service<Payments>()("payments", {
    circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(2), openJitter: 0 },
    retry: { maxRetries: 0 },
    operations: { report: { circuitBreaker: { tripPolicy: CircuitBreaker.consecutive(1) } }, charge: {} }
  }) {}
  class Stock extends Dependency.Service<Stock>()("stock") {}

  const run = <A, E>(body: Effect.Effect<A, E, Payments | Stock | Health.Health>) =>
    VirtualClock.run(
      body.pipe(
        Effect.provide(Layer.mergeAll(Payments.layer, Stock.layer, Health.layer())),
        Effect.provide(DependencyRegistry.layer),
        Effect.withRandom(Random.make("a bad day")),
        Logger.withMinimumLogLevel(LogLevel.None)
      ),
      { start }
    )

  it.live("dependencies of the registry are there before anything happens", () =>
    Effect.gen(function*() {
      const { dependencies, status } = yield* run(Effect.flatMap(Health.Health, ({ report }) => report))
      assert.deepStrictEqual(dependencies.map(({ dependency, status }) => [dependency, status]), [
        ["payments", "healthy"],
        ["stock", "healthy"]
      ])
      assert.deepStrictEqual(
        dependencies[0]!.circuits.map(({ breaker, operation, state }) => [breaker, operation, state]),
        [
          ["payments.circuitBreaker", undefined, "closed"],
          ["payments.report.circuitBreaker", "report", "closed"]
        ]
      )
      assert.strictEqual(status, "healthy")
    }))

  it.live("one operation that is cut off degrades; the breaker of all takes down; what is switched off is not there", () =>
    run(Effect.gen(function*() {
      const { report } = yield* Health.Health
      yield* times(1, lost.pipe(Payments.call({ operation: "report" })))
      const one = of(yield* report, "payments")
      assert.deepStrictEqual(
        [one.status, one.retryAfter, one.circuits.map(({ state, trips }) => [state, trips.lastHour])],
        ["degraded", undefined, [["closed", 0], ["open", 1]]]
      )
      yield* times(2, lost.pipe(Payments.call({ operation: "charge", criticality: "critical" })))
      yield* Effect.sleep("12 seconds")
      const both = of(yield* report, "payments")
      assert.deepStrictEqual([both.status, seconds(both.retryAfter), both.criticality], ["down", 18, "critical"])
      yield* DependencyRegistry.reconfigure("payments", {
        circuitBreaker: false,
        operations: { report: { circuitBreaker: false } }
      })
      assert.deepStrictEqual(of(yield* report, "payments").circuits, [])
    })))

  it.live("says in sentences what somebody who was woken needs to know", () =>
    Effect.gen(function*() {
      const text = yield* run(
        Effect.gen(function*() {
          const { report } = yield* Health.Health
          const texts: Array<string> = []
          const say = (title: string) =>
            Effect.map(report, ({ dependencies, problems, status }) => {
              const lines = [...dependencies, ...problems].map(({ says }) => `  ${says}`)
              texts.push(`${title}: ${status}\n${lines.join("\n")}\n`)
            })
          yield* say("Nothing happened")
          const charge = Payments.call({ operation: "charge", criticality: "critical" })
          const later = Fallback.make({
            name: "pay later",
            dependency: "payments",
            tiers: [Fallback.value("pending", { when: ["CircuitOpen"] })]
          })
          yield* times(2, lost.pipe(charge))
          yield* Effect.sleep("12 seconds")
          yield* lost.pipe(charge, later)
          yield* say("Payments got lost")
          for (let minute = 0; minute < 7; minute++) {
            yield* Effect.exit(lost.pipe(charge, later))
            yield* Effect.exit(lost.pipe(charge, later))
            yield* Effect.sleep("1 minute")
          }
          yield* Effect.forkScoped(Effect.exit(Effect.never.pipe(charge)))
          yield* Effect.yieldNow()
          yield* say("Seven minutes later, a probe is on its way")
          yield* Effect.sleep("1 minute")
          for (let time = 0; time < 5; time++) {
            yield* Effect.sleep("5 minutes")
            yield* Effect.exit(Effect.void.pipe(charge))
            yield* times(2, lost.pipe(charge))
          }
          yield* times(1, lost.pipe(Payments.call({ operation: "report" })))
          yield* DependencyRegistry.isolate("stock")
          yield* Effect.sleep("3 hours")
          yield* say("After a bad day")
          yield* DependencyRegistry.reset("stock")
          yield* DependencyRegistry.disable("stock")
          yield* DependencyRegistry.reset("payments")
          const broken = Fallback.make({
            name: "stock",
            dependency: "stock",
            tiers: [Fallback.tier({ name: "x", kind: "degrade", run: () => Effect.fail(new Error("no such table")) })]
          })
          yield* times(10, Stock.call(lost).pipe(broken))
          yield* Effect.sleep("90 seconds")
          yield* say("Payments back by hand, stock disabled and failing")
          yield* Effect.sleep("31 days")
          yield* say("A month later")
          return texts.join("\n")
        }).pipe(Effect.scoped)
      )
      assertGolden("health", text)
    }))

  it("is read in proportion to the number of dependencies: each row is looked at as often in many as in few", () => {
    const looks = (count: number): number => {
      let looks = 0
      const watched = <A extends { readonly dependency: string }>(row: A): A => {
        const { dependency } = row
        return Object.defineProperty(row, "dependency", {
          get: () => {
            looks++
            return dependency
          }
        })
      }
      const record = new HealthRecord(count, [])
      const names = Array.from({ length: count }, (_, place) => `d${place}`)
      for (const name of names) record.circuits.set(name, watched(new CircuitRecord(name, `${name}.own`)))
      const limits = { stuckMillis: 1, unprovenMillis: 1, flappingAt: 1, rehearsed: {} }
      const { dependencies } = new HealthReader(record, limits, 0, 0).read(
        names.map((dependency) => watched({ dependency, operations: {} } as DependencyState))
      )
      assert.deepStrictEqual(dependencies.map(({ circuits }) => circuits.length), names.map(() => 1))
      return looks
    }
    assert.strictEqual(looks(80), 8 * looks(10))
  })

  it("has no options but these", () => {
    const refused = (options: any): string => {
      const exit = Effect.runSyncExit(Health.make(options))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, InvalidOptions)
      return (defect as InvalidOptions).message
    }
    const wrong = {
      fallbacks: [1],
      rehearsed: { prices: "yesterday" },
      stuckAfter: 0,
      unprovenAfter: "soon",
      flappingAt: 65,
      capacity: 0,
      own: [1]
    }
    assert.match(
      refused(wrong),
      /fallbacks is \[1\].*rehearsed.prices is "yesterday".*stuckAfter is 0.*unprovenAfter is "soon".*flappingAt is 65.*capacity is 0.*own is \[1\]/
    )
    for (const at of [1.7e18, Infinity, NaN, -1]) {
      assert.match(
        refused({ rehearsed: { prices: at } }),
        /rehearsed.prices is .*, allowed is a number from 0 to 86400/
      )
    }
    assert.match(refused({ stuck: 1 }), /stuck is 1: unknown field/)
  })

  watching("follows what is declared, whatever else has filled its capacity", (read) =>
    Effect.gen(function*() {
      class Kept extends Dependency.Service<Kept>()("health.kept") {}
      for (let tenant = 0; tenant < 20; tenant++) {
        yield* Retry.make({ maxRetries: 0, dependency: `d${tenant}` })(Effect.void)
      }
      yield* Effect.provide(Kept.call(Effect.void), Kept.layer)
      const { dependencies } = yield* read
      assert.include(dependencies.map(({ dependency }) => dependency), "health.kept")
    }), { capacity: 3 })

  watching("follows no more than its capacity", (read) =>
    Effect.gen(function*() {
      for (let one = 0; one < 20; one++) {
        yield* Retry.make({ maxRetries: 0, dependency: `d${one}` })(Effect.void)
        yield* (yield* breaker(`b${one}`)).isolate
        yield* lost.pipe(Fallback.make({ name: `f${one}`, tiers: [Fallback.value(0)] }))
      }
      const { dependencies, fallbacks } = yield* read
      assert.deepStrictEqual([dependencies.length, fallbacks.length], [6, 3])
    }), { capacity: 3 })
})
