import { assert, describe, it } from "@effect/vitest"
import * as Chaos from "@holdfast/core/Chaos"
import * as ChaosCheck from "@holdfast/core/ChaosCheck"
import * as ChaosExperiment from "@holdfast/core/ChaosExperiment"
import * as CircuitBreaker from "@holdfast/core/CircuitBreaker"
import * as Fallback from "@holdfast/core/Fallback"
import * as Fault from "@holdfast/core/Fault"
import { InvalidOptions } from "@holdfast/core/Options"
import * as Policy from "@holdfast/core/Policy"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { virtual } from "./support/virtual.js"

const search = Chaos.make({ dependency: "search" })

/** A page that takes 100 ms and shows something else when search is away. */
const page = Effect.delay(Effect.succeed("results"), "100 millis").pipe(
  search,
  Effect.orElseSucceed(() => "categories")
)

const blank = Effect.delay(Effect.succeed("results"), "100 millis").pipe(search)

const shows = (what: string) =>
  ChaosCheck.every(
    `every page shows ${what}`,
    ({ exit }: ChaosCheck.Observation<string, unknown>) => Exit.isSuccess(exit) && exit.value === what
  )

const options: ChaosExperiment.Options<string, unknown> = {
  name: "search is down",
  hypothesis: "If search is down, the page loads all the same, with categories.",
  faults: Fault.failure({ dependency: "search" }),
  steadyState: [shows("results")],
  expect: [shows("categories"), ChaosCheck.within("every page loads within 2 seconds", "2 seconds")],
  probes: 5
}

const on = Effect.provide(Chaos.layer({ seed: 1 }))

const run = (
  changes: Partial<ChaosExperiment.Options<string, unknown>> & { readonly probe?: Effect.Effect<string, unknown> } = {}
) => {
  const { probe = page, ...others } = changes
  return ChaosExperiment.make(probe, { ...options, ...others }).run.pipe(on)
}

describe("A chaos experiment", () => {
  virtual(
    "holds when all that was expected held and the steady state came back; its text tells the five steps",
    (seen) =>
      Effect.gen(function*() {
        const verdict = yield* run()
        assert.deepInclude(verdict, {
          result: "held",
          hits: 5,
          probes: 5,
          recoveredAfter: Duration.zero,
          faults: ["failure in every attempt at search"]
        })
        assert.strictEqual(
          verdict.text,
          [
            "Experiment: search is down",
            "  1. Hypothesis: If search is down, the page loads all the same, with categories.",
            "  2. Steady state",
            "     yes  every page shows results: 5 of 5",
            "  3. Injected: failure in every attempt at search. It hit 5 times",
            "  4. Observed, 5 probes",
            "     yes  every page shows categories: 5 of 5",
            "     yes  every page loads within 2 seconds: the slowest took 0",
            "     The fault was taken out, and the steady state was back at once",
            "  5. Verdict: HELD. All that was expected held, and the steady state came back."
          ].join("\n")
        )
        assert.lengthOf(seen.of("ChaosInjected"), 5)
      })
  )

  virtual("refuses to inject anything into a system that is not healthy", (seen) =>
    Effect.gen(function*() {
      const verdict = yield* run({ steadyState: [shows("results"), shows("a banner")] })
      assert.deepInclude(verdict, { result: "unhealthy", hits: 0, probes: 0, expectations: [] })
      assert.deepStrictEqual(verdict.steadyState.map(({ held, saw }) => [held, saw]), [[true, "5 of 5"], [
        false,
        "0 of 5"
      ]])
      assert.include(verdict.because, "\"every page shows a banner\" (0 of 5). Nothing was injected.")
      assert.lengthOf(seen.of("ChaosInjected"), 0)
      assert.isFalse(seen.logs.some((line) => line.includes("injecting")))
    }))

  virtual("is refuted by an expectation that was not met", () =>
    Effect.gen(function*() {
      const verdict = yield* run({ expect: [shows("results"), shows("categories")] })
      assert.strictEqual(verdict.result, "refuted")
      assert.strictEqual(verdict.because, "It did not hold: \"every page shows results\" (0 of 5).")
    }))

  virtual("is refuted when the steady state does not come back in time", () =>
    Effect.gen(function*() {
      // A breaker that stays open for five minutes.
      const breaker = yield* CircuitBreaker.make({
        name: "search",
        tripPolicy: CircuitBreaker.consecutive(2),
        openDuration: "5 minutes",
        openJitter: 0
      })
      const probe = Effect.succeed("results").pipe(
        Policy.compose(breaker, search),
        Effect.orElseSucceed(() => "categories")
      )
      const short = yield* run({ probe, recoverWithin: "2 minutes" })
      assert.deepInclude(short, { result: "refuted", recoveredAfter: undefined, hits: 2 })
      assert.strictEqual(short.because, "The steady state did not come back within 2m.")
      yield* breaker.reset
      const long = yield* run({ probe, recoverWithin: "6 minutes", longest: "10 minutes" })
      assert.strictEqual(long.result, "held")
      // It opened at the second probe, a second after the first; the last of five probes was made at 4 seconds, and the next at 5.
      assert.strictEqual(Duration.toSeconds(long.recoveredAfter!), 297)
    }))

  virtual("ends at the first condition to abort, and takes the fault out", (seen) =>
    Effect.gen(function*() {
      const verdict = yield* run({
        probe: blank,
        probes: 50,
        abortWhen: [ChaosCheck.moreThan("more than 3 pages are blank", 3, ({ exit }) => Exit.isFailure(exit))]
      })
      assert.deepInclude(verdict, { result: "aborted", probes: 4, hits: 4, recoveredAfter: Duration.zero })
      assert.strictEqual(verdict.because, "The fault was taken out early: more than 3 pages are blank (4 of 4).")
      assert.lengthOf(seen.of("ChaosInjected"), 4)
    }))

  virtual("ends when it takes too long, even in the middle of a probe that hangs", () =>
    Effect.gen(function*() {
      const verdict = yield* run({ probe: blank, faults: Fault.hang(), longest: "30 seconds" })
      assert.deepInclude(verdict, { result: "aborted", probes: 0, hits: 1, recoveredAfter: Duration.zero })
      assert.include(verdict.because, "it took too long")
      const unhealthy = yield* run({ probe: Effect.never, longest: "30 seconds" })
      assert.strictEqual(unhealthy.result, "unhealthy")
    }))

  virtual("that hits nothing has shown nothing", () =>
    Effect.gen(function*() {
      const verdict = yield* run({ faults: Fault.failure({ dependency: "serach" }), expect: [shows("results")] })
      assert.deepInclude(verdict, { result: "inconclusive", hits: 0 })
      assert.include(verdict.because, "The fault hit nothing")
      const off = yield* ChaosExperiment.make(page, options).run.pipe(
        Effect.provide(Chaos.layerConfig()),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
      )
      assert.deepInclude(off, { result: "inconclusive", because: "Chaos is switched off: nothing was injected." })
    }))

  virtual("takes the fault out when it is interrupted", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ChaosExperiment.make(page, { ...options, probes: 1000, longest: "1 hour" }).run)
      yield* Effect.sleep("1010 seconds")
      assert.strictEqual(yield* page, "categories")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* page, "results")
    }).pipe(Effect.provide(Chaos.layer({ seed: 1 }))))

  virtual("sees what the policies told: openings of a circuit, answers of a fallback", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "search",
        tripPolicy: CircuitBreaker.consecutive(3),
        openDuration: "20 seconds",
        openJitter: 0
      })
      const popular = Fallback.make({ name: "search", tiers: [Fallback.value("categories")] })
      const verdict = yield* run({
        probe: Effect.succeed("results").pipe(Policy.compose(breaker, search), popular),
        steadyState: [
          shows("results"),
          ChaosCheck.every("no fallback answers", (one) => one.heard("FallbackServed") === 0)
        ],
        expect: [
          ChaosCheck.check("the circuit opened once", (seen) => seen.heard("CircuitOpened") === 1),
          ChaosCheck.check("the fallback answered every time", (seen) =>
            seen.heard("FallbackServed") === seen.observations.length),
          ChaosCheck.most("most calls were not even made", 0.3, (one) =>
            one.heard("CircuitRejected") > 0)
        ]
      })
      assert.strictEqual(verdict.result, "held", verdict.text)
      assert.strictEqual(verdict.hits, 3)
      assert.isAbove(Duration.toSeconds(verdict.recoveredAfter!), 10)
    }))

  virtual("takes a check that throws for one that does not hold", () =>
    Effect.gen(function*() {
      const throws = ChaosCheck.check("it is looked at", () => {
        throw new Error("cannot look")
      })
      const verdict = yield* run({ expect: [throws], abortWhen: [throws] })
      assert.strictEqual(verdict.result, "refuted")
      assert.include(verdict.because, "the check threw: Error: cannot look")
    }))

  virtual("fails for whoever wants a failure, with the verdict as its message", () =>
    Effect.gen(function*() {
      const held = yield* ChaosExperiment.runOrFail(ChaosExperiment.make(page, options))
      assert.strictEqual(held.result, "held")
      const refuted = ChaosExperiment.make(page, { ...options, expect: [shows("results")] })
      const error = yield* Effect.flip(ChaosExperiment.runOrFail(refuted))
      assert.strictEqual(error._tag, "HypothesisNotHeld")
      assert.strictEqual(error.message, error.verdict.text)
    }).pipe(on))

  virtual("is the same twice: the same seed, the same clock, the same verdict", () =>
    Effect.gen(function*() {
      const flaky = run({
        faults: Fault.latency({ from: 0, to: "3 seconds" }, { probability: 0.5 }),
        expect: [ChaosCheck.within("half of the pages load at once", "150 millis", 0.5)],
        probes: 40
      })
      const [one, other] = [yield* flaky, yield* flaky]
      assert.deepStrictEqual({ ...one }, { ...other })
      assert.isTrue(one.hits > 5 && one.hits < 35, `${one.hits}`)
    }))

  it.effect("runs by the test clock", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        run({ probe: Effect.succeed("results").pipe(search, Effect.orElseSucceed(() => "categories")) })
      )
      yield* TestClock.adjust("1 minute")
      const exit = fiber.unsafePoll()
      assert.isTrue(exit !== null && Exit.isSuccess(exit) && exit.value.result === "held")
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it("refuses an experiment that could show nothing, with all that is wrong at once", () => {
    const wrong = {
      name: "",
      hypothesis: 5,
      faults: [],
      steadyState: [],
      expect: [{}],
      probes: 0,
      every: -1,
      longest: 0,
      prediction: ""
    }
    try {
      ChaosExperiment.make((() => 1) as never, wrong as never)
      assert.fail("it was accepted")
    } catch (error) {
      assert.instanceOf(error, InvalidOptions)
      assert.sameMembers(error.findings.map(({ field }) => field), ["probe", ...Object.keys(wrong)])
    }
    try {
      ChaosExperiment.make(page, { ...options, probes: 300, every: "1 second" })
      assert.fail("it was accepted")
    } catch (error) {
      assert.include(String(error), "longest is \"5 minutes\", allowed is longer than 300 probes take, one every 1s")
    }
  })
})

describe("Checks", () => {
  const seen = (...millis: ReadonlyArray<number>): ChaosCheck.Seen<number, never> => {
    const observations = millis.map((took) => ({
      at: Duration.zero,
      took: Duration.millis(took),
      exit: Exit.succeed(took),
      heard: () => 0
    }))
    return { observations, heard: () => 0 }
  }

  it("say what they saw", () => {
    const slow = ({ took }: ChaosCheck.Observation<unknown, unknown>) => Duration.toMillis(took) > 100
    assert.deepStrictEqual(ChaosCheck.every("", slow).look(seen(200, 300)), { held: true, saw: "2 of 2" })
    assert.deepStrictEqual(ChaosCheck.every("", slow).look(seen(200, 50)), { held: false, saw: "1 of 2" })
    assert.deepStrictEqual(ChaosCheck.most("", 0.5, slow).look(seen(200, 50)), { held: true, saw: "1 of 2" })
    assert.deepStrictEqual(ChaosCheck.most("", 0.6, slow).look(seen(200, 50)), { held: false, saw: "1 of 2" })
    assert.deepStrictEqual(ChaosCheck.moreThan("", 1, slow).look(seen(200, 50)), { held: false, saw: "1 of 2" })
    assert.deepStrictEqual(ChaosCheck.moreThan("", 1, slow).look(seen(200, 150)), { held: true, saw: "2 of 2" })
    assert.deepStrictEqual(ChaosCheck.check("", (all) => all.observations.length > 1).look(seen(1)), {
      held: false,
      saw: "no"
    })
  })

  it("look at the slowest, or at a share of them", () => {
    const hundred = seen(...Array.from({ length: 100 }, (_, index) => index + 1))
    assert.deepStrictEqual(ChaosCheck.within("", 100).look(hundred), { held: true, saw: "the slowest took 100ms" })
    assert.deepStrictEqual(ChaosCheck.within("", 99).look(hundred), { held: false, saw: "the slowest took 100ms" })
    assert.deepStrictEqual(ChaosCheck.within("", 99, 0.99).look(hundred), { held: true, saw: "99 % took 99ms or less" })
    assert.deepStrictEqual(ChaosCheck.within("", 49, 0.5).look(hundred), { held: false, saw: "50 % took 50ms or less" })
  })
})
