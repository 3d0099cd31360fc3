import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as fc from "fast-check"
import * as Backoff from "../src/Backoff.js"
import { timed, virtual } from "./support/virtual.js"

const longest = 2 ** 31 - 1
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe("a backoff", () => {
  it("C01: the delay of retry 1,100 without a small cap is finite, positive and no NaN", () => {
    for (const jitter of ["full", "equal", "none", { factor: 0.5 }] as const) {
      const backoff = Backoff.exponential("1 second", { cap: "365 days", jitter })
      for (const retry of [1100, 5000, Number.MAX_SAFE_INTEGER]) {
        const delay = backoff.delay(retry, 0, 0.5)
        assert.isTrue(Number.isFinite(delay) && delay > 0, `${JSON.stringify(jitter)} at ${retry}: ${delay}`)
      }
    }
  })

  it("C02: no delay is longer than a timer can be set to", () => {
    for (
      const backoff of [
        Backoff.constant("100 days", { jitter: "none" }),
        Backoff.exponential("100 days", { cap: "10000 days", jitter: { factor: 1 } }),
        Backoff.decorrelated("100 days", { cap: "10000 days" })
      ]
    ) {
      assert.strictEqual(backoff.delay(3, longest, 0.999_999), Math.min(longest, backoff.delay(3, longest, 0.999_999)))
      assert.isAtMost(backoff.largest(3), longest)
    }
    assert.strictEqual(Backoff.constant("100 days", { jitter: "none" }).delay(0, 0, 0), longest)
  })

  it("C03: the cap is exact, whatever the power would have been", () => {
    const backoff = Backoff.exponential(100, { cap: 5000, jitter: "none" })
    assert.deepStrictEqual([0, 1, 5, 6, 100, 2000].map((retry) => backoff.delay(retry, 0, 0)), [
      100,
      200,
      3200,
      5000,
      5000,
      5000
    ])
  })

  it("C04: decorrelated jitter stays within base and cap for 10,000 draws, and for draws of 0 and almost 1", () => {
    const backoff = Backoff.decorrelated(100, { cap: 10_000 })
    fc.assert(
      fc.property(fc.infiniteStream(fc.oneof(draw, fc.constantFrom(0, 1 - Number.EPSILON))), (draws) => {
        let previous = 0
        for (let retry = 0; retry < 10_000; retry++) {
          previous = backoff.delay(retry, previous, draws.next().value!)
          if (!(previous >= 100 && previous <= 10_000)) {
            assert.fail(`${previous} at ${retry}`)
          }
        }
      }),
      { numRuns: 5, seed: 4 }
    )
    let highest = 0
    let lowest = Infinity
    let previous = 0
    for (let retry = 0; retry < 100; retry++) {
      highest = previous = backoff.delay(retry, previous, 1 - Number.EPSILON)
      lowest = Math.min(lowest, backoff.delay(retry, lowest, 0))
    }
    assert.deepStrictEqual([Math.round(highest), lowest], [10_000, 100])
  })

  it("C05: jitter as large as the delay is never negative", () => {
    const backoff = Backoff.constant(100, { jitter: { factor: 1 } })
    fc.assert(
      fc.property(draw, (r) => {
        const delay = backoff.delay(0, 0, r)
        return delay >= 0 && delay <= 200
      }),
      { seed: 5 }
    )
  })

  it("no delay is longer than the largest that it names", () => {
    const jitter = fc.constantFrom<Backoff.Jitter>("full", "equal", "none", { factor: 0.3 })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 0, max: 1e7 }),
        fc.nat(60),
        draw,
        jitter,
        (base, cap, retry, r, j) => {
          const backoff = Backoff.exponential(base, { cap, jitter: j })
          return backoff.delay(retry, 0, r) <= backoff.largest(retry)
        }
      ),
      { seed: 6, numRuns: 1000 }
    )
    const decorrelated = Backoff.decorrelated(100, { cap: 5000 })
    fc.assert(
      fc.property(fc.array(draw, { minLength: 1, maxLength: 30 }), (draws) => {
        let previous = 0
        return draws.every((r, retry) => {
          previous = decorrelated.delay(retry, previous, r)
          return previous <= decorrelated.largest(retry)
        })
      }),
      { seed: 7, numRuns: 1000 }
    )
  })

  virtual("is a schedule that Effect's own retry drives, drawn from the Random service", () =>
    Effect.gen(function*() {
      const retrying = Effect.retry(Effect.fail("busy"), { schedule: Backoff.exponential(100), times: 3 })
      const took = (seed: string) =>
        Effect.map(timed(retrying).pipe(Effect.withRandom(Random.make(seed))), ({ took }) => took)
      const first = yield* took("one")
      assert.isTrue(first > 0 && first < 700)
      assert.strictEqual(yield* took("one"), first)
      assert.notStrictEqual(yield* took("two"), first)
      const plain = Effect.retry(Effect.fail("busy"), {
        schedule: Backoff.exponential(100, { jitter: "none" }),
        times: 3
      })
      assert.strictEqual((yield* timed(plain)).took, 700)
    }))

  virtual("shares no state between two uses", () =>
    Effect.gen(function*() {
      const schedule = Backoff.exponential(100, { jitter: "none" })
      const delays = yield* Schedule.run(Schedule.delays(schedule), 0, [1, 2, 3])
      const again = yield* Schedule.run(Schedule.delays(schedule), 0, [1, 2, 3])
      assert.deepStrictEqual(Array.from(delays).map(Duration.toMillis), [100, 200, 400])
      assert.deepStrictEqual(Array.from(again), Array.from(delays))
    }))

  it("wrong options are a defect that names field, value and what is allowed", () => {
    for (
      const make of [
        () => Backoff.exponential(-1),
        () => Backoff.exponential(1, { factor: 0.5 }),
        () => Backoff.exponential(1, { jitter: "half" as never }),
        () => Backoff.constant(1, { jitter: { factor: 2 } }),
        () => Backoff.decorrelated(1000, { cap: 10 })
      ]
    ) {
      assert.throws(make, /Backoff\.\w+: .*allowed is/)
    }
  })
})
