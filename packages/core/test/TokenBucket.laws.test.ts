import { assert, describe, it } from "@effect/vitest"
import { TokenBucket } from "@holdfast/core/TokenBucket"
import * as fc from "fast-check"

const counting = () => {
  const edges: Record<string, number> = {}
  return {
    took: (edge: string): void => {
      edges[edge] = (edges[edge] ?? 0) + 1
    },
    assertTaken: (least: number, ...names: ReadonlyArray<string>): void => {
      for (const name of names) assert.isAtLeast(edges[name] ?? 0, least, name)
    }
  }
}

/** Numbers spread evenly over the powers of ten from `least` to `most`. */
const logarithmic = (least: number, most: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log10(least), max: Math.log10(most), noNaN: true }).map((exponent) =>
    Math.min(most, Math.max(least, 10 ** exponent))
  )

const instant = fc.oneof(
  fc.constant(0),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.double({ min: 1.6e12, max: 1.9e12, noNaN: true })
)

describe("TokenBucket laws", () => {
  it("a call that waits exactly waitMillis is admitted, and one that waits less is not", () => {
    const { assertTaken, took } = counting()
    fc.assert(
      fc.property(
        logarithmic(0.01, 1e9),
        logarithmic(1e-9, 1e9),
        instant,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: -0.1, max: 1, noNaN: true }),
        (capacity, refillPerMillis, start, first, second, share) => {
          const full = capacity / refillPerMillis
          const build = () => {
            const bucket = new TokenBucket({ capacity, refillPerMillis }, start)
            bucket.take(capacity * first, start)
            return bucket
          }
          const cost = Math.max(0.01, capacity * second)
          // the elapsed time may be a late reading
          const now = start + (share < 0 ? share * 1_000 : share * full)
          const wait = build().waitMillis(cost, now)
          assert.isAtLeast(wait, 0)
          const admitted = build()
          assert.strictEqual(admitted.available(now) >= cost, wait === 0)
          took(wait === 0 ? "at once" : "after a wait")
          if (now < start) took("a late reading")
          assert.isTrue(admitted.take(cost, now + wait), "after waiting exactly that long")
          // some roundings of the largest number in the sum
          const slack = (full + Math.max(1, now) + build().resetMillis(now)) * 2 ** -49
          if (wait > slack) {
            took("too early")
            assert.isFalse(build().take(cost, now + wait - slack), "a hair too early")
          }
          const reset = build()
          const untilFull = reset.resetMillis(now)
          assert.strictEqual(reset.available(now + untilFull), capacity)
          if (untilFull > slack) assert.isBelow(build().available(now + untilFull - slack), capacity)
        }
      ),
      { seed: 20_240_611, numRuns: 4_000 }
    )
    assertTaken(200, "at once", "after a wait", "a late reading", "too early")
  })

  it("agrees with whole-number arithmetic in every random history, and every edge is taken", () => {
    const { assertTaken, took } = counting()
    const command = fc.record({
      kind: fc.integer({ min: 0, max: 9 }),
      ticks: fc.integer({ min: 0, max: 800 }),
      size: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 80 }) }, {
        weight: 1,
        arbitrary: fc.constant(0)
      })
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 64 }),
        fc.array(command, { minLength: 20, maxLength: 80 }),
        (capacity, rate, commands) => {
          // Instants are eighths of a millisecond and rates are 1024ths, so a level is a whole number of 8192ths and the
          // doubles of the bucket are exact.
          const bucket = new TokenBucket({ capacity, refillPerMillis: rate / 1_024 }, 0)
          const model = { level: capacity * 8_192, last: 0 }
          let tick = 0
          const look = (): number => {
            if (tick < model.last - 8_000) {
              took("clock set back")
              model.last = tick
            }
            if (tick < model.last) took("late reading")
            return Math.min(capacity * 8_192, model.level + Math.max(0, tick - model.last) * rate)
          }
          for (const { kind, size, ticks } of commands) {
            if (kind === 0) tick -= ticks
            else if (kind === 1 && size < 20) tick -= 8_000 + ticks * 100
            else if (kind === 2 && size < 20) tick += ticks * 10_000
            else tick += ticks
            const level = look()
            const cost = size / 4
            if (level === capacity * 8_192) took("full")
            if (kind < 7) {
              const admitted = level >= cost * 8_192
              took(cost === 0 ? "free" : cost > capacity ? "above the capacity" : admitted ? "admitted" : "refused")
              assert.strictEqual(bucket.take(cost, tick / 8), admitted)
              if (admitted && cost > 0) {
                model.level = level - cost * 8_192
                model.last = Math.max(model.last, tick)
              }
            } else if (kind === 7) {
              took("given back")
              bucket.giveBack(cost)
              model.level = Math.min(capacity * 8_192, model.level + cost * 8_192)
            } else if (cost > 0 && cost <= capacity) {
              const missing = cost * 8_192 - level
              const wait = missing <= 0 ? 0 : Math.max(0, model.last - tick) / 8 + missing / rate / 8
              took(wait === 0 ? "no wait" : "wait")
              assert.closeTo(bucket.waitMillis(cost, tick / 8), wait, 1e-6)
            }
            assert.strictEqual(bucket.available(tick / 8) * 8_192, look())
          }
        }
      ),
      { seed: 7, numRuns: 500 }
    )
    assertTaken(
      200,
      "admitted",
      "refused",
      "free",
      "above the capacity",
      "given back",
      "wait",
      "no wait",
      "full",
      "late reading",
      "clock set back"
    )
  })

  it("E03: no stretch of time admits more than the capacity and what flowed in, whatever late readings come", () => {
    const { assertTaken, took } = counting()
    const step = fc.record({
      forward: fc.double({ min: 0, max: 40, noNaN: true }),
      late: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 900, noNaN: true })),
      cost: fc.double({ min: 0.01, max: 3, noNaN: true })
    })
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.double({ min: 0.001, max: 0.2, noNaN: true }),
        fc.array(step, { minLength: 30, maxLength: 100 }),
        (capacity, refillPerMillis, steps) => {
          const bucket = new TokenBucket({ capacity, refillPerMillis }, 0)
          const admitted: Array<{ readonly at: number; readonly cost: number }> = []
          let newest = 0
          for (const { cost, forward, late } of steps) {
            newest += forward
            const now = newest - Math.min(late, newest)
            const taken = bucket.take(cost, now)
            took(`${taken ? "admitted" : "refused"}${now < newest ? " late" : ""}`)
            // a charge is dated by the newest reading that any charge was made at
            if (taken) admitted.push({ at: Math.max(admitted.at(-1)?.at ?? 0, now), cost })
            assert.isAtLeast(bucket.available(now), 0)
            assert.isAtMost(bucket.available(now), capacity)
          }
          for (let from = 0; from < admitted.length; from++) {
            let charged = 0
            for (const { at, cost } of admitted.slice(from)) {
              charged += cost
              assert.isAtMost(charged, capacity + (at - admitted[from]!.at) * refillPerMillis + 1e-9)
            }
          }
        }
      ),
      { seed: 11, numRuns: 100 }
    )
    assertTaken(100, "admitted", "refused", "admitted late", "refused late")
  })

  it("any number of reconfigurations keeps the level within the capacity and the share as it was", () => {
    fc.assert(
      fc.property(
        logarithmic(0.01, 1e9),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(logarithmic(0.01, 1e9), { minLength: 1, maxLength: 10 }),
        (capacity, taken, capacities) => {
          const bucket = new TokenBucket({ capacity, refillPerMillis: 1 }, 0)
          bucket.take(capacity * taken, 0)
          const share = bucket.available(0) / capacity
          for (const next of capacities) {
            bucket.reconfigure({ capacity: next, refillPerMillis: 1 }, 0)
            assert.isAtMost(bucket.available(0), next)
            assert.closeTo(bucket.available(0) / next, share, 1e-12)
            if (share === 1) assert.strictEqual(bucket.available(0), next)
          }
        }
      ),
      { seed: 13, numRuns: 500 }
    )
  })
})
