import { assert, describe, it } from "@effect/vitest"
import * as Chaos from "@holdfast/core/Chaos"
import * as Fault from "@holdfast/core/Fault"
import * as Policy from "@holdfast/core/Policy"
import * as Retry from "@holdfast/core/Retry"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import { Arrivals, delayOf, draw } from "../src/internal/chaosDraw.js"
import { virtual } from "./support/virtual.js"

const place = Chaos.make({ dependency: "payments" })
const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

describe("The dice of chaos", () => {
  it("give the same number for the same words, and another for any other", () => {
    assert.strictEqual(draw("7", "payments", 1), draw("7", "payments", 1))
    const others = [
      draw("8", "payments", 1),
      draw("7", "payment", 1),
      draw("7", "payments", 2),
      draw("7", "payments", 11)
    ]
    const borders = [draw("7p", "ayments", 1), draw("7", "payments1"), draw("7", "payments", "1", "")]
    assert.strictEqual(new Set([draw("7", "payments", 1), ...others, ...borders]).size, 8)
  })

  it("stay the same from release to release: a seed in a ticket must replay", () => {
    assert.deepStrictEqual([draw("7", "payments", 1), draw("monday", "search", 2, 0, 0, "request", "r-1")], [
      0.19984561196506856,
      0.10824220667450346
    ])
  })

  it("are even, for running numbers as for random words", () => {
    const bins = new Array<number>(20).fill(0)
    for (let index = 0; index < 40_000; index++) {
      const drawn = draw("seed", "payments", 1, 0, 0, "arrival", "", index)
      assert.isTrue(drawn >= 0 && drawn < 1)
      bins[Math.floor(drawn * 20)]!++
    }
    // Chi-square with 19 degrees of freedom: above 43.8 once in a thousand.
    assert.isBelow(bins.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0), 43.8)
  })

  it("are independent of each other for neighbours: calls, attempts, rules, draws", () => {
    const correlation = (one: (index: number) => number, other: (index: number) => number) => {
      let sum = 0
      for (let index = 0; index < 20_000; index++) sum += (one(index) - 0.5) * (other(index) - 0.5)
      return sum / 20_000 * 12
    }
    const at = (attempt: number, rule: number, which: number, shift: number) => (index: number) =>
      draw("seed", "payments", attempt, rule, which, "request", `r-${index + shift}`)
    for (const other of [at(2, 0, 0, 0), at(1, 1, 0, 0), at(1, 0, 1, 0), at(1, 0, 0, 1)]) {
      assert.isBelow(Math.abs(correlation(at(1, 0, 0, 0), other)), 0.03)
    }
  })

  it("spread a latency evenly, or around its mean and within its bounds", () => {
    const delays = (fault: Fault.Fault) =>
      Array.from({ length: 20_000 }, (_, index) => delayOf(fault.spread!, (which) => draw("seed", which, index)))
    const mean = (values: ReadonlyArray<number>) => values.reduce((sum, one) => sum + one, 0) / values.length
    const even = delays(Fault.latency({ from: 100, to: 300 }))
    assert.isTrue(even.every((one) => one >= 100 && one < 300))
    assert.approximately(mean(even), 200, 2)
    const normal = delays(Fault.latency({ mean: 1000, deviation: 200, largest: 1500 }))
    assert.approximately(mean(normal), 1000, 10)
    assert.approximately(Math.sqrt(mean(normal.map((one) => (one - mean(normal)) ** 2))), 200, 10)
    assert.strictEqual(Math.max(...normal), 1500)
    assert.strictEqual(Math.min(...delays(Fault.latency({ mean: 10, deviation: 100 }))), 0)
    assert.isAtMost(Math.max(...delays(Fault.latency({ mean: 10, deviation: 100 }))), 410)
  })

  it("number arrivals by key, and forget the oldest of too many", () => {
    const arrivals = new Arrivals()
    assert.deepStrictEqual([arrivals.next("a"), arrivals.next("b"), arrivals.next("a")], [1, 1, 2])
    for (let index = 0; index < 10_000; index++) arrivals.next(`key ${index}`)
    assert.deepStrictEqual([arrivals.next("key 9999"), arrivals.next("b")], [2, 1])
  })
})

/** The faults that each of many calls meets, made at once in a shuffled order. */
const fates = (seed: number, order: number, factsOf: (index: number) => object) =>
  Effect.gen(function*() {
    const policy = Policy.compose(Retry.make({ maxRetries: 3 }), place)
    const met: Array<string> = []
    const call = (index: number) =>
      Effect.gen(function*() {
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 1000))
        const exit = yield* Effect.exit(policy.with(factsOf(index))(Effect.void))
        met[index] = exit._tag
      })
    yield* Effect.forEach(Array.from({ length: 60 }, (_, index) => index), call, { concurrency: "unbounded" })
    const { drawn, replayable } = yield* Chaos.report
    return { met: met.map((tag) => tag.charAt(0)).join(""), drawn, replayable, text: Chaos.format(yield* Chaos.report) }
  }).pipe(
    Effect.provide(Chaos.layer({ seed, faults: [Fault.failure({ probability: 0.7 })] })),
    Effect.withRandom(Random.make(order))
  )

describe("A run with a seed", () => {
  virtual(
    "replays call by call and attempt by attempt, in whatever order the calls come",
    () =>
      Effect.gen(function*() {
        const byRequest = (index: number) => ({ requestId: `r-${index}` })
        const first = yield* fates(7, 1, byRequest)
        const again = yield* fates(7, 2, byRequest)
        assert.strictEqual(again.met, first.met)
        assert.isTrue(first.met.includes("F") && first.met.includes("S"))
        assert.notStrictEqual((yield* fates(8, 1, byRequest)).met, first.met)
        assert.isTrue(first.replayable)
        assert.include(first.text, "drawn by request id: seed 7 gives the same again in any order")
      })
  )

  virtual(
    "without request ids goes by arrival, within the key where there is one, and says so",
    () =>
      Effect.gen(function*() {
        const unnamed = yield* fates(7, 1, () => ({}))
        assert.deepInclude(unnamed.drawn, { byRequestId: 0, byKey: 0 })
        assert.isAbove(unnamed.drawn.byArrival, 60)
        assert.isFalse(unnamed.replayable)
        assert.include(unnamed.text, "drawn by arrival, since the calls have neither request id nor key")
        const keyed = yield* fates(7, 1, (index) => ({ key: `tenant-${index % 3}` }))
        assert.deepInclude(keyed.drawn, { byRequestId: 0, byArrival: 0 })
        assert.isFalse(keyed.replayable)
        assert.include(keyed.text, "drawn by key and arrival")
        // The calls of one tenant do not share one fate.
        assert.isTrue(keyed.met.includes("F") && keyed.met.includes("S"))
      })
  )

  virtual("without request ids replays too, as long as the calls come in the same order", () =>
    Effect.gen(function*() {
      const first = yield* fates(7, 1, () => ({}))
      assert.strictEqual((yield* fates(7, 1, () => ({}))).met, first.met)
    }))

  virtual("draws nothing where nothing is left to chance", () =>
    Effect.gen(function*() {
      yield* Effect.exit(place(Effect.void))
      assert.deepInclude(yield* Chaos.report, {
        drawn: { byRequestId: 0, byKey: 0, byArrival: 0 },
        replayable: true
      })
    }).pipe(Effect.provide(Chaos.layer({ faults: [Fault.latency("1 second"), Fault.failure()] }))))

  virtual("draws its seed where none is given, and tells it", (seen) =>
    Effect.gen(function*() {
      const seedOf = (random: string) =>
        Effect.map(Chaos.report, ({ seed }) => seed).pipe(
          Effect.provide(Chaos.layer()),
          Effect.withRandom(Random.make(random))
        )
      const [one, same, other] = [yield* seedOf("a"), yield* seedOf("a"), yield* seedOf("b")]
      assert.strictEqual(one, same)
      assert.notStrictEqual(one, other)
      assert.include(seen.logs[0], `with seed ${one}: nothing so far`)
    }))
})

describe("The blast radius", () => {
  virtual(
    "lets through what it holds back, and the report counts it and takes the replay back",
    () =>
      Effect.gen(function*() {
        const exits = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(place(Effect.void)))
        assert.deepStrictEqual(exits.map(Exit.isFailure).filter((failed) => failed).length, 3)
        const report = yield* Chaos.report
        assert.deepInclude(report.dependencies["payments"], { attempts: 10, disturbed: 3, heldBack: 7 })
        assert.isFalse(report.replayable)
        assert.include(
          Chaos.format(report),
          "3 of 10 attempts disturbed (3 x failure), 7 held back by the blast radius"
        )
      }).pipe(Effect.provide(Chaos.layer({ seed: 1, faults: Fault.failure(), blastRadius: { injections: 3 } })))
  )

  virtual("gives a place back when a held call is let go, ends or is interrupted", (seen) =>
    Effect.gen(function*() {
      const hang = place(Effect.void)
      const holding = yield* Effect.forEach([1, 2], () => Effect.fork(hang))
      yield* Effect.yieldNow()
      yield* hang
      yield* Effect.forEach(holding, Fiber.interrupt)
      const again = yield* Effect.fork(hang)
      yield* Effect.sleep("1 second")
      assert.isNull(again.unsafePoll())
      yield* Fiber.interrupt(again)
      assert.lengthOf(seen.of("ChaosInjected"), 3)
    }).pipe(Effect.provide(Chaos.layer({ seed: 1, faults: Fault.hang(), blastRadius: { concurrent: 2 } }))))

  virtual("counts a latency as long as it lasts", (seen) =>
    Effect.gen(function*() {
      const slow = Effect.timed(place(Effect.void)).pipe(Effect.map(([took]) => Duration.toMillis(took)))
      assert.deepStrictEqual(yield* Effect.all([slow, slow, slow], { concurrency: 3 }), [1000, 0, 0])
      assert.strictEqual(yield* slow, 1000)
      assert.lengthOf(seen.of("ChaosInjected"), 2)
    }).pipe(Effect.provide(Chaos.layer({ seed: 1, faults: Fault.latency(1000), blastRadius: { concurrent: 1 } }))))

  it.live("is kept for each layer on its own", () =>
    Effect.gen(function*() {
      const capped = Chaos.layer({ seed: 1, faults: Fault.failure(), blastRadius: { injections: 1 } })
      const count = Effect.forEach([1, 2, 3], () => Effect.exit(place(Effect.void))).pipe(
        Effect.map((exits) => exits.filter(Exit.isFailure).length)
      )
      assert.strictEqual(yield* count.pipe(Effect.provide(capped)), 1)
      assert.strictEqual(yield* count.pipe(Effect.provide(capped)), 1)
    }).pipe(quiet))
})

describe("The report", () => {
  virtual("names the dependencies that faults were aimed at and nobody called", () =>
    Effect.gen(function*() {
      yield* Effect.exit(place(Effect.void))
      const report = yield* Chaos.report
      assert.deepStrictEqual(report.neverMet, ["paymnets"])
      assert.include(
        Chaos.format(report),
        "never met: paymnets. Is that the name, and does it have a place for faults?"
      )
      assert.deepStrictEqual(report.faults, ["failure in every attempt at paymnets, payments"])
    }).pipe(Effect.provide(Chaos.layer({ faults: Fault.failure({ dependency: ["paymnets", "payments"] }) }))))
})
