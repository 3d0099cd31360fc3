import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "@holdfast/core/Backoff"
import * as Bulkhead from "@holdfast/core/Bulkhead"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Dependency from "@holdfast/core/Dependency"
import * as DependencyRegistry from "@holdfast/core/DependencyRegistry"
import * as Diagnosis from "@holdfast/core/Diagnosis"
import * as Failure from "@holdfast/core/Failure"
import * as Fallback from "@holdfast/core/Fallback"
import * as Figures from "@holdfast/core/Figures"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as ResilienceEvent from "@holdfast/core/ResilienceEvent"
import * as Timeout from "@holdfast/core/Timeout"
import * as VirtualClock from "@holdfast/testkit/VirtualClock"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import { assertGolden, chapters } from "./support/golden.js"

class Down extends Failure.Retryable("Down")<{}> {}

type Call = Effect.Effect<unknown, unknown>

/** What the figures of a day show, whose events are all that is looked at. */
const diagnosed = (day: Call, options?: Diagnosis.Options) =>
  VirtualClock.run(
    Effect.gen(function*() {
      const figures = yield* Figures.make()
      yield* (day as Effect.Effect<unknown, unknown>).pipe(
        ResilienceEvent.listen(figures.listener),
        Effect.withRandom(Random.make("a day"))
      )
      return Diagnosis.fromSnapshot(yield* figures.snapshot, options)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.provide(DependencyRegistry.layer)),
    { start: 1_000_000 }
  )

/** So many calls a second for so long; waits for the last. */
const load = <R>(perSecond: number, seconds: number, call: (seconds: number) => Effect.Effect<unknown, unknown, R>) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    for (let sent = 0; sent < perSecond * seconds; sent++) {
      const at = (yield* Clock.currentTimeMillis) - start
      fibers.push(yield* Effect.fork(Effect.exit(call(at / 1000))))
      yield* Effect.sleep(1000 / perSecond)
    }
    yield* Effect.forEach(fibers, Fiber.join, { discard: true })
  })

/** Answers after so many seconds. */
const after = (seconds: number): Effect.Effect<string> => Effect.delay(Effect.succeed("answer"), seconds * 1000)

const down = Effect.delay(Effect.fail(new Down()), "50 millis")

/** Any policy of the standard stack, whatever the types of its slots. */
const standard = (name: string, options: Policy.StandardOptions = {}): Effect.Effect<Policy.Policy<unknown>> =>
  Policy.standard(name, options as {})

const covered = (dependency: string) =>
  Fallback.make({ name: dependency, dependency, tiers: [Fallback.value("a default")] })

// -- a day for each symptom --------------------------------------------------

/** Payment answers in 0.2 s, then in 30 s, and nothing bounds the wait. */
const slow = Effect.gen(function*() {
  const payment = yield* standard("payment", { totalTimeout: false, attemptTimeout: false, retry: false })
  yield* load(2, 120, (second) => payment.with({ operation: "POST /charges" })(after(second < 20 ? 0.2 : 30)))
})

/** Every place of the bulkhead is held by a call that never ends. */
class Ledger extends Dependency.Service<Ledger>()("ledger", {
  totalTimeout: false,
  attemptTimeout: false,
  circuitBreaker: false,
  retry: false,
  bulkhead: { maxConcurrent: 5 }
}) {}

const hangs = Effect.gen(function*() {
  const entry = Ledger.call({ operation: "POST /entries", criticality: "critical" })
  const sent = yield* Effect.fork(load(1, 30, (second) => entry(second < 3 ? after(0.1) : Effect.never)))
  yield* Effect.sleep("29 seconds")
  const findings = yield* Diagnosis.now()
  yield* Fiber.interrupt(sent)
  return findings
}).pipe(Effect.provide(Ledger.layer))

/** One call in twenty fails, and the next one works. */
const blips = Effect.gen(function*() {
  const catalogue = yield* standard("catalogue", { retry: false })
  let sent = 0
  const get = catalogue.with({ operation: "GET /products/:id", criticality: "critical" })
  yield* load(5, 60, () => get(++sent % 20 === 0 ? down : after(0.05)))
})

/** Down for six minutes, and nothing opens. */
const dead = Effect.gen(function*() {
  const orders = yield* standard("orders", { circuitBreaker: false })
  yield* load(1, 420, (second) => orders(second < 30 || second > 390 ? after(0.05) : down).pipe(covered("orders")))
})

/** One pool for all that the server does, and payment gets slow. */
const shared = Effect.gen(function*() {
  const workers = yield* Bulkhead.make({ name: "workers", dependency: "backend", maxConcurrent: 20 })
  const backend = Policy.compose(workers, Timeout.make("4 seconds"))
  const charge = backend.with({ operation: "POST /charges", criticality: "critical" })
  const page = backend.with({ operation: "GET /catalogue", criticality: "critical" })
  yield* Effect.all([
    load(10, 30, (second) => charge(after(second < 10 ? 0.2 : 30))),
    load(10, 30, () => page(after(0.03)))
  ], { concurrency: 2 })
})

/** All defences but one: there is nothing to show. */
const bare = Effect.gen(function*() {
  const search = yield* standard("search")
  yield* load(5, 60, (second) => search(second < 20 || second > 40 ? after(0.05) : down))
})

/** A hundred clients fail at once, and come back at once. */
const storm = Effect.gen(function*() {
  const sms = yield* standard("sms", {
    circuitBreaker: false,
    retry: { maxRetries: 2, schedule: Backoff.exponential("1 second", { jitter: "none" }), budget: false }
  })
  const send = sms.with({ operation: "POST /messages" })(down).pipe(covered("sms"))
  yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(send), { concurrency: 100, discard: true })
})

/** The breaker stands inside the retry. */
const inside = Effect.gen(function*() {
  const stock = yield* standard("stock", {
    circuitBreaker: { scope: "attempt", tripPolicy: CircuitBreaker.consecutive(5) },
    retry: { maxRetries: 2 }
  })
  yield* load(1, 10, (second) => stock(second < 8 ? after(0.05) : down).pipe(covered("stock")))
})

/** Five attempts of five seconds, and ten seconds are promised. */
const patient = Effect.gen(function*() {
  const reports = yield* standard("reports", {
    totalTimeout: false,
    attemptTimeout: "5 seconds",
    circuitBreaker: false,
    retry: { maxRetries: 4, schedule: Backoff.constant("1 second", { jitter: "none" }), budget: false }
  })
  yield* load(1, 10, () => reports.with({ operation: "GET /reports/:id" })(after(60)).pipe(covered("reports")))
})

const codes = (findings: ReadonlyArray<Diagnosis.Finding>) => findings.map(({ code }) => code)

describe("Diagnosis", () => {
  it.live(
    "names each of the eight symptoms from a run against a policy that has it, and no other",
    () =>
      Effect.gen(function*() {
        const days: ReadonlyArray<readonly [code: string, title: string, day: Call]> = [
          ["no-timeout", "Payment gets slow, and no timeout bounds the wait", slow],
          ["no-retry", "One call in twenty fails, and there is no retry", blips],
          ["no-circuit-breaker", "A dependency is down for six minutes, and no breaker opens", dead],
          ["shared-pool", "One bulkhead around everything, and payment gets slow", shared],
          ["no-fallback", "Every defence but a fallback", bare],
          ["no-jitter", "A hundred clients that fail together, without jitter", storm],
          ["retries-counted", "The breaker inside the retry", inside],
          ["beyond-promise", "Five attempts of five seconds, ten seconds promised", patient]
        ]
        const texts = yield* Effect.forEach(days, ([code, title, day]) =>
          Effect.map(diagnosed(day), (findings) => {
            assert.deepStrictEqual(codes(findings), [code], title)
            return [title, Diagnosis.format(findings)] as const
          }))
        assert.deepStrictEqual(codes(Diagnosis.taxonomy as any), days.map(([code]) => code))
        assertGolden("diagnosis", chapters(texts))
      }),
    60_000
  )

  it.live("sees calls that never end in a bulkhead of the registry that stays full", () =>
    Effect.gen(function*() {
      const findings = yield* VirtualClock.run(hangs.pipe(
        Effect.provide(Figures.layer()),
        Effect.provide(DependencyRegistry.layer),
        Logger.withMinimumLogLevel(LogLevel.None)
      ))
      assert.deepStrictEqual(codes(findings), ["no-timeout"])
      assert.strictEqual(
        findings[0]!.because,
        "all 5 places are taken, 21 calls were refused, none that was let in has ended for 26.9 s, and nothing will end them"
      )
    }))

  it.live(
    "says nothing when nothing is wrong, and nothing of an outage that the defences held",
    () =>
      Effect.gen(function*() {
        const day = (sick: Effect.Effect<unknown, unknown>) =>
          Effect.gen(function*() {
            const payment = yield* standard("payment", { bulkhead: { maxConcurrent: 50 } })
            const charge = payment.with({ operation: "POST /charges" })
            yield* load(
              10,
              240,
              (second) => charge(second < 30 || second > 200 ? after(0.2) : sick).pipe(covered("payment"))
            )
          })
        for (const sick of [after(0.2), after(30), Effect.never, down]) {
          const findings = yield* diagnosed(day(sick))
          assert.strictEqual(Diagnosis.format(findings), "No symptom.\n")
        }
      }),
    60_000
  )

  it.live("what the service refuses by itself is no dependency that fails", () =>
    Effect.gen(function*() {
      const day = (name: string) =>
        Effect.flatMap(standard(name), (policy) => load(2, 20, (second) => policy(second > 10 ? down : after(0.05))))
      assert.deepStrictEqual(codes(yield* diagnosed(day("http.server"))), [])
      assert.deepStrictEqual(codes(yield* diagnosed(day("http.server"), { own: [] })), ["no-fallback"])
      assert.deepStrictEqual(codes(yield* diagnosed(day("grpc.server"), { own: ["grpc.server"] })), [])
    }))

  it.live("a promise can be given for all and for single dependencies", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(codes(yield* diagnosed(patient, { sla: "30 seconds" })), [])
      assert.deepStrictEqual(codes(yield* diagnosed(patient, { sla: "1 minute", slaOf: { reports: "5 seconds" } })), [
        "beyond-promise"
      ])
      assert.deepStrictEqual(codes(yield* diagnosed(patient, { slaOf: { reports: "1 minute" } })), [])
    }))

  it.live("is short of figures silent", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* diagnosed(Effect.void), [])
      assert.deepStrictEqual(
        yield* diagnosed(Effect.flatMap(standard("search"), (search) => Effect.exit(search(Effect.die("bug"))))),
        []
      )
    }))

  it.effect("has no options but these", () =>
    Effect.gen(function*() {
      const { snapshot } = yield* Figures.make()
      const empty = yield* snapshot
      const refused = (options: any): string => {
        try {
          Diagnosis.fromSnapshot(empty, options)
        } catch (defect) {
          assert.instanceOf(defect, InvalidOptions)
          return (defect as InvalidOptions).message
        }
        return assert.fail("the options were taken")
      }
      assert.match(
        refused({ sla: 0, blip: "soon", slaOf: { reports: -1 } }),
        /sla is 0.*slaOf.reports is -1.*blip is "soon"/
      )
      assert.match(refused({ slo: 1 }), /slo is 1: unknown field/)
      assert.match(refused({ own: "http.server" }), /own is "http.server", allowed is a list of names/)
      assert.match(refused({ slaOf: [] }), /a record/)
    }))
})
